"""Supervised segmentation losses on logits with IGNORE pixels.

Two kinds of output share one interface: one channel = sigmoid for the LV cavity, K channels = softmax over the labels.
A frame without a single valid pixel contributes nothing, whatever its mask holds.

Logits of ignored pixels are replaced, not multiplied by zero, before anything is computed from them: 0 * NaN is NaN, in
the loss and in the gradient.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from echoseg.batch import IGNORE

LV_LABEL = 1


def targets(masks: UInt8[Tensor, "N H W"], channels: int) -> tuple[Float[Tensor, "N K H W"], Bool[Tensor, "N 1 H W"]]:
    """One-hot targets and the map of valid pixels.

    Args:
        masks: labels 0..3 or `IGNORE`.
        channels: 1 for the LV alone, else one channel per label.
    """
    valid = (masks != IGNORE).unsqueeze(1)
    if channels == 1:
        return (masks == LV_LABEL).unsqueeze(1).float(), valid
    labels = torch.arange(channels, device=masks.device, dtype=masks.dtype)
    return (masks.unsqueeze(1) == labels.view(1, -1, 1, 1)).float(), valid


def cross_entropy(
    logits: Float[Tensor, "N K H W"], target: Float[Tensor, "N K H W"], valid: Bool[Tensor, "N 1 H W"]
) -> Float[Tensor, ""]:
    """Mean (binary) cross-entropy over valid pixels; 0 where there are none."""
    logits = torch.where(valid, logits, 0.0)
    if logits.shape[1] == 1:
        loss = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    else:
        loss = -(target * F.log_softmax(logits, dim=1)).sum(1, keepdim=True)
    return torch.where(valid, loss, 0.0).sum() / valid.sum().clamp(min=1)


def soft_dice(
    logits: Float[Tensor, "N K H W"], target: Float[Tensor, "N K H W"], valid: Bool[Tensor, "N 1 H W"]
) -> Float[Tensor, ""]:
    """Dice loss 1 - (2 sum pg + 1) / (sum p + sum g + 1), per frame and structure, mean over labelled frames.

    The background channel of a softmax output is left out.
    """
    logits = torch.where(valid, logits, 0.0)
    if logits.shape[1] == 1:
        prob = logits.sigmoid()
    else:
        prob, target = logits.softmax(1)[:, 1:], target[:, 1:]
    prob = torch.where(valid, prob, 0.0)
    target = torch.where(valid, target, 0.0)
    overlap = (prob * target).sum((2, 3))
    dice = 1 - (2 * overlap + 1) / (prob.sum((2, 3)) + target.sum((2, 3)) + 1)
    has_label = valid.flatten(1).any(1)
    return (dice.mean(1) * has_label).sum() / has_label.sum().clamp(min=1)


def supervised_loss(
    logits: Float[Tensor, "B T K H W"], masks: UInt8[Tensor, "B T H W"], labelled: Bool[Tensor, "B T"]
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """(cross-entropy, Dice loss) of the labelled frames only; both 0 where no frame is labelled.

    Masks of unlabelled frames are never read: the frames are selected first.
    """
    if not bool(labelled.any()):
        zero = logits.sum() * 0.0
        return zero, zero
    chosen = logits[labelled].float()
    target, valid = targets(masks[labelled], chosen.shape[1])
    return cross_entropy(chosen, target, valid), soft_dice(chosen, target, valid)
