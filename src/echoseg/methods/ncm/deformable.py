"""NCM-cross-scale: multi-scale deformable attention (X. Zhu et al., Deformable DETR, ICLR 2021) in plain torch.

Names of parameters are those of Deformable DETR. Every pixel of every scale is a query, its reference point is its own
place.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from echoseg.nn import FeedForward

Sizes = list[tuple[int, int]]
"""(rows, columns) of each scale, fine to coarse."""


def own_places(sizes: Sizes, device: torch.device) -> Float[Tensor, "Q 2"]:
    """(x, y) of the centre of every pixel of every scale, as fractions of the image."""
    places = []
    for height, width in sizes:
        rows = (torch.arange(height, device=device) + 0.5) / height
        cols = (torch.arange(width, device=device) + 0.5) / width
        places.append(torch.stack([cols.repeat(height), rows.repeat_interleave(width)], -1))
    return torch.cat(places)


def sample_scales(
    values: Float[Tensor, "N M a d"],
    sizes: Sizes,
    places: Float[Tensor, "N Q a L P 2"],
    weights: Float[Tensor, "N Q a L P"],
) -> Float[Tensor, "N Q a*d"]:
    """Sum over scales and points of weight * value, bilinear; zero outside the image.

    Args:
        values: pixels of all scales, fine to coarse, split into heads a.
        sizes: of the scales; their areas add up to M.
        places: (x, y) of each point as fractions of the image.
        weights: of each point.
    """
    heads, total = values.shape[2], torch.zeros((), device=values.device)
    for level, (part, (height, width)) in enumerate(
        zip(torch.split(values, [h * w for h, w in sizes], 1), sizes, strict=True)
    ):
        image = rearrange(part, "n (h w) a d -> (n a) d h w", h=height, w=width)
        grid = rearrange(places[:, :, :, level], "n q a p xy -> (n a) q p xy") * 2 - 1
        found = F.grid_sample(image, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        total = total + (found * rearrange(weights[:, :, :, level], "n q a p -> (n a) 1 q p")).sum(-1)
    return rearrange(total, "(n a) d q -> n q (a d)", a=heads)


class DeformableAttention(nn.Module):
    """Each head looks at a few points of each scale; where, and how much each counts, is linear in the query."""

    def __init__(self, channels: int, heads: int, levels: int, points: int) -> None:
        """At first the heads look in directions of a ring, point i at i + 1 pixels, and all points count the same."""
        super().__init__()
        self.heads, self.levels, self.points = heads, levels, points
        self.sampling_offsets = nn.Linear(channels, heads * levels * points * 2)
        self.attention_weights = nn.Linear(channels, heads * levels * points)
        self.value_proj = nn.Linear(channels, channels)
        self.output_proj = nn.Linear(channels, channels)
        nn.init.zeros_(self.sampling_offsets.weight)
        nn.init.zeros_(self.attention_weights.weight)
        nn.init.zeros_(self.attention_weights.bias)
        for layer in (self.value_proj, self.output_proj):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        with torch.no_grad():
            self.sampling_offsets.bias.copy_(self._ring().flatten())

    def _ring(self) -> Float[Tensor, "a L P 2"]:
        angle = torch.arange(self.heads) * (2 * math.pi / self.heads)
        direction = torch.stack([angle.cos(), angle.sin()], -1)
        direction = direction / direction.abs().amax(-1, keepdim=True)
        reach = torch.arange(1, self.points + 1)
        return (direction[:, None, None] * reach[:, None]).expand(-1, self.levels, -1, -1)

    def forward(
        self,
        query: Float[Tensor, "N Q C"],
        reference: Float[Tensor, "Q 2"],
        values: Float[Tensor, "N M C"],
        sizes: Sizes,
    ) -> Float[Tensor, "N Q C"]:
        """What each query finds.

        Args:
            query: features that decide where to look.
            reference: (x, y) of each query as fractions of the image.
            values: pixels of all scales, fine to coarse.
            sizes: of the scales.
        """
        shape = {"a": self.heads, "l": self.levels, "p": self.points}
        offsets = rearrange(self.sampling_offsets(query), "n q (a l p xy) -> n q a l p xy", xy=2, **shape).float()
        weights = rearrange(self.attention_weights(query).float(), "n q (a lp) -> n q a lp", a=self.heads).softmax(-1)
        weights = rearrange(weights, "n q a (l p) -> n q a l p", l=self.levels)
        # offsets are in pixels of the scale that is looked at
        side = offsets.new_tensor([[width, height] for height, width in sizes])
        places = reference[:, None, None, None] + offsets / side[:, None]
        heads = rearrange(self.value_proj(values).float(), "n m (a d) -> n m a d", a=self.heads)
        found = sample_scales(heads, sizes, places, weights)
        joined: Tensor = self.output_proj(found.to(query.dtype))
        return joined


class CrossScaleLayer(nn.Module):
    """Deformable attention and a feed-forward block, post-norm, a residual inside each."""

    def __init__(self, channels: int, hidden: int, heads: int, levels: int, points: int) -> None:
        """See `NCMConfig`."""
        super().__init__()
        self.attention = DeformableAttention(channels, heads, levels, points)
        self.ffn = FeedForward(channels, hidden)
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(2))

    def forward(
        self, x: Float[Tensor, "N M C"], place: Float[Tensor, "M 2"], scale: Float[Tensor, "M C"], sizes: Sizes
    ) -> Float[Tensor, "N M C"]:
        """One layer; `scale` says of which scale a pixel is, and only steers where it looks."""
        x = self.norms[0](x + self.attention(x + scale, place, x, sizes))
        out: Tensor = self.norms[1](x + self.ffn(x))
        return out


class CrossScale(nn.Module):
    """Feature maps of several scales look at each other."""

    def __init__(self, channels: int, hidden: int, heads: int, levels: int, points: int, layers: int) -> None:
        """See `NCMConfig`."""
        super().__init__()
        self.level_embed = nn.Parameter(torch.randn(levels, channels))
        self.layers = nn.ModuleList(CrossScaleLayer(channels, hidden, heads, levels, points) for _ in range(layers))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps (N, C, h_l, w_l), fine to coarse, of the same shapes in and out."""
        sizes = [(x.shape[-2], x.shape[-1]) for x in maps]
        areas = [height * width for height, width in sizes]
        pixels = torch.cat([rearrange(x, "n c h w -> n (h w) c") for x in maps], 1)
        place = own_places(sizes, pixels.device)
        scale = torch.cat([self.level_embed[i].expand(area, -1) for i, area in enumerate(areas)])
        for layer in self.layers:
            pixels = layer(pixels, place, scale, sizes)
        parts = zip(torch.split(pixels, areas, 1), sizes, strict=True)
        return [rearrange(x, "n (h w) c -> n c h w", h=height, w=width) for x, (height, width) in parts]
