"""Contour strain against closed forms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ellipe
from tests.clinical.hearts import ED, ES, beating, segmented

from echoseg.cine import Spacing, View
from echoseg.clinical import Context, measure_cine
from echoseg.clinical.strain import Display, segment_names
from echoseg.clinical.wall import find_wall, run_of
from echoseg.errors import UsageError


def _arc(height: float, radius: float) -> float:
    """Length of half an ellipse's outline, from hinge to hinge."""
    long, short = max(height, radius), min(height, radius)
    return 2 * long * float(ellipe(1 - (short / long) ** 2))


def _strain(masks: np.ndarray, display: Display | None = None, **known: object):
    found = measure_cine(segmented(masks, **known), context=Context(display=display)).extras
    assert found is not None
    assert found.strain is not None
    return found


@pytest.fixture(scope="module")
def scaled():
    """A heart that shrinks alike in all directions to 80 %."""
    small = replace(ED, **{name: 0.8 * getattr(ED, name) for name in ("length", "radius", "wall")})
    return _strain(beating(ED, small))


def test_lengths_of_the_borders_of_a_wall():
    wall = find_wall(ED.mask(), Spacing(1.0, 1.0), None)
    assert wall.epicardium is not None
    assert run_of(wall.endocardium.arc)[-1] == pytest.approx(_arc(ED.length, ED.radius), rel=0.01)
    outer = _arc(ED.length + ED.wall, ED.radius + ED.wall)
    assert run_of(wall.epicardium.arc)[-1] == pytest.approx(outer, rel=0.01)


def test_a_heart_that_shrinks_alike_strains_alike_everywhere(scaled):
    keys = ["gcs_endo", "gcs_mid", *(f"strain_{name}" for name in scaled.strain.names)]
    assert len(keys) == 8
    for key in keys:
        number = scaled.median[key]
        assert number.value == pytest.approx(-20, abs=1.5), key
        assert (number.unit, number.method, number.frames) == ("%", "contour_strain", (0, 10, 20, 30))
    assert scaled.median["gcs_endo"].value == pytest.approx(-20, abs=0.5)


def test_global_strain_of_a_heart_that_shortens_and_narrows():
    found = _strain(beating())
    endo = 100 * (_arc(ES.length, ES.radius) / _arc(ED.length, ED.radius) - 1)
    assert found.median["gcs_endo"].value == pytest.approx(endo, abs=0.7)
    assert found.median["gcs_mid"].value > found.median["gcs_endo"].value  # the wall thickens inwards


def test_strain_is_measured_from_the_end_diastole_of_each_beat(scaled):
    curve = scaled.strain.global_percent
    assert (curve[0], curve[20]) == (0, 0)
    assert np.isnan(curve[40])  # begins a beat that the cine does not show
    assert curve[10] == curve.min() or curve[30] == curve.min() or np.nanmin(curve) == min(curve[10], curve[30])
    assert scaled.strain.segments_percent.shape == (6, 41)


def test_a_segment_that_does_not_move():
    """The right wall keeps its place while the left one moves in: only its segments change much."""
    frames = []
    for radius in (26.0, 12.0):
        left, right = replace(ED, radius=radius).mask(), ED.mask()
        frames.append(np.where(np.arange(left.shape[1]) < 80, left, right).astype(np.uint8))
    found = _strain(np.stack(frames), "standard", fps=None)
    still = [found.median[f"strain_{name}"].value for name in ("mid_anterolateral", "basal_anterolateral")]
    assert np.abs(still).max() < 2.5
    assert found.median["strain_basal_inferoseptal"].value < 0.5
    assert found.median["gcs_endo"].value < -1


@pytest.mark.parametrize(
    ("view", "display", "first_is_left", "expected"),
    [
        (View.A4C, None, True, ("basal_left", "apical_left", "apical_right", "basal_right")),
        (View.A4C, None, False, ("basal_right", "apical_right", "apical_left", "basal_left")),
        (View.A4C, "standard", True, ("basal_inferoseptal", "apical_septal", "apical_lateral", "basal_anterolateral")),
        (View.A4C, "mirrored", True, ("basal_anterolateral", "apical_lateral", "apical_septal", "basal_inferoseptal")),
        (View.A4C, "mirrored", False, ("basal_inferoseptal", "apical_septal", "apical_lateral", "basal_anterolateral")),
        (View.A2C, "standard", True, ("basal_inferior", "apical_inferior", "apical_anterior", "basal_anterior")),
        (View.UNKNOWN, "standard", True, ("basal_left", "apical_left", "apical_right", "basal_right")),
        (View.UNKNOWN, "mirrored", False, ("basal_right", "apical_right", "apical_left", "basal_left")),
    ],
)
def test_names_of_segments(view, display, first_is_left, expected):
    names = segment_names(view, display, first_is_left=first_is_left)
    assert (names[0], names[2], names[3], names[5]) == expected
    assert len(set(names)) == 6


def test_walls_keep_their_sides_in_an_image_that_is_upside_down():
    """Only the left wall moves: it is the one on the left of the image in either case."""
    frames = []
    for radius in (26.0, 12.0):
        left = replace(ED, radius=radius).mask()
        frames.append(np.where(np.arange(left.shape[1]) < 80, left, ED.mask()).astype(np.uint8))
    masks = np.stack(frames)
    upright, flipped = (_strain(one, fps=None).median for one in (masks, masks[:, ::-1].copy()))
    for name in ("basal_left", "mid_left", "apical_left", "basal_right"):
        assert flipped[f"strain_{name}"].value == pytest.approx(upright[f"strain_{name}"].value, abs=0.6)
    assert abs(upright["strain_mid_right"].value) < 2.5


def test_a_display_that_is_none_is_refused():
    with pytest.raises(UsageError, match="display 'upside' is unknown"):
        measure_cine(segmented(beating()), context=Context(display="upside"))  # type: ignore[arg-type]


def test_a_cine_without_a_beat_has_no_strain():
    still = np.stack([ED.mask()] * 6)
    extras = measure_cine(segmented(still)).extras
    assert extras is not None
    assert extras.strain is None
    assert not extras.median
