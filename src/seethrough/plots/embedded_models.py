"""What the package's own models are: a table of their origin, pictures of their task."""

import torch
from IPython.display import Markdown
from matplotlib.figure import Figure

from seethrough.data.shapes3d_classes import Shapes3DClasses
from seethrough.models.accuracy import wilson_interval
from seethrough.models.embedded import MODELS, load_embedded, provenance_of, weights_file
from seethrough.models.vit_sizes import vit_sizes
from seethrough.plots.style import new_figure
from seethrough.plots.tables import markdown_table


def embedded_table(name: str) -> Markdown:
    """Return size, accuracy and origin of a model, from its weights and their header.

    Raises:
        ValueError: an unknown name.
    """
    made, spec = provenance_of(name), MODELS[name]
    sizes, training = vit_sizes(load_embedded(name).model), made["training"]
    code = (made["git_commit"] or "not known")[:10] + (" with changes" * made["git_dirty"])
    lines = [
        ["task", f"{spec.task}: {spec.n_classes} classes"],
        ["images", made["images"]],
        ["parameters", f"{sizes.parameters:,}"],
        ["prunable weights", f"{sizes.prunable_weights:,}"],
        ["size of the file", f"{weights_file(name).stat().st_size / 1e6:.1f} MB"],
        ["trained on", f"{made['n_train']:,} images, epochs: {training['epochs']}"],
        ["top-1, held out", _share(made["top_1"], made["n_heldout"])],
        ["top-5, held out", _share(made["top_5"], made["n_heldout"])],
        ["command", f"`{made['command']}`"],
        ["made with", f"torch {made['torch']}, {made['device']}, {made['seconds'] / 60:.0f} min"],
        ["code", code],
    ]
    return markdown_table([f"`{name}`", "from the weights' header"], lines)


def _share(value: float, n: int) -> str:
    found = wilson_interval(round(value * n), n)
    interval = f"{100 * found.low:.1f} to {100 * found.high:.1f}"
    return f"{100 * found.value:.1f} % ({interval}) of {n:,}"


def task_examples(images: Shapes3DClasses, n: int = 6, seed: int = 0) -> Figure:
    """Draw n random images of the task, clean above, as the model sees them below, with classes.

    Noisy pixels beyond black and white are cut off in the picture alone.
    """
    generator = torch.Generator().manual_seed(seed)
    index = torch.randperm(len(images), generator=generator)[:n]
    figure, _ = new_figure(1, 2.7)
    figure.clear()
    rows = figure.subplots(2, n, squeeze=False)
    for axes, pictures in zip(
        rows, (images.clean_images(index), images.images(index)), strict=True
    ):
        for place, picture in zip(axes, pictures, strict=True):
            place.imshow(picture.add(1).div(2).clamp(0, 1).permute(1, 2, 0).numpy())
            place.set(xticks=[], yticks=[])
            place.grid(False)
            place.set_frame_on(False)
    for place, label in zip(rows[1], images.labels[index].tolist(), strict=True):
        place.set_xlabel(images.class_names[label].replace(", size", ",\nsize"), fontsize=7)
    rows[0, 0].set_ylabel("rendered")
    rows[1, 0].set_ylabel("with noise")
    return figure
