"""PKEcho-Net's configuration and presets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from echoseg.errors import UsageError

STRIDES = (4, 8, 16, 32)
"""Strides of the encoder's four feature maps f_1 .. f_4."""


@dataclass(frozen=True)
class PKEchoConfig:
    """Configuration of PKEcho-Net; the defaults are the paper's but for `cross_video` and the scale of the boundary loss.

    Attributes:
        backbone: timm name of a ResNet (paper: resnet18, resnet34, resnet50).
        weights: `none`, `hub` (ImageNet, paper) or a file.
        width: channels d of the reduced features and of the kernels; a multiple of 32, one attention head for each 32.
        frames: clip length that the position embedding is made for; other lengths interpolate it.
        iterations: how often the kernels are refined (paper: 3; ablation 0 .. 4).
        hybrid: attention between features and kernels: `paper` (eq. 2), `code_compat` (what the public code computes), `off`.
        temporal_attention: attention over the frames of a clip.
        cross_video: attention over the clips of a batch, as in the paper; results then depend on the batch.
        region_proxies: strides of the maps whose affinities enlarge the logits, coarse to fine. (32, 16, 8, 4) is the paper's
            interval 1, (32, 8) interval 2, (32, 4) interval 3; what lies before the first is bilinear; () = bilinear alone.
        dropout: in every attention and feed-forward block.
        boundary: scale of the signed distances in the boundary loss: `normalised` to a largest one of 1 per image, `raw` pixels, or `off`.
        channels: 1 = LV alone, 4 = background, LV, myocardium, left atrium.
    """

    backbone: str = "resnet50"
    weights: str = "none"
    width: int = 32
    frames: int = 10
    iterations: int = 3
    hybrid: Literal["paper", "code_compat", "off"] = "paper"
    temporal_attention: bool = True
    cross_video: bool = False
    region_proxies: tuple[int, ...] = (32, 16, 8, 4)
    dropout: float = 0.1
    boundary: Literal["normalised", "raw", "off"] = "normalised"
    channels: int = 1

    def __post_init__(self) -> None:
        if self.channels not in (1, 4):
            raise UsageError(f"channels={self.channels}: 1 (LV) or 4 (background, LV, myocardium, left atrium)")
        if self.width < 32 or self.width % 32:
            raise UsageError(f"width={self.width}: must be a multiple of 32, the size of an attention head")
        if self.frames < 1 or self.iterations < 0:
            raise UsageError(
                f"frames={self.frames}, iterations={self.iterations}: at least one frame, no less than 0 iterations"
            )
        if not 0 <= self.dropout < 1:
            raise UsageError(f"dropout={self.dropout}: must lie in [0, 1)")
        proxies = self.region_proxies
        if tuple(sorted(set(proxies), reverse=True)) != proxies or not set(proxies) <= set(STRIDES):
            raise UsageError(f"region_proxies={proxies}: strides among 32, 16, 8, 4, coarse to fine, each once")

    @classmethod
    def paper(cls, backbone: str = "resnet50") -> PKEchoConfig:
        """The paper's network and training, with its cross-video attention."""
        return cls(backbone=backbone, cross_video=True)

    @classmethod
    def released(cls, backbone: str = "resnet50") -> PKEchoConfig:
        """What the public code computes: the published numbers of parameters and multiply-adds are of this network."""
        return cls(backbone=backbone, cross_video=True, hybrid="code_compat")

    @classmethod
    def lite(cls) -> PKEchoConfig:
        """ResNet-18; a cine's result does not depend on the batch."""
        return cls(backbone="resnet18")
