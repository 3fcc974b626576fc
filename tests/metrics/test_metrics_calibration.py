"""Reliability against what is drawn with known probabilities; AUROC against all pairs counted one by one."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echoseg.errors import InputError
from echoseg.metrics import Reliability, auroc


def test_truths_drawn_with_the_stated_probability_are_calibrated_and_squared_ones_are_not():
    rng = np.random.default_rng(0)
    probability = rng.random(200_000)
    honest, boastful = Reliability(), Reliability()
    honest.add(probability, rng.random(len(probability)) < probability)
    boastful.add(probability, rng.random(len(probability)) < probability**2)
    assert honest.ece < 0.01
    # mean of p - p^2 over 0..1
    assert boastful.ece == pytest.approx(1 / 6, abs=0.01)


def test_pieces_add_up_and_the_ends_belong_to_the_outer_bins():
    found = Reliability(4)
    found.add([0.0, 0.25], [False, True])
    found.add(np.array([[1.0, 0.99]]), np.array([[True, False]]))
    assert [one.count for one in found.bins] == [1, 1, 0, 2]
    assert found.bins[3].frequency == 0.5
    assert math.isnan(found.bins[2].probability)
    assert found.ece == pytest.approx((0 + 0.75 + 0.99) / 4)


def test_nothing_counted_is_not_a_number():
    assert math.isnan(Reliability().ece)


@pytest.mark.parametrize(
    ("probability", "truth", "said"),
    [([1.5], [True], "outside"), ([math.nan], [True], "outside"), ([0.5], [], "one for each")],
)
def test_what_is_no_probability_is_refused(probability, truth, said):
    with pytest.raises(InputError, match=said):
        Reliability().add(probability, truth)


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2, max_size=30))
def test_auroc_is_the_fraction_of_pairs_in_order(pairs):
    scores, flags = (list(column) for column in zip(*pairs, strict=True))
    wins = [
        (a > b) + (a == b) / 2
        for a, one in pairs if one
        for b, other in pairs if not other
    ]  # fmt: skip
    found = auroc(scores, flags)
    assert math.isnan(found) if not wins else found == pytest.approx(np.mean(wins))


def test_auroc_refuses_scores_that_are_missing():
    with pytest.raises(InputError, match="finite"):
        auroc([math.nan, 1.0], [True, False])
