"""PKEcho-Net's runs: the paper's settings on the public data sets, and the lite size."""

from __future__ import annotations

from echoseg.data import AugmentConfig
from echoseg.methods.pkecho import PKEchoConfig
from echoseg.recipes.base import DataConfig, ModelInfo, RunConfig
from echoseg.recipes.echoforge import CAMUS_LICENCE
from echoseg.train import TrainConfig

AUGMENT = AugmentConfig(
    rotate_deg=20.0, zoom=(1.0, 1.0), aspect=(1.0, 1.0), shift=0.0, flip=0.5, gamma=(1.0, 1.0), contrast=(0.85, 1.15),
    brightness=0.15,
)  # fmt: skip
"""Horizontal flip, rotation, brightness and contrast, the same for all frames of a clip (paper)."""


def camus_pkecho() -> RunConfig:
    """The paper's setting on CAMUS: ResNet-50, 320 px, 10 frames, Adam 1e-3, 50 epochs (800 cines, batch 8).

    The paper starts from ImageNet weights: add --network.weights hub, or a file. Its attention over the clips of a batch is off: add
    --network.cross-video.
    """
    return RunConfig(
        "pkecho",
        PKEchoConfig(),
        DataConfig(size=320, batch=8, augment=AUGMENT),
        TrainConfig(steps=50 * 100, steps_per_epoch=100, lr=1e-3),
        ModelInfo("camus-pkecho", summary="PKEcho-Net at the paper's size.", licence=CAMUS_LICENCE),
    )


def echonet_pkecho() -> RunConfig:
    """The paper's setting on EchoNet-Dynamic: ResNet-50, 128 px, 10 frames, Adam 1e-3, 50 epochs (7465 cines, batch 8).

    The paper starts from ImageNet weights: add --network.weights hub, or a file. Its attention over the clips of a batch is off: add
    --network.cross-video.
    """
    return RunConfig(
        "pkecho",
        PKEchoConfig(),
        DataConfig(size=128, batch=8, augment=AUGMENT),
        TrainConfig(steps=50 * 933, steps_per_epoch=933, lr=1e-3),
        ModelInfo(
            "echonet-pkecho",
            summary="PKEcho-Net at the paper's size.",
            licence="research use only (EchoNet-Dynamic agreement)",
        ),
    )


def pkecho_lite() -> RunConfig:
    """ResNet-18 at 128 px from random weights: trains on a laptop."""
    return RunConfig(
        "pkecho",
        PKEchoConfig.lite(),
        DataConfig(size=128, batch=2, augment=AUGMENT),
        TrainConfig(steps=2000, steps_per_epoch=40, lr=1e-3, warmup_steps=50),
        ModelInfo("pkecho-lite", summary="PKEcho-Net with a ResNet-18 encoder."),
    )
