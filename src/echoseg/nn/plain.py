"""An encoder for slow machines: plain 3x3 convolutions on small maps.

Networks made for phones save multiplications with depthwise convolutions, which a processor's vector units are bad at: a dense network does twice as
many in the same time and has three times the weights (`benchmarks/small_networks.py`). So this one is dense, on maps of a quarter of the image's side and less.
Source: the residual block of K. He et al., "Deep residual learning for image recognition", CVPR 2016.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

PLAIN = "plain"
"""What an encoder of this kind is called where others have a timm name."""

STEM = 16
CHANNELS = (32, 64, 128, 128)
STRIDES = (4, 8, 16, 32)
BLOCKS = (0, 1, 1, 1)
"""Residual blocks of each level, none on the largest map, where they would cost most."""


def _normalised(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs))


class Residual(nn.Module):
    """ReLU(x + f(x)), f = two convolutions."""

    def __init__(self, channels: int) -> None:
        """Keep size and channels."""
        super().__init__()
        self.first = _normalised(channels, channels)
        self.second = _normalised(channels, channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Float[Tensor, "N C h w"]) -> Float[Tensor, "N C h w"]:
        """Same shape."""
        out: Tensor = self.relu(x + self.second(self.relu(self.first(x))))
        return out


class PlainEncoder(nn.Module):
    """Features of gray frames at strides 4, 8, 16 and 32."""

    def __init__(self, levels: int) -> None:
        """Build the first `levels` levels, 1 to 4."""
        super().__init__()
        self.stem = nn.Sequential(*_normalised(1, STEM, 2), nn.ReLU(inplace=True))
        widths = (STEM, *CHANNELS)
        self.levels = nn.ModuleList(
            nn.Sequential(
                *_normalised(widths[i], widths[i + 1], 2),
                nn.ReLU(inplace=True),
                *(Residual(widths[i + 1]) for _ in range(BLOCKS[i])),
            )
            for i in range(levels)
        )

    def forward(self, frames: Float[Tensor, "N 1 H W"]) -> list[Tensor]:
        """Feature maps, fine to coarse."""
        x, found = self.stem(frames), []
        for level in self.levels:
            x = level(x)
            found.append(x)
        return found
