"""NCM-local: correlations of a pixel with its neighbours in space and time (our reading of the abstract)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

SLOTS = 3
"""Frames that a pixel looks at: the one before, its own, the next."""


def window_bias(bias: Float[Tensor, "a s k k"], height: int, width: int) -> Float[Tensor, "a n s n"]:
    """b_{n, delta} of every (query pixel, slot, key pixel); -inf outside the window.

    Args:
        bias: for each head and slot, one value for each offset of a key from its query, rows first.
        height: rows of the feature map; n = height * width.
        width: columns of it.
    """
    radius = bias.shape[-1] // 2
    rows, cols = (torch.arange(size, device=bias.device) for size in (height, width))
    down, across = rows - rows[:, None], cols - cols[:, None]  # key - query
    inside = (down.abs() <= radius)[:, :, None, None] & (across.abs() <= radius)
    table = bias[:, :, (down + radius).clamp(0, 2 * radius)][..., (across + radius).clamp(0, 2 * radius)]
    masked = table.masked_fill(~inside, -math.inf)
    return rearrange(masked, "a s qy ky qx kx -> a (qy qx) s (ky kx)")


def by_slot(x: Float[Tensor, "B T a n d"]) -> Float[Tensor, "B T a s n d"]:
    """For each frame its three slots; zeros where the clip has no such frame."""
    length = x.shape[1]
    padded = F.pad(x, (0, 0, 0, 0, 0, 0, 1, 1))
    return torch.stack([padded[:, slot : slot + length] for slot in range(SLOTS)], 3)


def frame_exists(length: int, device: torch.device) -> Bool[Tensor, "T s"]:
    """Whether a clip of `length` frames has the frame of a slot."""
    frame = torch.arange(length, device=device)[:, None] + torch.arange(SLOTS, device=device) - 1
    return (frame >= 0) & (frame < length)


class LocalCorrelation(nn.Module):
    """Y = X + W_o sum w v, w = softmax(<q, k> / sqrt(C_head) + b) over the neighbours that exist.

    Computed as masked attention to the whole of the three frames: at stride 16 that is hardly more than the window, and
    nothing is copied for every pixel.
    """

    def __init__(self, channels: int, heads: int, radius: int) -> None:
        """W_o and b start at zero, so that output = input."""
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(channels, channels)
        self.to_k = nn.Linear(channels, channels)
        self.to_v = nn.Linear(channels, channels)
        self.out = nn.Linear(channels, channels)
        self.bias = nn.Parameter(torch.zeros(heads, SLOTS, 2 * radius + 1, 2 * radius + 1))
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def _split(self, project: nn.Module, pixels: Float[Tensor, "B T n C"]) -> Float[Tensor, "B T a n d"]:
        projected: Tensor = project(pixels)
        return rearrange(projected, "b t n (a d) -> b t a n d", a=self.heads)

    def neighbour_weights(self, clip: Float[Tensor, "B T C h w"]) -> Float[Tensor, "B T a n s n"]:
        """Weights w of every head, query pixel, slot and key pixel; sums to one over slots and key pixels."""
        height, width = clip.shape[-2:]
        pixels = rearrange(clip, "b t c h w -> b t (h w) c")
        query, key = self._split(self.to_q, pixels), by_slot(self._split(self.to_k, pixels))
        scores = torch.einsum("btaqd,btaskd->btaqsk", query, key) / math.sqrt(query.shape[-1])
        scores = scores.float() + window_bias(self.bias, height, width)
        missing = ~frame_exists(clip.shape[1], clip.device)
        scores = scores.masked_fill(missing[:, None, None, :, None], -math.inf)
        return scores.flatten(-2).softmax(-1).view(scores.shape)

    def forward(self, clip: Float[Tensor, "B T C h w"]) -> Float[Tensor, "B T C h w"]:
        """Features with what their neighbourhood adds."""
        height, width = clip.shape[-2:]
        pixels = rearrange(clip, "b t c h w -> b t (h w) c")
        value = by_slot(self._split(self.to_v, pixels))
        mixed = torch.einsum("btaqsk,btaskd->btaqd", self.neighbour_weights(clip).to(value.dtype), value)
        added: Tensor = self.out(rearrange(mixed, "b t a n d -> b t n (a d)"))
        return clip + rearrange(added, "b t (h w) c -> b t c h w", h=height, w=width)
