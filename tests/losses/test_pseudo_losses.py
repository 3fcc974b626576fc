"""The loss against a teacher's hard decisions."""

import numpy as np
import pytest
import torch

from echoseg.losses import confident_bce


def test_only_sure_pixels_count_and_their_mean_is_taken():
    logits = torch.tensor([0.0, np.log(3.0), 5.0])
    teacher = torch.tensor([0.96, 0.03, 0.7])
    loss, used = confident_bce(logits.float(), teacher, 0.95)
    # log 2 for the undecided first pixel, -log(1 - 3/4) for the second, the third is not sure
    assert float(loss) == pytest.approx((np.log(2) + np.log(4)) / 2, rel=1e-5)
    assert float(used) == pytest.approx(2 / 3)


def test_no_gradient_reaches_the_teacher():
    logits, teacher = torch.zeros(4, requires_grad=True), torch.full((4,), 0.99, requires_grad=True)
    confident_bce(logits, teacher, 0.9)[0].backward()
    assert teacher.grad is None
    assert float(logits.grad.abs().sum()) > 0


def test_nobody_sure_is_zero_with_a_graph():
    logits = torch.randn(2, 3, requires_grad=True)
    loss, used = confident_bce(logits, torch.full((2, 3), 0.5), 0.9)
    loss.backward()
    assert float(loss.detach()) == float(used) == 0
    assert torch.equal(logits.grad, torch.zeros(2, 3))


def test_nan_where_the_teacher_is_unsure_poisons_nothing():
    logits = torch.tensor([1.0, torch.nan], requires_grad=True)
    loss, _ = confident_bce(logits, torch.tensor([0.99, 0.6]), 0.9)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(np.log(1 + np.exp(-1.0)), rel=1e-5)
    assert float(logits.grad[1]) == 0
