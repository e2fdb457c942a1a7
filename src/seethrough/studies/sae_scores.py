"""What one sparse autoencoder says of one model: reconstruction, latents, and what they know.

Six numbers per class, each the mean over the latents that matter most to the class, by attribution
patching, or over as many random ones that are active: the neurons' four metrics with a latent in
place of a unit, the monosemanticity score, and the purity of the images on which a latent is
highest. They, and the model with the reconstruction spliced in, are measured on images of the
chosen classes. Everything else is measured on the activations of the evaluation images.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor, nn

from seethrough.data.shapes3d_factors import FACTOR_NAMES
from seethrough.kernels.ragged_code import RaggedCode
from seethrough.metrics.information_scores import shuffled
from seethrough.metrics.mig import factor_entropies, mutual_information
from seethrough.neurons.factor_information import FactorInformation
from seethrough.neurons.selected_mean import selected_mean
from seethrough.sae.latent_ablation import latent_ablation_impact
from seethrough.sae.latent_codes import latent_codes, latent_columns
from seethrough.sae.latent_importance import latent_importance, top_latents
from seethrough.sae.latent_metrics import latent_metrics
from seethrough.sae.modal_class_purity import modal_class_purity
from seethrough.sae.monosemanticity import monosemanticity
from seethrough.sae.reconstruction_scores import reconstruction_scores
from seethrough.sae.residual_site import ResidualSite
from seethrough.sae.sparse_autoencoder import SparseAutoencoder
from seethrough.sae.splice import splice_scores
from seethrough.studies.impact_neurons import of_one_factor
from seethrough.studies.read_again import ReadAgain
from seethrough.training.initialise import generator_for

SELECTIONS = ("top", "random")
PER_CLASS_METRICS = (
    "impact", "selectivity", "variance", "entropy", "monosemanticity", "purity"
)  # fmt: skip
FREQUENT_SHARE, FREQUENT_COUNT = 0.01, 10
"""A latent is frequent if it is active on so large a share of the images, and on so many."""
MAX_DENSE = 1 << 26
"""Numbers of a code written out at once."""

PerClass = dict[tuple[str, str], Float64[Tensor, " C"]]
"""(metric, selection) -> one value per class, NaN for classes without images."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluation:
    """One model with the images and activations that its autoencoders are judged on."""

    model: nn.Module
    """The model."""
    site: ResidualSite
    """Where its autoencoders read."""
    images: ReadAgain
    """Evaluation images, of all classes."""
    inputs: Float[Tensor, "N D"]
    """The site's activations on them."""
    factors: Int64[Tensor, "N F"] | None
    """Their factors, on the CPU; None where they are not known."""
    class_images: ReadAgain
    """Images of the chosen classes."""
    class_inputs: Float[Tensor, "n D"]
    """The site's activations on them."""
    class_labels: Int64[Tensor, " n"]
    """Their classes."""
    embeddings: Float[Tensor, "n E"]
    """What the monosemanticity score compares them by."""
    n_classes: int
    """C, the number of logits."""


@dataclass(frozen=True, slots=True)
class SAEScores:
    """What one autoencoder does."""

    numbers: dict[str, float]
    """Quantity -> value over evaluation images."""
    per_class: PerClass
    """The six metrics of its latents."""


def sae_scores(
    sae: SparseAutoencoder, on: Evaluation, n_latents: int, n_highest: int, seed: int
) -> SAEScores:
    """Return all scores of an autoencoder of one vector per image.

    Args:
        sae: the autoencoder.
        on: the model and what it is judged on.
        n_latents: latents selected per class, or as many as there are.
        n_highest: images on which a latent's purity is taken, or as many as there are.
        seed: decides the random latents and the order of shuffled factors.
    """
    numbers = reconstruction_numbers(sae, on)
    if on.factors is not None:
        numbers |= factor_numbers(sae, on.inputs, on.factors, seed)
    importance = latent_importance(on.model, sae, on.site, on.class_images, on.n_classes)
    code = latent_codes(sae, on.class_inputs)
    count = min(n_latents, sae.width)
    selected = {
        "top": top_latents(importance, count),
        "random": random_latents(code, count, on.n_classes, generator_for(seed, "latents")),
    }
    present = torch.bincount(on.class_labels, minlength=on.n_classes) > 0
    numbers["top_latents"] = float(selected["top"][present].sum(1).double().mean())
    return SAEScores(numbers, latent_scores(sae, on, code, selected, n_highest))


def reconstruction_numbers(sae: SparseAutoencoder, on: Evaluation) -> dict[str, float]:
    """Return how well activations are rebuilt, and what the model loses with the rebuilt ones.

    The first on evaluation images, the second on those of the chosen classes.
    """
    rebuilt = reconstruction_scores(sae, on.inputs)
    spliced = splice_scores(on.model, sae, on.site, on.class_images)
    return {
        "fve": rebuilt.fve,
        "nmse": rebuilt.nmse,
        "l0": rebuilt.l0,
        "active": float(rebuilt.n_active),
        "dead": rebuilt.n_dead / rebuilt.width,
        "top_1": spliced.clean.top_1,
        "top_1_change": spliced.top_1_change,
        "cross_entropy_change": spliced.cross_entropy_change,
        "recovered": spliced.recovered,
    }


def random_latents(
    code: RaggedCode, count: int, n_classes: int, generator: torch.Generator
) -> Bool[Tensor, "C M"]:
    """Return, for each class, `count` latents drawn from those that are active on any image.

    All of them, if they are fewer. Every class has its own draw.
    """
    draws = torch.rand(n_classes, code.width, generator=generator).to(code.latents.device)
    active = torch.zeros(code.width, dtype=torch.bool, device=code.latents.device)
    active[code.latents] = True
    return top_latents(torch.where(active, draws, -1.0), count)


def latent_scores(
    sae: SparseAutoencoder,
    on: Evaluation,
    code: RaggedCode,
    selected: Mapping[str, Bool[Tensor, "C M"]],
    n_highest: int,
) -> PerClass:
    """Return the six metrics of the latents selected for each class; `code` is of class images."""
    used = torch.stack(list(selected.values())).any(0).any(0).nonzero()[:, 0]
    alike, purity = likeness(code, used, on, min(n_highest, code.n_rows))
    present = torch.bincount(on.class_labels, minlength=on.n_classes).cpu() > 0
    found: PerClass = {}
    for name, chosen in selected.items():
        metrics = latent_metrics(code, on.class_labels, chosen)
        values = {
            "impact": latent_ablation_impact(on.model, sae, on.site, on.class_images, chosen),
            "selectivity": metrics.selectivity,
            "variance": metrics.class_variance,
            "entropy": metrics.label_entropy,
            "monosemanticity": selected_mean(alike[None], chosen[:, used]),
            "purity": selected_mean(purity[None], chosen[:, used]),
        }
        for metric, value in values.items():
            found[metric, name] = torch.where(present, value.cpu(), torch.nan)
    return found


def likeness(
    code: RaggedCode, latents: Int64[Tensor, " U"], on: Evaluation, n_highest: int
) -> tuple[Float64[Tensor, " U"], Float64[Tensor, " U"]]:
    """Return monosemanticity and modal-class purity of some latents on the class images."""
    step = max(1, MAX_DENSE // code.n_rows)
    alike, purity = [], []
    # At least one round, so that no latents give two empty tables.
    for start in range(0, max(len(latents), 1), step):
        columns = latent_columns(code, latents[start : start + step])
        alike.append(monosemanticity(columns, on.embeddings))
        purity.append(modal_class_purity(columns, on.class_labels, on.n_classes, n_highest))
    return torch.cat(alike), torch.cat(purity)


def factor_numbers(
    sae: SparseAutoencoder, inputs: Float[Tensor, "N D"], factors: Int64[Tensor, "N F"], seed: int
) -> dict[str, float]:
    """Return what the frequent latents know of the factors, and the same of shuffled factors.

    Means are over frequent latents, NaN without any.
    """
    code = latent_codes(sae, inputs)
    latents = frequent_latents(code)
    known = known_factors(code, latents, factors)
    control = known_factors(code, latents, shuffled(factors, generator_for(seed, "factors")))
    numbers = {"frequent": float(len(latents))}
    for suffix, found in (("", known), ("_shuffled", control)):
        numbers[f"factor_best{suffix}"] = float(found.best.mean())
        numbers[f"factor_gap{suffix}"] = float(found.gap.mean())
        numbers[f"one_factor_latents{suffix}"] = float(of_one_factor(found).double().mean())
    for number, factor in enumerate(FACTOR_NAMES):
        follows = of_one_factor(known) & (known.factor == number)
        numbers[f"follows_{factor}"] = float(follows.double().mean())
    return numbers


def known_factors(
    code: RaggedCode, latents: Int64[Tensor, " U"], factors: Int64[Tensor, "N F"]
) -> FactorInformation:
    """Return what some latents, each active on some images and silent on others, know of factors.

    The mutual information of whether the latent is active with the factor, over the largest value
    it can have, the smaller of the two entropies. Over the factor's entropy alone, as for neurons,
    a latent that is active on one image in a hundred could not reach more than a few per cent.
    """
    if len(latents) == 0:
        return FactorInformation(normalised=torch.empty(0, factors.shape[1], dtype=torch.float64))
    active = (latent_columns(code, latents) > 0).double().cpu()
    share = active.mean(0)
    own = torch.special.entr(share) + torch.special.entr(1 - share)
    largest = torch.minimum(own[:, None], factor_entropies(factors))
    return FactorInformation(normalised=mutual_information(active, factors, n_bins=2) / largest)


def frequent_latents(code: RaggedCode) -> Int64[Tensor, " U"]:
    """Return the latents active on 1 % of the inputs or more, 10 at least, and not on all of them.

    What rarer latents seem to know of a factor is mostly chance.
    """
    counts = torch.bincount(code.latents, minlength=code.width)
    least = max(FREQUENT_COUNT, FREQUENT_SHARE * code.n_rows)
    return ((counts >= least) & (counts < code.n_rows)).nonzero()[:, 0]
