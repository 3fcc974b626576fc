"""The frame-wise baseline's runs."""

from __future__ import annotations

from echoseg.methods.framewise import FrameWiseConfig
from echoseg.recipes.base import DataConfig, ModelInfo, RunConfig
from echoseg.recipes.echoforge import PAPER_AUGMENT
from echoseg.train import TrainConfig


def framewise() -> RunConfig:
    """ResNet-18 U-Net on ED and ES frames of the LV: the baseline beside every semi-supervised method."""
    return RunConfig(
        "framewise",
        FrameWiseConfig(),
        DataConfig(size=128, batch=2, clip_length=2, augment=PAPER_AUGMENT),
        TrainConfig(steps=2000, steps_per_epoch=40, lr=1e-3, warmup_steps=50),
        ModelInfo("framewise", summary="Frame-wise ResNet-18 U-Net."),
    )
