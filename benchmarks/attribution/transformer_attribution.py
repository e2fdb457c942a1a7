"""How fast is transformer attribution in batches, against one image at a time?

Peer: the same method with batches of one image, which is all the published code can do. Same
process, equality asserted first, interleaved rounds, minimum of process time (of wall time on a
GPU). Goal: never slower on a CPU, at least 20 x on a GPU. Limit: six forward passes, for one
forward pass, one backward pass through activations only, and four matrix products per linear layer
for the relevance.

Run: python benchmarks/attribution/transformer_attribution.py
     python benchmarks/attribution/transformer_attribution.py --device cuda --width 768 --heads 12 \
         --images 256
"""

import platform
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from seethrough.attribution.transformer_attribution import transformer_attribution
from seethrough.models import torchvision_compatibility  # noqa: F401
from seethrough.performance.report import Measurement, benchmark_parser, write_report

# isort: split
import timm
from timm.models.vision_transformer import VisionTransformer


def vision_transformer(width: int, heads: int, depth: int) -> nn.Module:
    """Return a transformer of the DeiT-III kind with random weights."""
    torch.manual_seed(0)
    model = VisionTransformer(
        embed_dim=width, num_heads=heads, depth=depth, init_values=0.1, no_embed_class=True
    )
    return model.eval()


def seconds(work: Callable[[], object], device: str) -> float:
    if device == "cpu":
        started = time.process_time()
        work()
        return time.process_time() - started
    torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - started


def main() -> None:
    parser = benchmark_parser("Benchmark of transformer attribution.", rounds=3)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--width", type=int, default=192)
    parser.add_argument("--heads", type=int, default=3)
    parser.add_argument("--depth", type=int, default=12)
    parser.add_argument("--images", type=int, default=8)
    arguments = parser.parse_args()
    device, n = arguments.device, arguments.images
    torch.set_num_threads(1)
    model = vision_transformer(arguments.width, arguments.heads, arguments.depth).to(device)
    images = torch.randn(n, 3, 224, 224, generator=torch.Generator().manual_seed(0)).to(device)
    targets = torch.arange(n, device=device)

    def batched() -> Tensor:
        return transformer_attribution(model, images, targets)

    def one_by_one() -> Tensor:
        return torch.cat(
            [
                transformer_attribution(model, images[i : i + 1], targets[i : i + 1])
                for i in range(n)
            ]
        )

    def forward() -> None:
        with torch.no_grad():
            model(images)

    # Relevance divides by activations, so rounding shows: a thousandth of the largest relevance.
    together, alone = batched(), one_by_one()
    assert float((together - alone).abs().max() / alone.max()) < 1e-3
    own = peer = once = float("inf")
    for _ in range(arguments.rounds):
        own = min(own, seconds(batched, device))
        peer = min(peer, seconds(one_by_one, device))
        once = min(once, seconds(forward, device))
    name = platform.machine() if device == "cpu" else torch.cuda.get_device_name()
    print(
        f"device {device} ({name}), float32, 1 thread, {n} images of 224^2, 197 tokens, width "
        f"{arguments.width}, {arguments.depth} blocks, torch {torch.__version__}, timm "
        f"{timm.__version__}"
    )
    print("| one by one, images/s | batched, images/s | ratio | batched, forward passes | limit |")
    print("|---|---|---|---|---|")
    print(f"| {n / peer:.1f} | {n / own:.1f} | {peer / own:.2f} x | {own / once:.1f} | 6 |")
    write_report(
        name="transformer_attribution",
        what="Transformer attribution in batches",
        command="python benchmarks/attribution/transformer_attribution.py",
        limit="six forward passes",
        measurements=[
            Measurement(
                case=f"{n} images at once",
                shapes=f"{n} images of 224^2, width {arguments.width}, {arguments.depth} blocks",
                dtype="float32",
                device="cpu" if device == "cpu" else name,
                threads=1,
                rounds=arguments.rounds,
                ours=1e3 * own,
                peers={"one image at a time": 1e3 * peer},
                limit=6e3 * once,
                clock="CPU time" if device == "cpu" else "elapsed time",
                goal_faster=1.0 if device == "cpu" else 20.0,
            )
        ],
        packages=("timm",),
        folder=arguments.out,
    )


if __name__ == "__main__":
    main()
