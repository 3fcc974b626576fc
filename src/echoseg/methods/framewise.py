"""Frame-wise supervised baseline: a ResNet encoder with a U-Net decoder; every frame for itself.

Source: O. Ronneberger et al., U-Net, MICCAI 2015, with a ResNet (He et al., CVPR 2016) as encoder.
Only labelled frames reach the network in training. Licence: Apache-2.0 (this file; nothing was copied).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from echoseg.batch import ClipBatch
from echoseg.losses import supervised_loss
from echoseg.methods.base import ExportGraph, Method, StepResult, frame_graph
from echoseg.nn import UNet, UNetConfig


@dataclass(frozen=True)
class FrameWiseConfig(UNetConfig):
    """Configuration of the frame-wise baseline: that of its U-Net, nothing else."""


class FrameWise(UNet, Method):
    """ResNet U-Net on single frames: the network is the method, and its parameters' names have no prefix."""

    temporal = "frame"

    def __init__(self, config: FrameWiseConfig) -> None:
        """Build from a configuration."""
        super().__init__(config)
        self.config = config
        self.channels = config.channels

    def training_step(self, labelled: ClipBatch, unlabelled: ClipBatch | None, step: int) -> StepResult:
        """Cross-entropy + Dice on the labelled frames; the rest of the clip is not even computed."""
        chosen = labelled.labelled
        if not bool(chosen.any()):
            return StepResult(self.classifier.weight.sum() * 0.0, {})
        logits = self.segment_frames(labelled.clip[chosen])
        masks = labelled.masks[chosen]
        ce, dice = supervised_loss(
            logits.unsqueeze(1), masks.unsqueeze(1), torch.ones(len(masks), 1, dtype=torch.bool, device=masks.device)
        )
        return StepResult(ce + dice, {"ce": float(ce.detach()), "dice_loss": float(dice.detach())})

    def export_graph(self, height: int, width: int) -> ExportGraph:
        """Frame graph with a free batch size."""
        return frame_graph(self, height, width)
