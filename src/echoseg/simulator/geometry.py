"""Plane geometry: where the heart lies in the sector, and exact masks of polygons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from echoseg.cine import Float64
from echoseg.simulator.patient import ViewGeometry

AnyFloat = TypeVar("AnyFloat", bound=np.floating[Any])
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Pose:
    """Place of the heart in the sector at one instant.

    The heart's own frame has its origin at the apex; p runs across (septum negative), q along the long axis to the mitral
    annulus. In the sector x runs across and z down, with the transducer at the origin. All in mm.

    Attributes:
        x_mm: apex across.
        z_mm: depth of the apex.
        tilt_rad: rotation of the long axis.
    """

    x_mm: float
    z_mm: float
    tilt_rad: float

    @classmethod
    def at(cls, geometry: ViewGeometry, time_s: float) -> Pose:
        """Pose at a time: breathing shifts and rocks the heart."""
        breath = np.sin(2 * np.pi * geometry.breath_hz * time_s + geometry.breath_phase_rad)
        shift = geometry.breath_mm * breath
        return cls(
            geometry.apex_x_mm + shift, geometry.apex_z_mm + 0.5 * shift, geometry.tilt_rad + geometry.rock_rad * breath
        )

    def to_sector(self, p: NDArray[AnyFloat], q: NDArray[AnyFloat]) -> tuple[NDArray[AnyFloat], NDArray[AnyFloat]]:
        """(x, z) of points (p, q)."""
        cos, sin = p.dtype.type(np.cos(self.tilt_rad)), p.dtype.type(np.sin(self.tilt_rad))
        return cos * p - sin * q + p.dtype.type(self.x_mm), sin * p + cos * q + p.dtype.type(self.z_mm)

    def to_heart(self, x: NDArray[AnyFloat], z: NDArray[AnyFloat]) -> tuple[NDArray[AnyFloat], NDArray[AnyFloat]]:
        """(p, q) of points (x, z)."""
        cos, sin = x.dtype.type(np.cos(self.tilt_rad)), x.dtype.type(np.sin(self.tilt_rad))
        dx, dz = x - x.dtype.type(self.x_mm), z - x.dtype.type(self.z_mm)
        return cos * dx + sin * dz, cos * dz - sin * dx


def fill_polygon(vertices: Float64, shape: tuple[int, int]) -> Mask:
    """Pixels whose centre lies inside a polygon, by the even-odd rule.

    Args:
        vertices: (M, 2) row and column of the corners, pixel centres at whole numbers; closed by itself.
        shape: (H, W) of the mask.

    Returns:
        bool (H, W).
    """
    height, width = shape
    row_a, col_a = vertices[:, 0], vertices[:, 1]
    row_b, col_b = np.roll(row_a, -1), np.roll(col_a, -1)
    first = np.clip(np.ceil(np.minimum(row_a, row_b)), 0, height).astype(np.intp)
    count = np.clip(np.ceil(np.maximum(row_a, row_b)), 0, height).astype(np.intp) - first
    mask = np.zeros(shape, bool)
    if not count.any():
        return mask
    edge = np.repeat(np.arange(len(vertices)), count)
    row = first[edge] + np.arange(len(edge)) - (np.cumsum(count) - count)[edge]
    crossing = col_a[edge] + (row - row_a[edge]) * (col_b - col_a)[edge] / (row_b - row_a)[edge]
    column = np.clip(np.ceil(crossing), 0, width).astype(np.intp)
    top, left = int(row.min()), int(column.min())
    box = int(row.max()) + 1 - top, int(column.max()) + 1 - left
    toggles = np.bincount((row - top) * box[1] + column - left, minlength=box[0] * box[1]).reshape(box) & 1
    filled = np.bitwise_xor.accumulate(toggles.astype(np.uint8), axis=1)
    mask[top : top + box[0], left : left + box[1]] = filled[:, : width - left]
    return mask


def contains(polygon: Float64, p: NDArray[Any], q: NDArray[Any], cell_mm: float = 0.25) -> Mask:
    """Which of many points lie in a polygon (M, 2) of (p, q), to the precision of a grid of `cell_mm`."""
    origin = polygon.min(0)
    rows, cols = np.ceil((polygon.max(0) - origin) / cell_mm).astype(int) + 1
    shape = int(rows), int(cols)
    lookup = fill_polygon((polygon - origin) / cell_mm, shape)
    row = np.rint((p - origin[0]) / cell_mm).astype(np.intp)
    col = np.rint((q - origin[1]) / cell_mm).astype(np.intp)
    inside: Mask = (row >= 0) & (row < shape[0]) & (col >= 0) & (col < shape[1])
    inside[inside] = lookup[row[inside], col[inside]]
    return inside
