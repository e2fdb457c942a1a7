"""How long does each score of a representation take?

Process time of one core, minimum over rounds, for a dense code and for a Top-k code of which a
tenth of the units fire on each image, with the factors and with shuffled ones, which grow the
largest forests. No peer: the parts are compared with each other. The random code is no part of
`representation_scores`; it is counted as the control that goes with it.

Run: python benchmarks/metrics/representation_scores.py
"""

import platform
import time
from collections.abc import Callable

import sklearn
import torch

from seethrough.metrics import (
    dci_scores,
    factor_vae_score,
    halves,
    linear_probe,
    modularity,
    random_code,
    sap_score,
    specialised_units,
)
from seethrough.metrics.information_scores import information_scores, shuffled
from seethrough.performance.report import Measurement, benchmark_parser, write_report

SIZES = (10, 10, 10, 8, 4, 15)
N_SAMPLES = 2048


def sample(n_codes: int, sparse: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Return codes that mix all factors with noise."""
    generator = torch.Generator().manual_seed(0)
    columns = [torch.randint(0, s, (N_SAMPLES,), generator=generator) for s in SIZES]
    factors = torch.stack(columns, dim=1)
    mixing = torch.randn(len(SIZES), n_codes, generator=generator)
    noise = torch.randn(N_SAMPLES, n_codes, generator=generator)
    codes = (factors / torch.tensor(SIZES) - 0.45) @ mixing + 0.3 * noise
    if sparse:
        kept = codes.topk(n_codes // 10, dim=1)
        codes = torch.zeros_like(codes).scatter(1, kept.indices, kept.values)
    return codes, factors


def parts(codes: torch.Tensor, factors: torch.Tensor) -> dict[str, Callable[[], object]]:
    data = halves(codes, factors, 0)
    return {
        "MIG, best": lambda: information_scores(codes, factors),
        "specialised": lambda: specialised_units(codes, factors),
        "modularity": lambda: modularity(codes, factors),
        "SAP": lambda: sap_score(data),
        "DCI": lambda: dci_scores(data, 0),
        "FactorVAE": lambda: factor_vae_score(codes, factors, torch.Generator().manual_seed(0)),
        "probe": lambda: linear_probe(data),
        "random code": lambda: random_code(codes, torch.Generator().manual_seed(0)),
    }


def seconds(work: Callable[[], object], rounds: int) -> float:
    best = float("inf")
    for _ in range(rounds):
        started = time.process_time()
        work()
        best = min(best, time.process_time() - started)
    return best


def main() -> None:
    parser = benchmark_parser("Time of each score of a representation.", rounds=2)
    parser.add_argument("--codes", type=int, nargs="+", default=[10, 1000])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(
        f"device cpu ({platform.machine()}), codes float32, 1 thread, {N_SAMPLES} images, factors "
        f"{SIZES}, torch {torch.__version__}, scikit-learn {sklearn.__version__}; seconds"
    )
    found: list[Measurement] = []
    dci_scores(halves(*sample(4, sparse=False), 0), 0)  # imports scikit-learn
    for row, n_codes in enumerate(arguments.codes):
        for label, sparse in (("dense", False), ("Top-k", True)):
            codes, factors = sample(n_codes, sparse)
            others = shuffled(factors, torch.Generator().manual_seed(0))
            for which, labels in (("own", factors), ("shuffled", others)):
                work = parts(codes, labels)
                if (row, label, which) == (0, "dense", "own"):
                    print("| units | code | factors | " + " | ".join(work) + " | sum |")
                    print("|---" * (len(work) + 4) + "|")
                times = [seconds(part, arguments.rounds) for part in work.values()]
                cells = " | ".join(f"{time:.2f}" for time in [*times, sum(times)])
                print(f"| {n_codes} | {label} | {which} | {cells} |", flush=True)
                found.append(
                    Measurement(
                        case=f"{n_codes:,} units, {label} code, {which} factors",
                        shapes=f"{N_SAMPLES:,} images",
                        dtype="float32",
                        device="cpu",
                        threads=1,
                        rounds=arguments.rounds,
                        ours=1e3 * sum(times),
                        note=", ".join(
                            f"{name} {time:.2f} s" for name, time in zip(work, times, strict=True)
                        ),
                    )
                )
    write_report(
        name="representation_scores",
        what="All scores of a representation",
        command="python benchmarks/metrics/representation_scores.py",
        limit="none stated",
        measurements=found,
        packages=("scikit-learn",),
        folder=arguments.out,
    )


if __name__ == "__main__":
    main()
