import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from echoseg.engine.postprocess import (
    _in_one_piece,
    activate,
    expected_dice,
    labels_of,
    native_mask,
    postprocess,
)
from echoseg.engine.preprocess import Geometry


def test_sigmoid_and_softmax_are_stable_and_right():
    logits = np.array([-200.0, -1.0, 0.0, 3.0, 200.0], np.float32).reshape(1, 1, 5)
    np.testing.assert_allclose(activate(logits, "sigmoid")[0, 0], [0, 0.26894143, 0.5, 0.95257413, 1], atol=1e-6)
    pair = np.concatenate([np.zeros_like(logits), logits])
    probability = activate(pair, "softmax")
    np.testing.assert_allclose(probability[1], activate(logits, "sigmoid")[0], atol=1e-6)
    np.testing.assert_allclose(probability.sum(0), 1, atol=1e-6)


def test_labels_need_more_than_half_and_ties_go_to_the_lower_label():
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(labels_of(np.array([[[0.4, 0.5, 0.6]]], np.float32)), [[0, 0, 1]])
    probability = rng.random((4, 9, 9), dtype=np.float32)
    probability[2, 0, 0] = probability[3, 0, 0] = 2
    np.testing.assert_array_equal(labels_of(probability), probability.argmax(0))


def test_expected_dice_closed_forms():
    p = np.zeros((4, 4), np.float32)
    p[:2] = 0.75
    assert expected_dice(p, p > 0.5) == pytest.approx(2 * 6 / (6 + 8))
    assert expected_dice(np.ones((4, 4), np.float32), np.ones((4, 4), bool)) == 1
    assert expected_dice(np.full((4, 4), 0.4, np.float32), np.zeros((4, 4), bool)) == 0


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("shape", [(112, 112), (300, 400), (20, 50)])
def test_restoring_the_box_equals_restoring_everything(channels, shape):
    rng = np.random.default_rng(channels)
    coarse = rng.standard_normal((channels, 9, 9)).astype(np.float32) * 3
    logits = Geometry.fit((64, 64), 9).restore(coarse)
    logits[0] += -1.0 if channels == 1 else 1.0
    probability = activate(logits, "sigmoid" if channels == 1 else "softmax")
    g = Geometry.fit(shape, 64)
    native = native_mask(probability, labels_of(probability), g)
    np.testing.assert_array_equal(native, labels_of(g.restore(probability)))
    assert 0 < np.count_nonzero(native) < native.size


def test_nothing_found_gives_an_empty_mask():
    probability = np.full((1, 16, 16), 0.1, np.float32)
    native = native_mask(probability, labels_of(probability), Geometry.fit((30, 40), 16))
    assert native.shape == (30, 40)
    assert not native.any()


def test_largest_component_of_each_structure():
    mask = np.zeros((20, 20), np.uint8)
    mask[2:8, 2:8] = 1
    mask[10:12, 10:12] = 1  # smaller
    mask[8, 8] = 1  # touches by a corner only
    mask[15:18, 2:12] = 3
    mask[0, 19] = 3
    clean = postprocess(mask, ("largest_component",))
    assert np.count_nonzero(clean == 1) == 36
    assert np.count_nonzero(clean == 3) == 30
    assert mask[10, 10] == 1, "the input must stay as it was"


def test_holes_are_filled_but_a_structure_inside_stays():
    mask = np.zeros((20, 20), np.uint8)
    mask[2:18, 2:18] = 2
    mask[5:15, 5:15] = 1
    mask[8:10, 8:10] = 0  # hole of the LV
    mask[3, 3] = 0  # hole of the myocardium
    clean = postprocess(mask, ("fill_holes",))
    expected = np.zeros((20, 20), np.uint8)
    expected[2:18, 2:18] = 2
    expected[5:15, 5:15] = 1
    np.testing.assert_array_equal(clean, expected)


def test_an_open_bay_is_not_a_hole():
    mask = np.zeros((10, 10), np.uint8)
    mask[0:6, 0:6] = 1
    mask[2:4, 0:3] = 0  # opens at the image border
    np.testing.assert_array_equal(postprocess(mask, ("fill_holes",)), mask)


def test_no_steps_and_empty_masks_pass_through():
    mask = np.zeros((5, 5), np.uint8)
    assert not postprocess(mask, ("largest_component", "fill_holes")).any()
    mask[2, 2] = 1
    np.testing.assert_array_equal(postprocess(mask, ()), mask)


def test_steps_are_applied_at_native_size():
    probability = np.zeros((1, 16, 16), np.float32)
    probability[0, 3:11, 3:11] = 1
    probability[0, 13:15, 13:15] = 1
    labels = labels_of(probability)
    geometry = Geometry.fit((32, 64), 16, "stretch")
    raw, clean = (native_mask(probability, labels, geometry, steps) for steps in ((), ("largest_component",)))
    np.testing.assert_array_equal(clean, postprocess(raw, ("largest_component",)))
    assert raw[28, 56]
    assert not clean[28, 56]


@given(arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(0, 2)))
@settings(max_examples=300, deadline=None)
def test_clean_up_agrees_with_scipy_on_any_mask(mask):
    """The short cut for tidy masks must never change a result."""
    one = (mask == 1).astype(np.uint8)
    components, n = ndimage.label(one)
    largest = postprocess(one, ("largest_component",))
    assert ndimage.label(largest)[1] == min(n, 1)
    assert largest.sum() == (np.bincount(components.ravel())[1:].max() if n else 0)
    assert not (largest & ~one).any()
    filled = postprocess(one, ("fill_holes",))
    np.testing.assert_array_equal(filled, ndimage.binary_fill_holes(one, structure=np.ones((3, 3))))


def test_one_piece_is_never_claimed_of_what_labelling_splits_and_is_seen_in_hearts():
    rng, claimed = np.random.default_rng(0), 0
    for _ in range(1000):
        structure = rng.random(rng.integers(1, 8, 2)) < rng.choice([0.3, 0.6, 0.9])
        around = ndimage.label(np.pad(~structure, 1, constant_values=True), np.ones((3, 3)))[1]
        one = ndimage.label(structure)[1] == around == 1
        assert one or not _in_one_piece(structure)
        claimed += _in_one_piece(structure)
    assert claimed > 100
    rows, cols = np.mgrid[:60, :50]
    radius = np.hypot(rows - 30, cols - 25)
    ring = (radius < 22) & (radius > 15)
    assert _in_one_piece(radius < 15)
    assert _in_one_piece(ring & (rows < 45)), "a myocardium is a horseshoe"
    assert not _in_one_piece(ring)
