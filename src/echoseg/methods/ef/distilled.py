"""CSS, stage 3: f_e sees gray frames alone; on unlabelled clips it learns what f_m, which sees masks too, says of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from echoseg.batch import EfBatch
from echoseg.errors import UsageError
from echoseg.methods.base import StepResult
from echoseg.methods.ef.base import EfMethod
from echoseg.methods.ef.network import RGB, R2Plus1D, R2Plus1DConfig


@dataclass(frozen=True)
class DistilledEfConfig(R2Plus1DConfig):
    """Configuration of stage 3; the size must be that of its teacher, from which all weights come.

    Attributes:
        unlabelled_weight: w_ulb.
        convention: `code` halves the unlabelled loss, as published code does, so that w_ulb = 5 counts 2.5; `paper` does not.
    """

    unlabelled_weight: float = 5.0
    convention: Literal["code", "paper"] = "code"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.unlabelled_weight < 0:
            raise UsageError(f"unlabelled_weight={self.unlabelled_weight}: must not be negative")

    @property
    def effective_weight(self) -> float:
        """Weight of the mean squared difference to the teacher in the loss."""
        return self.unlabelled_weight * (0.5 if self.convention == "code" else 1.0)


class DistilledEf(EfMethod):
    """R(2+1)D on gray frames, and its frozen teacher."""

    guided = False

    def __init__(self, config: DistilledEfConfig) -> None:
        """Student and teacher from scratch; `adopt` gives both the weights of a trained teacher."""
        super().__init__()
        self.config = config
        self.net = R2Plus1D(config, channels=1)
        self.teacher = R2Plus1D(config, channels=2).requires_grad_(False)
        self.train()

    def adopt(self, teacher: R2Plus1D) -> None:
        """Take over a trained stage 2: the teacher whole, the student all but the stem's mask channel."""
        state = teacher.state_dict()
        self.teacher.load_state_dict(state)
        self.net.load_state_dict({**state, "stem.0.weight": state["stem.0.weight"][:, :RGB]})

    def train(self, mode: bool = True) -> DistilledEf:
        """The teacher stays in evaluation mode."""
        super().train(mode)
        self.teacher.eval()
        return self

    def forward(self, clip: Float[Tensor, "B T C H W"]) -> Float[Tensor, " B"]:
        """Ejection fraction of each clip, from its gray channel."""
        found: Tensor = self.net(clip[:, :, :1])
        return found

    def training_step(self, labelled: EfBatch, unlabelled: EfBatch | None, step: int) -> StepResult:
        """Squared error of labelled clips + w_ulb x squared difference to the teacher on unlabelled clips (eqs. 11-13)."""
        supervised = F.mse_loss(self(labelled.clip).float(), labelled.ef_percent)
        if unlabelled is None:
            return StepResult(supervised, {"mse": float(supervised.detach())})
        with torch.no_grad():
            pseudo = self.teacher(unlabelled.clip).float()  # the same crop, with its masks
        distilled = F.mse_loss(self(unlabelled.clip).float(), pseudo)
        weight = self.config.effective_weight
        logs = {"mse": float(supervised.detach()), "distilled": float(distilled.detach()), "w_effective": weight}
        return StepResult(supervised + weight * distilled, logs)

    def inference_parameters(self) -> int:
        """Those of the student."""
        return sum(p.numel() for p in self.net.parameters())
