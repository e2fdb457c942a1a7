"""How fast is a training step of a BatchTopK autoencoder, against the libraries that train them?

Peers: the trainers of SAELens, dictionary-learning and overcomplete, as installed (overcomplete
leaves optimiser and monitoring to its user: fused Adam, none), and a minimal dense step in torch
with fused Adam. A step is everything its trainer does: forward pass, loss, backward pass, Adam,
books on dead latents, threshold, norm of the decoder's rows; the peers' clipping too. No latent
counts as dead, so that nobody pays for an auxiliary loss. Before timing, losses of all are compared
on the same weights, and our gradients with dense autograd. Goal: at least 4 x the fastest peer, in
float32, and at most 1.3 x the limit. Limit: the encoder's product alone, in the same precision, by
`torch.addmm` as the peers take it. Ours takes oneDNN's where that is offered; our time over that
product stands in the note.

bfloat16 is that of the encoder's product alone; what it costs is measured as the difference in the
fraction of variance explained on unseen vectors after a short training. Its peer is SAELens with
autocast. With two threads, CPU time adds up both; elapsed time suffers from whatever else runs.

Run: python benchmarks/peers/environment.py && .venv-peers/bin/python benchmarks/sae/train_step.py
"""

import contextlib
import io
import time
import warnings
from collections.abc import Callable

import torch
from torch import Tensor

from seethrough.models import torchvision_compatibility  # noqa: F401

# isort: split
from seethrough.kernels.affine_product import affine_product
from seethrough.performance.clock import Work, shortest_by
from seethrough.performance.dense_sae_step import DenseSAE, sample_activations
from seethrough.performance.report import Measurement, benchmark_parser, write_report
from seethrough.sae.batch_topk import BatchTopK
from seethrough.sae.dictionary import Dictionary
from seethrough.sae.sae_config import SAEConfig
from seethrough.sae.train_sae import TrainingState, initial_state, train_step
from seethrough.studies.performance import differences
from seethrough.training.allocator import keep_freed_memory

D, B, K = 768, 4096, 32
NEVER = 10_000_000
"""Inputs of silence after which a latent is dead: longer than any run here."""


def our_state(width: int, precision: str) -> tuple[TrainingState, SAEConfig]:
    config = SAEConfig(
        method=BatchTopK(k=K, encoder_precision=precision), expansion=width // D, dead_after=NEVER
    )
    return initial_state(config, D), config


def ours(batch: Tensor, width: int, precision: str) -> Work:
    state, config = our_state(width, precision)
    return lambda: train_step(state, batch, config)


def saelens(batch: Tensor, start: Dictionary, autocast: bool = False) -> tuple[Work, float]:
    """Return a step of its trainer, and its loss on the start, as a mean over features."""
    from sae_lens import BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig
    from sae_lens.config import SAETrainerConfig
    from sae_lens.training.sae_trainer import SAETrainer

    sae = BatchTopKTrainingSAE(BatchTopKTrainingSAEConfig(d_in=D, d_sae=start.width, k=K))
    put(sae, W_enc=start.W_enc.T, b_enc=start.b_enc, W_dec=start.W_dec, b_dec=start.b_dec)
    config = SAETrainerConfig(
        total_training_samples=1000 * B,
        train_batch_size_samples=B,
        lr_end=3e-5,
        autocast=autocast,
    )
    trainer = SAETrainer(cfg=config, sae=sae, data_provider=iter(()))
    return lambda: trainer.step(batch), float(trainer.step(batch).loss.detach()) / D


def dictionary_learning(batch: Tensor, start: Dictionary) -> tuple[Work, float]:
    from dictionary_learning.trainers.batch_top_k import BatchTopKTrainer

    trainer = BatchTopKTrainer(
        steps=100_000, activation_dim=D, dict_size=start.width, k=K, layer=0, lm_name="", seed=0
    )
    put(trainer.ae, b_dec=start.b_dec)
    put(trainer.ae.encoder, weight=start.W_enc, bias=start.b_enc)
    put(trainer.ae.decoder, weight=start.W_dec.T)
    # Its threshold is kept from step 1,000 on.
    return lambda: trainer.update(1001, batch), trainer.update(1001, batch) / D


def overcomplete(batch: Tensor, start: Dictionary) -> tuple[Work, float]:
    import matplotlib
    from matplotlib import cm

    if not hasattr(cm, "get_cmap"):  # gone since matplotlib 3.9, asked for on import
        cm.get_cmap = matplotlib.colormaps.get_cmap
    from overcomplete.sae import BatchTopKSAE, train_sae

    sae = BatchTopKSAE(D, start.width, top_k=K * B)  # it counts the whole batch
    put(sae.encoder.final_block[0], weight=start.W_enc, bias=start.b_enc)
    put(sae.dictionary, _weights=start.W_dec)
    optimizer = torch.optim.Adam(sae.parameters(), lr=3e-4, fused=True)

    def squared_error(x: Tensor, x_hat: Tensor, *_: Tensor) -> Tensor:
        return (x - x_hat).square().mean()

    def step(monitoring: int = 0) -> float:
        with contextlib.redirect_stdout(io.StringIO()):
            logs = train_sae(
                sae, [batch], squared_error, optimizer, nb_epochs=1, monitoring=monitoring
            )
        return float(logs["avg_loss"][0]) if monitoring else 0.0

    return step, step(monitoring=1)


@torch.no_grad()
def put(module: torch.nn.Module, **values: Tensor) -> None:
    """Set parameters of a peer to ours."""
    for name, value in values.items():
        getattr(module, name).copy_(value)


def assert_equal(batch: Tensor, width: int, losses: dict[str, float]) -> float:
    """Raise unless losses and gradients are those of dense autograd; return the largest error."""
    state, _ = our_state(width, "float32")
    with torch.no_grad():
        expected = float(DenseSAE(state.sae.dictionary, K).loss(batch))
    errors = differences(state, batch, K)
    errors |= {name: abs(other / expected - 1) for name, other in losses.items()}
    assert max(errors.values()) < 1e-5, errors
    return max(errors.values())


@torch.no_grad()
def variance_explained(precision: str, width: int, steps: int) -> float:
    """Return the fraction on unseen vectors after some steps, 1 minus what is left of variance."""
    pool = sample_activations(5 * B, D, seed=1)
    state, config = our_state(width, precision)
    state.sae.standardisation.measure(pool)
    for group in state.optimizer.param_groups:
        group["lr"] = 1e-3
    for step in range(steps):
        first = step % 4 * B
        with torch.enable_grad():
            train_step(state, pool[first : first + B], config)
    unseen = state.sae.standardisation(pool[4 * B :])
    found = state.sae.rule.training_pass(state.sae.dictionary, unseen).reconstruction
    left = (found - unseen).square().sum() / (unseen - unseen.mean(0)).square().sum()
    return 1 - float(left)


def contestants(
    batch: Tensor, width: int, with_autocast: bool
) -> tuple[dict[str, Work], dict[str, float]]:
    """Return name -> step, and name -> loss of the peers' first step."""
    start = our_state(width, "float32")[0].sae.dictionary
    works: dict[str, Work] = {
        "ours": ours(batch, width, "float32"),
        "ours, bfloat16": ours(batch, width, "bfloat16"),
    }
    losses: dict[str, float] = {}
    makers: dict[str, Callable[[], tuple[Work, float]]] = {
        "SAELens": lambda: saelens(batch, start),
        "dictionary-learning": lambda: dictionary_learning(batch, start),
        "overcomplete": lambda: overcomplete(batch, start),
    }
    for name, make in makers.items():
        works[name], losses[name] = make()
    dense = DenseSAE(start, K)
    works["dense torch"] = lambda: dense.step(batch)
    if with_autocast:
        works["SAELens, autocast"] = saelens(batch, start, autocast=True)[0]
    x, W, b = batch, start.W_enc.detach(), start.b_enc.detach()
    half = [t.bfloat16() for t in (b, x, W)]
    works["product"] = lambda: torch.addmm(b, x, W.T)
    works["product, ours"] = lambda: affine_product(x, W, b)
    works["product, bfloat16"] = lambda: torch.addmm(half[0], half[1], half[2].T)
    return works, losses


def measure(width: int, threads: int, rounds: int, steps: int) -> list[Measurement]:
    torch.set_num_threads(threads)
    batch = sample_activations(B, D, seed=0)
    works, losses = contestants(batch, width, with_autocast=width <= 6144)
    error = assert_equal(batch, width, losses)
    print(f"M {width}, {threads} threads: losses and gradients equal to {error:.1e}", flush=True)
    clocks = {"CPU time": time.process_time}
    if threads > 1:
        clocks["elapsed time"] = time.perf_counter
    effect = ""
    if steps and width <= 6144 and threads == 1:
        explained = {p: variance_explained(p, width, steps) for p in ("float32", "bfloat16")}
        both = " and ".join(f"{value:.6f} in {name}" for name, value in explained.items())
        effect = f"variance explained on unseen vectors after {steps} steps: {both}"
    found = []
    for clock, best in shortest_by(works, rounds, clocks).items():
        product = best["product, ours"]
        own = f"the product as ours computes it: {product:.0f} ms, {best['ours'] / product:.2f} x"
        found += [
            entry(best, width, threads, rounds, clock, "float32", own),
            entry(best, width, threads, rounds, clock, "bfloat16", effect),
        ]
    return found


def entry(
    best: dict[str, float],
    width: int,
    threads: int,
    rounds: int,
    clock: str,
    precision: str,
    note: str,
) -> Measurement:
    half = precision == "bfloat16"
    names = ["SAELens", "dictionary-learning", "overcomplete", "dense torch"]
    if half and "SAELens, autocast" in best:
        names.append("SAELens, autocast")
    return Measurement(
        case=f"{precision} encoder, {threads} thread{'s' if threads > 1 else ''}, {clock}",
        shapes=f"B {B}, D {D}, M {width}, k {K}",
        dtype="float32, encoder's product bfloat16" if half else "float32",
        device="cpu",
        threads=threads,
        rounds=rounds,
        ours=best["ours, bfloat16" if half else "ours"],
        peers={name: best[name] for name in names},
        limit=best["product, bfloat16" if half else "product"],
        clock=clock,
        goal_faster=None if half else 4.0,
        goal_limit=None if half else 1.3,
        note=note,
    )


def main() -> None:
    parser = benchmark_parser("Benchmark of a BatchTopK training step.", rounds=3)
    parser.add_argument("--latents", type=int, nargs="+", default=[6144, 24_576])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--steps", type=int, default=20, help="of the short trainings; 0 for none")
    arguments = parser.parse_args()
    keep_freed_memory()
    warnings.filterwarnings("ignore")  # the peers' own
    for width in arguments.latents:
        found: list[Measurement] = []
        for threads in arguments.threads:
            new = measure(width, threads, arguments.rounds, arguments.steps)
            found += new
            for one in new:
                peers = ", ".join(f"{name} {ms:.0f}" for name, ms in one.peers.items())
                print(
                    f"{one.case}: ours {one.ours:.0f} ms, {peers}, limit {one.limit:.0f}; "
                    f"{one.times_faster:.2f} x, {one.over_limit:.2f} x the limit; {one.note}",
                    flush=True,
                )
            write_report(
                name=f"sae_train_step_{width}",
                what=f"A training step of a BatchTopK autoencoder of {width:,} latents",
                command=f".venv-peers/bin/python benchmarks/sae/train_step.py --latents {width}",
                limit="the encoder's product alone, in the same precision",
                measurements=found,
                packages=("sae-lens", "dictionary-learning", "overcomplete"),
                folder=arguments.out,
            )


if __name__ == "__main__":
    main()
