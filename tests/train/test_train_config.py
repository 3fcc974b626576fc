"""The schedule: closed form of the learning rate, and messages that name the flag."""

import pytest

from echoseg.errors import UsageError
from echoseg.train import TrainConfig


def test_learning_rate_falls_as_a_polynomial():
    config = TrainConfig(steps=100, lr=0.02, poly_power=0.9)
    assert config.learning_rate(0) == pytest.approx(0.02)
    assert config.learning_rate(50) == pytest.approx(0.02 * 0.5**0.9)
    assert config.learning_rate(99) == pytest.approx(0.02 * 0.01**0.9)


def test_power_zero_is_constant():
    config = TrainConfig(steps=10, lr=0.3, poly_power=0.0)
    assert {config.learning_rate(step) for step in range(10)} == {0.3}


def test_warm_up_is_linear_and_never_starts_at_nothing():
    config = TrainConfig(steps=1000, lr=1.0, poly_power=0.0, warmup_steps=4)
    assert [config.learning_rate(step) for step in range(6)] == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1])


def test_warm_up_and_decay_multiply():
    config = TrainConfig(steps=20, lr=1.0, poly_power=2.0, warmup_steps=10)
    assert config.learning_rate(4) == pytest.approx(0.5 * (1 - 4 / 20) ** 2)


@pytest.mark.parametrize(
    "wrong", [{"steps": 0}, {"steps_per_epoch": 0}, {"checkpoint_every": -1}, {"lr": 0.0}, {"average": 1.0}]
)
def test_configuration_names_the_flag(wrong):
    name, value = next(iter(wrong.items()))
    with pytest.raises(UsageError, match=f"train.{name}={value}"):
        TrainConfig(**wrong)
