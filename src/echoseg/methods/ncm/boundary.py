"""Cross-frame boundary constraint: only pixels near a boundary may change from one frame to the next.

Our reading of the abstract.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def dilate(prob: Float[Tensor, "N K H W"], radius: int) -> Float[Tensor, "N K H W"]:
    """Largest value of the square of side 2 `radius` + 1 around each pixel."""
    side = 2 * radius + 1
    tall = F.max_pool2d(prob, (side, 1), stride=1, padding=(radius, 0))
    return F.max_pool2d(tall, (1, side), stride=1, padding=(0, radius))


def boundary_ring(prob: Float[Tensor, "N K H W"], radius: int) -> Float[Tensor, "N K H W"]:
    """Ring: dilate(p) - erode(p); 1 within `radius` pixels of a sharp boundary, 0 elsewhere."""
    return dilate(prob, radius) + dilate(-prob, radius)


def boundary_constraint(prob: Float[Tensor, "B T K H W"], radius: int) -> Float[Tensor, ""]:
    """Mean over pairs of frames, structures and pixels of |p_{t+1} - p_t| (1 - max(ring_t, ring_{t+1})).

    No gradient flows through the rings: a wide, unsure boundary must not pay. 0 for a clip of one frame.

    Args:
        prob: probabilities of structures, without the background.
        radius: pixels by which a boundary may move freely.
    """
    if prob.shape[1] < 2:
        return prob.sum() * 0.0
    with torch.no_grad():
        ring = boundary_ring(prob.flatten(0, 1), radius).view(prob.shape)
        fixed = 1 - torch.maximum(ring[:, 1:], ring[:, :-1])
    return ((prob[:, 1:] - prob[:, :-1]).abs() * fixed).mean()
