"""Every GPU column of the performance page, in one command of at most 8 minutes.

First the kernels are compared with their CPU paths on the card; then, in order of importance: the
training step of a BatchTopK autoencoder, selection, decoding and its gradients, Wanda's masks for
all 48 matrices of a ViT-B, joint counts, the mask step. The report is written after each part, so
that what was measured stays; a part that fails prints why, and the others go on. No part begins
after 7 minutes.

The dense step stands for the libraries, which all compute it: as installed, in float32 without
tensor cores and with Adam's default; tuned, in TF32, in bfloat16 by autocast with fused Adam, and
the same compiled. Times are medians between CUDA events.

Run: python benchmarks/gpu.py                                       on a machine with a CUDA device
     python benchmarks/gpu.py --device cpu --tiny --out FOLDER      to try the script out
"""

import argparse
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from circuits import mask_step
from kernels import batch_topk as selection
from kernels import joint_histogram, sparse_decode
from torch import Tensor

from seethrough.kernels.batch_topk import batch_topk
from seethrough.kernels.joint_histogram import joint_histogram_of_codes
from seethrough.kernels.row_topk import row_topk
from seethrough.kernels.sparse_encode_decode import sparse_encode_decode
from seethrough.kernels.wanda_mask import prune_n_of_m, prune_rows
from seethrough.metrics.equal_width_bins import EqualWidthGrid
from seethrough.performance.clock import Work, copy_bandwidth, milliseconds
from seethrough.performance.dense_sae_step import DenseSAE, sample_activations
from seethrough.performance.report import Measurement, write_report
from seethrough.sae.batch_topk import BatchTopK
from seethrough.sae.sae_config import SAEConfig
from seethrough.sae.train_sae import initial_state, train_step

LAST_START = 7 * 60
VIT_B = {"qkv": (2304, 768), "proj": (768, 768), "fc1": (3072, 768), "fc2": (768, 3072)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """What is measured; the defaults are those of the performance page."""

    steps: tuple[tuple[int, int, int, int], ...] = (
        (4096, 768, 6144, 32),
        (4096, 768, 24_576, 32),
        (8192, 1024, 32_768, 32),
    )
    """Inputs, features, latents and k of a training step."""
    selections: tuple[tuple[int, int, int], ...] = ((4096, 6144, 32), (8192, 32_768, 32))
    """Rows, width and k."""
    decode: tuple[int, int, int, int] = (4096, 768, 6144, 32)
    """Inputs, features, latents and k."""
    n_blocks: int = 12
    """Blocks whose four matrices are pruned."""
    histograms: tuple[str, ...] = ("dense:6144:100000", "sparse:6144:100000")
    """Kind, codes and samples."""
    mask_images: tuple[int, ...] = (64, 256)
    """Images of a mask step."""
    rounds: int = 20
    """Rounds whose median counts."""


TINY = Sizes(
    steps=((32, 16, 64, 4),),
    selections=((16, 64, 4),),
    decode=(32, 16, 64, 4),
    n_blocks=1,
    histograms=("dense:4:2000",),
    mask_images=(2,),
    rounds=1,
)


def check_kernels(device: str) -> None:
    """Raise unless every kernel gives on the device what its definition or CPU path gives."""
    generator = torch.Generator().manual_seed(0)
    numbers = torch.randn(257, 1031, generator=generator)
    for dtype in (torch.float32, torch.bfloat16):  # the latter is full of ties
        for select in (batch_topk, row_topk):
            here, there = select(numbers.to(dtype), 7), select(numbers.to(device, dtype), 7)
            for name in ("row_starts", "latents", "values"):
                assert torch.equal(getattr(here, name), getattr(there, name).cpu()), (select, name)
    check_gradients(device, generator)
    weight, norm = 0.02 * torch.randn(96, 200, generator=generator), torch.rand(200)
    for prune in (lambda w, n: prune_rows(w, n, 0.7), lambda w, n: prune_n_of_m(w, n, 2, 4)):
        for one, other in zip(
            prune(weight, norm), prune(weight.to(device), norm.to(device)), strict=True
        ):
            assert torch.equal(one, other.cpu())
    codes, factors = joint_histogram.sample("dense", 50, 3000)
    grid, sizes = EqualWidthGrid.of(codes.T, 20), joint_histogram.SIZES
    here = joint_histogram_of_codes(codes, factors, grid, sizes)
    there = joint_histogram.ours(codes.to(device), factors.to(device))
    assert all(torch.equal(a, b.cpu()) for a, b in zip(here, there, strict=True))


def check_gradients(device: str, generator: torch.Generator) -> None:
    """Raise unless gradients in float64 are those of dense autograd, to 1e-6 of their norm."""
    shapes = ((65, 33), (190, 33), (190,), (190, 33), (33,))
    tensors = [
        torch.randn(shape, generator=generator, dtype=torch.float64).to(device).requires_grad_()
        for shape in shapes
    ]
    x, W_enc, b_enc, W_dec, b_dec = tensors
    found = sparse_encode_decode(*tensors, 5)[0].square().sum()
    flat = torch.addmm(b_enc, x, W_enc.T).relu().flatten()
    best = flat.topk(5 * len(x))
    code = torch.zeros_like(flat).scatter(0, best.indices, best.values).view(len(x), -1)
    expected = torch.addmm(b_dec, code, W_dec).square().sum()
    pairs = zip(
        torch.autograd.grad(found, tensors), torch.autograd.grad(expected, tensors), strict=True
    )
    for one, other in pairs:
        assert float((one - other).norm() / other.norm()) < 1e-6


def name_of(device: str) -> str:
    return "cpu" if device == "cpu" else torch.cuda.get_device_name()


def dense_works(batch: Tensor, dense: DenseSAE) -> dict[str, Work]:
    """Return the dense step as installed and tuned, each with an optimiser of its kind."""
    plain = torch.optim.Adam(dense.parameters(), lr=3e-4)
    fused, loss = dense.optimizer, dense.loss
    compiled = torch.compile(dense.loss) if batch.is_cuda else dense.loss

    def step(
        optimizer: torch.optim.Adam, loss: Callable[[Tensor], Tensor], precision: str, half: bool
    ) -> None:
        dense.optimizer = optimizer
        torch.set_float32_matmul_precision(precision)
        optimizer.zero_grad()
        with torch.autocast(batch.device.type, torch.bfloat16, enabled=half):
            found = loss(batch)
        found.backward()
        optimizer.step()
        torch.set_float32_matmul_precision("highest")

    return {
        "dense, as installed": lambda: step(plain, loss, "highest", False),
        "dense, TF32": lambda: step(fused, loss, "high", False),
        "dense, bfloat16": lambda: step(fused, loss, "high", True),
        "dense, bfloat16, compiled": lambda: step(fused, compiled, "high", True),
    }


def step_floor(n: int, d: int, width: int, rows: int, product: float, bandwidth: float) -> float:
    """Return the serial floor in ms: the product, then all that must be read and written.

    Pre-activations in bfloat16 written once and read twice, three gathers of a row per entry in
    bfloat16, and Adam's seven accesses to float32 states.
    """
    n_bytes = 3 * 2 * rows * width + 3 * 2 * n * d + 7 * 4 * 2 * width * d
    return product + 1e3 * n_bytes / bandwidth


def steps(sizes: Sizes, device: str) -> Iterator[Measurement]:
    bandwidth = copy_bandwidth(device)
    for rows, d, width, k in sizes.steps:
        batch = sample_activations(rows, d, seed=0).to(device)
        works: dict[str, Work] = {}
        for precision in ("float32", "bfloat16"):
            method = BatchTopK(k=k, encoder_precision=precision)
            config = SAEConfig(method=method, expansion=width // d, dead_after=10**9, device=device)
            state = initial_state(config, d)
            works[f"ours, {precision}"] = lambda s=state, c=config: train_step(s, batch, c)  # noqa: B023
        dictionary = state.sae.dictionary
        start = DenseSAE(dictionary, k)
        with torch.no_grad():
            loss = state.sae.rule.training_pass(dictionary, batch).reconstruction.sub(batch)
            ratio = float(loss.square().mean() / start.loss(batch))
        assert abs(ratio - 1) < 1e-2  # the encoder's product is in bfloat16
        works |= dense_works(batch, start)
        half = [t.detach().bfloat16() for t in (dictionary.b_enc, batch, dictionary.W_enc)]
        works["product"] = lambda h=half: torch.addmm(h[0], h[1], h[2].T)
        best = milliseconds(works, sizes.rounds, device)
        installed = {"dense, as installed": best["dense, as installed"]}
        tuned = {name: ms for name, ms in best.items() if name.startswith("dense")}
        del tuned["dense, as installed"]
        floor = step_floor(k * rows, d, width, rows, best["product"], bandwidth)
        for against, peers, goal in (
            ("as installed", installed, 8.0),
            ("tuned", tuned, 2.0 if width <= 6144 else 3.0),
        ):
            yield Measurement(
                case=f"SAE training step, {width:,} latents, against dense {against}",
                shapes=f"B {rows}, D {d}, M {width}, k {k}",
                dtype="bfloat16 encoder, float32",
                device=name_of(device),
                threads=1,
                rounds=sizes.rounds,
                ours=best["ours, bfloat16"],
                peers=peers,
                limit=floor,
                clock="time between events, median",
                goal_faster=goal,
                goal_limit=2.0,
                note=f"with the encoder in float32 ours takes {best['ours, float32']:.3f} ms",
            )


def selections(sizes: Sizes, device: str) -> Iterator[Measurement]:
    for rows, width, k in sizes.selections:
        numbers = torch.randn(rows, width, generator=torch.Generator().manual_seed(0))
        for dtype in (torch.float32, torch.bfloat16):
            on_device = numbers.to(device, dtype)
            title = f"selection, {rows} x {width}, {str(dtype).removeprefix('torch.')}"
            contestants = selection.works(on_device, k)
            yield selection.measure(title, on_device, contestants, k, sizes.rounds)


def decoding(sizes: Sizes, device: str) -> Iterator[Measurement]:
    yield from sparse_decode.measurements(*sizes.decode, sizes.rounds, device)


def wanda(sizes: Sizes, device: str) -> Iterator[Measurement]:
    generator = torch.Generator().manual_seed(0)
    pairs = [
        (0.02 * torch.randn(shape, generator=generator), torch.rand(shape[1], generator=generator))
        for _ in range(sizes.n_blocks)
        for shape in VIT_B.values()
    ]
    matrices = [(weight.to(device).bfloat16(), norm.to(device)) for weight, norm in pairs]
    n_weights = sum(weight.numel() for weight, _ in matrices)

    def published() -> None:
        for weight, norm in matrices:
            scores = weight.abs() * norm
            gone = torch.zeros_like(scores, dtype=torch.bool)
            order = torch.sort(scores, dim=-1, stable=True).indices
            gone.scatter_(1, order[:, : int(scores.shape[1] * 0.7)], True)
            weight.masked_fill(gone, 0)

    works: dict[str, Work] = {
        "published": published,
        "rows": lambda: [prune_rows(weight, norm, 0.7) for weight, norm in matrices],
        "2:4": lambda: [prune_n_of_m(weight, norm, 2, 4) for weight, norm in matrices],
    }
    best = milliseconds(works, sizes.rounds, device)
    for kind, name in (("rows", "70 % of each row"), ("2:4", "2:4")):
        yield Measurement(
            case=f"Wanda, {len(matrices)} matrices, {name}",
            shapes=f"{n_weights:,} weights",
            dtype="bfloat16",
            device=name_of(device),
            threads=1,
            rounds=sizes.rounds,
            ours=best[kind],
            peers={"published stable sort": best["published"]} if kind == "rows" else {},
            limit=1e3 * 5 * n_weights / copy_bandwidth(device),  # read, write, mask
            clock="time between events, median",
            goal_ms=0.5,
        )


def histograms(sizes: Sizes, device: str) -> Iterator[Measurement]:
    bandwidth = copy_bandwidth(device)
    for case in sizes.histograms:
        yield joint_histogram.measure(case, device, sizes.rounds, 64, bandwidth)


def masks(sizes: Sizes, device: str) -> Iterator[Measurement]:
    for n_images in sizes.mask_images:
        yield from mask_step.measure(n_images, sizes.rounds, device)


PARTS = (steps, selections, decoding, wanda, histograms, masks)


def measure_all(sizes: Sizes, device: str, folder: Path | None) -> int:
    """Measure part after part, write what is there; return the number of parts that failed."""
    started, found, failed = time.monotonic(), [], 0
    for part in PARTS:
        if time.monotonic() - started > LAST_START:
            print(f"{part.__name__}: left out, no time", flush=True)
            continue
        try:
            for one in part(sizes, device):
                found.append(one)
                peers = ", ".join(f"{name} {ms:.3f}" for name, ms in one.peers.items())
                limit = "-" if one.limit is None else f"{one.limit:.3f}"
                print(f"{one.case}: ours {one.ours:.3f} ms; {peers}; limit {limit}", flush=True)
        except Exception:  # the other parts are worth having
            traceback.print_exc()
            failed += 1
        write_report(
            name="gpu",
            what="Everything that was measured on a GPU",
            command="python benchmarks/gpu.py",
            limit="steps: the serial floor; else what must be read and written, at the bandwidth "
            "of a copy; mask steps: the model's own passes",
            measurements=found,
            folder=folder,
        )
    print(f"{time.monotonic() - started:.0f} s", flush=True)
    return failed


def main() -> int:
    parser = argparse.ArgumentParser(description="All benchmarks of a GPU.")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--tiny", action="store_true", help="sizes of a rehearsal")
    parser.add_argument("--out", type=Path, help="folder of gpu.json; results/benchmarks if absent")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        print(
            "there is no CUDA device here, so GPU columns stay not measured; try the script out "
            "with --device cpu --tiny --out FOLDER",
            file=sys.stderr,
        )
        return 1
    if arguments.device == "cpu" and arguments.out is None:
        print("a rehearsal on the CPU needs a folder, --out", file=sys.stderr)
        return 2
    check_kernels(arguments.device)
    print("kernels agree with their definitions", flush=True)
    sizes = TINY if arguments.tiny else Sizes()
    return min(1, measure_all(sizes, arguments.device, arguments.out))


if __name__ == "__main__":
    sys.exit(main())
