"""CSS, stage 1: the network, the embedding of a frame and the training step."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange, reduce
from jaxtyping import Float, UInt8
from torch import Tensor, nn
from torchvision.models.segmentation.deeplabv3 import ASPP

from echoseg.batch import ClipBatch
from echoseg.errors import UsageError
from echoseg.losses import cross_entropy, soft_dice, targets
from echoseg.methods.base import ExportGraph, Method, StepResult, frame_graph
from echoseg.methods.css.config import CssConfig
from echoseg.methods.css.cycle import Cycle, cycle_loss
from echoseg.nn import Encoder

OUTPUT_STRIDE = 8


class Css(Method):
    """DeepLabV3 whose deepest features repeat with the heart's cycle."""

    temporal = "frame"

    def __init__(self, config: CssConfig) -> None:
        """Build from a configuration; names of parameters are those of torchvision's DeepLabV3."""
        super().__init__()
        self.config = config
        self.channels = config.channels
        self.backbone = Encoder(
            config.backbone, weights=config.weights, output_stride=OUTPUT_STRIDE, levels=(config.stages,)
        )
        width = config.pooling
        self.classifier = nn.Sequential(
            ASPP(self.backbone.channels[-1], config.rates, width),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, config.channels, 1),
        )

    def features(self, frames: Float[Tensor, "N 1 H W"]) -> Float[Tensor, "N C h w"]:
        """Deepest map of the encoder, at output stride 8."""
        deepest: Tensor = self.backbone(frames)[-1]
        return deepest

    def segment_frames(self, frames: Float[Tensor, "N 1 H W"]) -> Float[Tensor, "N K H W"]:
        """Logits of single frames."""
        logits = self.classifier(self.features(frames))
        return F.interpolate(logits, size=frames.shape[-2:], mode="bilinear", align_corners=False)

    def forward(self, clip: Float[Tensor, "B T 1 H W"]) -> Float[Tensor, "B T K H W"]:
        """Logits of every frame; frames do not see each other."""
        batch = clip.shape[0]  # not len(): an export would freeze it
        logits = self.segment_frames(rearrange(clip, "b t c h w -> (b t) c h w"))
        return rearrange(logits, "(b t) k h w -> b t k h w", b=batch)

    def embeddings(self, frames: Float[Tensor, "N 1 H W"]) -> Float[Tensor, "N d"]:
        """z: the deepest map summed (not averaged) over its positions."""
        features = self.features(frames)
        if self.training:
            # the head's batch statistics follow these frames as well, as they do where the whole network is run on them
            with torch.no_grad():
                self.classifier(features)
        return reduce(features.float(), "n d h w -> n d", "sum")

    def training_step(self, labelled: ClipBatch, unlabelled: ClipBatch | None, step: int) -> StepResult:
        """L = L_seg + w_css L_css (eq. 9); ED, ES and each unlabelled clip are three separate forwards.

        Without unlabelled clips the method is its own supervised control.
        """
        loss, logs = self._segmentation(labelled)
        if unlabelled is not None:
            css = self.cyclical(unlabelled.clip, draw_starts(step, len(unlabelled.clip), self.config.cycle))
            loss = loss + self.config.css_weight * css
            logs["css"] = float(css.detach())
        return StepResult(loss, logs)

    def cyclical(self, clip: Float[Tensor, "B T 1 H W"], starts: list[int]) -> Float[Tensor, ""]:
        """Cyclical loss, mean over clips; each clip is a forward of its own.

        Raises:
            UsageError: the clips have another length than the regions of the loss.
        """
        cycle = self.config.cycle
        if clip.shape[1] != cycle.length:
            raise UsageError(
                f"unlabelled clips of {clip.shape[1]} frames: the cyclical loss needs template + search + phase + shift - 1 "
                f"= {cycle.length}; set --data.unlabelled-clip-length {cycle.length}"
            )
        losses = [cycle_loss(self.embeddings(frames), start, cycle) for frames, start in zip(clip, starts, strict=True)]
        return torch.stack(losses).mean()

    def _segmentation(self, batch: ClipBatch) -> tuple[Float[Tensor, ""], dict[str, float]]:
        """L_seg: half of the summed cross-entropies of the ED frames and of the ES frames (eq. 8)."""
        ends = [place[batch.labelled[:, index]] for index, place in ((0, batch.clip[:, 0]), (-1, batch.clip[:, -1]))]
        masks = [batch.masks[batch.labelled[:, index], index] for index in (0, -1)]
        if min(map(len, ends)) < 2 and self.training:
            ends, masks = [torch.cat(ends)], [torch.cat(masks)]
        pairs = [(self.segment_frames(x).float(), y) for x, y in zip(ends, masks, strict=True) if len(x)]
        if not pairs:
            return next(self.classifier[-1].parameters()).sum() * 0.0, {}
        loss = torch.stack([summed_cross_entropy(x, y) for x, y in pairs]).sum() / 2
        return loss, {"seg": float(loss.detach())} | _monitor(pairs)

    def export_graph(self, height: int, width: int) -> ExportGraph:
        """Frame graph with a free batch size."""
        return frame_graph(self, height, width)


def draw_starts(step: int, clips: int, cycle: Cycle) -> list[int]:
    """p* of every clip of a step, uniform; a pure function of the step, so that a resumed run draws the same."""
    drawn: list[int] = np.random.default_rng([0xC55, step]).integers(0, cycle.starts, clips).tolist()
    return drawn


def summed_cross_entropy(logits: Float[Tensor, "N K H W"], masks: UInt8[Tensor, "N H W"]) -> Float[Tensor, ""]:
    """(Binary) cross-entropy, summed over frames and pixels: the learning rate 1e-5 and w_css = 0.01 belong to the sum."""
    target, valid = targets(masks, logits.shape[1])
    return cross_entropy(logits, target, valid) * valid.sum()


@torch.no_grad()
def _monitor(pairs: list[tuple[Tensor, Tensor]]) -> dict[str, float]:
    """Mean cross-entropy and Dice loss, which other methods log, too."""
    logits, masks = (torch.cat(parts) for parts in zip(*pairs, strict=True))
    target, valid = targets(masks, logits.shape[1])
    return {"ce": float(cross_entropy(logits, target, valid)), "dice_loss": float(soft_dice(logits, target, valid))}
