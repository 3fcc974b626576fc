"""What makes a checkpoint the best, and the learning rate that falls in steps."""

import pytest
from tests.train.conftest import build

from echoseg.train import BEST, Goal, TrainConfig, load_checkpoint


def test_an_error_is_best_where_it_is_smallest(tmp_path):
    answers = iter([{"val_mse": x} for x in (40.0, 20.0, 20.0, 30.0)])
    training = build(tmp_path, validate=lambda _method, _device: next(answers))
    training.goal = Goal("val_mse", "best val MSE", lowest=True)
    training.best = training.goal.worst
    training.fit(tensorboard=False)
    best = load_checkpoint(tmp_path / BEST)
    assert (best["val_mse"], best["step"]) == (20.0, 4)
    assert "val_dice" not in best


@pytest.mark.parametrize(("lowest", "better"), [(True, 1.0), (False, 3.0)])
def test_anything_is_better_than_nothing_and_equal_is_not_better(lowest, better):
    goal = Goal("x", "x", lowest)
    assert goal.reached(2.0, goal.worst)
    assert goal.reached(better, 2.0)
    assert not goal.reached(2.0, 2.0)
    assert not goal.reached(float("nan"), 2.0)


def test_the_learning_rate_falls_to_a_tenth_every_few_epochs():
    config = TrainConfig(steps=100, steps_per_epoch=10, lr=1.0, poly_power=0.0, drop_epochs=3)
    rates = [config.learning_rate(step) for step in (0, 29, 30, 59, 60, 99)]
    assert rates == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.001])
