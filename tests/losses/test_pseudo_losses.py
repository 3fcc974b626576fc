"""The loss against a teacher's hard decisions."""

import numpy as np
import pytest
import torch

from echoseg.losses import confident_bce, confident_ce


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


def test_labels_of_four_channels_count_where_their_probability_is_high():
    student = torch.randn(2, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    teacher = 3 * torch.randn(2, 4, 3, 3, generator=torch.Generator().manual_seed(1))
    prob = teacher.softmax(1).numpy()
    log_prob = student.log_softmax(1).numpy()
    costs = [
        -log_prob[n, prob[n, :, y, x].argmax(), y, x]
        for n in range(2) for y in range(3) for x in range(3) if prob[n, :, y, x].max() >= 0.7
    ]  # fmt: skip
    assert 0 < len(costs) < 18
    loss, used = confident_ce(student, teacher, 0.7)
    assert float(loss) == pytest.approx(np.mean(costs), rel=1e-5)
    assert float(used) == pytest.approx(len(costs) / 18)


def test_one_channel_and_two_say_the_same():
    student = torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    teacher = 3 * torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    two = [torch.cat([torch.zeros_like(x), x], 1) for x in (student, teacher)]
    for ours, theirs in zip(confident_ce(student, teacher, 0.9), confident_ce(*two, 0.9), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("channels", [1, 4])
def test_without_a_threshold_every_pixel_counts_and_the_teacher_gets_no_gradient(channels):
    student, teacher = (torch.randn(1, channels, 3, 3).requires_grad_() for _ in range(2))
    loss, used = confident_ce(student, teacher, 0.0)
    loss.backward()
    assert float(used) == 1
    assert teacher.grad is None
    assert bool((student.grad != 0).all())


def test_nan_where_a_teacher_of_four_channels_is_unsure_poisons_nothing():
    student = torch.zeros(1, 4, 1, 2)
    student[..., 1] = torch.nan
    student.requires_grad_()
    teacher = torch.zeros(1, 4, 1, 2)
    teacher[0, 2, 0, 0] = 9.0
    loss, _ = confident_ce(student, teacher, 0.9)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(np.log(4), rel=1e-5)
    assert float(student.grad[..., 1].abs().max()) == 0
