"""Configuration of the NCM-style method and its presets; every value is our choice."""

from __future__ import annotations

from dataclasses import dataclass

from echoseg.errors import UsageError


@dataclass(frozen=True)
class NCMConfig:
    """Configuration of the NCM-style method. The paper's values are not known: every one is our choice.

    Attributes:
        backbone: timm name of a ResNet.
        weights: `none`, `hub` (ImageNet) or a file.
        width: channels C of all projected features; a multiple of 32.
        hidden: units of the feed-forward blocks.
        local: NCM-local, correlations with neighbours in space and time.
        radius: of its square window, pixels at stride 16; 3 = 7 x 7.
        local_heads: its attention heads.
        scale_layers: layers of NCM-cross-scale; 0 = without.
        heads: attention heads of NCM-cross-scale and of UMA.
        points: points that each head samples on each scale.
        uma: attention among unreliable pixels.
        reliable: probability from which a pixel is reliable.
        coarse_weight: of the loss of the logits before UMA.
        boundary_weight: of the cross-frame boundary constraint after the ramp; 0 = labels alone.
        boundary_ramp: steps until it is reached, exp(-5 (1 - step / ramp)^2).
        boundary_share: distance within which a boundary may move between two frames, as a share of the image side.
        channels: 1 = LV alone, 4 = background, LV, myocardium, left atrium.
    """

    backbone: str = "resnet50"
    weights: str = "none"
    width: int = 128
    hidden: int = 512
    local: bool = True
    radius: int = 3
    local_heads: int = 4
    scale_layers: int = 2
    heads: int = 8
    points: int = 4
    uma: bool = True
    reliable: float = 0.8
    coarse_weight: float = 0.4
    boundary_weight: float = 0.1
    boundary_ramp: int = 600
    boundary_share: float = 0.03
    channels: int = 1

    def __post_init__(self) -> None:
        if self.channels not in (1, 4):
            raise UsageError(f"channels={self.channels}: 1 (LV) or 4 (background, LV, myocardium, left atrium)")
        for name in ("width", "hidden", "radius", "local_heads", "heads", "points"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)}: must be at least 1")
        if self.width % 32 or self.width % self.heads or self.width % self.local_heads:
            raise UsageError(
                f"width={self.width}: must be divisible by 32, "
                f"by heads={self.heads} and by local_heads={self.local_heads}"
            )
        if not 0.5 < self.reliable <= 1:
            raise UsageError(f"reliable={self.reliable}: need 0.5 < reliable <= 1")
        for name in ("scale_layers", "coarse_weight", "boundary_weight", "boundary_ramp", "boundary_share"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name}={getattr(self, name)}: must not be negative")

    @classmethod
    def lite(cls) -> NCMConfig:
        """ResNet-18 at 112-128 px."""
        return cls(backbone="resnet18", width=64, hidden=256)
