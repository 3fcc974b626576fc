"""Ejection fractions per beat and over a cine."""

from __future__ import annotations

import numpy as np
import pytest

from echoseg.clinical import Beat, Ejection, VolumeCurve, ef_percent, ejections, heart_rate, summarise
from echoseg.errors import InputError


def _curve(*values: float, unit: str = "mL") -> VolumeCurve:
    array = np.array(values)
    return VolumeCurve(array, unit, "simpson_single_plane", array, array, "mm2" if unit == "mL" else "px2")


def test_volumes_are_those_of_the_curve_at_the_beats_frames():
    beats = (Beat(0, 1, 2, complete=True), Beat(2, 3, 4, complete=True))
    one, two = ejections(_curve(120.0, 48.0, 110.0, 55.0, 118.0), beats)
    assert (one.edv, one.esv, one.ef_percent) == (120.0, 48.0, pytest.approx(60.0))
    assert (two.edv, two.esv, two.ef_percent) == (110.0, 55.0, pytest.approx(50.0))
    assert (two.ed_frame, two.es_frame, two.complete) == (2, 3, True)


def test_unit_and_method_travel_with_the_volumes():
    (ejection,) = ejections(_curve(9e5, 4e5, unit="px3"), [Beat(0, 1, None, complete=False)])
    assert (ejection.unit, ejection.method, ejection.complete) == ("px3", "simpson_single_plane", False)


@pytest.mark.parametrize("values", [(np.nan, 50.0), (120.0, np.nan), (50.0, 120.0), (0.0, 0.0)])
def test_beats_without_an_ejection_are_left_out_rather_than_swapped(values):
    assert ejections(_curve(*values), [Beat(0, 1, None, complete=False)]) == ()


def test_summary_takes_medians_and_the_range():
    curve = _curve(120.0, 60.0, 100.0, 60.0, 110.0, 33.0)
    found = ejections(
        curve, [Beat(0, 1, None, complete=False), Beat(2, 3, None, complete=False), Beat(4, 5, None, False)]
    )
    summary = summarise(found, heart_rate_bpm=72.0)
    assert summary is not None
    assert (summary.edv, summary.esv, summary.ef_percent) == (110.0, 60.0, pytest.approx(50.0))
    assert summary.ef_range == (pytest.approx(40.0), pytest.approx(70.0))
    assert (summary.n_beats, summary.heart_rate_bpm, summary.unit) == (3, 72.0, "mL")
    assert summarise([]) is None


def test_heart_rate_comes_from_the_median_full_beat():
    beats = [Beat(0, 10, 40, complete=True), Beat(40, 50, 90, complete=True), Beat(90, 99, 190, complete=True)]
    assert heart_rate(beats, 50.0) == pytest.approx(60.0)
    assert heart_rate(beats, None) is None
    assert heart_rate([Beat(0, 10, None, complete=False)], 50.0) is None


def test_ef_does_not_depend_on_the_unit():
    assert ef_percent(120.0, 50.0) == pytest.approx(ef_percent(120.0 * 7**3, 50.0 * 7**3))


def test_ejections_are_validated():
    with pytest.raises(InputError, match="finite and positive"):
        Ejection(float("nan"), 50.0, 50.0, "mL", "m", 0, 1, complete=True)
    with pytest.raises(InputError, match="does not follow"):
        Ejection(100.0, 50.0, 55.0, "mL", "m", 0, 1, complete=True)
