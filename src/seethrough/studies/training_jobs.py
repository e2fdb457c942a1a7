"""All that a study has to train, side by side, each as soon as what it builds on is there."""

import sys
from collections.abc import Sequence
from functools import partial

from seethrough.data.catalogue import load
from seethrough.models.training_config import TrainingConfig
from seethrough.studies.l1_search import SearchConfig, l1_trials
from seethrough.studies.parallel import parallel_map
from seethrough.studies.trained_layers import (
    LayerConfig,
    SideLayerConfig,
    TrainedLayer,
    TrainedModels,
)
from seethrough.studies.trained_vae import images_per_second, is_stored

Job = LayerConfig | SearchConfig
"""A layer or VAE to train, or a search for an L1 coefficient, which trains several layers."""

WORTH_A_TRIAL = 20_000
"""Images to train on above which a trial of two short epochs tells the time it will take."""


def train_layers(configs: Sequence[LayerConfig], models: TrainedModels) -> list[TrainedLayer]:
    """Return trained layers, in order, training what the store does not hold (`train_jobs`)."""
    train_jobs(configs, models)
    return [models.layer(config) for config in configs]


def train_jobs(jobs: Sequence[Job], models: TrainedModels) -> None:
    """Do what the store does not hold, and what that builds on, `models.workers` at once.

    Says on stderr how much there is to train. Longest first: VAEs, what goes on from them, then
    searches, then side layers; a job waits for its own VAE only.
    """
    wanted: dict[Job, None] = {}
    for job in jobs:
        wanted |= dict.fromkeys([*_needs_all(job), job])
    missing = sorted((job for job in wanted if not _is_done(job, models)), key=_turn)
    if missing:
        _announce(missing, models)
        after = {job: _needs(job) for job in missing}
        parallel_map(partial(_do, models=models), missing, models.workers, after)


def _do(job: Job, models: TrainedModels) -> None:
    """Do one job; what a worker process calls."""
    if isinstance(job, SearchConfig):
        l1_trials(job, models)
    elif isinstance(job, TrainingConfig):
        models.vae(job)
    else:
        models.layer(job)


def _needs(job: Job) -> list[Job]:
    """Return what must be done right before."""
    if isinstance(job, SearchConfig):
        return _needs(job.layer)
    if isinstance(job, SideLayerConfig):
        return [job.vae]
    return [job.squeeze()] if job.extra_epochs else []


def _needs_all(job: Job) -> list[Job]:
    return [one for need in _needs(job) for one in (*_needs_all(need), need)]


def _is_done(job: Job, models: TrainedModels) -> bool:
    if isinstance(job, TrainingConfig):
        return is_stored(job, models.store)
    if isinstance(job, SearchConfig):
        return models.store.holds(job, l1_trials)
    return models.store.holds(job, TrainedModels.layer)


def _turn(job: Job) -> int:
    if isinstance(job, TrainingConfig):
        return 1 if job.extra_epochs else 0
    return 2 if isinstance(job, SearchConfig) else 3


def _announce(jobs: Sequence[Job], models: TrainedModels) -> None:
    """Say how much there is to train and, from a timed trial, for about how long."""
    vaes = [job for job in jobs if isinstance(job, TrainingConfig)]
    searches = sum(isinstance(job, SearchConfig) for job in jobs)
    passes = sum(vae.n_train * (vae.extra_epochs or vae.epochs) for vae in vaes)
    work = f"training {len(jobs) - searches} model(s)"
    if searches:
        work += f", {searches} search(es)"
    if vaes:
        work += f", {passes:,} images in all"
    if passes > WORTH_A_TRIAL:
        first = vaes[0]
        dataset = load(first.dataset, models.path(first) if first.published else "")
        rate = min(models.workers, len(vaes)) * images_per_second(first, dataset)
        work += f", at about {rate:,.0f} images/s: about {passes / rate / 60:.1f} min"
    print(work, file=sys.stderr, flush=True)
