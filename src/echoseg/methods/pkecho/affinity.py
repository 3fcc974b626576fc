"""MRP: learned affinities enlarge the logits from one feature map to the next, in place of a decoder."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

NEIGHBOURS = 9
"""3 x 3, row by row: 0 is above and left, 4 the pixel itself, 8 below and right."""


def outside_map(height: int, width: int, device: torch.device) -> Bool[Tensor, "9 1 h w"]:
    """Neighbours that lie beyond the border of the map."""
    offset = torch.arange(-1, 2, device=device)
    rows = torch.arange(height, device=device) + offset[:, None]
    cols = torch.arange(width, device=device) + offset[:, None]
    row_out, col_out = (rows < 0) | (rows >= height), (cols < 0) | (cols >= width)
    return rearrange(row_out[:, None, :, None] | col_out[None, :, None, :], "dy dx h w -> (dy dx) 1 h w")


def normalise_affinity(scores: Float[Tensor, "N C h w"], scale: int) -> Float[Tensor, "N 9 R h w"]:
    """Softmax over the neighbours inside the map, for each of the R = scale^2 pixels that one coarse pixel becomes.

    Args:
        scores: 9 R channels, the neighbour being the slower index.
        scale: factor by which the affinity enlarges.
    """
    split = rearrange(scores, "n (j r) h w -> n j r h w", j=NEIGHBOURS, r=scale * scale)
    outside = outside_map(scores.shape[-2], scores.shape[-1], scores.device)
    full = split.to(torch.promote_types(split.dtype, torch.float32))
    inside = full.masked_fill(outside, -math.inf)
    # a softmax by hand: over an axis that is not the last, ONNX Runtime's own transposes its input and back
    weights = (inside - inside.detach().amax(1, keepdim=True)).exp()
    return weights / weights.sum(1, keepdim=True)


def propagate(logits: Float[Tensor, "N K h w"], affinity: Float[Tensor, "N 9 R h w"]) -> Float[Tensor, "N K H W"]:
    """Up(P; A)(y r + a, x r + b) = sum_j A[y, x, (a, b), j] P(neighbour j of y, x): eq. 5 for one scale."""
    height, width = logits.shape[-2:]
    padded = F.pad(logits, (1, 1, 1, 1))
    shifted = [padded[..., dy : dy + height, dx : dx + width] for dy in range(3) for dx in range(3)]
    # neighbour after neighbour: all nine at once would hold nine times the enlarged logits
    total = torch.zeros_like(affinity[:, :1])
    for weight, near in zip(affinity.unbind(1), shifted, strict=True):
        total = total + weight.unsqueeze(1) * near.unsqueeze(2)
    return F.pixel_shuffle(rearrange(total, "n k r h w -> n (k r) h w"), math.isqrt(affinity.shape[2]))


def initialise(module: nn.Module) -> None:
    """Kaiming-normal weights of a linear layer or convolution, biases 0 (paper, for all but the encoder)."""
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class AffinityEstimator(nn.Module):
    """Depth-wise 3x3 convolution, batch normalisation, ReLU and a 3x3 convolution on one feature map."""

    def __init__(self, channels: int, scale: int) -> None:
        """Affinities that enlarge by `scale`, from a map of `channels`."""
        super().__init__()
        self.scale = scale
        self.mix = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        )
        self.score = nn.Conv2d(channels, NEIGHBOURS * scale * scale, 3, padding=1)
        self.apply(initialise)

    def forward(
        self, features: Float[Tensor, "N C h w"], chosen: Bool[Tensor, " N"] | None = None
    ) -> Float[Tensor, "M 9 R h w"]:
        """Affinities of the chosen frames; the batch statistics are those of all frames."""
        mixed = self.mix(features)
        if chosen is not None:
            mixed = mixed[chosen]
        return normalise_affinity(self.score(mixed), self.scale)
