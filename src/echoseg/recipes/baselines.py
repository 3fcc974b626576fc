"""The semi-supervised baselines' runs, with the frame-wise baseline's network, schedule and labelled frames."""

from __future__ import annotations

from dataclasses import replace

from echoseg.methods.cps import CPSConfig
from echoseg.methods.meanteacher import MeanTeacherConfig
from echoseg.recipes.base import DataConfig, ModelInfo, RunConfig
from echoseg.recipes.framewise import framewise


def meanteacher_lite() -> RunConfig:
    """Mean teacher with the ResNet-18 U-Net of `framewise`: as many steps on the same ED and ES frames.

    Its supervised-only control is --network.consistency-weight 0.
    """
    return replace(
        framewise(),
        method="meanteacher",
        network=MeanTeacherConfig(),
        data=_with_frames_between(framewise().data),
        model=ModelInfo("meanteacher-lite", summary="Frame-wise ResNet-18 U-Net, trained as a mean teacher."),
    )


def cps_lite() -> RunConfig:
    """Cross pseudo supervision of two ResNet-18 U-Nets of `framewise`: as many steps on the same ED and ES frames.

    Its supervised-only control is --network.cross-weight 0.
    """
    return replace(
        framewise(),
        method="cps",
        network=CPSConfig(),
        data=_with_frames_between(framewise().data),
        model=ModelInfo("cps-lite", summary="Frame-wise ResNet-18 U-Net, trained by cross pseudo supervision."),
    )


def _with_frames_between(data: DataConfig) -> DataConfig:
    """The same labelled clips with the frames between, and as many clips without labels where there are any."""
    return replace(data, clip_length=10, unlabelled_batch=data.batch)
