"""How fast are sparse decoding and its gradients, against dense and torch's own sparse products?

A ragged code of k B entries in B rows, latents of very unequal popularity. Forward: the dense
product, COO and CSR products, embedding_bag. Backward alone, to values and W_dec: the same by
torch's autograd (CSR has none to its values). Encoder's and decoder's gradients together: dense
products, our two functions, and the one that does both. Same process, results compared before
timing, interleaved rounds, minimum of process time (of elapsed time on a card). Limit: the rows
read and written once each, at the copy bandwidth measured here (rows that stay in cache beat it).

Run: python benchmarks/kernels/sparse_decode.py
"""

import platform
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from seethrough.kernels.batch_topk import batch_topk
from seethrough.kernels.latent_gradients import latent_gradients
from seethrough.kernels.ragged_code import RaggedCode
from seethrough.kernels.sparse_decode import sparse_decode
from seethrough.performance.report import Measurement, benchmark_parser, write_report

Work = Callable[[], Sequence[Tensor]]
Decode = Callable[[RaggedCode, Tensor], Tensor]


def sample_code(rows: int, width: int, k_per_sample: int, device: str) -> RaggedCode:
    """Return positive values; latent m is drawn in proportion to 1 / (m + 30)."""
    generator = torch.Generator().manual_seed(0)
    race = torch.rand(rows, width, generator=generator).log_().neg_()
    race *= torch.arange(width) + 30.0
    return batch_topk(race.reciprocal_().to(device), k_per_sample)


def dense(code: RaggedCode, W_dec: Tensor) -> Tensor:
    return code.dense() @ W_dec


def coo(code: RaggedCode, W_dec: Tensor) -> Tensor:
    places = torch.stack([code.rows(), code.latents])
    shape = (code.n_rows, code.width)
    sparse = torch.sparse_coo_tensor(
        places, code.values, shape, check_invariants=False, is_coalesced=True
    )
    return torch.sparse.mm(sparse, W_dec)


def csr(code: RaggedCode, W_dec: Tensor) -> Tensor:
    shape = (code.n_rows, code.width)
    return (
        torch.sparse_csr_tensor(
            code.row_starts, code.latents, code.values, shape, check_invariants=False
        )
        @ W_dec
    )


def bags(code: RaggedCode, W_dec: Tensor) -> Tensor:
    return embedding_bag(
        code.latents,
        W_dec,
        code.row_starts,
        mode="sum",
        per_sample_weights=code.values,
        include_last_offset=True,
    )


def forward(decode: Decode, code: RaggedCode, W_dec: Tensor) -> Work:
    return lambda: [decode(code, W_dec)]


def backward(decode: Decode, code: RaggedCode, W_dec: Tensor, gradient: Tensor) -> Work:
    """Return the backward pass alone; the forward pass runs here, once."""
    leaves = [code.values.clone().requires_grad_(), W_dec.clone().requires_grad_()]
    found = decode(replace(code, values=leaves[0]), leaves[1])
    return lambda: torch.autograd.grad(found, leaves, gradient, retain_graph=True)


def all_gradients_dense(code: RaggedCode, W_dec: Tensor, gradient: Tensor, x: Tensor) -> Work:
    z, active = code.dense(), code.dense() != 0

    def work() -> list[Tensor]:
        dz = (gradient @ W_dec.T).mul_(active)
        return [z.T @ gradient, dz.T @ x, dz.sum(0)]

    return work


def all_gradients_halves(code: RaggedCode, W_dec: Tensor, gradient: Tensor, x: Tensor) -> Work:
    def work() -> list[Tensor]:
        decoder = latent_gradients(code, output_gradient=gradient, W_dec=W_dec)
        encoder = latent_gradients(code, value_gradient=decoder.values, inputs=x)
        return [t for t in (decoder.W_dec, encoder.W_enc, encoder.b_enc) if t is not None]

    return work


def all_gradients_once(code: RaggedCode, W_dec: Tensor, gradient: Tensor, x: Tensor) -> Work:
    def work() -> list[Tensor]:
        found = latent_gradients(code, output_gradient=gradient, W_dec=W_dec, inputs=x)
        return [t for t in (found.W_dec, found.W_enc, found.b_enc) if t is not None]

    return work


def seconds(work: Callable[[], object], device: str) -> float:
    if device == "cpu":
        started = time.process_time()
        work()
        return time.process_time() - started
    torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(10):  # so that launches overlap with work, as in training
        work()
    torch.cuda.synchronize()
    return (time.perf_counter() - started) / 10


def copy_bandwidth(device: str) -> float:
    """Return bytes read and written per second by a large copy."""
    source = torch.ones(1 << 28, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    target.copy_(source)
    fastest = min(seconds(lambda: target.copy_(source), device) for _ in range(5))
    return 2 * source.nbytes / fastest


def measure(
    title: str, works: dict[str, Work], n_bytes: float, shapes: str, rounds: int, device: str
) -> Measurement:
    """Print the shortest time of each, taking turns; all must give what the last gives."""
    *_, own = works.values()
    expected = own()
    for work in works.values():  # each runs once before it is timed
        for found, wanted in zip(work(), expected, strict=True):
            torch.testing.assert_close(
                found, wanted, rtol=1e-4, atol=1e-4 * float(wanted.abs().max())
            )
    best = dict.fromkeys(works, np.inf)
    for _ in range(rounds):
        for name, work in works.items():
            best[name] = min(best[name], seconds(work, device))
    fastest = best[list(works)[-1]]
    limit = 1e3 * n_bytes / copy_bandwidth(device)
    print(f"\n{title}; limit {limit:.1f} ms\n")
    print("| | ms | ratio to ours |\n|---|---|---|")
    for name, time_ in best.items():
        print(f"| {name} | {1e3 * time_:.1f} | {time_ / fastest:.1f} x |")
    *others, _ = works
    return Measurement(
        case=title,
        shapes=shapes,
        dtype="float32",
        device="cpu" if device == "cpu" else torch.cuda.get_device_name(),
        threads=1,
        rounds=rounds,
        ours=1e3 * fastest,
        peers={name: 1e3 * best[name] for name in others if name != "two passes"},
        limit=limit,
        clock="CPU time" if device == "cpu" else "elapsed time",
        note=f"two passes of ours {1e3 * best['two passes']:.1f} ms"
        if "two passes" in best
        else "",
    )


def measurements(
    rows: int, d: int, width: int, k: int, rounds: int, device: str
) -> list[Measurement]:
    """Print and return the times of decoding, of its backward pass, and of all gradients."""
    code = sample_code(rows, width, k, device)
    generator = torch.Generator().manual_seed(1)
    W_dec, gradient, x = (
        torch.randn(n, d, generator=generator).to(device) for n in (width, rows, rows)
    )
    n = len(code.latents)
    by_latent = torch.bincount(code.latents, minlength=width)
    shapes = f"B {rows}, D {d}, M {width}, {n} entries"
    print(
        f"{shapes}, rows of {int(code.row_counts().min())} to {int(code.row_counts().max())}, "
        f"latents of {int(by_latent.min())} to {int(by_latent.max())} entries"
    )
    decoders = {"dense": dense, "COO": coo, "CSR": csr, "embedding_bag": bags}
    decoders["ours"] = sparse_decode
    forwards = {name: forward(decode, code, W_dec) for name, decode in decoders.items()}
    del decoders["CSR"]
    backwards = {name: backward(decode, code, W_dec, gradient) for name, decode in decoders.items()}
    ways = {"dense": all_gradients_dense, "two passes": all_gradients_halves}
    ways["one pass"] = all_gradients_once
    gradients = {name: way(code, W_dec, gradient, x) for name, way in ways.items()}
    return [
        measure(title, works, 4 * d * n_rows, shapes, rounds, device)
        for title, works, n_rows in (
            ("decode", forwards, n + rows),
            ("backward to values and W_dec", backwards, n + width),
            ("gradients of W_dec, W_enc and b_enc", gradients, 2 * n + 3 * width),
        )
    ]


def main() -> None:
    parser = benchmark_parser("Benchmark of sparse decoding.", rounds=5)
    parser.add_argument("--rows", type=int, default=4096)
    parser.add_argument("--d", type=int, default=768)
    parser.add_argument("--latents", type=int, default=6144)
    parser.add_argument("--k", type=int, default=32)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
    print(
        f"device {arguments.device} ({platform.machine()}), float32 (matmul precision "
        f"{torch.get_float32_matmul_precision()}), 1 thread, torch {torch.__version__}"
    )
    sizes = (arguments.rows, arguments.d, arguments.latents, arguments.k)
    found = measurements(*sizes, arguments.rounds, arguments.device)
    write_report(
        name="decode",
        what="Sparse decoding and its gradients, alone",
        command="python benchmarks/kernels/sparse_decode.py",
        limit="every row that is needed read and written once, at the bandwidth of a copy",
        measurements=found,
        folder=arguments.out,
    )


if __name__ == "__main__":
    main()
