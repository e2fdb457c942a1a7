"""What the notebook of autoencoders shows of single latents: the images on which they are highest.

Latents are not chosen for their looks: of those active on 1 % of the images or more, the one that
knows most of each factor, where factors are known, then some drawn at random.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from seethrough.data.shapes3d_factors import FACTOR_NAMES
from seethrough.kernels.ragged_code import RaggedCode
from seethrough.neurons.factor_information import FactorInformation
from seethrough.sae.latent_codes import latent_codes, latent_columns
from seethrough.store import ArtifactStore
from seethrough.studies.attribution_examples import as_seen
from seethrough.studies.impact_layers_sae import autoencoder, evaluation_of, images_of
from seethrough.studies.impact_models import Condition, material, models
from seethrough.studies.layers_sae_parameters import Parameters
from seethrough.studies.sae_scores import Evaluation, frequent_latents, known_factors
from seethrough.studies.trained_saes import StreamPool
from seethrough.training.initialise import generator_for

N_RANDOM = 4
"""Latents of a gallery that are drawn at random."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShownLatent:
    """One latent of a gallery; everything is on the CPU."""

    words: str
    """What it knows, or how alike its images are."""
    at_random: bool
    """Whether it was drawn, not chosen."""
    pictures: Float[Tensor, "P 3 H W"]
    """The images on which it is highest, highest first, as one sees them, 0 to 1; those on which it
    is 0 are left out."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModelGallery:
    """Latents of one model."""

    condition: Condition
    """The model."""
    n_frequent: int
    """Latents that are active on 1 % of the evaluation images or more."""
    latents: tuple[ShownLatent, ...]
    """Those that are shown."""


def latent_gallery(
    parameters: Parameters, n_pictures: int = 6, store: ArtifactStore | None = None
) -> list[ModelGallery]:
    """Return some latents of every model's autoencoder at the fixed k, first seed.

    Models and autoencoders that are nowhere are made. Raises ValueError for `n_pictures` below 1.
    """
    if n_pictures < 1:
        raise ValueError(f"n_pictures is {n_pictures}, allowed is at least 1")
    first = replace(parameters, seeds=parameters.seeds[:1])
    store = store or ArtifactStore()
    return [
        gallery_of(model, condition, first, n_pictures, store)
        for condition, _, model in models(first, first.conditions(), store)
    ]


def gallery_of(
    model: nn.Module,
    condition: Condition,
    parameters: Parameters,
    n_pictures: int,
    store: ArtifactStore,
) -> ModelGallery:
    """Return some latents of one model."""
    (seed,) = parameters.seeds
    on = evaluation_of(model, parameters)
    pool = StreamPool(model, on.site, images_of(parameters).pool)
    sae = autoencoder(pool, condition, parameters, seed, store, "batch_topk", parameters.k).sae
    code = latent_codes(sae, on.inputs)
    latents = frequent_latents(code)
    known = None if on.factors is None else known_factors(code, latents, on.factors)
    chosen = best_of_each_factor(known) if known is not None and len(latents) else {}
    drawn = torch.randperm(len(latents), generator=generator_for(seed, "gallery"))[:N_RANDOM]
    shown = [(place, words, False) for place, words in chosen.items()]
    shown += [(place, "", True) for place in drawn.tolist()]
    return ModelGallery(
        condition=condition,
        n_frequent=len(latents),
        latents=tuple(
            shown_latent(code, int(latents[place]), words, at_random, on, parameters, n_pictures)
            for place, words, at_random in shown
        ),
    )


def best_of_each_factor(known: FactorInformation) -> dict[int, str]:
    """Return for each factor the place of the latent that knows most of it, and words on it.

    A latent that is the best of two factors is shown once, for the first.
    """
    found: dict[int, str] = {}
    for number, factor in enumerate(FACTOR_NAMES):
        place = int(known.normalised[:, number].argmax())
        if place not in found:
            found[place] = f"best for {_plain(factor)}: {factor_words(known, place)}"
    return found


def factor_words(known: FactorInformation, place: int) -> str:
    """Return the two factors of which a latent knows most, with their shares."""
    best, second = known.normalised[place].topk(2).indices.tolist()
    shares = [float(known.normalised[place, number]) for number in (best, second)]
    names = [_plain(FACTOR_NAMES[number]) for number in (best, second)]
    return f"{names[0]} {100 * shares[0]:.0f} %, then {names[1]} {100 * shares[1]:.0f} %"


def shown_latent(
    code: RaggedCode,
    latent: int,
    words: str,
    at_random: bool,
    on: Evaluation,
    parameters: Parameters,
    n_pictures: int,
) -> ShownLatent:
    """Return one latent with the images on which it is highest."""
    column = latent_columns(code, torch.tensor([latent], device=code.latents.device))[:, 0].cpu()
    highest = column.argsort(descending=True, stable=True)[:n_pictures]
    highest = highest[column[highest] > 0]
    rows = on.images.index[highest]
    source = material(parameters)
    pictures = as_seen(source.evaluation.images(rows), source.classifier.preprocessing)
    return ShownLatent(
        words=words or _class_words(column, source.evaluation.labels[on.images.index], highest),
        at_random=at_random,
        pictures=pictures.cpu(),
    )


def _class_words(
    column: Float[Tensor, " N"], labels: Int64[Tensor, " N"], highest: Int64[Tensor, " P"]
) -> str:
    counts = torch.bincount(labels[highest])
    return f"{int(counts.max())} of {len(highest)} of one class"


def _plain(factor: str) -> str:
    return factor.replace("_", " ")
