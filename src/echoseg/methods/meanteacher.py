"""Mean teacher: the student must agree with the average of its own past weights on frames without labels.

Paper: A. Tarvainen, H. Valpola, "Mean teachers are better role models: weight-averaged consistency targets improve
semi-supervised deep learning results", NeurIPS 2017. A baseline: the network is the U-Net of the frame-wise one, so
that what is gained over it is gained by the frames between ED and ES. With `consistency_weight=0` it is its own
supervised-only control: the same labelled batches and steps, predicted with the averaged weights all the same.

Deviations: the paper classifies images; here each pixel is classified. KL runs from student to teacher. Hard targets
above a threshold are not in the paper. Licence: Apache-2.0 (nothing was copied).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from echoseg.batch import ClipBatch, frames_of_step
from echoseg.errors import UsageError
from echoseg.losses import bernoulli_kl, confident_ce, gaussian_ramp, probability_mse, supervised_loss
from echoseg.methods.base import ExportGraph, Method, StepResult, frame_graph
from echoseg.nn import Ema, UNet, UNetConfig


@dataclass(frozen=True)
class MeanTeacherConfig(UNetConfig):
    """Configuration of the mean teacher: its U-Net's and its own. All values are our choice but `loss` (paper: mse).

    Attributes:
        consistency_weight: of the consistency after the ramp; 0 = supervised-only control.
        start: first step of the ramp. A teacher that has learned little teaches its mistakes, hard targets most of all.
        ramp: steps from there until the weight is reached, exp(-5 (1 - step / ramp)^2).
        frames: frames drawn of each clip and step for the consistency; a clip with fewer gives all. Time grows with it.
        loss: consistency with soft targets: squared difference of probabilities, or KL.
        target: `soft` = the teacher's probabilities; `hard` = its labels, where it is sure, with cross-entropy.
        threshold: least probability of a hard label that counts.
        decay: of the teacher's average; in step t it is at most 1 - 1 / (t + 1), so that the start does not linger.
        predict: whose masks are validated and exported.
    """

    consistency_weight: float = 1.0
    start: int = 0
    ramp: int = 600
    frames: int = 4
    loss: Literal["mse", "kl"] = "mse"
    target: Literal["soft", "hard"] = "soft"
    threshold: float = 0.8
    decay: float = 0.99
    predict: Literal["teacher", "student"] = "teacher"

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.consistency_weight, self.start, self.ramp) < 0 or self.frames < 1:
            raise UsageError(
                f"consistency_weight={self.consistency_weight}, start={self.start}, ramp={self.ramp}, frames={self.frames}: "
                "weight, start and ramp must not be negative, frames at least 1"
            )
        if not 0 <= self.threshold <= 1 or not 0 <= self.decay < 1:
            raise UsageError(
                f"threshold={self.threshold}, decay={self.decay}: need 0 <= threshold <= 1 and 0 <= decay < 1"
            )


class MeanTeacher(Method):
    """Student and teacher U-Net on single frames."""

    temporal = "frame"

    def __init__(self, config: MeanTeacherConfig) -> None:
        """Student from scratch; the teacher starts as its copy."""
        super().__init__()
        self.config = config
        self.channels = config.channels
        self.student = UNet(config)
        self.teacher = Ema(self.student, config.decay)

    @property
    def _predictor(self) -> torch.nn.Module:
        return self.teacher.model if self.config.predict == "teacher" else self.student

    def forward(self, clip: Float[Tensor, "B T 1 H W"]) -> Float[Tensor, "B T K H W"]:
        """Logits of every frame; frames do not see each other."""
        logits: Tensor = self._predictor(clip)
        return logits

    def training_step(self, labelled: ClipBatch, unlabelled: ClipBatch | None, step: int) -> StepResult:
        """L = CE + Dice of the student on labelled frames + weight(step) * consistency on drawn frames."""
        config = self.config
        begun = step >= config.start
        weight = config.consistency_weight * gaussian_ramp(step - config.start, config.ramp) if begun else 0.0
        frames = frames_of_step(labelled, unlabelled, config.frames if weight > 0 else 0, step)
        if not len(frames.masks):
            return StepResult(self.student.classifier.weight.sum() * 0.0, {})
        logits = self.student.segment_frames(frames.strong)
        ce, dice = supervised_loss(logits.unsqueeze(1), frames.masks.unsqueeze(1), frames.labelled.unsqueeze(1))
        loss, logs = ce + dice, {"ce": float(ce.detach()), "dice_loss": float(dice.detach())}
        if weight > 0:
            consistency, used = self._consistency(logits[frames.drawn], frames.weak[frames.drawn])
            loss = loss + weight * consistency
            logs |= {"consistency": float(consistency.detach()), "confident": used, "lambda": weight}
        return StepResult(loss, logs)

    def _consistency(
        self, student: Float[Tensor, "N K H W"], weak: Float[Tensor, "N 1 H W"]
    ) -> tuple[Float[Tensor, ""], float]:
        """Disagreement with the teacher, which sees the weak view, and the fraction of pixels that count."""
        with torch.no_grad():
            teacher = self.teacher.model(weak.unsqueeze(1)).squeeze(1)
        if self.config.target == "hard":
            loss, used = confident_ce(student, teacher, self.config.threshold)
            return loss, float(used)
        return (probability_mse if self.config.loss == "mse" else bernoulli_kl)(student, teacher), 1.0

    def after_optimizer_step(self, step: int) -> None:
        """Teacher: theta' <- d theta' + (1 - d) theta, d = min(decay, 1 - 1 / (step + 1))."""
        self.teacher.update(self.student, min(self.config.decay, 1 - 1 / (step + 1)))

    def inference_parameters(self) -> int:
        """One of the two networks."""
        return sum(p.numel() for p in self._predictor.parameters())

    def export_graph(self, height: int, width: int) -> ExportGraph:
        """Frame graph with a free batch size."""
        return frame_graph(self, height, width)
