"""Filling a polygon as skimage.draw.polygon does, and what a tracing says about its shape."""

from fractions import Fraction
from itertools import product
from math import pi

import numpy as np
import pytest

from echoseg.datasets.tracings import (
    crosses_itself,
    outline_area_px2,
    polygon_mask,
    tracing_mask,
    tracing_outline,
    tracing_volume_px3,
)


def filled(vertices, shape=(7, 7)):
    rows, cols = np.array(vertices, np.int64).reshape(-1, 2).T
    return polygon_mask(rows, cols, shape)


def picture(mask):
    return ["".join("#" if value else "." for value in row) for row in mask]


def on_segment(point, start, end):
    """Exact: whether a point lies on a closed segment."""
    (y, x), (y0, x0), (y1, x1) = point, start, end
    cross = (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)
    return cross == 0 and min(x0, x1) <= x <= max(x0, x1) and min(y0, y1) <= y <= max(y0, y1)


def closed_even_odd(vertices, shape):
    """Definition, pixel by pixel: on the boundary, or an odd number of edges crossed on the way to the right.

    The way runs a little below the pixel, where it meets no vertex.
    """
    sides = list(zip(vertices, vertices[1:] + vertices[:1], strict=True))
    mask = np.zeros(shape, np.uint8)
    for y, x in product(range(shape[0]), range(shape[1])):
        height = y + Fraction(1, 1000)
        crossed = 0
        for (y0, x0), (y1, x1) in sides:
            if (y0 > height) != (y1 > height):
                crossed += x0 + (height - y0) * Fraction(x1 - x0, y1 - y0) > x
        mask[y, x] = crossed % 2 or any(on_segment((y, x), *side) for side in sides)
    return mask


def scalar_rule(vertices, shape):
    """The rule of skimage restated for one pixel: right and left crossings counted with strict signs, and vertices."""
    mask = np.zeros(shape, np.uint8)
    for y, x in product(range(shape[0]), range(shape[1])):
        right = left = 0
        y1, x1 = vertices[-1][0] - y, vertices[-1][1] - x
        for row, col in vertices:
            y0, x0 = row - y, col - x
            if y0 == 0 and x0 == 0:
                mask[y, x] = 1
            if (y0 > 0) != (y1 > 0) and Fraction(x0 * y1 - x1 * y0, y1 - y0) > 0:
                right += 1
            if (y0 < 0) != (y1 < 0) and Fraction(x0 * y1 - x1 * y0, y1 - y0) < 0:
                left += 1
            y1, x1 = y0, x0
        if right % 2 or left % 2:
            mask[y, x] = 1
    return mask


def test_square_includes_its_boundary():
    assert picture(filled([(1, 1), (1, 4), (3, 4), (3, 1)], (5, 6))) == [
        "......",
        ".####.",
        ".####.",
        ".####.",
        "......",
    ]


def test_triangle_of_the_skimage_documentation():
    """`polygon([1, 2, 8], [1, 7, 4])` in a 10 x 10 image, from the docstring of skimage.draw.polygon."""
    assert picture(filled([(1, 1), (2, 7), (8, 4)], (10, 10))) == [
        "..........",
        ".#........",
        "..######..",
        "..#####...",
        "...####...",
        "...###....",
        "....##....",
        "....#.....",
        "....#.....",
        "..........",
    ]


def test_a_single_point_and_a_line_are_their_own_pixels():
    assert filled([(2, 3)]).sum() == 1
    assert filled([(2, 3)])[2, 3] == 1
    assert filled([]).sum() == 0


def test_bow_tie_is_two_triangles_and_the_frame_cuts():
    bow_tie = [(0, 0), (0, 4), (4, 0), (4, 4)]
    pixels = ["#####", ".###.", ".....", ".###.", "#####"]  # where two sides cross, skimage leaves the pixel out
    assert picture(filled(bow_tie, (5, 5))) == pixels
    assert picture(filled(bow_tie, (2, 3))) == ["###", ".##"]
    assert filled([(-9, -9), (-9, -2), (-2, -2)]).sum() == 0
    assert filled([(-5, -5), (-5, 20), (20, 20), (20, -5)]).all()


def test_every_triangle_on_a_four_by_four_grid_against_the_definition():
    corners = list(product(range(4), range(4)))
    checked = 0
    for a, b, c in product(corners[:8], corners, corners):
        if a < b and (b[0] - a[0]) * (c[1] - a[1]) != (b[1] - a[1]) * (c[0] - a[0]):
            np.testing.assert_array_equal(filled([a, b, c], (4, 4)), closed_even_odd([a, b, c], (4, 4)))
            checked += 1
    assert checked > 900


@pytest.mark.parametrize("n_vertices", [4, 5, 8, 40])
def test_random_polygons_that_may_cross_and_leave_the_frame(n_vertices):
    rng = np.random.default_rng(n_vertices)
    for _ in range(25):
        vertices = [tuple(int(v) for v in vertex) for vertex in rng.integers(-3, 12, (n_vertices, 2))]
        np.testing.assert_array_equal(filled(vertices, (9, 10)), scalar_rule(vertices, (9, 10)))


def test_tracing_mask_leaves_out_the_long_axis(make):
    rows = np.array(make.tracing(15))
    moved = rows.copy()
    moved[0] = (0, 0, 111, 111)
    mask = tracing_mask(rows, (112, 112))
    np.testing.assert_array_equal(mask, tracing_mask(moved, (112, 112)))
    assert mask[0, 0] == mask[111, 111] == 0
    assert mask.sum() == pytest.approx(pi * 15 * 35, rel=0.04)


def test_outline_goes_down_one_side_and_up_the_other():
    tracing = np.array([(0, 0, 9, 9), (1, 2, 3, 4), (5, 6, 7, 8)], np.float64)
    np.testing.assert_array_equal(tracing_outline(tracing), [(2, 1), (6, 5), (8, 7), (4, 3)])  # (row, col) = (y, x)


def test_coordinates_are_rounded_half_to_even():
    tracing = np.array([(0, 0, 0, 0), (0.5, 0.5, 2.5, 0.5), (1.5, 3.4, 3.5, 3.4)])
    assert picture(tracing_mask(tracing, (5, 6))) == ["###...", ".##...", "..##..", "..###.", "......"]


def test_volume_of_a_traced_ellipsoid(make):
    rows = np.array(make.tracing(15, top=20, bottom=90))
    assert tracing_volume_px3(rows) == pytest.approx(pi / 6 * 70 * 30**2, rel=0.002)
    assert tracing_volume_px3(rows[:1]) == 0


def test_area_by_the_shoelace_formula():
    assert outline_area_px2(np.array([(0.0, 0.0), (0, 4), (3, 4), (3, 0)])) == 12
    assert outline_area_px2(np.array([(0.0, 0.0), (0, 4)])) == 0


def test_crossing_is_seen_and_touching_is_not(make):
    assert crosses_itself(np.array([(0.0, 0.0), (0, 4), (4, 0), (4, 4)]))
    assert not crosses_itself(np.array([(0.0, 0.0), (0, 4), (4, 4), (4, 0)]))
    assert not crosses_itself(np.array([(0.0, 0.0), (0, 4), (4, 2), (0, 2)]))  # a corner on another side
    outline = tracing_outline(np.array(make.tracing(15)))
    assert not crosses_itself(outline)
    outline[[5, 9]] = outline[[9, 5]]
    assert crosses_itself(outline)
