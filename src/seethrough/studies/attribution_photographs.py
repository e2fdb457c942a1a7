"""What a model sees in photographs: its first answers, and maps of relevance by every method."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from seethrough.data.photographs import photograph
from seethrough.data.preprocessing import Preprocessing
from seethrough.models.embedded import MODELS, load_embedded
from seethrough.models.plain_vit import meta_model
from seethrough.models.pretrained import Classifier, preprocessing_of
from seethrough.results import Row, Series
from seethrough.studies.impact_models import Condition

MapsOf = Callable[
    [str, nn.Module, Float[Tensor, "N 3 H W"], Int64[Tensor, " N"]], Float[Tensor, "N h w"]
]
"""Method, model, inputs and classes -> maps by patch."""
DIGITS = 4
"""Decimals of stored relevance over the map's largest value."""


def photograph_inputs(names: Sequence[str], classifier: Classifier) -> Float[Tensor, "P 3 H W"]:
    """Return photographs as the classifier takes them: resized, centre cropped, normalised."""
    preprocessing = classifier.preprocessing
    pixels = torch.stack([preprocessing.pixels(photograph(name)) for name in names])
    return preprocessing.normalise(pixels)


def photograph_squares(names: Sequence[str], model: str) -> Float[Tensor, "P 3 H W"]:
    """Return the part of photographs that a model is shown, 0 to 1; no weights are read.

    `model` is a model of the package or timm's name of a plain vision transformer.
    """
    preprocessing = _preprocessing(model)
    return torch.stack([preprocessing.pixels(photograph(name)) for name in names]).float() / 255


def _preprocessing(model: str) -> Preprocessing:
    if model in MODELS:
        return load_embedded(model).preprocessing
    return preprocessing_of(vars(meta_model(model))["pretrained_cfg"])


def explained_photographs(
    model: nn.Module,
    condition: Condition,
    names: Sequence[str],
    images: Float[Tensor, "P 3 H W"],
    class_names: Sequence[str],
    methods: Sequence[str],
    maps_of: MapsOf,
) -> tuple[list[Row], list[Series]]:
    """Return the predicted class with its probability, and its maps, photograph by photograph.

    A map is a curve over the patches, row by row from the top left; values are over the map's
    largest, and 0 where relevance is negative.
    """
    with torch.no_grad():
        probabilities = model(images).softmax(dim=1)
    confidence, targets = probabilities.max(dim=1)
    rows = [
        Row(
            f"photograph_probability/{name}/{condition.name}",
            "probability of the class that the model sees in a photograph",
            condition.cell() | {"photograph": name, "predicted": class_names[target]},
            "fraction",
            (value,),
        )
        for name, target, value in zip(names, targets.tolist(), confidence.tolist(), strict=True)
    ]
    series = []
    for method in methods:
        maps = maps_of(method, model, images, targets)
        for name, relevance in zip(names, _shares_of_largest(maps), strict=True):
            place = tuple(float(number) for number in range(len(relevance)))
            cell = condition.cell() | {"photograph": name, "method": method}
            series.append(
                Series(
                    f"photograph_map/{method}/{name}/{condition.name}",
                    "positive relevance over the map's largest",
                    cell,
                    "1",
                    "patch",
                    place,
                    (tuple(relevance),),
                )
            )
    return rows, series


def _shares_of_largest(maps: Float[Tensor, "P h w"]) -> list[list[float]]:
    positive = maps.double().relu().flatten(start_dim=1).cpu()
    shares = positive / positive.amax(dim=1, keepdim=True).clamp_min(torch.finfo(torch.double).tiny)
    return [[round(value, DIGITS) for value in of_map] for of_map in shares.tolist()]
