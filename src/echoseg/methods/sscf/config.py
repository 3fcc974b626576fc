"""SSCF's configuration and presets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from echoseg.errors import UsageError

Backbone = Literal["resnet18", "resnet34"]
Calibration = Literal["factored", "kernels"]

PAPER_WIDTH = 64


@dataclass(frozen=True)
class SSCFConfig:
    """Configuration of SSCF.

    Attributes:
        backbone: trunk of each encoder (paper: resnet18).
        weights: `none` (paper), `hub` (ImageNet, the public model) or a file.
        width: channels of the first stage; each of the three others doubles them (paper: 64).
        channels: 1 = LV alone (paper), 4 = background, LV, myocardium, left atrium.
        tce: an encoder of its own for each place in a triplet; off = one encoder for all three (ablation).
        bssf: calibrated fusion of the three frames; off = 1x1 convolution of the three feature maps side by side (ablation).
        dilations: of the calibration kernels, their results averaged (public model: 1; paper: several, unnamed).
        calibration: `factored` convolves with G and then mixes channels, `kernels` builds each sample's C x C x 3 x 3 kernels as the paper
            writes it. The same function of the same weights.
        weight: of the consistency on unlabelled frames at the end of its ramp (paper: 1); 0 = no teacher, the supervised-only control.
        ramp: t_max of the ramp (t / t_max)^2, steps; the paper's is the whole training, train.steps.
        unsupervised: triplets a step whose centre frame has no label, drawn from the clips of both streams.
        decay: eta of the teacher's moving average (paper: 0.99).
        noise: standard deviation of white noise on the teacher's frames, in units of the normalised gray.
        predict: whose masks are validated and exported (paper: student).
    """

    backbone: Backbone = "resnet18"
    weights: str = "none"
    width: int = PAPER_WIDTH
    channels: int = 1
    tce: bool = True
    bssf: bool = True
    dilations: tuple[int, ...] = (1,)
    calibration: Calibration = "factored"
    weight: float = 1.0
    ramp: int = 2000
    unsupervised: int = 4
    decay: float = 0.99
    noise: float = 0.05
    predict: Literal["student", "teacher"] = "student"

    def __post_init__(self) -> None:
        if self.channels not in (1, 4):
            raise UsageError(f"channels={self.channels}: 1 (LV) or 4 (background, LV, myocardium, left atrium)")
        if self.width < 8 or self.width % 4:
            raise UsageError(f"width={self.width}: must be a multiple of 4, at least 8")
        if self.weights != "none" and self.width != PAPER_WIDTH:
            raise UsageError(
                f"weights={self.weights}, width={self.width}: pretrained trunks have width {PAPER_WIDTH}; "
                "give that width, or weights=none"
            )
        if not self.dilations or min(self.dilations) < 1:
            raise UsageError(f"dilations={self.dilations}: give one or more, each at least 1")
        self._check_training()

    def _check_training(self) -> None:
        for name in ("ramp", "unsupervised"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)}: must be at least 1")
        for name in ("weight", "noise"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name}={getattr(self, name)}: must not be negative")
        if not 0 <= self.decay < 1:
            raise UsageError(f"decay={self.decay}: must lie in [0, 1)")
        if self.predict == "teacher" and not self.weight:
            raise UsageError(f"predict=teacher, weight={self.weight}: without a weight there is no teacher")

    @classmethod
    def paper(cls, ramp: int) -> SSCFConfig:
        """ResNet-18 trunks of full width from random weights, 53.70 M parameters, for 256 px."""
        return cls(ramp=ramp)

    @classmethod
    def lite(cls, ramp: int) -> SSCFConfig:
        """Trunks of a quarter of the width, for 112-128 px."""
        return cls(width=16, ramp=ramp)
