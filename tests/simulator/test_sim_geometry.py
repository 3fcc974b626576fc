"""Polygons and poses against brute force and closed forms."""

import numpy as np
import pytest

from echoseg.simulator.geometry import Pose, contains, fill_polygon
from echoseg.simulator.tracing import trace_discs


def _even_odd(polygon, shape):
    """Crossing number of every pixel centre, one edge after the other."""
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    inside = np.zeros(shape, bool)
    for (r0, c0), (r1, c1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if r0 == r1:
            continue
        crosses = (np.minimum(r0, r1) <= rows) & (rows < np.maximum(r0, r1))
        inside ^= crosses & (cols >= c0 + (rows - r0) * (c1 - c0) / (r1 - r0))
    return inside


@pytest.mark.parametrize("seed", range(8))
def test_fill_polygon_equals_brute_force_even_outside_the_image(seed):
    rng = np.random.default_rng(seed)
    polygon = rng.uniform(-12, 52, (int(rng.integers(3, 12)), 2))  # crosses itself and the borders
    np.testing.assert_array_equal(fill_polygon(polygon, (40, 37)), _even_odd(polygon, (40, 37)))


def test_fill_polygon_area_of_a_fine_polygon():
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    ellipse = np.stack([60.3 + 50 * np.sin(angle), 40.6 + 30 * np.cos(angle)], axis=-1)
    assert fill_polygon(ellipse, (120, 80)).sum() == pytest.approx(np.pi * 50 * 30, rel=2e-3)


def test_fill_polygon_outside_the_image_is_empty():
    assert not fill_polygon(np.array([[-9.0, 0.0], [-5.0, 4.0], [-2.0, 1.0]]), (10, 10)).any()
    assert not fill_polygon(np.array([[1.0, 20.0], [5.0, 24.0], [8.0, 21.0]]), (10, 10)).any()


def test_contains_agrees_with_the_circle():
    rng = np.random.default_rng(1)
    p, q = rng.uniform(-30, 30, (2, 4000))
    angle = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    circle = 20 * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    far_from_edge = np.abs(np.hypot(p, q) - 20) > 0.3
    np.testing.assert_array_equal(contains(circle, p, q)[far_from_edge], (np.hypot(p, q) < 20)[far_from_edge])


def test_pose_there_and_back_keeps_points_and_lengths():
    pose = Pose(x_mm=3.0, z_mm=20.0, tilt_rad=0.4)
    p, q = np.random.default_rng(0).uniform(-50, 50, (2, 100))
    x, z = pose.to_sector(p, q)
    np.testing.assert_allclose(pose.to_heart(x, z), (p, q), atol=1e-9)
    np.testing.assert_allclose(np.hypot(x - 3, z - 20), np.hypot(p, q), atol=1e-9)
    assert pose.to_sector(p.astype(np.float32), q.astype(np.float32))[0].dtype == np.float32


@pytest.mark.parametrize("tilt", [-0.5, 0.0, 0.7])
def test_trace_discs_of_a_half_ellipse(tilt):
    angle = np.linspace(-np.pi / 2, np.pi / 2, 801)
    contour = np.stack([80 - 80 * np.cos(angle), 25 * np.sin(angle)], axis=-1)  # (y, x), apex at the origin
    cos, sin = np.cos(tilt), np.sin(tilt)
    contour = contour @ np.array([[cos, sin], [-sin, cos]]) + [30.0, 50.0]
    discs = trace_discs(contour)
    length = np.linalg.norm(discs[0, 0] - discs[0, 1])
    diameters = np.linalg.norm(discs[1:, 0] - discs[1:, 1], axis=-1)
    axis = (discs[0, 1] - discs[0, 0]) / length
    assert discs.shape == (21, 2, 2)
    assert length == pytest.approx(80, rel=1e-4)
    np.testing.assert_allclose(discs[0, 0], [30.0, 50.0], atol=1e-6)
    np.testing.assert_allclose((discs[1:, 0] - discs[1:, 1]) @ axis, 0, atol=1e-6)
    np.testing.assert_allclose(diameters, 50 * np.sqrt(1 - (1 - (np.arange(20) + 0.5) / 20) ** 2), rtol=2e-3)
    assert np.pi / 4 * length / 20 * np.sum(diameters**2) == pytest.approx(2 / 3 * np.pi * 25**2 * 80, rel=5e-3)
