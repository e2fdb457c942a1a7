"""What an epoch of a sparse layer costs, as a ratio of processor times in one process."""

import copy
import time
from dataclasses import replace

from seethrough.autoencoders.prepared_autoencoder import PreparedAutoencoder
from seethrough.autoencoders.train_sparse_autoencoder import make_optimizer, train_epoch
from seethrough.studies.trained_layers import TrainedLayer
from seethrough.training.device import thread_count

N_TIMED, N_TIMINGS = 256, 5
"""Inputs of an epoch that is timed, and how often each layer takes it."""


def cost_ratio(layer: TrainedLayer, plain: TrainedLayer) -> float:
    """Return the shortest time of an epoch over another layer's, taken in turns on the CPU.

    Layers are as they are after training, dead units and all; what they learn is thrown away.
    """
    seconds: list[tuple[float, float]] = []
    with thread_count(1):
        for _ in range(N_TIMINGS):
            seconds.append((_epoch_seconds(layer), _epoch_seconds(plain)))
    return min(own for own, _ in seconds) / min(other for _, other in seconds)


def _epoch_seconds(layer: TrainedLayer) -> float:
    assert layer.config is not None
    config = replace(layer.config.sae, device="cpu", threads=1)
    inputs = layer.vae.frozen(layer.config.position, config.seed).train(1)[:N_TIMED]
    sae = copy.deepcopy(layer.sae)
    assert isinstance(sae, PreparedAutoencoder)
    optimizer = make_optimizer(config, sae)
    started = time.process_time()
    train_epoch(sae, optimizer, inputs, config, config.total_epochs)
    return time.process_time() - started
