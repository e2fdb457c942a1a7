"""How fast are joint counts of binned codes and factors, against one table per pair?

Peers: the published procedure (numpy.histogram and numpy.digitize per code, scikit-learn's
contingency_matrix per pair of code and factor), and its known improvement, one numpy.bincount per
factor over all codes. On a CPU all run in one process, equality asserted first, interleaved rounds,
minimum of process time. On CUDA, the kernel is timed by events after a warm-up, as the median of
the rounds, and the peers run once, on the CPU, on as many codes as --peer-codes says and times the
rest: they treat codes one by one. Goals: on a CPU at least 30 x the published procedure at 128
codes; on an H200 at least 100 x at 6,144 codes and 100,000 samples.
Limit: reading every code once, at the copy bandwidth measured here.

"dense" codes spread over their bins; "sparse" ones are 0 but for 32 of 6,144, as those of a sparse
autoencoder.

Run: python benchmarks/kernels/joint_histogram.py
H200: python benchmarks/kernels/joint_histogram.py --device cuda --cases dense:128:10000 \
    dense:6144:100000 sparse:6144:100000 --peer-codes 64
"""

import math
import platform
from statistics import median

import numpy as np
import sklearn
import torch
from sklearn.metrics.cluster import contingency_matrix

from seethrough.kernels.joint_histogram import joint_histogram_of_codes
from seethrough.metrics.equal_width_bins import EqualWidthGrid
from seethrough.performance.clock import copy_bandwidth, device_seconds, process_seconds
from seethrough.performance.report import Measurement, benchmark_parser, write_report

SIZES = (3, 6, 40, 32, 32)
N_BINS = 20
SPARSE_SHARE = 32 / 6144
CASES = ["dense:10:10000", "dense:128:10000", "sparse:128:10000", "sparse:1024:10000"]


def sample(kind: str, n_codes: int, n_samples: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return codes [N, L] that know something of the factors, and the factors [N, F]."""
    generator = torch.Generator().manual_seed(0)
    columns = [torch.randint(0, s, (n_samples,), generator=generator) for s in SIZES]
    factors = torch.stack(columns, dim=1)
    mixing = torch.randn(len(SIZES), n_codes, generator=generator)
    codes = torch.randn(n_samples, n_codes, generator=generator)
    codes.mul_(0.3).add_((factors / torch.tensor(SIZES)) @ mixing)
    if kind == "sparse":
        # A sample tells from what value on a share of each code remains.
        high = codes[:10_000].quantile(1 - SPARSE_SHARE, dim=0)
        codes.sub_(high).relu_()
    return codes, factors


def by_pairs(codes: np.ndarray, factors: np.ndarray) -> list[np.ndarray]:
    """Return the counts [L, bins, classes] of each factor, by one table per pair."""
    counts = [np.zeros((codes.shape[1], N_BINS, size), dtype=np.int64) for size in SIZES]
    for i, code in enumerate(codes.T):
        binned = np.digitize(code, np.histogram(code, N_BINS)[1][:-1]) - 1
        found = np.unique(binned)
        for j, factor in enumerate(factors.T):
            # Every class occurs in every sample here, but not every bin does.
            counts[j][i, found] = contingency_matrix(binned, factor)
    return counts


def by_one_bincount_per_factor(codes: np.ndarray, factors: np.ndarray) -> list[np.ndarray]:
    n_codes = codes.shape[1]
    edges = [np.histogram(code, N_BINS)[1][:-1] for code in codes.T]
    bins = np.stack([np.digitize(c, e) - 1 for c, e in zip(codes.T, edges, strict=True)])
    cells = bins + N_BINS * np.arange(n_codes)[:, None]
    return [
        np.bincount(
            (cells * size + factors[:, j]).ravel(), minlength=n_codes * N_BINS * size
        ).reshape(n_codes, N_BINS, size)
        for j, size in enumerate(SIZES)
    ]


def ours(codes: torch.Tensor, factors: torch.Tensor) -> list[torch.Tensor]:
    grid = EqualWidthGrid.of(codes.T, N_BINS)
    return list(joint_histogram_of_codes(codes, factors, grid, SIZES))


def measure(case: str, device: str, rounds: int, peer_codes: int, bandwidth: float) -> Measurement:
    kind, n_codes, n_samples = case.split(":")
    codes, factors = sample(kind, int(n_codes), int(n_samples))
    some = slice(0, min(peer_codes, int(n_codes)))
    doubles, classes = codes[:, some].double().numpy(), factors.numpy()
    peers = [
        lambda: by_pairs(doubles, classes),
        lambda: by_one_bincount_per_factor(doubles, classes),
    ]
    on_device, factors_on_device = codes.to(device), factors.to(device)
    own = [counts[some].cpu().numpy() for counts in ours(on_device, factors_on_device)]
    for peer in peers:
        assert all(np.array_equal(a, b) for a, b in zip(peer(), own, strict=True))

    def work() -> list[torch.Tensor]:
        return ours(on_device, factors_on_device)

    if device == "cpu":
        best = [math.inf] * 3
        for _ in range(rounds):
            best = [min(b, process_seconds(w)) for b, w in zip(best, [*peers, work], strict=True)]
    else:
        work()
        best = [*map(process_seconds, peers), median(device_seconds(work) for _ in range(rounds))]
    scale = int(n_codes) / (some.stop - some.start)
    pairs, bincount, own_ms = 1e3 * best[0] * scale, 1e3 * best[1] * scale, 1e3 * best[2]
    limit = 1e3 * codes.nbytes / bandwidth
    print(
        f"| {kind} | {n_codes} | {n_samples} | {pairs:.0f} | {bincount:.1f} | {own_ms:.2f} | "
        f"{pairs / own_ms:.0f} x, {bincount / own_ms:.1f} x | {limit:.2f} |",
        flush=True,
    )
    goal = {"cpu": 30.0, "cuda": 100.0}[device] if int(n_codes) >= 128 else None
    return Measurement(
        case=f"{kind}, {int(n_codes):,} codes",
        shapes=f"{int(n_samples):,} samples, {N_BINS} bins, factors {', '.join(map(str, SIZES))}",
        dtype="float32",
        device="cpu" if device == "cpu" else torch.cuda.get_device_name(),
        threads=1,
        rounds=rounds,
        ours=own_ms,
        peers={"scikit-learn, pair by pair": pairs, "one bincount a factor": bincount},
        limit=limit,
        clock="CPU time" if device == "cpu" else "time between events, peers in CPU time",
        goal_faster=goal,
        goal_peer="scikit-learn, pair by pair",
    )


def main() -> None:
    parser = benchmark_parser("Benchmark of joint counts.", rounds=15)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--cases", nargs="+", default=CASES, help="kind:codes:samples")
    parser.add_argument("--peer-codes", type=int, default=128, help="codes that the peers treat")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    bandwidth = copy_bandwidth(arguments.device)
    name = torch.cuda.get_device_name() if arguments.device == "cuda" else platform.machine()
    print(
        f"device {arguments.device} ({name}), codes float32 in C order, {N_BINS} bins, factors "
        f"{SIZES}, CPU work on 1 thread, peers on at most {arguments.peer_codes} codes and scaled, "
        f"torch {torch.__version__}, numpy {np.__version__}, scikit-learn {sklearn.__version__}, "
        f"copy {bandwidth / 1e9:.1f} GB/s"
    )
    print(
        "| codes | number | samples | per pair, ms | bincount per factor, ms | ours, ms | ratios | "
        "limit, ms |\n|---|---|---|---|---|---|---|---|"
    )
    write_report(
        name="joint_histogram",
        what="Joint counts of binned codes and factors",
        command="python benchmarks/kernels/joint_histogram.py",
        limit="every code read once, at the bandwidth of a copy",
        measurements=[
            measure(case, arguments.device, arguments.rounds, arguments.peer_codes, bandwidth)
            for case in arguments.cases
        ],
        packages=("scikit-learn",),
        folder=arguments.out,
    )


if __name__ == "__main__":
    main()
