"""CSS, stage 2: f_m sees gray frames and, as another channel, where stage 1 finds the LV on each of them."""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from echoseg.batch import EfBatch
from echoseg.methods.base import StepResult
from echoseg.methods.ef.base import EfMethod
from echoseg.methods.ef.network import R2Plus1D, R2Plus1DConfig


class GuidedEfConfig(R2Plus1DConfig):
    """Configuration of stage 2: the size of its network."""


class GuidedEf(EfMethod):
    """R(2+1)D on gray frames and masks."""

    guided = True

    def __init__(self, config: R2Plus1DConfig) -> None:
        """Build from a configuration."""
        super().__init__()
        self.config = config
        self.net = R2Plus1D(config, channels=2)

    def forward(self, clip: Float[Tensor, "B T 2 H W"]) -> Float[Tensor, " B"]:
        """Ejection fraction of each clip."""
        found: Tensor = self.net(clip)
        return found

    def training_step(self, labelled: EfBatch, unlabelled: EfBatch | None, step: int) -> StepResult:
        """Squared error of labelled clips (eq. 10); unlabelled ones are not looked at."""
        loss = F.mse_loss(self(labelled.clip).float(), labelled.ef_percent)
        return StepResult(loss, {"mse": float(loss.detach())})
