"""ASSC and BSSF: a neighbouring frame's features are calibrated by kernels made from both frames, then three frames are fused.

Everything here runs in fp32, in mixed precision too. With G = 1, as training starts, calibrated maps are thousands of times larger than the
features beside them: in bf16 the current frame would be lost in the rounding of the sum, and fp16 would overflow. Only the batch
normalisation after the fusion brings them back.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor, nn

from echoseg.methods.sscf.config import Calibration

POOLS = (1, 3, 5, 7)
"""Sides of the grids onto which features are summarised: M = 1 + 9 + 25 + 49 = 84 values a channel (paper)."""


def full_precision(like: Tensor) -> AbstractContextManager[None]:
    """No mixed precision inside; the `meta` device, on which costs are counted, has none to switch off."""
    return nullcontext() if like.is_meta else torch.autocast(like.device.type, enabled=False)


def summarise(features: Float[Tensor, "N C h w"]) -> Float[Tensor, "N C M"]:
    """Pyramid of adaptive max-pooling, flattened: what eq. 2 calls Summarize."""
    # ONNX has no such pooling; gathering gives the same numbers, but its gradient takes ten times as long
    pool = _pooled_by_gathering if torch.compiler.is_compiling() else F.adaptive_max_pool2d
    return torch.cat([pool(features, side).flatten(2) for side in POOLS], -1)


def _pooled_by_gathering(features: Float[Tensor, "N C h w"], side: int) -> Float[Tensor, "N C s s"]:
    """Maxima over side x side cells that cover the map; where they are uneven, short ones repeat their last pixel."""
    if side == 1:
        return features.amax((2, 3), keepdim=True)
    rows, columns = (_cells(size, side).to(features.device) for size in features.shape[-2:])
    by_row = rearrange(features.index_select(2, rows.flatten()), "n c (s l) w -> n c s l w", s=side).amax(3)
    return rearrange(by_row.index_select(3, columns.flatten()), "n c h (s l) -> n c h s l", s=side).amax(4)


def _cells(size: int, count: int) -> Int[Tensor, "s L"]:
    """Pixels of cell i of `count`: from floor(i size / count) up to, without, ceil((i + 1) size / count)."""
    cells = [range(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]
    longest = max(len(cell) for cell in cells)
    return torch.tensor([[*cell, *[cell[-1]] * (longest - len(cell))] for cell in cells])


def channel_affinity(query: Float[Tensor, "N C M"], key: Float[Tensor, "N C M"]) -> Float[Tensor, "N C C"]:
    """Correlation alpha = sigmoid(Q' K'^T), first half of eq. 3; not scaled."""
    return (query @ key.transpose(1, 2)).sigmoid()


def calibration_kernels(
    affinity: Float[Tensor, "N C C"], motion: Float[Tensor, "C C 3 3"]
) -> Float[Tensor, "N C C 3 3"]:
    """W = alpha G, second half of eq. 3: W[n, o, i, u, v] = sum_j alpha[n, o, j] G[j, i, u, v]."""
    return torch.einsum("noj,jiuv->noiuv", affinity, motion)


def convolve_each(
    neighbour: Float[Tensor, "N C h w"], kernels: Float[Tensor, "N C C 3 3"], dilations: tuple[int, ...]
) -> Float[Tensor, "N C h w"]:
    """F * W of eq. 4, every sample with its own kernels; the mean over dilations."""
    samples = len(neighbour)
    side_by_side = rearrange(neighbour, "n c h w -> 1 (n c) h w")
    weight = rearrange(kernels, "n o i u v -> (n o) i u v")
    maps = [F.conv2d(side_by_side, weight, padding=d, dilation=d, groups=samples) for d in dilations]
    return rearrange(_mean(maps), "1 (n c) h w -> n c h w", n=samples)


def convolve_factored(
    neighbour: Float[Tensor, "N C h w"],
    affinity: Float[Tensor, "N C C"],
    motion: Float[Tensor, "C C 3 3"],
    dilations: tuple[int, ...],
) -> Float[Tensor, "N C h w"]:
    """F * (alpha G) = alpha (F * G): the same map without the kernels of each sample, which hold 9 C^2 numbers each."""
    shared = _mean([F.conv2d(neighbour, motion, padding=d, dilation=d) for d in dilations])
    return (affinity @ shared.flatten(2)).view_as(neighbour)


def _mean(maps: list[Tensor]) -> Tensor:
    return maps[0] if len(maps) == 1 else torch.stack(maps).mean(0)


class Calibration3x3(nn.Module):
    """ASSC: a neighbour's features, calibrated towards the current frame's."""

    def __init__(self, channels: int, dilations: tuple[int, ...], form: Calibration) -> None:
        """See `SSCFConfig` for dilations and form."""
        super().__init__()
        self.dilations, self.form = dilations, form
        # eq. 1: the transformations T are 3x3 convolutions, without padding
        self.to_q = nn.Conv2d(channels, channels, 3)
        self.to_k = nn.Conv2d(channels, channels, 3)
        self.motion = nn.Parameter(torch.ones(channels, channels, 3, 3))  # G

    def affinity(
        self, neighbour: Float[Tensor, "N C h w"], current: Float[Tensor, "N C h w"]
    ) -> Float[Tensor, "N C C"]:
        """The correlation alpha of two frames' channels."""
        query, key = summarise(torch.cat([self.to_q(neighbour), self.to_k(current)])).chunk(2)
        return channel_affinity(query, key)

    def forward(
        self, neighbour: Float[Tensor, "N C h w"], current: Float[Tensor, "N C h w"]
    ) -> Float[Tensor, "N C h w"]:
        """Calibrated features of the neighbour, in fp32."""
        with full_precision(neighbour):
            neighbour, current = neighbour.float(), current.float()
            affinity = self.affinity(neighbour, current)
            if self.form == "kernels":
                return convolve_each(neighbour, calibration_kernels(affinity, self.motion), self.dilations)
            return convolve_factored(neighbour, affinity, self.motion, self.dilations)


class PlainFusion(nn.Module):
    """Three feature maps side by side, 1x1 convolution, batch normalisation, no ReLU: fusion without calibration."""

    def __init__(self, channels: int) -> None:
        """Channels of one frame's features."""
        super().__init__()
        self.mix = nn.Conv2d(3 * channels, channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(
        self,
        previous: Float[Tensor, "N C h w"],
        current: Float[Tensor, "N C h w"],
        following: Float[Tensor, "N C h w"],
    ) -> Float[Tensor, "N C h w"]:
        """Features of the current frame with those of its neighbours."""
        with full_precision(current):
            fused: Tensor = self.norm(self.mix(torch.cat([previous.float(), current.float(), following.float()], 1)))
        return fused


class CalibratedFusion(PlainFusion):
    """BSSF, eq. 4: both neighbours are calibrated towards the current frame before they are fused with it."""

    def __init__(self, channels: int, dilations: tuple[int, ...], form: Calibration) -> None:
        """See `SSCFConfig` for dilations and form."""
        super().__init__(channels)
        self.from_previous = Calibration3x3(channels, dilations, form)
        self.from_following = Calibration3x3(channels, dilations, form)

    def forward(
        self,
        previous: Float[Tensor, "N C h w"],
        current: Float[Tensor, "N C h w"],
        following: Float[Tensor, "N C h w"],
    ) -> Float[Tensor, "N C h w"]:
        """Features of the current frame with those of its calibrated neighbours."""
        return super().forward(self.from_previous(previous, current), current, self.from_following(following, current))
