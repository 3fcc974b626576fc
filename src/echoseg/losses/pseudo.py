"""Losses against pseudo-labels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def confident_bce(
    logits: Float[Tensor, "*dims"], teacher: Float[Tensor, "*dims"], threshold: float
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Binary cross-entropy against the teacher's hard decision, on pixels where the teacher is sure.

    Args:
        logits: student's logits.
        teacher: teacher's probabilities of the foreground; no gradient flows into them.
        threshold: least confidence max(p, 1 - p) of a pixel that counts.

    Returns:
        The loss, sum over confident pixels / max(1, their number), and the fraction of pixels that are confident.
    """
    teacher = teacher.detach()
    chosen = torch.maximum(teacher, 1 - teacher) >= threshold
    # replaced, not multiplied by zero: a NaN there would survive in the gradient
    logits = torch.where(chosen, logits, 0.0)
    loss = F.binary_cross_entropy_with_logits(logits, (teacher > 0.5).to(logits.dtype), reduction="none")
    total = torch.where(chosen, loss, 0.0).sum()
    return total / chosen.sum().clamp(min=1), chosen.float().mean()


def confident_ce(
    logits: Float[Tensor, "N K H W"], teacher_logits: Float[Tensor, "N K H W"], threshold: float
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Cross-entropy against the teacher's most probable label, on pixels where the teacher is sure.

    Args:
        logits: student's logits; K = 1 means sigmoid (`confident_bce`), K > 1 softmax.
        teacher_logits: no gradient flows into them.
        threshold: least probability of that label for a pixel to count; 0 = every pixel counts.

    Returns:
        The loss, sum over confident pixels / max(1, their number), and the fraction of pixels that are confident.
    """
    teacher = teacher_logits.detach().float()
    if logits.shape[1] == 1:
        return confident_bce(logits.float(), teacher.sigmoid(), threshold)
    confidence, label = teacher.softmax(1).max(1)
    chosen = confidence >= threshold
    # replaced, not multiplied by zero: a NaN there would survive in the gradient
    loss = F.cross_entropy(torch.where(chosen.unsqueeze(1), logits.float(), 0.0), label, reduction="none")
    total = torch.where(chosen, loss, 0.0).sum()
    return total / chosen.sum().clamp(min=1), chosen.float().mean()
