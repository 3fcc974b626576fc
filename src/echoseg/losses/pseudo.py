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
