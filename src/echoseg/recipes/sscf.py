"""SSCF's runs: the paper's settings on the public data sets, and the lite size."""

from __future__ import annotations

from echoseg.data import AugmentConfig
from echoseg.methods.sscf import SSCFConfig
from echoseg.recipes.base import DataConfig, ModelInfo, RunConfig
from echoseg.recipes.echoforge import CAMUS_LICENCE, PAPER_AUGMENT
from echoseg.train import TrainConfig

EPOCHS = 100
CLIPS = 2
"""Labelled clips a step: with ED and ES of each, four labelled triplets."""

SSCF_AUGMENT = AugmentConfig(
    rotate_deg=15.0, zoom=(1.0, 1.0), aspect=(1.0, 1.0), shift=0.0, flip=0.5, gamma=(1.0, 1.0), contrast=(1.0, 1.0),
    brightness=0.0, noise=0.05,
)  # fmt: skip
"""The paper's rotation and mirror image; noise on the student's view, without which it would see what the teacher sees."""


def camus_sscf() -> RunConfig:
    """The paper's setting on CAMUS: 256 px, Adam 1e-4, 100 epochs (800 cines), from random weights.

    Half sequences end at ED and ES, so that unlabelled triplets come from the labelled clips.
    """
    steps_per_epoch = 800 // CLIPS
    return RunConfig(
        "sscf",
        SSCFConfig.paper(ramp=EPOCHS * steps_per_epoch),
        DataConfig(size=256, batch=CLIPS, augment=SSCF_AUGMENT),
        _paper_schedule(steps_per_epoch),
        ModelInfo("camus-sscf", summary="SSCF at the paper's size.", licence=CAMUS_LICENCE),
    )


def echonet_sscf() -> RunConfig:
    """The paper's setting on EchoNet-Dynamic: 256 px, Adam 1e-4, 100 epochs (7465 cines), from random weights.

    Unlabelled triplets come from the labelled clips and from anywhere in the cines.
    """
    steps_per_epoch = 7465 // CLIPS
    return RunConfig(
        "sscf",
        SSCFConfig.paper(ramp=EPOCHS * steps_per_epoch),
        DataConfig(size=256, batch=CLIPS, unlabelled_batch=CLIPS, unlabelled_source="both", augment=SSCF_AUGMENT),
        _paper_schedule(steps_per_epoch),
        ModelInfo(
            "echonet-sscf",
            summary="SSCF at the paper's size.",
            licence="research use only (EchoNet-Dynamic agreement)",
        ),
    )


def sscf_lite() -> RunConfig:
    """Trunks of a quarter of the width at 128 px from random weights: trains on a laptop."""
    steps = 2000
    return RunConfig(
        "sscf",
        SSCFConfig.lite(ramp=steps),
        DataConfig(size=128, batch=CLIPS, augment=PAPER_AUGMENT),
        TrainConfig(steps=steps, steps_per_epoch=40, lr=1e-3, warmup_steps=50),
        ModelInfo("sscf-lite", summary="SSCF with narrow ResNet-18 encoders."),
    )


def _paper_schedule(steps_per_epoch: int) -> TrainConfig:
    """Weight decay is the last term of eq. 7."""
    return TrainConfig(
        steps=EPOCHS * steps_per_epoch, steps_per_epoch=steps_per_epoch, lr=1e-4, weight_decay=1e-6, grad_clip=0.0,
        precision="32-true",
    )  # fmt: skip
