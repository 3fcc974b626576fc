"""The runs that made the models in `echoseg/models/`."""

from __future__ import annotations

from dataclasses import replace

from echoseg.data import AugmentConfig
from echoseg.methods.framewise import FrameWiseConfig
from echoseg.recipes.base import DataConfig, ModelInfo, RunConfig
from echoseg.train import TrainConfig


def a4c_frame() -> RunConfig:
    """The first shipped model: a small frame-wise network on CAMUS A4C stills, augmented for other machines."""
    return RunConfig(
        "framewise",
        FrameWiseConfig(stages=3, decoder=(96, 64, 32), channels=4),
        DataConfig(size=128, stored_size=192, clip_length=2, batch=8, augment=AugmentConfig.machines()),
        TrainConfig(
            steps=2800, steps_per_epoch=50, optimiser="adamw", lr=2e-3, warmup_steps=100, weight_decay=1e-2,
            average=0.998, validate_every=5,
        ),
        ModelInfo(
            name="a4c",
            summary=(
                "Left ventricle, myocardium and left atrium in apical four-chamber views, frame by frame: a ResNet-18 cut after "
                "its third stage with a U-Net decoder."
            ),
            data=(
                "CAMUS (S. Leclerc et al., IEEE TMI 38(9), 2019), apical four-chamber ED and ES stills of 399 training "
                "patients; validated on 50 others. Random initial weights. CAMUS is licensed CC BY-NC-SA 4.0, and so are "
                "these weights: non-commercial use, attribution, share alike."
            ),
            licence="CC BY-NC-SA 4.0",
            limits=(
                "Frame by frame: nothing is known of neighbouring frames.",
                "Trained on one hospital's machines; other machines are covered by augmentation alone.",
                "The 50 validation patients also chose the checkpoint, and this recipe over one with stronger augmentation: "
                "expect a little less on unseen patients.",
                "Apical four-chamber views only; on any other view the masks mean nothing.",
            ),
            half=True,
        ),
    )  # fmt: skip


def a4c_sim() -> RunConfig:
    """The network of `a4c-frame` on simulated stills alone: train it on `echoseg simulate DIR --format camus --preset broad --foreshortened --fps 6`."""
    return replace(
        a4c_frame(),
        data=replace(a4c_frame().data, stored_size=160),
        model=ModelInfo(
            name="a4c-sim",
            summary="Left ventricle, myocardium and left atrium in apical views, learned from simulation alone.",
            licence="Apache-2.0",
            limits=("Has never seen a real heart.", "Frame by frame: nothing is known of neighbouring frames."),
            half=True,
        ),
    )
