"""MAE, RMSE and R2 by hand."""

import math

import numpy as np
import pytest

from echoseg.errors import InputError
from echoseg.metrics import regression_scores

TRUTH = [58.0, 54.0, 38.0, 62.0]


def test_by_hand():
    """Errors 2, -4, 2, 0; the reference has mean 53 and a sum of squares of 25 + 1 + 225 + 81."""
    found = regression_scores([60.0, 50.0, 40.0, 62.0], TRUTH)
    assert (found.mae, found.rmse) == (2.0, pytest.approx(math.sqrt(6)))
    assert found.r2 == pytest.approx(1 - 24 / 332)


def test_perfect_and_mean_predictions_are_one_and_zero():
    assert regression_scores(TRUTH, TRUTH).r2 == 1
    assert regression_scores([np.mean(TRUTH)] * 4, TRUTH).r2 == pytest.approx(0)


def test_a_bias_lowers_r2_though_the_correlation_stays_one():
    shifted = regression_scores(np.array(TRUTH) + 20, TRUTH)
    assert (shifted.mae, shifted.rmse) == (20, 20)
    assert shifted.r2 == pytest.approx(1 - 1600 / 332)


def test_a_reference_that_does_not_vary_has_no_r2():
    assert math.isnan(regression_scores([1.0, 2.0], [3.0, 3.0]).r2)


@pytest.mark.parametrize(("pred", "ref"), [([], []), ([1.0], [1.0, 2.0]), ([[1.0]], [[1.0]])])
def test_what_does_not_belong_together_is_refused(pred, ref):
    with pytest.raises(InputError, match="give one for each"):
        regression_scores(pred, ref)
