"""Resampling: dead units start again at inputs that the layer reconstructs badly.

At a few times, every unit that has been silent for a while is drawn anew
{cite}`bricken2023monosemanticity`. Inputs are drawn with probability proportional to their squared
loss, the loss being the squared error. The unit's direction is that of its input as the encoder
sees it (prepared, minus the pre-bias); its encoder row has 0.2 times the mean norm of the live
encoder rows, its bias is 0, and Adam forgets what it knew of the unit. The source keeps decoder
rows at norm 1; ours are free, so the decoder row has the mean norm of the live ones. Times and
waiting are shares of the training, not steps: our choice.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from seethrough.autoencoders.measure import heldout_output
from seethrough.autoencoders.prepared_autoencoder import PreparedAutoencoder


@dataclass(frozen=True, slots=True, kw_only=True)
class Resampling:
    """The resampling of {cite:t}`bricken2023monosemanticity`."""

    times: tuple[float, ...] = (0.2, 0.4, 0.6, 0.8)
    """When, as shares of all epochs, each above 0 and below 1; rounded to whole epochs."""
    silent_share: float = 0.1
    """A unit is dead once it was silent for this share of all steps, above 0 and below 1."""
    encoder_norm: float = 0.2
    """Norm of a new encoder row over the mean norm of live ones, above 0. From the source."""

    def __post_init__(self) -> None:
        for share in (*self.times, self.silent_share):
            if not 0 < share < 1:
                raise ValueError(f"a share of training is {share}, allowed is above 0 and below 1")
        if not self.times:
            raise ValueError("times is empty, allowed is one share of training or more")
        if not 0 < self.encoder_norm < float("inf"):
            raise ValueError(f"encoder_norm is {self.encoder_norm}, allowed is a number above 0")

    def patience(self, steps_per_epoch: int, epochs: int) -> int:
        """Return the steps of silence after which a unit is dead."""
        return max(1, round(self.silent_share * steps_per_epoch * epochs))

    def is_due(self, epoch: int, epochs: int) -> bool:
        """Return whether dead units are drawn anew after an epoch; never after the last."""
        return epoch < epochs and epoch in {max(1, round(share * epochs)) for share in self.times}

    def resample(
        self,
        sae: PreparedAutoencoder,
        optimizer: torch.optim.Optimizer,
        inputs: Float[Tensor, "N D"],
        level: float,
        dead: Bool[Tensor, " M"],
        generator: torch.Generator,
    ) -> None:
        """Draw every dead unit anew, in place; without a dead or a live unit nothing happens."""
        units = dead.nonzero()[:, 0]
        if len(units) == 0 or len(units) == len(dead):
            return
        with torch.no_grad():
            directions = self._directions(sae, inputs, level, len(units), generator)
            for weight, norm in ((sae.W_enc, self.encoder_norm), (sae.W_dec, 1.0)):
                weight[units] = norm * weight[~dead].norm(dim=1).mean() * directions
            sae.b_enc[units] = 0.0
            for parameter in (sae.W_enc, sae.W_dec, sae.b_enc):
                for moment in ("exp_avg", "exp_avg_sq"):
                    optimizer.state[parameter][moment][units] = 0.0
        if sae.silence is not None:
            sae.silence.steps[units] = 0

    def _directions(
        self,
        sae: PreparedAutoencoder,
        inputs: Float[Tensor, "N D"],
        level: float,
        n_units: int,
        generator: torch.Generator,
    ) -> Float[Tensor, "U D"]:
        """Return unit vectors towards inputs drawn by their squared loss, with replacement."""
        output = heldout_output(sae, inputs, level)
        loss = (output.reconstruction - inputs).double().square().sum(1)
        weights = loss.square().cpu()
        if not bool(weights.sum() > 0):  # all perfect: any input will do
            weights = torch.ones_like(weights)
        chosen = torch.multinomial(weights, n_units, replacement=True, generator=generator)
        seen = sae.input_map(inputs[chosen.to(inputs.device)]) - sae.b_pre
        unit: Tensor = seen / seen.norm(dim=1, keepdim=True).clamp_min(1e-12)
        return unit
