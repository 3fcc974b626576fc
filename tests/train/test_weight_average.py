"""The average of the weights, against its closed form."""

import pytest
import torch
from tests.train.conftest import Toy

from echoseg.train.average import WeightAverage


@pytest.fixture
def method() -> Toy:
    torch.manual_seed(0)
    return Toy()


def set_weights(method: Toy, value: float) -> None:
    with torch.no_grad():
        for parameter in method.parameters():
            parameter.fill_(value)


def test_starts_as_a_frozen_copy_in_evaluation(method):
    average = WeightAverage(method, 0.9).averaged
    for ours, theirs in zip(average.parameters(), method.parameters(), strict=True):
        assert torch.equal(ours, theirs)
        assert ours.data_ptr() != theirs.data_ptr()
        assert not ours.requires_grad
    assert not average.training
    assert method.training


def test_closed_form_with_a_decay_that_rises(method):
    """theta' = d theta' + (1 - d) theta with d = min(decay, (1 + step) / (10 + step))."""
    set_weights(method, 0.0)
    average, expected = WeightAverage(method, 0.4), 0.0
    for step, value in enumerate((1.0, -2.0, 3.0, 5.0, 0.5, 4.0, 2.0)):
        set_weights(method, value)
        average.update(method, step)
        decay = min(0.4, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    assert decay == 0.4
    for parameter in average.averaged.parameters():
        torch.testing.assert_close(parameter, torch.full_like(parameter, expected))


def test_statistics_are_averaged_and_counters_copied(method):
    average = WeightAverage(method, 0.999)
    method.epoch.fill_(7)
    method.net[1].running_mean.fill_(1.0)
    average.update(method, 0)
    assert int(average.averaged.epoch) == 7
    torch.testing.assert_close(average.averaged.net[1].running_mean, torch.full((4,), 0.9))


def test_the_method_itself_is_left_alone(method):
    before = {k: v.clone() for k, v in method.state_dict().items()}
    WeightAverage(method, 0.5).update(method, 3)
    assert all(torch.equal(v, before[k]) for k, v in method.state_dict().items())
