"""Agreement of a student with its teacher, and the ramps that let it count."""

from __future__ import annotations

import math

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def quadratic_ramp(step: int, total: int) -> float:
    """min(1, step / total)^2 (Wu et al., SSCF, MedIA 2022); 1 from the start if `total` is 0."""
    return _progress(step, total) ** 2


def gaussian_ramp(step: int, total: int) -> float:
    """exp(-5 (1 - min(1, step / total))^2) (Laine and Aila, ICLR 2017); 1 from the start if `total` is 0."""
    return math.exp(-5 * (1 - _progress(step, total)) ** 2)


def probability_mse(
    student_logits: Float[Tensor, "*N K H W"], teacher_logits: Float[Tensor, "*N K H W"]
) -> Float[Tensor, ""]:
    """Mean over pixels and channels of (p_s - p_t)^2; sigmoid for K = 1, softmax for more.

    No gradient reaches the teacher.
    """
    student, teacher = student_logits.float(), teacher_logits.detach().float()
    if student.shape[-3] == 1:
        return F.mse_loss(student.sigmoid(), teacher.sigmoid())
    return F.mse_loss(student.softmax(-3), teacher.softmax(-3))


def bernoulli_kl(
    student_logits: Float[Tensor, "*N K H W"], teacher_logits: Float[Tensor, "*N K H W"]
) -> Float[Tensor, ""]:
    """Mean over pixels of KL(p_s || p_t), both outcomes counted: never negative. No gradient reaches the teacher.

    For K = 1 the two outcomes of a sigmoid; for K > 1 the K outcomes of a softmax. The direction is SSCF's.
    Computed from logits, so that a sure pixel is finite.
    """
    student, teacher = student_logits.float(), teacher_logits.detach().float()
    if student.shape[-3] == 1:
        # outcomes "LV" and "not LV": log(1 - sigmoid(x)) = logsigmoid(-x)
        foreground = student.sigmoid() * (F.logsigmoid(student) - F.logsigmoid(teacher))
        background = (-student).sigmoid() * (F.logsigmoid(-student) - F.logsigmoid(-teacher))
        return (foreground + background).mean()
    log_student, log_teacher = student.log_softmax(-3), teacher.log_softmax(-3)
    return (log_student.exp() * (log_student - log_teacher)).sum(-3).mean()


def _progress(step: int, total: int) -> float:
    return 1.0 if step >= total else step / total
