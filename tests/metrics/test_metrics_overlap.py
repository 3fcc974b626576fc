"""Dice coefficients and temporal consistency."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from medpy.metric import binary

from echoseg.errors import InputError
from echoseg.metrics import dice, dice_pooled, temporal_consistency

masks = arrays(bool, (7, 9))


@settings(max_examples=100, deadline=None)
@given(masks.filter(np.any), masks.filter(np.any))
def test_dice_agrees_with_medpy_and_is_symmetric(a, b):
    assert dice(a, b) == pytest.approx(binary.dc(a, b))
    assert dice(a, b) == dice(b, a)


@settings(max_examples=50, deadline=None)
@given(masks)
def test_dice_of_a_mask_with_itself_is_one(mask):
    assert dice(mask, mask) == 1


def test_empty_masks():
    empty, full = np.zeros((3, 3), bool), np.ones((3, 3), bool)
    assert (dice(empty, empty), dice(empty, full), dice(full, empty)) == (1, 0, 0)
    assert dice_pooled([empty], [empty]) == 1
    assert dice_pooled([], []) == 1


def test_any_label_but_zero_belongs_to_the_object():
    mask = np.array([[0, 1, 2, 3]], np.uint8)
    assert dice(mask, np.array([[0, 1, 1, 0]], np.uint8)) == pytest.approx(0.8)


def test_pooled_dice_weighs_frames_by_their_area():
    large, small = np.zeros((20, 20), bool), np.zeros((20, 20), bool)
    large[:, :10], small[0, :2] = True, True
    preds, refs = [large, np.roll(small, 5)], [large, small]
    assert np.mean([dice(p, r) for p, r in zip(preds, refs, strict=True)]) == 0.5
    assert dice_pooled(preds, refs) == pytest.approx(2 * 200 / (400 + 4))


@settings(max_examples=50, deadline=None)
@given(st.lists(masks, min_size=1, max_size=4))
def test_pooled_dice_of_one_frame_is_dice(frames):
    other = [np.roll(frame, 1, axis=1) for frame in frames]
    assert dice_pooled(frames[:1], other[:1]) == dice(frames[0], other[0])
    assert dice_pooled(frames, other) == pytest.approx(dice(np.concatenate(frames), np.concatenate(other)))


def test_different_shapes_or_numbers_are_refused():
    with pytest.raises(InputError, match="resample"):
        dice(np.ones((3, 3), bool), np.ones((3, 4), bool))
    with pytest.raises(ValueError, match="shorter"):
        dice_pooled([np.ones((3, 3), bool)] * 2, [np.ones((3, 3), bool)])


def _bars(*lengths: int) -> list[np.ndarray]:
    return [np.arange(100)[None] < length for length in lengths]


def test_steady_growth_has_no_roughness():
    found = temporal_consistency(_bars(10, 20, 30, 40))
    assert found.area_roughness == 0
    assert found.mean_frame_dice == pytest.approx(np.mean([20 / 30, 40 / 50, 60 / 70]))
    assert (found.min_frame_dice, found.n_frames, found.n_empty) == (pytest.approx(2 / 3), 4, 0)


def test_roughness_is_the_mean_second_difference_over_the_mean_area():
    assert temporal_consistency(_bars(10, 14, 10, 14)).area_roughness == pytest.approx(8 / 12)


def test_still_masks_are_consistent_and_empty_frames_are_counted():
    still = temporal_consistency(_bars(10, 10, 10))
    assert (still.area_roughness, still.mean_frame_dice) == (0, 1)
    gone = temporal_consistency(_bars(10, 0, 10))
    assert (gone.n_empty, gone.mean_frame_dice, gone.area_roughness) == (1, 0, pytest.approx(20 / (20 / 3)))
    assert temporal_consistency(_bars(0, 0, 0)).area_roughness == 0


def test_a_shift_of_the_whole_mask_shows_in_dice_only():
    found = temporal_consistency([np.roll(_bars(10)[0], t % 2) for t in range(5)])
    assert (found.area_roughness, found.mean_frame_dice) == (0, pytest.approx(0.9))


def test_two_frames_are_too_few():
    with pytest.raises(InputError, match="three frames"):
        temporal_consistency(_bars(1, 2))
