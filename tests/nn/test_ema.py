"""The average of a student's weights, against its closed form."""

import copy

import pytest
import torch
from torch import nn

from echoseg.nn import Ema


@pytest.fixture
def student() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 1, 1))


def moved(student: nn.Module) -> nn.Module:
    """Another student with other weights and other batch statistics."""
    other = copy.deepcopy(student)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.normal_()
    other.train()(torch.randn(3, 1, 8, 8) + 2)
    return other


def test_starts_as_a_frozen_copy_that_shares_nothing(student):
    ema = Ema(student, 0.9)
    for mine, theirs in zip(ema.model.parameters(), student.parameters(), strict=True):
        assert torch.equal(mine, theirs)
        assert mine.data_ptr() != theirs.data_ptr()
        assert not mine.requires_grad
        assert theirs.requires_grad


@pytest.mark.parametrize(("decay", "steps"), [(0.99, 70), (0.5, 3), (0.0, 1)])
def test_closed_form_with_a_constant_student(student, decay, steps):
    """theta'_n = theta + decay^n (theta'_0 - theta)."""
    ema, constant = Ema(student, decay), moved(student)
    start = [p.clone() for p in ema.model.parameters()]
    for _ in range(steps):
        ema.update(constant)
    for mine, first, theta in zip(ema.model.parameters(), start, constant.parameters(), strict=True):
        torch.testing.assert_close(mine, theta + decay**steps * (first - theta), atol=1e-5, rtol=1e-5)


def test_a_decay_can_be_given_for_one_update(student):
    ema, other = Ema(student, 0.99), moved(student)
    ema.update(other, decay=0.25)
    for mine, first, theta in zip(ema.model.parameters(), student.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(mine, 0.25 * first + 0.75 * theta)
    assert ema.decay == 0.99


def test_batch_statistics_are_averaged_and_counters_copied(student):
    ema, other = Ema(student, 0.99), moved(student)
    mean, var = other[1].running_mean.clone(), other[1].running_var.clone()
    ema.update(other, decay=0.75)
    assert int(ema.model[1].num_batches_tracked) == 1
    torch.testing.assert_close(ema.model[1].running_mean, 0.25 * mean)
    torch.testing.assert_close(ema.model[1].running_var, 0.75 + 0.25 * var)
    assert float(mean.abs().max()) > 0
    assert torch.equal(other[1].running_mean, mean)


def test_stays_in_evaluation_inside_a_module_that_trains(student):
    owner = nn.ModuleDict({"student": student, "teacher": Ema(student, 0.9)})
    owner.train()
    assert student.training
    assert not any(module.training for module in owner["teacher"].model.modules())
    before = owner["teacher"].model[1].running_mean.clone()
    owner["teacher"].model(torch.randn(2, 1, 8, 8))
    assert torch.equal(owner["teacher"].model[1].running_mean, before)


def test_no_gradient_reaches_it_and_none_comes_from_it(student):
    ema = Ema(student, 0.9)
    image = torch.randn(2, 1, 8, 8)
    loss = (student(image) - ema.model(image)).square().mean()
    loss.backward()
    assert all(p.grad is None for p in ema.model.parameters())
    assert not ema.model(image).requires_grad
    ema.update(student)
    assert all(p.grad_fn is None and not p.requires_grad for p in ema.model.parameters())


def test_the_state_dict_makes_the_round_trip(student, tmp_path):
    ema = Ema(student, 0.9)
    ema.update(moved(student))
    torch.save(ema.state_dict(), tmp_path / "ema.pt")
    other = Ema(moved(student), 0.9)
    other.load_state_dict(torch.load(tmp_path / "ema.pt", weights_only=True))
    assert sorted(ema.state_dict()) == sorted(f"model.{name}" for name in student.state_dict())
    for mine, theirs in zip(ema.model.state_dict().values(), other.model.state_dict().values(), strict=True):
        assert torch.equal(mine, theirs)


def test_another_network_is_refused_before_anything_changes(student):
    ema = Ema(student, 0.9)
    with pytest.raises(ValueError, match=r"another network: 0\.bias"):
        ema.update(nn.Sequential(nn.Conv2d(1, 4, 3, bias=False)))
    for mine, theirs in zip(ema.model.parameters(), student.parameters(), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_a_decay_that_forgets_nothing_or_too_much_is_refused(student, decay):
    with pytest.raises(ValueError, match=f"decay={decay}"):
        Ema(student, decay)
