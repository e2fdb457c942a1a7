"""How long do insertion and deletion take outside the model, against Quantus?

Peer: PixelFlipping of quantus 0.6.0, once from the image to zeros (deletion) and once from zeros to
the image (insertion), curves asserted equal first. The model costs next to nothing, so the time is
that of the work around it; its own share is printed. Same process, interleaved rounds, minimum of
process time. Goal: at least 1.8 x less than Quantus. Limit: reading image and reference and writing
the changed image once for every point of a curve, at the copy bandwidth measured here.

Quantus is no dependency; where it is missing the benchmark says so and ends. Its areas need
numpy.trapz, which numpy 2.4 no longer has; its curves do not.

Run: python benchmarks/peers/environment.py \
    && .venv-peers/bin/python benchmarks/attribution/insertion_deletion.py
"""

import platform
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from seethrough.attribution.insertion_deletion import insertion_deletion
from seethrough.models import torchvision_compatibility  # noqa: F401
from seethrough.performance.clock import copy_bandwidth, process_seconds
from seethrough.performance.report import Measurement, benchmark_parser, write_report

N_IMAGES = 16
SIZE = 240  # Quantus wants a step's features, three per pixel, to divide the pixels: 224^2 has no 3
STEPS = 24


class NearFree(nn.Module):
    """Three classes, scored by the mean colour of the 16 x 16 pixels in the middle."""

    def forward(self, images: Tensor) -> Tensor:
        middle = SIZE // 2
        return 20 * images[:, :, middle - 8 : middle + 8, middle - 8 : middle + 8].mean(dim=(2, 3))


def sample() -> tuple[Tensor, Tensor, Tensor]:
    """Return images without zeros, maps without ties, and targets."""
    generator = torch.Generator().manual_seed(0)
    images = 0.5 + torch.rand(N_IMAGES, 3, SIZE, SIZE, generator=generator)
    draws = [torch.randperm(SIZE * SIZE, generator=generator) for _ in range(N_IMAGES)]
    maps = torch.stack(draws).view(N_IMAGES, SIZE, SIZE).float()
    return images, maps, torch.randint(0, 3, (N_IMAGES,), generator=generator)


def import_quantus() -> Any:
    """Return the package, or None with a message."""
    try:
        import quantus
    except ImportError as error:
        print(f"skipped: quantus cannot be imported ({error}); see this file's first lines")
        return None
    return quantus


def by_quantus(quantus: Any, model: nn.Module, batch: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Return both curves without their first point, which Quantus does not compute."""
    originals = batch["x_batch"].reshape(N_IMAGES, -1)

    def put_back(arr: np.ndarray, indices: np.ndarray, **_: Any) -> np.ndarray:
        changed = arr.copy()
        rows = np.arange(len(arr))[:, None]
        changed[rows, indices] = originals[rows, indices]
        return changed

    settings = {
        "features_in_step": 3 * SIZE * SIZE // STEPS,
        "normalise": False,
        "disable_warnings": True,
    }
    deletion = quantus.PixelFlipping(**settings, perturb_baseline=0.0)
    insertion = quantus.PixelFlipping(**settings, perturb_func=put_back)
    common = {"model": model, "channel_first": True, "softmax": True, "device": "cpu"}
    blank = batch | {"x_batch": np.zeros_like(batch["x_batch"])}
    return [
        np.array(deletion(**common, **batch)),
        np.array(insertion(**common, **blank)),
    ]


def main() -> None:
    parser = benchmark_parser("Benchmark of insertion and deletion.", rounds=5)
    parser.add_argument("--batch-size", type=int, nargs="+", default=[32, 64, 256])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    quantus = import_quantus()
    if quantus is None:
        return
    model, (images, maps, targets) = NearFree().eval(), sample()
    batch = {
        "x_batch": images.numpy(),
        "y_batch": targets.numpy(),
        "a_batch": maps[:, None].numpy(),
    }

    def ours(batch_size: int) -> list[np.ndarray]:
        found = insertion_deletion(
            model, images, maps, targets, unit="pixel", steps=STEPS, batch_size=batch_size
        )
        return [found.deletion[:, 1:].numpy(), found.insertion[:, 1:].numpy()]

    def passes() -> None:
        with torch.no_grad():
            for _ in range(2 * STEPS):
                model(images).softmax(dim=1)

    for own, peer in zip(ours(64), by_quantus(quantus, model, batch), strict=True):
        np.testing.assert_allclose(own, peer, atol=1e-6)
    best = {"quantus": np.inf, "model": np.inf} | dict.fromkeys(arguments.batch_size, np.inf)
    for _ in range(arguments.rounds):
        best["quantus"] = min(
            best["quantus"], process_seconds(lambda: by_quantus(quantus, model, batch))
        )
        best["model"] = min(best["model"], process_seconds(passes))
        for size in arguments.batch_size:
            best[size] = min(best[size], process_seconds(lambda: ours(size)))  # noqa: B023
    bandwidth = copy_bandwidth()
    limit = 2 * STEPS * 3 * images.nbytes / bandwidth
    print(
        f"device cpu ({platform.machine()}), float32, 1 thread, {N_IMAGES} images of {SIZE}^2, "
        f"{STEPS} steps, both curves, torch {torch.__version__}, numpy {np.__version__}, quantus "
        f"{quantus.__version__}, copy {bandwidth / 1e9:.1f} GB/s; of every time "
        f"{1e3 * best['model']:.0f} ms are the model; limit {1e3 * limit:.0f} ms"
    )
    print("| batch size | quantus, ms | ours, ms | ratio | outside the model |")
    print("|---|---|---|---|---|")
    for size in arguments.batch_size:
        outside = (best["quantus"] - best["model"]) / (best[size] - best["model"])
        print(
            f"| {size} | {1e3 * best['quantus']:.0f} | {1e3 * best[size]:.0f} | "
            f"{best['quantus'] / best[size]:.1f} x | {outside:.1f} x |"
        )
    write_report(
        name="insertion_deletion",
        what="Insertion and deletion, outside the model",
        command=".venv-peers/bin/python benchmarks/attribution/insertion_deletion.py",
        limit="images read and written once for every point of a curve, at the bandwidth of a copy",
        measurements=[
            Measurement(
                case=f"batches of {size}",
                shapes=f"{N_IMAGES} images of {SIZE}^2, {STEPS} steps, both curves",
                dtype="float32",
                device="cpu",
                threads=1,
                rounds=arguments.rounds,
                ours=1e3 * (best[size] - best["model"]),
                peers={"Quantus": 1e3 * (best["quantus"] - best["model"])},
                limit=1e3 * limit,
                goal_faster=1.8,
                note=f"the model itself takes {1e3 * best['model']:.0f} ms, left out on both sides",
            )
            for size in arguments.batch_size
        ],
        packages=("quantus",),
        folder=arguments.out,
    )


if __name__ == "__main__":
    main()
