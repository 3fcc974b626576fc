"""SSCF's losses, mean teacher and training step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from echoseg.batch import ClipBatch
from echoseg.losses import bernoulli_kl, cross_entropy, probability_mse, quadratic_ramp, targets
from echoseg.methods.base import ExportGraph, Method, StepResult
from echoseg.methods.sscf.config import SSCFConfig
from echoseg.methods.sscf.network import SSCFNet, Triplet, clip_triplets
from echoseg.nn import Ema
from echoseg.nn.cost import parameters

DICE_WEIGHT, BCE_WEIGHT = 0.5, 0.5  # eq. 7
MSE_WEIGHT, KL_WEIGHT = 0.5, 0.5  # eq. 10


def squared_dice(
    logits: Float[Tensor, "N K H W"], target: Float[Tensor, "N K H W"], valid: Bool[Tensor, "N 1 H W"]
) -> Float[Tensor, ""]:
    """Dice loss 1 - 2 sum pg / (sum p^2 + sum g^2), eq. 6, per frame and structure; the mean.

    The background channel of a softmax output is left out. A structure that is neither there nor predicted costs nothing.
    """
    logits = torch.where(valid, logits, 0.0)
    if logits.shape[1] == 1:
        prob = logits.sigmoid()
    else:
        prob, target = logits.softmax(1)[:, 1:], target[:, 1:]
    prob, target = torch.where(valid, prob, 0.0), torch.where(valid, target, 0.0)
    guard = 1e-6  # 0 / 0
    overlap = 2 * (prob * target).sum((2, 3)) + guard
    return (1 - overlap / (prob.square().sum((2, 3)) + target.square().sum((2, 3)) + guard)).mean()


def consistency(student: Float[Tensor, "N K H W"], teacher: Float[Tensor, "N K H W"]) -> Float[Tensor, ""]:
    """L_c, eq. 10, of two sets of logits; zero if and only if both give the same probabilities."""
    return MSE_WEIGHT * probability_mse(student, teacher) + KL_WEIGHT * bernoulli_kl(student, teacher)


@dataclass(frozen=True, eq=False)
class Views:
    """The frames of all clips of a step, one after the other.

    Attributes:
        strong: what the student sees.
        weak: what the teacher sees.
        masks: labels, `IGNORE` where there are none.
        labelled: triplets around labelled frames.
        others: triplets around all other frames.
    """

    strong: Float[Tensor, "N 1 H W"]
    weak: Float[Tensor, "N 1 H W"]
    masks: UInt8[Tensor, "N H W"]
    labelled: list[Triplet]
    others: list[Triplet]

    @classmethod
    def of(cls, *batches: ClipBatch) -> Views:
        """Views of batches, whose clips may differ in length."""
        triplets: list[Triplet] = []
        for batch in batches:
            clips, length = batch.labelled.shape
            triplets += clip_triplets(clips, length, first=len(triplets))
        flags = torch.cat([batch.labelled.flatten() for batch in batches]).tolist()
        return cls(
            torch.cat([batch.clip.flatten(0, 1) for batch in batches]),
            torch.cat([batch.weak.flatten(0, 1) for batch in batches]),
            torch.cat([batch.masks.flatten(0, 1) for batch in batches]),
            [t for t, flag in zip(triplets, flags, strict=True) if flag],
            [t for t, flag in zip(triplets, flags, strict=True) if not flag],
        )


class SSCF(Method):
    """SSCF with its mean teacher."""

    temporal = "window"
    clip_length: Tensor

    def __init__(self, config: SSCFConfig) -> None:
        """Student from scratch or from pretrained trunks; the teacher starts as its copy."""
        super().__init__()
        self.config = config
        self.channels = config.channels
        self.net = SSCFNet(config)
        self.teacher = Ema(self.net, config.decay) if config.weight > 0 else None
        # an exported window has the length of the clips of the training; before any, that of the published protocols
        self.register_buffer("clip_length", torch.tensor(10))

    @property
    def predictor(self) -> SSCFNet:
        """The network whose masks count."""
        if self.teacher is not None and self.config.predict == "teacher":
            return cast(SSCFNet, self.teacher.model)
        return self.net

    def forward(self, clip: Float[Tensor, "B T 1 H W"]) -> Float[Tensor, "B T K H W"]:
        """Logits of every frame, from the frame and its two neighbours in the clip."""
        logits: Tensor = self.predictor(clip)
        return logits

    def training_step(self, labelled: ClipBatch, unlabelled: ClipBatch | None, step: int) -> StepResult:
        """L = L_s on labelled frames + lambda(t) L_c on some of the others, eq. 11, both as means over their frames."""
        self.clip_length.fill_(labelled.clip.shape[1])
        generator = torch.Generator().manual_seed(step)
        views = Views.of(labelled) if unlabelled is None or self.teacher is None else Views.of(labelled, unlabelled)
        others = [] if self.teacher is None else _drawn(views.others, self.config.unsupervised, generator)
        if not views.labelled and not others:
            return StepResult(next(self.net.parameters()).sum() * 0.0, {})
        # one pass, so that both kinds of frames share their batch statistics
        logits = self.net.segment(views.strong, [*views.labelled, *others]).float()
        split = len(views.labelled)
        loss, logs = self._supervised(logits[:split], views)
        if self.teacher is not None and others:
            agreement = consistency(logits[split:], self._taught(self.teacher, views.weak, others, generator))
            weight = self.config.weight * quadratic_ramp(step, self.config.ramp)
            loss = loss + weight * agreement
            logs |= {"consistency": float(agreement.detach()), "lambda": weight}
        return StepResult(loss, logs)

    def after_optimizer_step(self, step: int) -> None:
        """Eq. 12: theta' <- eta theta' + (1 - eta) theta."""
        if self.teacher is not None:
            self.teacher.update(self.net)

    def inference_parameters(self) -> int:
        """One of the two networks."""
        return parameters(self.net)

    def export_graph(self, height: int, width: int) -> ExportGraph:
        """Window graph of the clip length that was trained last."""
        clip = torch.zeros(1, int(self.clip_length), 1, height, width)
        return ExportGraph(self.predictor, (clip,), ("clip",), ("logits",))

    def _supervised(self, logits: Float[Tensor, "L K H W"], views: Views) -> tuple[Tensor, dict[str, float]]:
        """L_s, eq. 7, without its last term, which is the optimiser's weight decay; 0 without labels."""
        if not len(logits):
            return logits.sum() * 0.0, {}
        target, valid = targets(views.masks[[current for _, current, _ in views.labelled]], self.channels)
        ce, dice = cross_entropy(logits, target, valid), squared_dice(logits, target, valid)
        return DICE_WEIGHT * dice + BCE_WEIGHT * ce, {"ce": float(ce.detach()), "dice_loss": float(dice.detach())}

    @torch.no_grad()
    def _taught(
        self, teacher: Ema, weak: Float[Tensor, "N 1 H W"], others: list[Triplet], generator: torch.Generator
    ) -> Float[Tensor, "U K H W"]:
        """The teacher's logits of the same frames, seen without the student's changes of gray and under noise of its own."""
        noise = torch.randn(weak.shape, generator=generator).to(weak)
        return cast(SSCFNet, teacher.model).segment(weak + self.config.noise * noise, others).float()


def _drawn(triplets: list[Triplet], count: int, generator: torch.Generator) -> list[Triplet]:
    """Up to `count` triplets, drawn without replacement, in the order of their frames."""
    chosen = torch.randperm(len(triplets), generator=generator)[:count].tolist()
    return [triplets[i] for i in sorted(chosen)]
