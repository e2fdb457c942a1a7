"""How fast is mutual information of binned codes with factors, against one score per pair?

Peers: the published procedure (numpy.histogram and numpy.digitize per code, scikit-learn's
mutual_info_score per pair of code and factor), and its known improvement, one numpy.bincount per
factor over all codes. Same process, equality asserted first, interleaved rounds, minimum of
process time. Goal: at least 30 x the published procedure at 128 codes, equal to 1e-9.
Limit: reading every code once, at the copy bandwidth measured here.

Run: python benchmarks/metrics/mig.py
"""

import platform

import numpy as np
import sklearn
import torch
from sklearn.metrics import mutual_info_score

from seethrough.metrics.mig import mutual_information
from seethrough.performance.clock import copy_bandwidth, milliseconds
from seethrough.performance.report import Measurement, benchmark_parser, write_report

SIZES = (3, 6, 40, 32, 32)
N_SAMPLES = 10_000
N_BINS = 20


def sample(n_codes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return codes that know something of the factors; a quarter of them sparse."""
    generator = torch.Generator().manual_seed(0)
    columns = [torch.randint(0, s, (N_SAMPLES,), generator=generator) for s in SIZES]
    factors = torch.stack(columns, dim=1)
    mixing = torch.randn(len(SIZES), n_codes, generator=generator)
    noise = torch.randn(N_SAMPLES, n_codes, generator=generator)
    codes = (factors / torch.tensor(SIZES)) @ mixing + 0.3 * noise
    codes[:, ::4] = codes[:, ::4].relu()
    return codes, factors


def by_pairs(codes: np.ndarray, factors: np.ndarray) -> np.ndarray:
    result = np.zeros((codes.shape[1], factors.shape[1]))
    for i, code in enumerate(codes.T):
        binned = np.digitize(code, np.histogram(code, N_BINS)[1][:-1])
        for j, factor in enumerate(factors.T):
            result[i, j] = mutual_info_score(factor, binned)
    return result


def by_one_bincount_per_factor(codes: np.ndarray, factors: np.ndarray) -> np.ndarray:
    m = codes.shape[1]
    edges = [np.histogram(code, N_BINS)[1][:-1] for code in codes.T]
    bins = np.stack([np.digitize(c, e) - 1 for c, e in zip(codes.T, edges, strict=True)])
    cells = bins + N_BINS * np.arange(m)[:, None]
    result = np.zeros((m, factors.shape[1]))
    for j, size in enumerate(SIZES):
        pairs = (cells * size + factors[:, j]).ravel()
        p = np.bincount(pairs, minlength=m * N_BINS * size).reshape(m, N_BINS, size) / N_SAMPLES
        outer = p.sum(axis=2, keepdims=True) * p.sum(axis=1, keepdims=True)
        logs = np.log(p, out=np.zeros_like(p), where=p > 0)
        logs -= np.log(outer, out=np.zeros_like(p), where=p > 0)
        result[:, j] = (p * logs).sum(axis=(1, 2))
    return result


def main() -> None:
    parser = benchmark_parser("Benchmark of mutual information.", rounds=5)
    parser.add_argument("--codes", type=int, nargs="+", default=[10, 128, 1024])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    bandwidth = copy_bandwidth()
    print(
        f"device cpu ({platform.machine()}), codes float32 in C order, arithmetic float64, "
        f"1 thread, {N_SAMPLES} samples, {N_BINS} bins, factors {SIZES}, torch "
        f"{torch.__version__}, numpy {np.__version__}, scikit-learn {sklearn.__version__}, "
        f"copy {bandwidth / 1e9:.1f} GB/s"
    )
    print("| codes | per pair, ms | bincount per factor, ms | ours, ms | ratios | limit, ms |")
    print("|---|---|---|---|---|---|")
    found: list[Measurement] = []
    for n_codes in arguments.codes:
        codes, factors = sample(n_codes)
        doubles, classes = codes.double().numpy(), factors.numpy()
        ours = mutual_information(codes, factors, N_BINS).numpy()
        assert np.abs(ours - by_one_bincount_per_factor(doubles, classes)).max() < 1e-9
        assert np.abs(ours - by_pairs(doubles, classes)).max() < 1e-9
        times = milliseconds(
            {
                "pairs": lambda: by_pairs(doubles, classes),  # noqa: B023
                "bincount": lambda: by_one_bincount_per_factor(doubles, classes),  # noqa: B023
                "ours": lambda: mutual_information(codes, factors, N_BINS),  # noqa: B023
            },
            arguments.rounds,
        )
        pairs, bincount, own = times.values()
        limit = 1e3 * codes.nbytes / bandwidth
        print(
            f"| {n_codes} | {pairs:.0f} | {bincount:.1f} | {own:.1f} | "
            f"{pairs / own:.0f} x, {bincount / own:.1f} x | {limit:.2f} |"
        )
        found.append(
            Measurement(
                case=f"{n_codes:,} codes",
                shapes=f"{N_SAMPLES:,} samples, {N_BINS} bins, factors of {SIZES} classes",
                dtype="float32, arithmetic float64",
                device="cpu",
                threads=1,
                rounds=arguments.rounds,
                ours=own,
                peers={"scikit-learn, pair by pair": pairs, "one bincount a factor": bincount},
                limit=limit,
                goal_faster=30.0 if n_codes >= 128 else None,
                goal_peer="scikit-learn, pair by pair",
            )
        )
    write_report(
        name="mig",
        what="Mutual information of binned codes with factors",
        command="python benchmarks/metrics/mig.py",
        limit="every code read once, at the bandwidth of a copy",
        measurements=found,
        packages=("scikit-learn",),
        folder=arguments.out,
    )


if __name__ == "__main__":
    main()
