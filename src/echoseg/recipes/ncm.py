"""Runs of the NCM-style method, an interpretation of an abstract.

Every setting is our choice: the paper's are not known, and no number of it belongs to these runs.
"""

from __future__ import annotations

from echoseg.methods.ncm import NCMConfig
from echoseg.recipes.base import DataConfig, ModelInfo, RunConfig
from echoseg.recipes.echoforge import CAMUS_LICENCE, PAPER_AUGMENT
from echoseg.train import TrainConfig

SUMMARY = "NCM-style: our interpretation of the abstract of NCM-Net (IEEE TMI 2025), not a reproduction of it."
LIMITS = ("Built from an abstract alone: nothing measured with it says anything about the published method.",)


def camus_ncm() -> RunConfig:
    """NCM-style on CAMUS: ResNet-50, 256 px, 10 frames, Adam 1e-4, 50 epochs (800 cines, batch 4).

    An interpretation of an abstract. ImageNet weights are meant to help: add --network.weights hub, or a file.
    """
    return RunConfig(
        "ncm",
        NCMConfig(boundary_ramp=20 * 200),
        DataConfig(size=256, batch=4, augment=PAPER_AUGMENT),
        TrainConfig(steps=50 * 200, steps_per_epoch=200, lr=1e-4),
        ModelInfo("camus-ncm", summary=SUMMARY, licence=CAMUS_LICENCE, limits=LIMITS),
    )


def echonet_ncm() -> RunConfig:
    """NCM-style on EchoNet-Dynamic: ResNet-50, 128 px, 10 frames, 50 epochs (7465 cines, batch 4).

    An interpretation of an abstract. ImageNet weights are meant to help: add --network.weights hub, or a file.
    """
    return RunConfig(
        "ncm",
        NCMConfig(boundary_ramp=20 * 1866),
        DataConfig(size=128, batch=4, augment=PAPER_AUGMENT),
        TrainConfig(steps=50 * 1866, steps_per_epoch=1866, lr=1e-4),
        ModelInfo(
            "echonet-ncm",
            summary=SUMMARY,
            licence="research use only (EchoNet-Dynamic agreement)",
            limits=LIMITS,
        ),
    )


def ncm_lite() -> RunConfig:
    """NCM-style with a ResNet-18 at 128 px from random weights: trains on a laptop.

    An interpretation of an abstract.
    """
    return RunConfig(
        "ncm",
        NCMConfig.lite(),
        DataConfig(size=128, batch=2, augment=PAPER_AUGMENT),
        TrainConfig(steps=2000, steps_per_epoch=40, lr=3e-4, warmup_steps=50),
        ModelInfo("ncm-lite", summary=SUMMARY, limits=LIMITS),
    )
