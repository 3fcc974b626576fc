"""EchoForge's runs: the paper's settings on the public data sets, and the lite size."""

from __future__ import annotations

from echoseg.data import AugmentConfig
from echoseg.methods.echoforge import EchoForgeConfig
from echoseg.recipes.base import DataConfig, ModelInfo, RunConfig
from echoseg.train import TrainConfig

CAMUS_LICENCE = "CC BY-NC-SA 4.0 (trained on CAMUS)"
PAPER_AUGMENT = AugmentConfig(rotate_deg=15.0, zoom=(0.85, 1.2), shift=0.05)


def camus_echoforge() -> RunConfig:
    """The paper's setting on CAMUS: ResNet-50, 256 px, 10 frames, Adam 1e-4, 50 epochs (800 cines, batch 4).

    The paper starts from ImageNet weights: add --network.weights hub, or a file.
    """
    return RunConfig(
        "echoforge",
        EchoForgeConfig.paper(),
        DataConfig(size=256, batch=4, augment=PAPER_AUGMENT),
        TrainConfig(steps=50 * 200, steps_per_epoch=200, lr=1e-4),
        ModelInfo("camus-echoforge", summary="EchoForge at the paper's size.", licence=CAMUS_LICENCE),
    )


def echonet_echoforge() -> RunConfig:
    """The paper's setting on EchoNet-Dynamic: ResNet-50, 128 px, 10 frames, 50 epochs (7465 cines, batch 4).

    The paper starts from ImageNet weights: add --network.weights hub, or a file.
    """
    return RunConfig(
        "echoforge",
        EchoForgeConfig.paper(),
        DataConfig(size=128, batch=4, augment=PAPER_AUGMENT),
        TrainConfig(steps=50 * 1866, steps_per_epoch=1866, lr=1e-4),
        ModelInfo(
            "echonet-echoforge",
            summary="EchoForge at the paper's size.",
            licence="research use only (EchoNet-Dynamic agreement)",
        ),
    )


def echoforge_lite() -> RunConfig:
    """ResNet-18 at 128 px from random weights: trains on a laptop."""
    return RunConfig(
        "echoforge",
        EchoForgeConfig.lite(),
        DataConfig(size=128, batch=2, augment=PAPER_AUGMENT),
        TrainConfig(steps=2000, steps_per_epoch=40, lr=3e-4, warmup_steps=50),
        ModelInfo("echoforge-lite", summary="EchoForge with a ResNet-18 encoder."),
    )
