"""Study: are the features of a pruned model's last layer easier to understand?

Level 2 of {cite:t}`zhang2026impact`, claim C4: no, by the neurons' four metrics on the latents of a
BatchTopK autoencoder of the class token after the last block; only more latents become active. The
paper's autoencoders share one k, which gives models different operating points. Here each model has
a sweep of k, and models are compared at the fixed k, at equal L0 and at equal explained variance,
with what the paper lacks: random latents as a baseline, intervals over classes, a dense model that
took the recovery's steps, tests of equivalence and of trend, a score of monosemanticity, and, where
the factors of the images are known, what each latent knows of them.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from seethrough.data.shapes3d_classes import Shapes3DClasses
from seethrough.data.shapes3d_factors import FACTOR_SIZES
from seethrough.results import Row, StudyResult
from seethrough.sae.activation_pool import activation_pool
from seethrough.sae.residual_site import ResidualSite, last_block_site
from seethrough.store import ArtifactStore
from seethrough.studies.impact_models import (
    DENSE,
    Condition,
    material,
    models,
    seconds_of,
)
from seethrough.studies.impact_neurons import chosen_classes
from seethrough.studies.layers_sae_parameters import Parameters
from seethrough.studies.read_again import ReadAgain
from seethrough.studies.sae_rows import ModelScores, rows_of
from seethrough.studies.sae_scores import (
    Evaluation,
    SAEScores,
    reconstruction_numbers,
    sae_scores,
)
from seethrough.studies.study_run import Findings, stored_result
from seethrough.studies.trained_saes import (
    StreamAutoencoder,
    StreamPool,
    TrainedAutoencoder,
    trained_autoencoder,
)

PATCHES = "patches"
PIXEL_GRID = 16
"""Rows and columns of the pixels that stand for an image whose factors are not known."""


@dataclass(frozen=True, eq=False)
class Images:
    """Images of a study, each read once where memory allows."""

    pool: ReadAgain
    """Training images of the pools."""
    evaluation: ReadAgain
    """Held-out images of all classes."""
    chosen: ReadAgain
    """Held-out images of the chosen classes."""
    factors: Int64[Tensor, "N F"] | None
    """Factors of the evaluation images; None where they are not known."""
    embeddings: Float[Tensor, "n E"]
    """What the monosemanticity score compares the chosen classes' images by."""


def run(parameters: Parameters, store: ArtifactStore | None = None) -> StudyResult:
    """Return the study's rows and provenance, from the store if they are there."""
    return stored_result("impact_layers_sae", parameters, store, measure)


def measure(parameters: Parameters, store: ArtifactStore) -> Findings:
    """Return all scores of all models, compared in three ways, and how they move with sparsity."""
    conditions = parameters.conditions()
    found: dict[int, list[ModelScores]] = {seed: [] for seed in parameters.seeds}
    seconds = 0.0
    # The dense model is measured for every seed: its autoencoders differ by seed.
    for condition, seed, model in models(parameters, conditions, store):
        scores, spent = measure_model(model, condition, parameters, seed, store)
        found[seed].append(scores)
        seconds += spent
    by_seed = [rows_of(found[seed], parameters.k, seed) for seed in parameters.seeds]
    rows = [
        Row(name, quantity, cell, unit, tuple(some[name][3] for some in by_seed))
        for name, (quantity, cell, unit, _) in by_seed[0].items()
    ]
    return Findings(rows, [], seconds + seconds_of(parameters, conditions, store))


def measure_model(
    model: nn.Module, condition: Condition, parameters: Parameters, seed: int, store: ArtifactStore
) -> tuple[ModelScores, float]:
    """Return the scores of one model's autoencoders, and the seconds that training them took."""
    on = evaluation_of(model, parameters)
    pool = StreamPool(model, on.site, images_of(parameters).pool)
    trained = {
        k: autoencoder(pool, condition, parameters, seed, store, "batch_topk", k)
        for k in parameters.ks
    }
    others = {
        name: autoencoder(pool, condition, parameters, seed, store, name, parameters.k)
        for name in (parameters.methods if condition.method == DENSE else ())
    }
    sweep = {k: scores_of(one, on, parameters, seed) for k, one in trained.items()}
    beside = {name: scores_of(one, on, parameters, seed) for name, one in others.items()}
    seconds = sum(one.seconds for one in (*trained.values(), *others.values()))
    if condition.method == DENSE and parameters.patches:
        beside[PATCHES], spent = patch_scores(model, on, condition, parameters, seed, store)
        seconds += spent
    return ModelScores(condition, sweep, beside), seconds


def scores_of(
    trained: TrainedAutoencoder, on: Evaluation, parameters: Parameters, seed: int
) -> SAEScores:
    """Return what one autoencoder does."""
    return sae_scores(trained.sae, on, parameters.n_latents, parameters.n_highest, seed)


def autoencoder(
    pool: StreamPool,
    condition: Condition,
    parameters: Parameters,
    seed: int,
    store: ArtifactStore,
    method: str,
    k: int,
) -> TrainedAutoencoder:
    """Return one autoencoder of a model, trained now if the store does not hold it."""
    config = StreamAutoencoder(
        model=parameters.config(condition, seed),
        site=pool.site,
        n_pool=parameters.n_pool,
        training=parameters.training(parameters.method(method, k), seed),
    )
    return trained_autoencoder(config, pool, store)


def patch_scores(
    model: nn.Module,
    on: Evaluation,
    condition: Condition,
    parameters: Parameters,
    seed: int,
    store: ArtifactStore,
) -> tuple[SAEScores, float]:
    """Return how well the dense model's patches are rebuilt; they have no metrics of a class."""
    site = ResidualSite(block=on.site.block, tokens=PATCHES)
    pool = StreamPool(model, site, images_of(parameters).pool)
    one = autoencoder(pool, condition, parameters, seed, store, "batch_topk", parameters.k)
    images = images_of(parameters).evaluation
    capacity = len(images.index) * pool.vectors_per_image
    inputs = activation_pool(model, images, site, capacity).inputs
    of_patches = replace(on, site=site, inputs=inputs, factors=None)
    return SAEScores(reconstruction_numbers(one.sae, of_patches), {}), one.seconds


def evaluation_of(model: nn.Module, parameters: Parameters) -> Evaluation:
    """Return a model with the images and activations that its autoencoders are judged on."""
    images, site = images_of(parameters), site_of(model, parameters.block)
    inputs = activation_pool(model, images.evaluation, site, len(images.evaluation.index))
    chosen = activation_pool(model, images.chosen, site, len(images.chosen.index))
    return Evaluation(
        model=model,
        site=site,
        images=images.evaluation,
        inputs=inputs.inputs,
        factors=images.factors,
        class_images=images.chosen,
        class_inputs=chosen.inputs,
        class_labels=chosen.labels,
        embeddings=images.embeddings,
        n_classes=len(material(parameters).evaluation.class_names),
    )


def site_of(model: nn.Module, block: int) -> ResidualSite:
    """Return where autoencoders read a model's class token; raise ValueError for no such block."""
    last = last_block_site(model)
    if block > last.block:
        raise ValueError(f"block is {block}, allowed is -1 to {last.block}")
    return last if block == -1 else ResidualSite(block=block)


@lru_cache(maxsize=1)
def images_of(parameters: Parameters) -> Images:
    """Return the study's images; what is known of them depends on where they come from."""
    source = material(parameters)
    heldout = source.heldout[: parameters.n_evaluation]
    classes = chosen_classes(len(source.evaluation.class_names), parameters.n_classes)
    rows = source.of_classes(classes, parameters.images_per_class)
    size, device = parameters.batch_size, parameters.device
    chosen = ReadAgain(source.evaluation, rows, size, device)
    known = source.evaluation if isinstance(source.evaluation, Shapes3DClasses) else None
    return Images(
        # The same images for all seeds, so that they are read once.
        pool=ReadAgain(
            source.training, source.sample(parameters.n_pool, 0, "autoencoders"), size, device
        ),
        evaluation=ReadAgain(source.evaluation, heldout, size, device),
        chosen=chosen,
        factors=known.factor_classes(heldout) if known else None,
        embeddings=(
            factor_embeddings(known.factor_classes(rows)) if known else pixel_embeddings(chosen)
        ).to(device),
    )


def factor_embeddings(factors: Int64[Tensor, "n F"]) -> Float[Tensor, "n E"]:
    """Return all factors, one-hot side by side: a cosine is the share of factors that agree."""
    columns = zip(factors.T, FACTOR_SIZES, strict=True)
    parts = [torch.nn.functional.one_hot(column, size) for column, size in columns]
    return torch.cat(parts, dim=1).float()


def pixel_embeddings(images: ReadAgain) -> Float[Tensor, "n E"]:
    """Return small pictures less their mean: no concepts, but no judgement of the model either."""
    pool = torch.nn.functional.adaptive_avg_pool2d
    small = torch.cat([pool(batch, PIXEL_GRID).flatten(1) for batch, _ in images])
    return small - small.mean(0)
