"""Boundary loss: foreground far outside the contour costs, foreground deep inside it pays (Kervadec et al., MedIA 2021)."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor


def signed_distance(target: Float[Tensor, "N K H W"], *, normalised: bool) -> Float[Tensor, "N K H W"]:
    """Distance to the contour, the outermost pixels of a structure, in pixels; negative inside, 0 on the contour.

    A structure that is absent, or fills the image, has no contour: its map is 0.

    Args:
        target: one-hot masks after augmentation, so that the distances are those of the view that is trained on.
        normalised: divide each map by its largest absolute value.
    """
    from scipy.ndimage import distance_transform_edt

    masks = target.detach().cpu().numpy() > 0.5
    maps = np.zeros(masks.shape, np.float32)
    for index in np.ndindex(masks.shape[:2]):
        inside = masks[index]
        if not inside.any() or inside.all():
            continue
        found = np.where(inside, 1 - distance_transform_edt(inside), distance_transform_edt(~inside))
        maps[index] = found / np.abs(found).max() if normalised else found
    return torch.from_numpy(maps).to(target.device)


def boundary_loss(
    logits: Float[Tensor, "N K H W"], distance: Float[Tensor, "N K H W"], valid: Bool[Tensor, "N 1 H W"]
) -> Float[Tensor, ""]:
    """Mean of p phi over valid pixels and structures; the background channel of a softmax output is left out."""
    logits = torch.where(valid, logits, 0.0)
    if logits.shape[1] == 1:
        prob = logits.sigmoid()
    else:
        prob, distance = logits.softmax(1)[:, 1:], distance[:, 1:]
    weighted = torch.where(valid, prob * distance, 0.0)
    return weighted.sum() / (valid.sum() * prob.shape[1]).clamp(min=1)
