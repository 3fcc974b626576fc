"""ResNet U-Net on single frames: the network of the baselines.

Source: O. Ronneberger et al., U-Net, MICCAI 2015, with a ResNet (He et al., CVPR 2016) as encoder.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from echoseg.errors import UsageError
from echoseg.nn.encoder import Encoder


@dataclass(frozen=True)
class UNetConfig:
    """Configuration of the U-Net.

    Attributes:
        backbone: timm name of a ResNet, or of another network whose levels halve the size one after the other; `plain` for slow
            machines (`nn.plain`; up to 3 stages).
        weights: `none`, `hub` or a file.
        stages: stages of the backbone that are used; 3 = without the last, which holds three quarters of a ResNet-18's
            weights.
        decoder: channels of the decoder, coarse to fine, one for each stage.
        channels: 1 = LV alone, 4 = background, LV, myocardium, left atrium.
    """

    backbone: str = "resnet18"
    weights: str = "none"
    stages: int = 4
    decoder: tuple[int, ...] = (128, 96, 64, 32)
    channels: int = 1

    def __post_init__(self) -> None:
        if self.channels not in (1, 4):
            raise UsageError(f"channels={self.channels}: 1 (LV) or 4 (background, LV, myocardium, left atrium)")
        if not 1 <= self.stages <= 4:
            raise UsageError(f"stages={self.stages}: a ResNet has 1 to 4")
        if len(self.decoder) != self.stages or min(self.decoder) < 1:
            raise UsageError(
                f"decoder={self.decoder}: give one number of channels for each of the {self.stages} stages"
            )


def conv_block(inputs: int, outputs: int) -> nn.Sequential:
    """3x3 convolution, batch normalisation, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class UNet(nn.Module):
    """Encoder, decoder, classifier; frames do not see each other."""

    def __init__(self, config: UNetConfig) -> None:
        """Build from a configuration."""
        super().__init__()
        self.encoder = Encoder(config.backbone, weights=config.weights, levels=tuple(range(config.stages + 1)))
        skips = self.encoder.channels[-2::-1]
        widths = (self.encoder.channels[-1], *config.decoder)
        self.decoder = nn.ModuleList(
            nn.Sequential(conv_block(widths[i] + skips[i], widths[i + 1]), conv_block(widths[i + 1], widths[i + 1]))
            for i in range(len(config.decoder))
        )
        self.classifier = nn.Conv2d(config.decoder[-1], config.channels, 1)

    def segment_frames(self, frames: Float[Tensor, "N 1 H W"]) -> Float[Tensor, "N K H W"]:
        """Logits of single frames."""
        features = self.encoder(frames)
        x = features[-1]
        for block, skip in zip(self.decoder, features[-2::-1], strict=True):
            x = F.interpolate(x, size=skip.shape[-2:], mode="nearest")
            x = block(torch.cat([x, skip], 1))
        return F.interpolate(self.classifier(x), size=frames.shape[-2:], mode="bilinear", align_corners=False)

    def forward(self, clip: Float[Tensor, "B T 1 H W"]) -> Float[Tensor, "B T K H W"]:
        """Logits of every frame of a clip."""
        batch = clip.shape[0]
        logits = self.segment_frames(rearrange(clip, "b t c h w -> (b t) c h w"))
        return rearrange(logits, "(b t) k h w -> b t k h w", b=batch)
