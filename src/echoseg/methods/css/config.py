"""CSS's configuration and presets."""

from __future__ import annotations

from dataclasses import dataclass, field

from echoseg.errors import UsageError
from echoseg.methods.css.cycle import Cycle


@dataclass(frozen=True)
class CssConfig:
    """Configuration of CSS, stage 1. The defaults are the paper's and its published code's.

    Attributes:
        backbone: timm name of a ResNet; `resnet50.tv_in1k` has the ImageNet weights that the published code uses.
        weights: `none`, `hub` or a file.
        stages: stages of the ResNet that are used; 3 = without the last, which costs most at output stride 8.
        pooling: channels of each branch of the atrous pyramid.
        rates: dilations of its three atrous branches.
        channels: 1 = LV alone, 4 = background, LV, myocardium, left atrium.
        css_weight: weight w_css of the cyclical loss beside the *summed* cross-entropy.
        cycle: how the cyclical loss reads a clip.
    """

    backbone: str = "resnet50.tv_in1k"
    weights: str = "none"
    stages: int = 4
    pooling: int = 256
    rates: tuple[int, int, int] = (12, 24, 36)
    channels: int = 1
    css_weight: float = 0.01
    cycle: Cycle = field(default_factory=Cycle)

    def __post_init__(self) -> None:
        if self.channels not in (1, 4):
            raise UsageError(f"channels={self.channels}: 1 (LV) or 4 (background, LV, myocardium, left atrium)")
        if not 2 <= self.stages <= 4:
            raise UsageError(f"stages={self.stages}: output stride 8 needs 2 to 4")
        if self.pooling < 1 or min(self.rates) < 1:
            raise UsageError(f"pooling={self.pooling}, rates={self.rates}: must be positive")
        if self.css_weight < 0:
            raise UsageError(f"css_weight={self.css_weight}: must not be negative")

    @classmethod
    def paper(cls, weights: str = "none") -> CssConfig:
        """DeepLabV3 with ResNet-50 at output stride 8; clips of 40 frames."""
        return cls(weights=weights)

    @classmethod
    def lite(cls) -> CssConfig:
        """ResNet-18 without its last stage; clips of 21 frames at half the paper's frame rate, over the same 2.4 s."""
        cycle = Cycle(template=8, search=11, phase=2, shift=1)
        return cls(backbone="resnet18", stages=3, pooling=64, rates=(3, 6, 9), cycle=cycle)
