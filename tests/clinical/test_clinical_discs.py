"""Long axis and discs on masks as predictions make them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from echoseg.cine import Spacing, Structure
from echoseg.clinical import (
    Discs,
    area_length,
    biplane_ejection,
    find_discs,
    measure_frame,
    simpson_biplane,
    simpson_single_plane,
)
from echoseg.errors import GeometryError, InputError, UsageError

ONE = Spacing(1.0, 1.0)


def _bullet(height: int = 128, width: int = 128, *, apex: float = 20, base: float = 95, half: float = 24) -> np.ndarray:
    """Half an ellipse, apex on top, cut straight at the base."""
    y, x = np.mgrid[0:height, 0:width]
    inside = ((y - base) / (base - apex)) ** 2 + ((x - width / 2) / half) ** 2 <= 1
    return (inside & (y <= base)).astype(np.uint8)


def _with_atrium(mask: np.ndarray, gap: int = 0) -> np.ndarray:
    y, x = np.mgrid[0 : mask.shape[0], 0 : mask.shape[1]]
    base = np.flatnonzero(mask.any(axis=1))[-1] + 1 + gap
    atrium = (y >= base) & (((y - base) / 25) ** 2 + ((x - 64) / 18) ** 2 <= 1)
    out = mask.copy()
    out[atrium & (mask == 0)] = Structure.LA
    return out


def test_geometry_of_a_bullet():
    discs = find_discs(_bullet(), ONE)
    assert discs.length_mm == pytest.approx(75.5, abs=0.6)
    assert discs.apex == pytest.approx([20, 64], abs=1.0)
    assert discs.base == pytest.approx([95.5, 64], abs=0.6)
    assert np.all(np.diff(discs.diameters_mm) > -0.1)
    assert discs.diameters_mm[-1] == pytest.approx(48, abs=1)


def test_chords_have_the_diameters_lie_in_their_discs_and_cross_the_axis_at_right_angles():
    discs = find_discs(ndimage.rotate(_bullet(), 25, reshape=False, order=0), Spacing(0.5, 0.8))
    across = discs.chords[:, 1] - discs.chords[:, 0]
    axis = discs.base - discs.apex
    np.testing.assert_allclose(np.linalg.norm(across, axis=1), discs.diameters_mm)
    np.testing.assert_allclose(across @ axis, 0, atol=1e-9)
    along = (discs.chords[:, 0] - discs.apex) @ axis / discs.length_mm
    np.testing.assert_allclose(along / discs.length_mm, (np.arange(20) + 0.5) / 20)
    assert np.linalg.norm(axis) == pytest.approx(discs.length_mm)


def test_pixel_coordinates_have_their_origin_in_the_centre_of_the_first_pixel():
    y, x = np.mgrid[0:60, 0:40]
    mask = ((y - 30) / 25) ** 2 + ((x - 10) / 8) ** 2 <= 1
    discs = find_discs(mask, Spacing(2.0, 3.0))
    assert (discs.apex + discs.base) / 2 == pytest.approx([30 * 2.0, 10 * 3.0], abs=1e-6)


@pytest.mark.parametrize("gap", [0, 1])
def test_the_atrium_tells_the_base(gap):
    upside_down = _with_atrium(_bullet(), gap)[::-1]
    discs = find_discs(upside_down, ONE)
    assert discs.apex[0] > discs.base[0]
    ellipse = ((np.mgrid[0:100, 0:80] - np.array([50, 40])[:, None, None]) / np.array([40, 20])[:, None, None]) ** 2
    mask = (ellipse.sum(axis=0) <= 1).astype(np.uint8)
    assert find_discs(mask, ONE).apex[0] < 50  # nothing but the probe's side to go by
    mask[0:10, 30:50][mask[0:10, 30:50] == 0] = Structure.LA
    mask[10, 30:50] = np.where(mask[10, 30:50] == 0, Structure.LA, mask[10, 30:50])
    assert find_discs(mask, ONE).apex[0] > 50


def test_with_and_without_the_atrium_the_volume_is_the_same():
    mask = _with_atrium(_bullet())
    with_atrium, without = (simpson_single_plane(find_discs(m, ONE)) for m in (mask, mask == Structure.LV))
    assert with_atrium == pytest.approx(without, rel=0.01)


def test_a_few_touching_pixels_of_an_atrium_do_not_tell_the_base():
    mask = _bullet()
    mask[60, 90:92] = Structure.LA
    np.testing.assert_array_equal(find_discs(mask, ONE).base, find_discs(mask == 1, ONE).base)


def test_the_atrium_can_be_measured_itself():
    frame = measure_frame(_with_atrium(_bullet()), ONE, structure=Structure.LA)
    assert frame.discs is not None
    assert frame.discs.base[0] < frame.discs.apex[0]
    assert frame.area_mm2 == pytest.approx(np.pi * 25 * 18 / 2, rel=0.05)


def test_a_base_hint_turns_the_axis_of_an_ambiguous_shape():
    y, x = np.mgrid[0:100, 0:100]
    ellipse = ((y - 50) / 40) ** 2 + ((x - 50) / 20) ** 2 <= 1
    assert find_discs(ellipse, ONE, base_hint=(-1.0, 0.0)).apex[0] > 50


def test_a_round_mask_is_measured_upright():
    y, x = np.mgrid[0:100, 0:100]
    discs = find_discs((y - 50) ** 2 + (x - 50) ** 2 <= 30**2, ONE)
    assert simpson_single_plane(discs) == pytest.approx(4 / 3 * np.pi * 27, rel=0.02)
    assert abs((discs.base - discs.apex)[1]) < 15


def test_holes_specks_and_second_components_change_nothing():
    clean = _bullet()
    dirty = clean.copy()
    dirty[60:64, 60:66] = 0
    dirty[5, 5] = dirty[110:115, 10:15] = 1
    reference, found = measure_frame(clean, ONE), measure_frame(dirty, ONE)
    assert found.discs is not None
    assert reference.discs is not None
    np.testing.assert_array_equal(found.discs.diameters_mm, reference.discs.diameters_mm)
    assert found.area_mm2 == reference.area_mm2
    assert (reference.n_components, found.n_components) == (1, 3)
    assert found.stray_fraction == pytest.approx(26 / (clean.sum() - 24 + 26))


def test_a_mask_cut_by_the_edge_of_the_image_is_measured_and_marked():
    frame = measure_frame(_bullet()[30:], ONE)
    assert frame.touches_edge
    assert frame.discs is not None
    assert 0 < frame.length_mm < 75


@pytest.mark.parametrize("mask", [np.zeros((20, 20), np.uint8), np.eye(20, dtype=np.uint8), np.zeros((20, 20), bool)])
def test_masks_without_a_ventricle_raise_geometry_errors_and_measure_as_nothing(mask):
    with pytest.raises(GeometryError):
        find_discs(mask, ONE)
    frame = measure_frame(mask, ONE)
    assert (frame.area_mm2, frame.length_mm, frame.discs) == (0.0, 0.0, None)


@pytest.mark.parametrize("seed", range(40))
def test_random_blobs_give_finite_discs_or_a_geometry_error(seed):
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.normal(size=(60, 70)), rng.uniform(0.3, 6))
    frame = measure_frame(noise > np.quantile(noise, rng.uniform(0.3, 0.99)), Spacing(0.4, 0.9))
    assert frame.area_mm2 >= 0
    if frame.discs is not None:
        assert np.isfinite(frame.discs.chords).all()
        assert simpson_single_plane(frame.discs) > 0


def test_a_stack_is_refused():
    with pytest.raises(InputError, match=r"\(H, W\)"):
        find_discs(np.ones((2, 20, 20), np.uint8), ONE)


def test_the_mask_is_not_written_to():
    mask = _with_atrium(_bullet())
    before = mask.copy()
    mask.flags.writeable = False
    find_discs(mask, ONE)
    np.testing.assert_array_equal(mask, before)


def _discs(n: int) -> Discs:
    return Discs(80.0, np.full(n, 40.0), np.zeros(2), np.array([80.0, 0.0]), np.zeros((n, 2, 2)))


def test_discs_are_validated_and_frozen():
    with pytest.raises(GeometryError, match="positive length"):
        Discs(0.0, np.ones(3), np.zeros(2), np.zeros(2), np.zeros((3, 2, 2)))
    with pytest.raises(GeometryError, match="finite"):
        Discs(1.0, np.array([1.0, np.nan]), np.zeros(2), np.zeros(2), np.zeros((2, 2, 2)))
    with pytest.raises(GeometryError, match="chords"):
        Discs(1.0, np.ones(3), np.zeros(2), np.zeros(2), np.zeros((2, 2, 2)))
    diameters = np.ones(3)
    discs = Discs(1.0, diameters, np.zeros(2), np.zeros(2), np.zeros((3, 2, 2)))
    with pytest.raises(ValueError, match="read-only"):
        discs.diameters_mm[0] = 2
    diameters[0] = 2  # the caller's array stays writable


def test_a_cylinder_has_the_volume_of_a_cylinder():
    assert simpson_single_plane(_discs(20)) == pytest.approx(np.pi * 20**2 * 80 / 1000)
    assert simpson_biplane(_discs(20), _discs(20)) == pytest.approx(simpson_single_plane(_discs(20)))


def test_views_with_different_numbers_of_discs_are_refused():
    with pytest.raises(InputError, match="20 discs in one view and 10"):
        simpson_biplane(_discs(20), _discs(10))


def test_area_length_refuses_what_is_not_a_ventricle():
    with pytest.raises(GeometryError):
        area_length(100.0, 0.0)
    with pytest.raises(GeometryError):
        area_length(float("nan"), 10.0)


def test_an_unknown_biplane_method_is_refused():
    pair = (_discs(20), _discs(20))
    with pytest.raises(UsageError, match="simpson_biplane_shared_height"):
        biplane_ejection(pair, pair, method="max-step")
