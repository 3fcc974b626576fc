"""Measuring all frames of a cine."""

from __future__ import annotations

import numpy as np
import pytest

from echoseg.cine import CineMeta, MaskStack, Spacing
from echoseg.clinical import VolumeCurve, measure_frame, measure_frames, simpson_single_plane, volume_curve
from echoseg.errors import InputError, UsageError


def _masks(n: int = 6) -> np.ndarray:
    y, x = np.mgrid[0:96, 0:96]
    return np.stack([((y - 48) / 38) ** 2 + ((x - 48) / (15 + t)) ** 2 <= 1 for t in range(n)]).astype(np.uint8)


def _meta(n: int = 6, **known) -> CineMeta:
    return CineMeta("a.avi", 96, 96, n, **known)


def test_every_frame_of_the_series_is_what_the_single_frame_measures():
    masks, spacing = _masks(), Spacing(0.7, 0.9)
    series = measure_frames(masks, spacing)
    for t, mask in enumerate(masks):
        frame = measure_frame(mask, spacing)
        assert frame.discs is not None
        assert series.simpson_ml[t] == pytest.approx(simpson_single_plane(frame.discs))
        assert (series.area_mm2[t], series.length_mm[t]) == (frame.area_mm2, frame.length_mm)


def test_with_spacing_the_unit_is_ml_and_without_it_cubic_pixels():
    calibrated = volume_curve(_masks(), _meta(spacing=Spacing(2.0, 2.0)))
    bare = volume_curve(_masks(), _meta())
    assert (calibrated.unit, calibrated.area_unit, bare.unit, bare.area_unit) == ("mL", "mm2", "px3", "px2")
    np.testing.assert_allclose(bare.values * 8 / 1000, calibrated.values)
    np.testing.assert_allclose(bare.areas * 4, calibrated.areas)


def test_pixels_known_not_to_be_square_are_refused_without_spacing():
    with pytest.raises(InputError, match=r"a\.avi: pixels are not square.*--spacing-mm$"):
        volume_curve(_masks(), _meta(aspect=1.2))
    assert volume_curve(_masks(), _meta(spacing=Spacing(1.2, 1.0))).unit == "mL"
    assert volume_curve(_masks(), _meta(aspect=1.005)).unit == "px3"


def test_empty_and_degenerate_frames_are_nan_and_the_others_are_kept():
    masks = _masks()
    masks[2] = 0
    masks[4] = 0
    masks[4, 3, 3] = 1
    curve = volume_curve(masks, _meta())
    np.testing.assert_array_equal(np.isnan(curve.values), [False, False, True, False, True, False])
    assert curve.areas[2] == 0


def test_a_cine_of_empty_masks_is_a_curve_of_nan():
    assert np.isnan(volume_curve(0 * _masks(), _meta()).values).all()


def test_masks_are_taken_from_any_iterable():
    meta = _meta()
    reference = volume_curve(_masks(), meta).values
    np.testing.assert_array_equal(volume_curve(iter(_masks()), meta).values, reference)
    np.testing.assert_array_equal(volume_curve(MaskStack.from_array(_masks()), meta).values, reference)


def test_frames_beyond_those_that_decide_the_direction_are_measured_alike():
    masks = np.concatenate([_masks()] * 15)
    values = volume_curve(masks, _meta(len(masks))).values
    np.testing.assert_array_equal(values.reshape(15, 6), np.tile(values[:6], (15, 1)))


def test_one_odd_frame_does_not_turn_its_axis_against_the_rest():
    y, x = np.mgrid[0:96, 0:96]
    upright = (((y - 80) / 65) ** 2 + ((x - 48) / 22) ** 2 <= 1) & (y <= 80)
    odd = upright[::-1]
    alone = measure_frame(odd, Spacing(1.0, 1.0)).discs
    together = measure_frames([upright.astype(np.uint8)] * 5 + [odd.astype(np.uint8)], Spacing(1.0, 1.0))
    assert alone is not None
    assert alone.apex[0] > alone.base[0]  # on its own it is taken as upside down
    assert together.simpson_ml[5] != simpson_single_plane(alone)


def test_area_length_is_a_method_of_its_own():
    curve = volume_curve(_masks(), _meta(spacing=Spacing(1.0, 1.0)), "area_length")
    np.testing.assert_allclose(curve.values, 8 * curve.areas**2 / (3 * np.pi * curve.lengths) / 1000)
    assert curve.method == "area_length"


def test_an_unknown_method_is_refused():
    with pytest.raises(UsageError, match="'cubed' is unknown; choose one of simpson_single_plane, area_length"):
        volume_curve(_masks(), _meta(), "cubed")


def test_times_follow_the_frame_rate():
    times = volume_curve(_masks(), _meta(fps=25.0)).times_s
    np.testing.assert_allclose(times, np.arange(6) / 25)
    assert volume_curve(_masks(), _meta()).times_s is None


def test_a_curve_is_validated_and_frozen():
    ones = np.ones(3)
    with pytest.raises(InputError, match="one per frame"):
        VolumeCurve(ones, "mL", "m", np.ones(2), ones, "mm2")
    with pytest.raises(InputError, match="positive"):
        VolumeCurve(-ones, "mL", "m", ones, ones, "mm2")
    with pytest.raises(InputError, match="positive"):
        VolumeCurve(ones * np.inf, "mL", "m", ones, ones, "mm2")
    with pytest.raises(InputError, match="mL with mm2"):
        VolumeCurve(ones, "mL", "m", ones, ones, "px2")
    with pytest.raises(InputError, match="without a frame"):
        VolumeCurve(np.empty(0), "mL", "m", np.empty(0), np.empty(0), "mm2")
    curve = VolumeCurve(ones, "mL", "m", ones, ones, "mm2")
    with pytest.raises(ValueError, match="read-only"):
        curve.values[0] = 2
    ones[0] = 2
