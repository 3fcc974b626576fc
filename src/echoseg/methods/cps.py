"""CPS, cross pseudo supervision: two networks that differ in their initial weights give each other labels.

Paper: X. Chen, Y. Yuan, G. Zeng, J. Wang, "Semi-Supervised Semantic Segmentation with Cross Pseudo Supervision", CVPR
2021. A baseline: both networks are the U-Net of the frame-wise one. With `cross_weight=0` the networks learn apart,
from labels alone.

Deviations: the weight is ramped up, because ours start from random weights, not from ImageNet's; no CutMix; the
supervised loss is that of all methods here (cross-entropy + Dice). Licence: Apache-2.0 (nothing was copied).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from echoseg.batch import ClipBatch, frames_of_step
from echoseg.errors import UsageError
from echoseg.losses import confident_ce, gaussian_ramp, supervised_loss
from echoseg.methods.base import ExportGraph, Method, StepResult, frame_graph
from echoseg.nn import UNet, UNetConfig


@dataclass(frozen=True)
class CPSConfig(UNetConfig):
    """Configuration of CPS: its U-Nets' and its own.

    Attributes:
        cross_weight: of the cross pseudo supervision after the ramp (paper: 1.5 on PASCAL VOC); 0 = supervised only.
        start: first step of the ramp (paper: 0). Networks that have learned little give each other their mistakes as labels.
        ramp: steps from there until the weight is reached, exp(-5 (1 - step / ramp)^2); our choice.
        frames: frames drawn of each clip and step for it; a clip with fewer gives all. Time grows with it.
        predict: `first` network alone (paper), or the `mean` of both networks' logits.
    """

    cross_weight: float = 1.5
    start: int = 0
    ramp: int = 600
    frames: int = 4
    predict: Literal["first", "mean"] = "first"

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.cross_weight, self.start, self.ramp) < 0 or self.frames < 1:
            raise UsageError(
                f"cross_weight={self.cross_weight}, start={self.start}, ramp={self.ramp}, frames={self.frames}: "
                "weight, start and ramp must not be negative, frames at least 1"
            )


class CPS(Method):
    """Two U-Nets on single frames."""

    temporal = "frame"

    def __init__(self, config: CPSConfig) -> None:
        """Two draws of initial weights; with weights from a file the encoders start alike and the decoders do not."""
        super().__init__()
        self.config = config
        self.channels = config.channels
        self.first = UNet(config)
        self.second = UNet(config)

    def forward(self, clip: Float[Tensor, "B T 1 H W"]) -> Float[Tensor, "B T K H W"]:
        """Logits of every frame; frames do not see each other."""
        logits: Tensor = self.first(clip)
        return logits if self.config.predict == "first" else (logits + self.second(clip)) / 2

    def training_step(self, labelled: ClipBatch, unlabelled: ClipBatch | None, step: int) -> StepResult:
        """L = sum over networks of CE + Dice on labelled frames + weight(step) * CE against the other's labels."""
        config = self.config
        begun = step >= config.start
        weight = config.cross_weight * gaussian_ramp(step - config.start, config.ramp) if begun else 0.0
        frames = frames_of_step(labelled, unlabelled, config.frames if weight > 0 else 0, step)
        if not len(frames.masks):
            return StepResult((self.first.classifier.weight.sum() + self.second.classifier.weight.sum()) * 0.0, {})
        both = [net.segment_frames(frames.strong) for net in (self.first, self.second)]
        masks, flags = frames.masks.unsqueeze(1), frames.labelled.unsqueeze(1)
        (ce, dice), (ce_second, dice_second) = (supervised_loss(x.unsqueeze(1), masks, flags) for x in both)
        loss, logs = ce + dice + ce_second + dice_second, {"ce": float(ce.detach()), "dice_loss": float(dice.detach())}
        if weight > 0:
            one, two = (x[frames.drawn] for x in both)
            cross = confident_ce(one, two, 0.0)[0] + confident_ce(two, one, 0.0)[0]
            loss = loss + weight * cross
            logs |= {"cross": float(cross.detach()), "lambda": weight}
        return StepResult(loss, logs)

    def inference_parameters(self) -> int:
        """The first network, or both."""
        used = (self.first,) if self.config.predict == "first" else (self.first, self.second)
        return sum(p.numel() for net in used for p in net.parameters())

    def export_graph(self, height: int, width: int) -> ExportGraph:
        """Frame graph with a free batch size."""
        return frame_graph(self, height, width)
