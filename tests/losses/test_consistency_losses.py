"""Consistency losses against closed forms and scipy, and the ramps at their corners."""

import math

import pytest
import torch
from scipy.special import rel_entr

from echoseg.losses import bernoulli_kl, gaussian_ramp, probability_mse, quadratic_ramp


def logit(*probs: float) -> torch.Tensor:
    """Logits (1, 1, 1, n) of probabilities."""
    return torch.logit(torch.tensor(probs, dtype=torch.float64)).float().view(1, 1, 1, -1)


def random_logits(*shape: int, seed: int = 0) -> torch.Tensor:
    return 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_quadratic_ramp_is_nothing_a_quarter_and_all():
    assert [quadratic_ramp(step, 200) for step in (0, 100, 200, 300)] == [0, 0.25, 1, 1]


def test_gaussian_ramp_at_its_corners():
    found = [gaussian_ramp(step, 80) for step in (0, 40, 80, 1000)]
    assert found == pytest.approx([math.exp(-5), math.exp(-1.25), 1, 1], abs=1e-15)


@pytest.mark.parametrize("ramp", [quadratic_ramp, gaussian_ramp])
def test_ramps_never_fall_and_no_ramp_is_full_weight(ramp):
    values = [ramp(step, 37) for step in range(50)]
    assert values == sorted(values)
    assert ramp(0, 0) == 1


def test_mse_is_that_of_probabilities_not_of_logits():
    assert float(probability_mse(logit(0.9, 0.2), logit(0.5, 0.3))) == pytest.approx((0.16 + 0.01) / 2, rel=1e-5)


def test_mse_of_a_softmax_is_the_mean_over_channels_too():
    student, teacher = random_logits(2, 5, 4, 3, 3), random_logits(2, 5, 4, 3, 3, seed=1)
    expected = ((student.softmax(2) - teacher.softmax(2)) ** 2).mean()
    torch.testing.assert_close(probability_mse(student, teacher), expected)


def test_kl_counts_both_outcomes():
    """The foreground term alone, as printed in SSCF, gives -0.208 here."""
    assert 0.3 * math.log(0.3 / 0.6) == pytest.approx(-0.208, abs=5e-4)
    expected = 0.3 * math.log(0.3 / 0.6) + 0.7 * math.log(0.7 / 0.4)
    assert float(bernoulli_kl(logit(0.3), logit(0.6))) == pytest.approx(expected, rel=1e-5)


def test_kl_of_one_channel_is_scipys():
    student, teacher = random_logits(2, 3, 1, 5, 5), random_logits(2, 3, 1, 5, 5, seed=1)
    p, q = student.sigmoid().double().numpy(), teacher.sigmoid().double().numpy()
    expected = (rel_entr(p, q) + rel_entr(1 - p, 1 - q)).mean()
    assert float(bernoulli_kl(student, teacher)) == pytest.approx(expected, rel=1e-4)


def test_kl_of_four_channels_is_scipys():
    student, teacher = random_logits(3, 4, 5, 5), random_logits(3, 4, 5, 5, seed=1)
    expected = rel_entr(student.softmax(1).double().numpy(), teacher.softmax(1).double().numpy()).sum(1).mean()
    assert float(bernoulli_kl(student, teacher)) == pytest.approx(expected, rel=1e-4)


def test_two_channels_say_what_one_says():
    student, teacher = random_logits(2, 1, 6, 6), random_logits(2, 1, 6, 6, seed=1)
    two = [torch.cat([torch.zeros_like(x), x], 1) for x in (student, teacher)]
    torch.testing.assert_close(bernoulli_kl(*two), bernoulli_kl(student, teacher))
    torch.testing.assert_close(probability_mse(*two), probability_mse(student, teacher))


@pytest.mark.parametrize("loss", [probability_mse, bernoulli_kl])
@pytest.mark.parametrize("channels", [1, 4])
def test_zero_only_where_both_agree(loss, channels):
    student, teacher = random_logits(2, channels, 6, 6), random_logits(2, channels, 6, 6, seed=1)
    assert float(loss(student, student)) == 0
    assert float(loss(student, teacher)) > 0
    nearly = student.clone()
    nearly[0, 0, 0, 0] += 0.5
    assert float(loss(student, nearly)) > 0


@pytest.mark.parametrize("loss", [probability_mse, bernoulli_kl])
@pytest.mark.parametrize("channels", [1, 4])
def test_gradient_goes_to_the_student_alone(loss, channels):
    student = random_logits(2, channels, 4, 4).requires_grad_()
    teacher = random_logits(2, channels, 4, 4, seed=1).requires_grad_()
    loss(student, teacher).backward()
    assert teacher.grad is None
    assert float(student.grad.abs().sum()) > 0


def test_kl_of_sure_pixels_is_finite():
    student = torch.full((1, 1, 2, 2), 200.0, requires_grad=True)
    value = bernoulli_kl(student, torch.full((1, 1, 2, 2), -200.0))
    value.backward()
    assert float(value.detach()) == pytest.approx(200)
    assert bool(torch.isfinite(student.grad).all())


@pytest.mark.parametrize("loss", [probability_mse, bernoulli_kl])
def test_half_precision_is_computed_in_full(loss):
    student, teacher = random_logits(1, 1, 64, 64).bfloat16(), random_logits(1, 1, 64, 64, seed=1).bfloat16()
    assert torch.equal(loss(student, teacher), loss(student.float(), teacher.float()))
