"""How fast is SAP, against scikit-learn's LinearSVC pair by pair?

Peer: one LinearSVC (C = 0.01, balanced weights, its defaults) per pair of code and factor, as in
disentanglement_lib; timed on a few codes and multiplied up, since it takes minutes on hundreds.
Same process, accuracies compared first, interleaved rounds, minimum of process time. The peer stops
early and at random, so a few test images differ; both accuracies are printed.

Run: python benchmarks/metrics/sap.py
"""

import platform
import time
import warnings

import numpy as np
import sklearn
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.svm import LinearSVC

from seethrough.metrics import TrainTest, halves, sap_accuracies
from seethrough.performance.report import Measurement, benchmark_parser, write_report

SIZES = {"dSprites": (3, 6, 40, 32, 32), "3D Shapes": (10, 10, 10, 8, 4, 15)}
N_SAMPLES = 2048
N_PEER_CODES = 4


def sample(sizes: tuple[int, ...], n_codes: int) -> TrainTest:
    """Return codes that know something of the factors; half of them sparse."""
    generator = torch.Generator().manual_seed(0)
    columns = [torch.randint(0, s, (N_SAMPLES,), generator=generator) for s in sizes]
    factors = torch.stack(columns, dim=1)
    mixing = torch.randn(len(sizes), n_codes, generator=generator)
    noise = torch.randn(N_SAMPLES, n_codes, generator=generator)
    codes = (factors / torch.tensor(sizes)) @ mixing + 0.3 * noise
    codes[:, ::2] = (codes[:, ::2] - 1).relu()
    return halves(codes, factors, 0)


def by_pairs(data: TrainTest) -> np.ndarray:
    result = np.zeros((N_PEER_CODES, data.factors_train.shape[1]))
    for i in range(N_PEER_CODES):
        x, x_test = data.codes_train[:, [i]].numpy(), data.codes_test[:, [i]].numpy()
        for j in range(result.shape[1]):
            machine = LinearSVC(C=0.01, class_weight="balanced", random_state=0)
            machine.fit(x, data.factors_train[:, j].numpy())
            result[i, j] = machine.score(x_test, data.factors_test[:, j].numpy())
    return result


def main() -> None:
    parser = benchmark_parser("Benchmark of SAP.", rounds=3)
    parser.add_argument("--codes", type=int, nargs="+", default=[10, 1000])
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    torch.set_num_threads(1)
    print(
        f"device cpu ({platform.machine()}), codes float32, arithmetic float64, 1 thread, "
        f"{N_SAMPLES} images in halves, torch {torch.__version__}, numpy {np.__version__}, "
        f"scikit-learn {sklearn.__version__}"
    )
    print("| factors | codes | LinearSVC, s (scaled) | ours, s | ratio | mean accuracies |")
    print("|---|---|---|---|---|---|")
    found: list[Measurement] = []
    for name, sizes in SIZES.items():
        for n_codes in arguments.codes:
            data = sample(sizes, n_codes)
            seconds = [np.inf, np.inf]
            for _ in range(arguments.rounds):
                started = time.process_time()
                theirs = by_pairs(data)
                middle = time.process_time()
                ours = sap_accuracies(data)[:N_PEER_CODES].numpy()
                ended = time.process_time()
                seconds = [min(seconds[0], middle - started), min(seconds[1], ended - middle)]
            assert np.abs(ours - theirs).max() < 0.02, np.abs(ours - theirs).max()
            peer, own = seconds[0] * n_codes / N_PEER_CODES, seconds[1]
            print(
                f"| {name} | {n_codes} | {peer:.1f} | {own:.2f} | {peer / own:.0f} x | "
                f"{theirs.mean():.4f}, {ours.mean():.4f} |"
            )
            found.append(
                Measurement(
                    case=f"{n_codes:,} codes, factors of {name}",
                    shapes=f"{N_SAMPLES:,} images in halves",
                    dtype="float32, arithmetic float64",
                    device="cpu",
                    threads=1,
                    rounds=arguments.rounds,
                    ours=1e3 * own,
                    peers={"LinearSVC, a pair at a time": 1e3 * peer},
                    note=f"mean accuracies {theirs.mean():.4f} and {ours.mean():.4f}",
                )
            )
    write_report(
        name="sap",
        what="SAP's accuracies",
        command="python benchmarks/metrics/sap.py",
        limit="none stated",
        measurements=found,
        packages=("scikit-learn",),
        folder=arguments.out,
    )


if __name__ == "__main__":
    main()
