import numpy as np
import pytest
import torch

from seethrough.data.shapes3d_classes import Shapes3DClasses
from seethrough.models.embedded import load_embedded, provenance_of
from seethrough.plots.embedded_models import embedded_table, task_examples

NAME = "shapes3d_vit"


def test_the_table_says_what_the_header_says() -> None:
    lines = embedded_table(NAME).data.splitlines()
    table = dict(line.strip("| ").split(" | ") for line in lines[2:])
    made = provenance_of(NAME)
    n = sum(parameter.numel() for parameter in load_embedded(NAME).model.parameters())
    assert table["parameters"] == f"{n:,}"
    # Six blocks of width 128: 128 x (384 + 128 + 512 + 512) weights each.
    assert table["prunable weights"] == f"{6 * 128 * 1536:,}"
    assert table["top-1, held out"].startswith(f"{100 * made['top_1']:.1f} % (")
    assert table["top-1, held out"].endswith(f"of {made['n_heldout']:,}")
    assert table["command"] == f"`{made['command']}`"
    assert table["task"].endswith(": 320 classes")
    assert table["code"].startswith(made["git_commit"][:10])


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(ValueError, match=r"did you mean shapes3d_vit\?"):
        embedded_table("shapes3d_vti")


def test_clean_above_noisy_below_and_the_class() -> None:
    images = Shapes3DClasses()
    axes = task_examples(images, n=3).axes
    assert len(axes) == 6
    clean, noisy = (np.asarray(axes[place].images[0].get_array()) for place in (0, 3))
    assert clean.shape == noisy.shape == (64, 64, 3)
    assert 0 <= noisy.min() < noisy.max() <= 1
    # A deviation of 0.1, a little less where black and white cut it off.
    assert 0.05 < np.std(noisy - clean) < 0.1
    index = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:3]
    for place, label in zip(axes[3:], images.labels[index].tolist(), strict=True):
        assert place.get_xlabel().replace("\n", " ") == images.class_names[label]
