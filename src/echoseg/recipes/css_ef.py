"""Runs of CSS's stages 2 and 3: the paper's settings, and sizes for a laptop."""

from __future__ import annotations

from dataclasses import replace

from echoseg.methods.ef.distilled import DistilledEfConfig
from echoseg.methods.ef.guided import GuidedEfConfig
from echoseg.recipes.base import ModelInfo
from echoseg.recipes.ef_base import EfDataConfig, EfRunConfig
from echoseg.train import TrainConfig

EPOCHS, EPOCH = 25, 920 // 20
"""Epochs, and steps of one with an eighth of the labels, 20 clips a step."""
PAPER_SCHEDULE = TrainConfig(
    steps=EPOCHS * EPOCH, steps_per_epoch=EPOCH, optimiser="sgd", lr=1e-4, poly_power=0.0, drop_epochs=15,
    weight_decay=1e-4, grad_clip=0.0, precision="32-true", validate_every=1,
)  # fmt: skip
LITE_SCHEDULE = TrainConfig(
    steps=1200, steps_per_epoch=30, lr=1e-3, warmup_steps=50, weight_decay=1e-4, precision="32-true", validate_every=2
)
LITE_DATA = EfDataConfig(clip_length=16, step_s=0.08, batch=4)
LITE_WIDTH, LITE_BLOCKS = 16, (1, 1, 1, 1)
RESEARCH = "research use only (that of the training data)"


def css_ef_m() -> EfRunConfig:
    """CSS stage 2: R(2+1)D-18 on clips of 32 frames and the masks of --data.masks RUN; 920 labelled cines.

    The paper starts from Kinetics-400 weights: add --network.weights hub, or a file. With another label budget, set
    --train.steps-per-epoch to labelled cines / 20 and --train.steps to 25 times that.
    """
    return EfRunConfig(
        "css-ef-m",
        GuidedEfConfig(),
        EfDataConfig(),
        PAPER_SCHEDULE,
        ModelInfo("css-ef-m", summary="Ejection fraction from frames and masks, CSS stage 2.", licence=RESEARCH),
    )


def css_ef_e() -> EfRunConfig:
    """CSS stage 3: the same network on frames alone, taught by stage 2 (--data.teacher RUN) on unlabelled cines."""
    return EfRunConfig(
        "css-ef-e",
        DistilledEfConfig(),
        EfDataConfig(unlabelled_batch=10, traced="labelled"),
        PAPER_SCHEDULE,
        ModelInfo("css-ef-e", summary="Ejection fraction from frames alone, CSS stage 3.", licence=RESEARCH),
    )


def css_ef_m_lite() -> EfRunConfig:
    """CSS stage 2 for two laptop cores: a narrow network, 16 frames 0.08 s apart, from random weights."""
    return replace(
        css_ef_m(),
        network=GuidedEfConfig(width=LITE_WIDTH, blocks=LITE_BLOCKS),
        data=LITE_DATA,
        train=LITE_SCHEDULE,
        model=ModelInfo("css-ef-m-lite", summary="Ejection fraction from frames and masks, CSS stage 2, small."),
    )


def css_ef_e_lite() -> EfRunConfig:
    """CSS stage 3 for two laptop cores, taught by a run of css-ef-m-lite."""
    return replace(
        css_ef_e(),
        network=DistilledEfConfig(width=LITE_WIDTH, blocks=LITE_BLOCKS),
        data=replace(LITE_DATA, unlabelled_batch=2, traced="labelled"),
        train=replace(LITE_SCHEDULE, lr=3e-4),
        model=ModelInfo("css-ef-e-lite", summary="Ejection fraction from frames alone, CSS stage 3, small."),
    )
