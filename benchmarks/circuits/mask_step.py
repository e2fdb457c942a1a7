"""What does a step of mask training cost beside the model's own forward and backward pass?

Peers: timm's model, forward and a backward of activations alone (weights frozen, the gradient goes
to the class token before the first block); the same with the last block computed for the class
token alone, which is how the masked pass does it; and the masks as forward hooks on timm's modules.
Ours is a whole step: gates, forward, loss, backward, clipping, AdamW, clamp. Same process, equality
of the losses asserted first, interleaved rounds, minimum of process time. Aims: at most 1.15 of the
model's own passes, and 1.05 for the forward pass alone. Several masks in one pass are compared with
as many steps of one. Weights are those of the embedded model, images are noise of its size.

Run: python benchmarks/circuits/mask_step.py
"""

import platform
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from seethrough.circuits.class_tasks import task_losses, task_scores
from seethrough.circuits.mask_sites import NodeLayout, node_layout
from seethrough.circuits.mask_state import MaskState, initial_state
from seethrough.circuits.mask_training import MaskTraining
from seethrough.circuits.masked_forward import masked_logits
from seethrough.circuits.node_mask import node_gates
from seethrough.circuits.site_means import MODULES
from seethrough.circuits.train_masks import mask_step
from seethrough.models.embedded import IMAGE_SIZE, load_embedded
from seethrough.performance.clock import milliseconds
from seethrough.performance.report import Measurement, benchmark_parser, write_report
from seethrough.training.allocator import keep_freed_memory

MODEL = "shapes3d_vit"
POSITIVE = (0, 1, 2, 3, 4)


@dataclass(frozen=True)
class Setting:
    model: Any
    layout: NodeLayout
    means: Tensor
    images: Tensor
    members: Tensor


def setting(batch_size: int, device: str) -> Setting:
    model = load_embedded(MODEL).model.to(device)
    generator, layout = torch.Generator().manual_seed(0), node_layout(model)
    members = torch.zeros(1, model.head.out_features, dtype=torch.bool)
    members[0, list(POSITIVE)] = True
    return Setting(
        model=model.requires_grad_(False),
        layout=layout,
        means=0.1 * torch.randn(layout.n_channels, generator=generator).to(device),
        images=torch.randn(batch_size, 3, IMAGE_SIZE, IMAGE_SIZE, generator=generator).to(device),
        members=members.to(device),
    )


def loss_of(logits: Tensor, members: Tensor) -> Tensor:
    return task_losses(*task_scores(logits[None], members).chunk(2, dim=1)).sum()


def own_logits(s: Setting) -> Tensor:
    """Return the model's logits, with a graph that begins before the first block."""
    s.model.cls_token.requires_grad_(True)
    logits: Tensor = s.model(s.images)
    return logits


def class_token_logits(s: Setting) -> Tensor:
    """As `own_logits`, the last block from its queries on for the class token alone."""
    model = s.model
    model.cls_token.requires_grad_(True)
    tokens = model._pos_embed(model.patch_embed(s.images))
    for block in model.blocks[:-1]:
        tokens = block(tokens)
    last = model.blocks[-1]
    attention, read = last.attn, last.norm1(tokens)
    heads = attention.qkv(read).unflatten(-1, (3, attention.num_heads, -1))
    queries, keys, values = heads.permute(2, 0, 3, 1, 4).unbind()
    mixed = torch.nn.functional.scaled_dot_product_attention(queries[:, :, :1], keys, values)
    tokens = tokens[:, :1] + last.ls1(attention.proj(mixed.transpose(1, 2).flatten(2)))
    tokens = tokens + last.ls2(last.mlp(last.norm2(tokens)))
    logits: Tensor = model.head(model.norm(tokens[:, 0]))
    return logits


def own_step(s: Setting, logits_of: Callable[[Setting], Tensor]) -> None:
    torch.autograd.grad(loss_of(logits_of(s), s.members), s.model.cls_token)


@contextmanager
def hooked(s: Setting, gates: Tensor) -> Iterator[None]:
    """Mask the model's own modules by hooks, as is commonly done."""
    first = 0
    with ExitStack() as stack:
        for block in s.model.blocks:
            for name in MODULES:
                module = block.get_submodule(name)
                width = {"attn.qkv": 3, "mlp.act": 4}.get(name, 1) * s.model.embed_dim
                part = slice(first, first := first + width)

                def replace_nodes(
                    _module: object, _inputs: object, output: Tensor, part: slice = part
                ) -> Tensor:
                    gate = gates[part]
                    return gate * output + (1 - gate) * s.means[part]

                stack.callback(module.register_forward_hook(replace_nodes).remove)
        yield


def hooked_step(s: Setting, tau: Tensor, optimizer: torch.optim.Optimizer) -> None:
    s.model.cls_token.requires_grad_(False)
    gates = node_gates(tau)
    with hooked(s, gates):
        loss = loss_of(s.model(s.images), s.members) + 8e-5 * gates.sum()
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_([tau], 1.0)
    optimizer.step()
    with torch.no_grad():
        tau.clamp_(-1, 1)


def our_step(s: Setting, state: MaskState, training: MaskTraining) -> None:
    members = s.members.expand(len(state.tau), -1)
    mask_step(s.model, s.images[None], members, s.means, s.layout, state, training)


@torch.no_grad()
def masked(s: Setting, gates: Tensor) -> Tensor:
    return masked_logits(s.model, s.images[None], gates, s.means, s.layout)[0]


def assert_equal(s: Setting) -> None:
    """The three ways without masks agree, and so do the two with them."""
    device = s.images.device
    ones = torch.ones(1, s.layout.n_nodes, device=device)
    with torch.no_grad():
        own = own_logits(s)
        for other in (class_token_logits(s), masked(s, ones)):
            torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-4)
        drawn = torch.rand(s.layout.n_nodes, generator=torch.Generator().manual_seed(1))
        gates = (drawn > 0.3).float().to(device)
        with hooked(s, gates):
            expected = s.model(s.images)
        torch.testing.assert_close(masked(s, gates[None]), expected, rtol=1e-4, atol=1e-4)


def measure(batch_size: int, rounds: int, device: str) -> list[Measurement]:
    s = setting(batch_size, device)
    assert_equal(s)
    training = MaskTraining(device=device)
    state = initial_state(s.layout.n_nodes, 1, 1, training)
    tau = state.tau[0].detach().clone().requires_grad_()
    optimizer = torch.optim.AdamW([tau], lr=3e-3, betas=(0.9, 0.95), weight_decay=1e-3, fused=True)
    gates = torch.ones(1, s.layout.n_nodes, device=device)

    @torch.no_grad()
    def forward() -> None:
        s.model(s.images)

    found = milliseconds(
        {
            "own": lambda: own_step(s, own_logits),
            "class token": lambda: own_step(s, class_token_logits),
            "hooks": lambda: hooked_step(s, tau, optimizer),
            "ours": lambda: our_step(s, state, training),
            "forward": forward,
            "masked": lambda: masked(s, gates),
        },
        rounds,
        device,
    )
    own, ours = found["own"], found["ours"]
    print(
        f"| {batch_size} | {own:.1f} | {ours:.1f} | {ours / own:.3f} | "
        f"{ours / found['class token']:.3f} | {found['hooks'] / own:.3f} | "
        f"{found['masked'] / found['forward']:.3f} |"
    )
    class_token = ours / found["class token"]
    return [
        measurement(
            f"mask step, {batch_size} images",
            rounds,
            device,
            ours=ours,
            peers={"hooks on the model's modules": found["hooks"]},
            limit=own,
            goal_limit=1.15,
            note=f"{class_token:.3f} x passes whose last block is for the class token alone",
        ),
        measurement(
            f"forward pass with gates, {batch_size} images",
            rounds,
            device,
            ours=found["masked"],
            limit=found["forward"],
            goal_limit=1.05,
        ),
    ]


def measurement(case: str, rounds: int, device: str, **times: Any) -> Measurement:
    return Measurement(
        case=case,
        shapes=f"{MODEL}, images of {IMAGE_SIZE}^2",
        dtype="float32",
        device=device if device == "cpu" else torch.cuda.get_device_name(),
        threads=1,
        rounds=rounds,
        clock="CPU time" if device == "cpu" else "time between events, median",
        **times,
    )


def measure_several(batch_size: int, rounds: int, n_masks: int, device: str) -> Measurement:
    s, kappas = setting(batch_size, device), tuple(2.0**n * 1e-5 for n in range(n_masks))
    one = MaskTraining(device=device)
    many = MaskTraining(kappas=kappas, masks_per_pass=n_masks, device=device)
    alone = initial_state(s.layout.n_nodes, 1, 1, one)
    together = initial_state(s.layout.n_nodes, 1, n_masks, many)
    found = milliseconds(
        {"alone": lambda: our_step(s, alone, one), "many": lambda: our_step(s, together, many)},
        rounds,
        device,
    )
    ratio = found["many"] / (n_masks * found["alone"])
    print(f"| {n_masks} | {batch_size} | {found['many']:.1f} | {ratio:.3f} |")
    return measurement(
        f"{n_masks} masks in one pass, {batch_size} images",
        rounds,
        device,
        ours=found["many"],
        peers={f"{n_masks} steps of one mask": n_masks * found["alone"]},
    )


def main() -> None:
    parser = benchmark_parser("Benchmark of a step of mask training.", rounds=7)
    parser.add_argument("--batch-sizes", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--masks", type=int, default=4, help="masks in one pass")
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(1)
    print(
        f"device cpu ({platform.machine()}), float32, 1 thread, torch {torch.__version__}, model "
        f"{MODEL}"
    )
    print(
        "| images | forward and backward, ms | mask step, ms | mask step | over class token alone "
        "| hooks | masked forward |"
    )
    print("|---|---|---|---|---|---|---|")
    reported: list[Measurement] = []
    for batch_size in arguments.batch_sizes:
        reported += measure(batch_size, arguments.rounds, "cpu")
    print()
    print("| masks in one pass | images | step, ms | over as many steps of one |")
    print("|---|---|---|---|")
    for batch_size in arguments.batch_sizes:
        reported.append(measure_several(batch_size, arguments.rounds, arguments.masks, "cpu"))
    write_report(
        name="mask_step",
        what="A step of mask training",
        command="python benchmarks/circuits/mask_step.py",
        limit="the model's own forward pass, and for a step a backward pass of activations alone",
        measurements=reported,
        packages=("timm",),
        folder=arguments.out,
    )


if __name__ == "__main__":
    main()
