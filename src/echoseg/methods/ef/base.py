"""The contract of a network that regresses the ejection fraction: clips in, a number out.

It is the smaller one beside that of methods that draw masks: no masks, no temporal kinds; the training loop is the same.
"""

from __future__ import annotations

from abc import abstractmethod

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from echoseg.batch import EfBatch
from echoseg.errors import UsageError
from echoseg.methods.base import ExportGraph, Learner, Method, StepResult

LV_CHANNEL = 1


class EfMethod(Learner):
    """Base of all regressors.

    Attributes:
        guided: whether the clips have a second channel, the masks of stage 1.
    """

    guided: bool = False

    @abstractmethod
    def forward(self, clip: Float[Tensor, "B T C H W"]) -> Float[Tensor, " B"]:
        """Ejection fraction of each clip, percent, not clamped."""

    @abstractmethod
    def training_step(self, labelled: EfBatch, unlabelled: EfBatch | None, step: int) -> StepResult:
        """Loss of one step."""


class LvProbability(nn.Module):
    """Stage 1, frozen: LV probability of normalised frames, whatever statistics they were normalised with.

    Attributes:
        method: a method that looks at one frame at a time.
    """

    def __init__(self, method: Method, own: tuple[float, float], given: tuple[float, float]) -> None:
        """Wrap a method.

        Args:
            method: with trained weights; it is frozen.
            own: gray mean and standard deviation that it was trained with.
            given: those of the frames that it will get.

        Raises:
            UsageError: the method sees more than one frame.
        """
        super().__init__()
        if method.temporal != "frame":
            raise UsageError(
                f"masks of a method of kind {method.temporal}: stage 2 takes those of a frame-wise one, such as css or "
                "framewise"
            )
        self.method = method.eval().requires_grad_(False)
        self.scale, self.shift = given[1] / own[1], (given[0] - own[0]) / own[1]

    def train(self, mode: bool = True) -> LvProbability:
        """It stays in evaluation mode."""
        return super().train(False)

    def forward(self, clip: Float[Tensor, "B T 1 H W"]) -> Float[Tensor, "B T 1 H W"]:
        """Probabilities of every frame."""
        logits: Tensor = self.method(clip * self.scale + self.shift)
        if self.method.channels == 1:
            return logits.sigmoid()
        return logits.softmax(2)[:, :, LV_CHANNEL : LV_CHANNEL + 1]


class EfGraph(nn.Module):
    """A regressor as the engine runs it; a guided one brings its stage 1 along, so that it takes nothing but frames."""

    def __init__(self, method: EfMethod, masks: LvProbability | None) -> None:
        """`masks` for a guided method, None for any other."""
        super().__init__()
        if method.guided != (masks is not None):
            raise ValueError("a guided method needs masks, any other none")
        self.method, self.masks = method, masks

    def forward(self, clip: Float[Tensor, "1 T 1 H W"], present: Float[Tensor, "1 T"]) -> Float[Tensor, " 1"]:
        """Ejection fraction of a clip; frames whose `present` is 0 count as absent whatever they hold."""
        there = rearrange(present, "b t -> b t 1 1 1")
        seen = clip * there
        if self.masks is not None:
            # 2 p - 1, and -1 on absent frames
            seen = torch.cat([seen, 2 * self.masks(clip) * there - 1], 2)
        found: Tensor = self.method(seen)
        return found


def ef_graph(method: EfMethod, masks: LvProbability | None, length: int, size: tuple[int, int]) -> ExportGraph:
    """Export graph for clips of `length` frames; the last frame of the example is absent."""
    present = torch.ones(1, length)
    present[:, -1] = 0
    clip = torch.zeros(1, length, 1, *size)
    return ExportGraph(EfGraph(method, masks).eval(), (clip, present), ("clip", "present"), ("ef_percent",))
