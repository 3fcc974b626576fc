"""CSS's runs: the paper's settings on the public data sets, the label budgets of its tables, and the lite size."""

from __future__ import annotations

from dataclasses import replace

from echoseg.data import AugmentConfig
from echoseg.methods.css import CssConfig
from echoseg.recipes.base import DataConfig, ModelInfo, RunConfig
from echoseg.recipes.echoforge import CAMUS_LICENCE, PAPER_AUGMENT
from echoseg.train import TrainConfig

ECHONET_LICENCE = "research use only (EchoNet-Dynamic agreement)"
EPOCHS, VIDEOS = 25, 20
"""Epochs, and labelled videos a step."""


def echonet_css() -> RunConfig:
    """CSS with every label of EchoNet-Dynamic: DeepLabV3, 112 px, 40 frames 0.06 s apart; SGD 1e-5, 25 epochs.

    The paper starts from ImageNet weights: add --network.weights hub, or a file.
    """
    steps_per_epoch = 7465 // VIDEOS
    return RunConfig(
        "css",
        CssConfig.paper(),
        DataConfig(
            size=112, clip_length=2, batch=VIDEOS, unlabelled_batch=1, unlabelled_clip_length=40,
            unlabelled_step_s=0.06, unlabelled_source="labelled", augment=AugmentConfig.none(),
        ),
        TrainConfig(
            steps=EPOCHS * steps_per_epoch, steps_per_epoch=steps_per_epoch, optimiser="sgd", lr=1e-5, poly_power=0.0,
            grad_clip=0.0, precision="32-true", validate_every=1,
        ),
        ModelInfo("echonet-css", summary="CSS stage 1 at the paper's size.", licence=ECHONET_LICENCE),
    )  # fmt: skip


def echonet_css_eighth() -> RunConfig:
    """CSS with an eighth of the labels: 920 labelled and 6440 unlabelled videos, split as the paper does."""
    return _with_labels(920, "eighth")


def echonet_css_quarter() -> RunConfig:
    """CSS with a quarter of the labels: 1840 labelled and 5520 unlabelled videos, split as the paper does."""
    return _with_labels(1840, "quarter")


def echonet_css_half() -> RunConfig:
    """CSS with half of the labels: 3680 labelled and as many unlabelled videos, split as the paper does."""
    return _with_labels(3680, "half")


def _with_labels(labelled: int, name: str) -> RunConfig:
    config, epoch = echonet_css(), labelled // VIDEOS
    return replace(
        config,
        data=replace(
            config.data,
            labelled_cines=labelled,
            unlabelled_cines=7360 - labelled,
            label_split="css",
            unlabelled_source="unlabelled",
        ),
        train=replace(config.train, steps=EPOCHS * epoch, steps_per_epoch=epoch),
        model=replace(config.model, name=f"echonet-css-{name}"),
    )


def camus_css() -> RunConfig:
    """CSS on CAMUS, our choice: the paper only tests there. Half beats are played to and fro, as its external test does.

    The paper starts from ImageNet weights: add --network.weights hub, or a file.
    """
    config, epoch = echonet_css(), 800 // VIDEOS
    return replace(
        config,
        data=replace(config.data, unlabelled_source="both", unlabelled_mirror=True),
        train=replace(config.train, steps=EPOCHS * epoch, steps_per_epoch=epoch),
        model=ModelInfo("camus-css", summary="CSS stage 1 at the paper's size.", licence=CAMUS_LICENCE),
    )


def css_lite() -> RunConfig:
    """ResNet-18 at 112 px from random weights, clips of 21 frames: trains on two laptop cores. Cines need 2.4 s."""
    return RunConfig(
        "css",
        CssConfig.lite(),
        DataConfig(
            size=112, clip_length=2, batch=4, unlabelled_batch=1, unlabelled_clip_length=21, unlabelled_step_s=0.12,
            unlabelled_source="both", augment=PAPER_AUGMENT,
        ),
        TrainConfig(steps=1500, steps_per_epoch=30, lr=1e-3, warmup_steps=50, grad_clip=0.0, precision="32-true"),
        ModelInfo("css-lite", summary="CSS stage 1 with a ResNet-18 encoder."),
    )  # fmt: skip
