"""Every number of a cine against closed forms: volumes, output, atrium, mass, index, medians, ranges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.clinical.hearts import ED, ES, beating, cone_mask, half_spheroid_ml, segmented

from echoseg.clinical import Context, Indices, Measures, measure_cine
from echoseg.errors import InputError, UsageError


def _numbers(masks: np.ndarray, context: Context | None = None, **known: object) -> Measures:
    extras = measure_cine(segmented(masks, **known), context=context or Context()).extras
    assert extras is not None
    return extras


def _value(found: Measures, key: str) -> float:
    return found.median[key].value


@pytest.fixture(scope="module")
def heart() -> Indices:
    return measure_cine(segmented(beating()), context=Context(body_surface_m2=2.0))


def test_volumes_by_both_formulas_with_unit_method_and_frames(heart):
    found = heart.extras
    for suffix, method in (("", "simpson_single_plane"), ("_area_length", "area_length")):
        edv, esv, sv, ef = (found.median[f"{key}{suffix}"] for key in ("edv", "esv", "sv", "ef"))
        assert edv.value == pytest.approx(ED.lv_ml, rel=0.02)
        assert esv.value == pytest.approx(ES.lv_ml, rel=0.03)
        assert sv.value == pytest.approx(ED.lv_ml - ES.lv_ml, rel=0.03)
        assert ef.value == pytest.approx(100 * (1 - ES.lv_ml / ED.lv_ml), abs=1)
        assert {edv.method, esv.method, sv.method, ef.method} == {method}
        assert (edv.unit, ef.unit) == ("mL", "%")
        assert (edv.frames, esv.frames, ef.frames) == ((0, 20), (10, 30), (0, 10, 20, 30))
    assert _value(found, "edv") == pytest.approx(heart.summary.edv)
    assert _value(found, "ef") == pytest.approx(heart.summary.ef_percent)


def test_rate_and_output(heart):
    found = heart.extras
    assert found.median["hr"].value == pytest.approx(75.0)
    assert found.median["hr"].unit == "1/min"
    assert found.median["co"].value == pytest.approx(75 * (ED.lv_ml - ES.lv_ml), rel=0.03)
    assert found.median["co"].unit == "mL/min"
    assert [beat.numbers["hr"].frames for beat in found.beats] == [(0, 20), (20, 40)]


def test_the_atrium_is_largest_at_end_systole(heart):
    found = heart.extras
    for suffix in ("", "_area_length"):
        largest, smallest = found.median[f"la_volume_max{suffix}"], found.median[f"la_volume_min{suffix}"]
        assert largest.value == pytest.approx(ES.atrium_ml, rel=0.03)
        assert smallest.value == pytest.approx(ED.atrium_ml, rel=0.03)
        assert (largest.frames, smallest.frames) == ((10, 30), (0, 20))


def test_mass_of_the_shell_at_end_diastole(heart):
    for key, method in (("lv_mass", "apical_shell_discs"), ("lv_mass_area_length", "apical_shell_area_length")):
        mass = heart.extras.median[key]
        assert mass.value == pytest.approx(ED.mass_g, rel=0.03)
        assert (mass.unit, mass.method, mass.frames) == ("g", method, (0, 20))


def test_index_by_body_surface(heart):
    found = heart.extras
    assert found.body_surface_m2 == 2.0
    for key, unit in (("edv", "mL/m2"), ("la_volume_max", "mL/m2"), ("lv_mass", "g/m2"), ("co", "mL/min/m2")):
        index = found.median[f"{key}_index"]
        assert index.value == pytest.approx(found.median[key].value / 2)
        assert index.unit == unit
    assert "ef_index" not in found.median
    assert not [key for key in _numbers(beating()).median if key.endswith("_index")]


def test_ranges_stand_beside_the_numbers_that_have_them(heart):
    ranges = heart.extras.ranges
    assert [(one.who, one.low, one.high) for one in ranges["ef"]] == [("women", 54, 74), ("men", 52, 72)]
    assert [(one.low, one.high, one.unit) for one in ranges["la_volume_max_index"]] == [(16, 34, "mL/m2")]
    assert set(ranges) <= set(heart.extras.median)
    assert all("2015" in one.source for several in ranges.values() for one in several)
    assert not {"gcs_endo", "hr", "co"} & set(ranges)


def test_without_pixel_size_there_is_no_millilitre_and_no_gram():
    found = _numbers(beating(), pixel_mm=None)
    assert {number.unit for number in found.median.values()} == {"px3", "%", "1/min"}
    assert not {"co", "lv_mass", "la_volume_max"} & set(found.median)
    assert "ef" in found.ranges
    assert "edv" not in found.ranges


def test_without_frame_rate_there_is_no_rate():
    found = _numbers(beating(), fps=None)
    assert not {"hr", "co"} & set(found.median)
    assert found.rhythm is None
    assert found.median["ef"].value > 0


def test_an_atrium_at_the_edge_of_the_image_is_left_out_and_said():
    masks = beating()[:, :140]
    indices = measure_cine(segmented(masks))
    assert indices.extras is not None
    assert {"la_volume_max", "la_volume_min"}.isdisjoint(indices.extras.median)
    assert any(
        "left atrium cut off by the edge of the image at frames 0, 10, 20, 30" in one for one in indices.warnings
    )


def test_a_wall_that_does_not_line_the_cavity_has_no_mass():
    masks = beating()
    masks[:, :, 80:][masks[:, :, 80:] == 2] = 0
    found = _numbers(masks)
    assert "lv_mass" not in found.median
    assert "gcs_mid" not in found.median
    assert "gcs_endo" in found.median


def test_masks_of_the_ventricle_alone():
    masks = (beating() == 1).astype(np.uint8)
    found = _numbers(masks)
    assert not {"lv_mass", "la_volume_max", "gcs_mid"} & set(found.median)
    assert _value(found, "edv") == pytest.approx(ED.lv_ml, rel=0.02)


def test_cones_part_the_two_formulas():
    ed, es = cone_mask(130, 50), cone_mask(110, 36)
    found = _numbers(np.stack([ed, es]), fps=None)
    assert _value(found, "edv") == pytest.approx(np.pi / 3 * 130 * 50**2 / 1000, rel=0.03)
    assert _value(found, "edv_area_length") == pytest.approx(8 / (3 * np.pi) * 130 * 50**2 / 1000, rel=0.03)


def test_the_formula_that_is_asked_for_comes_without_suffix():
    indices = measure_cine(segmented(beating()), method="area_length")
    assert indices.extras is not None
    assert indices.extras.median["edv"].method == "area_length"
    assert indices.extras.median["edv_simpson_single_plane"].method == "simpson_single_plane"
    with pytest.raises(UsageError, match="'cubed' is unknown"):
        measure_cine(segmented(beating()), method="cubed")


@pytest.mark.parametrize("surface", [0.0, -1.0, float("nan"), 180.0])
def test_a_body_surface_that_is_none_is_refused(surface):
    with pytest.raises(InputError, match="square metres"):
        Context(body_surface_m2=surface)


SCALE_FREE = ("ef", "ef_area_length", "gcs_endo", "gcs_mid")
IN_ML_OR_G = ("edv", "esv", "edv_area_length", "la_volume_max", "lv_mass", "lv_mass_area_length")


@settings(max_examples=12, deadline=None)
@given(
    angle=st.floats(-25, 25),
    shift=st.tuples(st.floats(-3, 3), st.floats(-3, 3)),
    mirrored=st.booleans(),
)
def test_numbers_do_not_depend_on_where_and_how_the_heart_lies(angle, shift, mirrored):
    place = {"angle_deg": angle, "middle": (ED.middle[0] + shift[0], ED.middle[1] + shift[1])}
    masks = np.stack([replace(shape, **place).mask() for shape in (ED, ES)])
    found = _numbers(masks[:, :, ::-1] if mirrored else masks, fps=None)
    for key in SCALE_FREE:
        assert _value(found, key) == pytest.approx(_value(STILL, key), abs=1.2), key
    for key in IN_ML_OR_G:
        tolerance = 0.06 if key == "la_volume_max" else 0.03  # one row of pixels is a fortieth of the atrium
        assert _value(found, key) == pytest.approx(_value(STILL, key), rel=tolerance), key


STILL = _numbers(np.stack([ED.mask(), ES.mask()]), fps=None)


@pytest.mark.parametrize("pixel_mm", [0.5, 2.0])
def test_millilitres_grow_with_the_cube_of_the_pixel(pixel_mm):
    masks = np.stack([ED.mask(), ES.mask()])
    found = _numbers(masks, pixel_mm=pixel_mm, fps=None)
    for key in IN_ML_OR_G:
        assert _value(found, key) == pytest.approx(pixel_mm**3 * _value(STILL, key), rel=1e-9)
    for key in SCALE_FREE:
        assert _value(found, key) == pytest.approx(_value(STILL, key), abs=1e-9)


def test_a_cine_played_backwards_has_the_same_volumes():
    forward, backward = _numbers(beating()), _numbers(beating()[::-1].copy())
    for key in ("edv", "esv", "ef", "lv_mass", "la_volume_max", "gcs_endo"):
        assert _value(backward, key) == pytest.approx(_value(forward, key), rel=1e-9)


def test_half_a_spheroid_is_what_the_shapes_say():
    assert half_spheroid_ml(80, 26, 26) == pytest.approx(ED.lv_ml)
