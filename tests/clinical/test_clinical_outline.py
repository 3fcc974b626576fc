"""Tracing the outline of the largest component."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from echoseg.clinical import find_outline
from echoseg.errors import GeometryError

masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12)).filter(np.any)


def _polygon_area(points: np.ndarray) -> float:
    following = np.roll(points, -1, axis=0)
    return 0.5 * abs(float((points[:, 0] * following[:, 1] - points[:, 1] * following[:, 0]).sum()))


@settings(max_examples=300, deadline=None)
@given(masks)
def test_outline_agrees_with_scipys_labels(mask):
    outline = find_outline(mask)
    labels, n_components = ndimage.label(mask)
    sizes = np.bincount(labels.ravel())[1:]
    assert outline.n_components == n_components
    assert outline.stray_fraction == pytest.approx(1 - sizes.max() / sizes.sum())
    # A background that is joined by corners only is not a hole, because the object is 4-connected.
    filled = [
        int(ndimage.binary_fill_holes(labels == k + 1, np.ones((3, 3))).sum())
        for k in np.flatnonzero(sizes == sizes.max())
    ]
    assert outline.area_px in filled


@settings(max_examples=200, deadline=None)
@given(masks)
def test_polygon_halves_every_border_edge(mask):
    outline = find_outline(mask)
    # Each right turn of a closed walk cuts an eighth of a pixel off and each left turn adds one: four more right turns.
    assert _polygon_area(outline.points) == pytest.approx(outline.area_px - 0.5)
    padded = np.pad(mask, 2)
    outside = outline.pixels_outside() + 2
    assert not padded[outside[:, 0], outside[:, 1]].any() or outline.n_components > 1
    inside = outline.pixels_outside(0) + 2
    assert padded[inside[:, 0], inside[:, 1]].all()


def test_pixels_two_away_lie_behind_those_next_to_the_border():
    mask = np.zeros((9, 9), bool)
    mask[4, 4] = True
    near, far = find_outline(mask).pixels_outside(1), find_outline(mask).pixels_outside(2)
    assert {tuple(p) for p in near} == {(3, 4), (5, 4), (4, 3), (4, 5)}
    assert {tuple(p) for p in far} == {(2, 4), (6, 4), (4, 2), (4, 6)}


@pytest.mark.parametrize(
    ("window", "touches"),
    [
        (np.s_[2:5, 2:5], False),
        (np.s_[0:5, 2:5], True),
        (np.s_[2:8, 2:5], True),
        (np.s_[2:5, 0:5], True),
        (np.s_[2:5, 2:9], True),
        (np.s_[1:7, 1:8], False),
    ],
)
def test_touching_the_edge_of_the_image(window, touches):
    mask = np.zeros((8, 9), bool)
    mask[window] = True
    assert find_outline(mask).touches_edge is touches


def test_a_speck_at_the_edge_does_not_count_for_the_ventricle():
    mask = np.zeros((20, 20), bool)
    mask[5:15, 5:15] = True
    mask[0, 0] = True
    outline = find_outline(mask)
    assert (outline.touches_edge, outline.n_components, outline.area_px) == (False, 2, 100)
    assert outline.stray_fraction == pytest.approx(1 / 101)


def test_holes_are_filled():
    mask = np.zeros((20, 20), bool)
    mask[5:15, 5:15] = True
    whole = find_outline(mask)
    mask[9:11, 9:11] = False
    holed = find_outline(mask)
    assert holed.area_px == whole.area_px == 100
    np.testing.assert_array_equal(holed.points, whole.points)


def test_an_empty_mask_has_no_outline():
    with pytest.raises(GeometryError, match="no outline"):
        find_outline(np.zeros((4, 4), bool))


def test_the_mask_is_not_written_to():
    mask = np.eye(6, dtype=bool)
    mask.flags.writeable = False
    assert find_outline(mask).n_components == 6
