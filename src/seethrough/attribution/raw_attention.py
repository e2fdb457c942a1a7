"""Raw attention: what the class token attends to in the last block."""

from jaxtyping import Float, Int64
from torch import Tensor, nn

from seethrough.attribution.forward_record import mean_attention
from seethrough.attribution.plain_transformer import blocks_from, patch_grid
from seethrough.attribution.targets import chosen_targets


def raw_attention(
    model: nn.Module,
    images: Float[Tensor, "B 3 H W"],
    targets: Int64[Tensor, " B"] | None = None,
) -> Float[Tensor, "B h w"]:
    """Return the class token's attention to the patches in the last block, mean over heads.

    From 0 to 1, at most 1 in sum: what is missing is attention to the class token itself. The map
    is the same for every target: targets are checked, so that every method takes the same
    arguments, and change nothing.

    Raises:
        ValueError: a model that is not plain, images of another size, a target that is not there.
    """
    last = len(blocks_from(model, 0)) - 1
    logits, attentions = mean_attention(model, images, last)
    chosen_targets(logits, targets)
    return attentions[0][:, 0, 1:].reshape(-1, *patch_grid(model))
