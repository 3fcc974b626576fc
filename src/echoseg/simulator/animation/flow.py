"""A smooth, invertible motion that carries the outlines of end-diastole to those of end-systole.

Every matched point moves on a straight line. At each instant the velocities of all points are interpolated by a sum of
Matern kernels (C. A. Micchelli, Constr. Approx. 2, 1986: the system is solvable for any distinct points), and the flow of
that velocity field is integrated in small steps (S. Joshi and M. Miller, IEEE TIP 9(8), 2000: landmark flows are
diffeomorphisms). Away from the heart the motion dies out.

Phase s runs from 0 (end-diastole) to 1 (end-systole). Two families of maps tell where a pixel of phase s lies in either still.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from echoseg.cine import Float32, Float64
from echoseg.simulator.geometry import AnyFloat, Mask

Box = tuple[slice, slice]

_STEPS = 20
_REACH = 0.16
"""Length scale of the kernel, as part of the ventricle's length."""
_RIDGE = 3e-3
"""Softens the interpolation, so that points that pull at each other do not fold the field between them."""
_FINEST_GRID, _NODES_PER_PX = 56, 0.3
"""Nodes of the grid along the longer side: enough for the kernel's length scale, and no more than the image supports."""


@dataclass(frozen=True, eq=False)
class Flow:
    """Where the pixels of any phase lie in the two stills.

    Attributes:
        shape: (H, W) of the stills.
        aspect: row size / column size of a pixel.
        to_ed: float32 (S + 1, 2, h, w), row and column displacement from phase k / S to end-diastole, in pixels, on a coarse grid
            of nodes whose corners are the centres of the corner pixels.
        to_es: the same to end-systole.
    """

    shape: tuple[int, int]
    aspect: float
    to_ed: Float32
    to_es: Float32

    def displacement(self, phase: float) -> tuple[Float32, Float32]:
        """Displacements (2, h, w) to both stills at a phase 0..1, between two steps by linear interpolation."""
        position = float(np.clip(phase, 0, 1)) * (len(self.to_ed) - 1)
        low = min(int(position), len(self.to_ed) - 2)
        share = np.float32(position - low)
        ed, es = ((1 - share) * maps[low] + share * maps[low + 1] for maps in (self.to_ed, self.to_es))
        return ed, es

    @property
    def nodes(self) -> Float64:
        """(h, w, 2) places of the nodes, (y, x) in columns."""
        return _nodes(self.shape, self.aspect, (self.to_ed.shape[2], self.to_ed.shape[3]))

    def least_jacobian(self) -> float:
        """Smallest area factor of all maps: positive where nothing folds."""
        pitch = _pitch(self.shape, self.to_ed.shape[2:])
        smallest = np.inf
        for maps in (self.to_ed, self.to_es):
            row_by_row, row_by_col = np.gradient(maps[:, 0], *pitch, axis=(1, 2))
            col_by_row, col_by_col = np.gradient(maps[:, 1], *pitch, axis=(1, 2))
            jacobian = (1 + row_by_row) * (1 + col_by_col) - row_by_col * col_by_row
            smallest = min(smallest, float(jacobian.min()))
        return smallest


def make_flow(shape: tuple[int, int], aspect: float, ed_points: Float64, es_points: Float64, length: float) -> Flow:
    """The flow between two sets of matched points.

    Args:
        shape: (H, W) of the stills.
        aspect: row size / column size of a pixel.
        ed_points: (M, 2) as (y, x) in columns.
        es_points: (M, 2) the same points at end-systole.
        length: of the ventricle, in columns.
    """
    grid = _grid_shape(shape, aspect)
    pitch = np.array(_pitch(shape, grid))[:, None, None]
    scale = _REACH * length
    nodes = (_nodes(shape, aspect, grid).reshape(-1, 2) / scale).astype(np.float32)
    node_step = pitch * np.array([aspect, 1.0])[:, None, None]  # length of a node's step in columns
    velocities = []
    for k in range(_STEPS):
        points = ed_points + (k + 0.5) / _STEPS * (es_points - ed_points)
        velocity = _velocity(nodes, points / scale, es_points - ed_points)
        velocities.append(velocity.T.reshape(2, *grid) / node_step)
    backward = _follow(velocities, sign=-1.0)
    forward = _follow(velocities[::-1], sign=1.0)[::-1]
    return Flow(shape, aspect, *((np.stack(maps) * pitch).astype(np.float32) for maps in (backward, forward)))


class Places:
    """Where the pixels of a box come from."""

    def __init__(self, flow: Flow, box: Box) -> None:
        """Prepare a box; its pixels lie between the nodes of the flow, on a cubic spline."""
        self.flow, self.box = flow, box
        self._rows, self._cols = (
            _spline_weights(pixels, nodes)[part]
            for pixels, nodes, part in zip(flow.shape, flow.to_ed.shape[2:], box, strict=True)
        )
        self._here = np.indices((len(self._rows), len(self._cols)), dtype=np.float32)

    @property
    def shape(self) -> tuple[int, int]:
        """(h, w) of the box."""
        return len(self._rows), len(self._cols)

    def __call__(self, phase: float, shift: tuple[float, float] = (0.0, 0.0)) -> tuple[Float32, Float32]:
        """Places (2, h, w) in the end-diastolic and in the end-systolic still, rows and columns counted within the box.

        Args:
            phase: of the motion.
            shift: (rows, columns) that everything is moved by besides.
        """
        here = self._here - np.array(shift, np.float32)[:, None, None] if any(shift) else self._here
        ed, es = (here + self.spread(field) for field in self.flow.displacement(phase))
        return ed, es

    def spread(self, field: Float32 | Float64) -> Float32:
        """Values (..., h, w) at the pixels of the box, of values at the nodes."""
        return np.asarray(self._rows @ field.astype(np.float32) @ self._cols.T)


def bounding_box(mask: Mask, margin: int = 0) -> Box:
    """Smallest box around a mask, and a margin; the whole image for an empty one."""
    parts = []
    for axis, size in enumerate(mask.shape):
        hit = np.flatnonzero(mask.any(1 - axis))
        first, last = (int(hit[0]), int(hit[-1])) if len(hit) else (0, size - 1)
        parts.append(slice(max(0, first - margin), min(size, last + 1 + margin)))
    return parts[0], parts[1]


def _velocity(nodes: Float32, points: Float64, velocities: Float64) -> Float64:
    """Velocity (N, 2) at the nodes, interpolated between moving points; nodes and points in units of the kernel's length scale."""
    kernel = _matern(points, points)
    kernel[np.diag_indices_from(kernel)] += _RIDGE
    weights = np.linalg.solve(kernel, velocities).astype(np.float32)
    return np.asarray(_matern(nodes, points.astype(np.float32)) @ weights, dtype=np.float64)


def _matern(a: NDArray[AnyFloat], b: NDArray[AnyFloat]) -> NDArray[AnyFloat]:
    """Matern kernel of smoothness 5/2 between two sets of points: (1 + r + r^2 / 3) exp(-r)."""
    square = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    r = np.sqrt(np.maximum(square, 0))
    return np.asarray((1 + r + r * r / 3) * np.exp(-r), dtype=a.dtype)


def _follow(velocities: list[Float64], sign: float) -> list[Float64]:
    """Displacements of the flow after 0, 1, ... steps, in nodes: u_(k+1)(x) = u_k(x + d) + d, with d one step of velocity k."""
    from scipy.ndimage import map_coordinates

    maps = [np.zeros_like(velocities[0])]
    here = np.indices(velocities[0].shape[1:]).astype(np.float64)
    for velocity in velocities:
        # the velocity half a step away makes the step exact to second order
        half = here + 0.5 * sign / len(velocities) * velocity
        step = sign / len(velocities) * np.stack(
            [map_coordinates(v, half, order=1, mode="nearest") for v in velocity]
        )  # fmt: skip
        moved = [map_coordinates(u, here + step, order=3, mode="nearest") for u in maps[-1]]
        maps.append(np.stack(moved) + step)
    return maps


def _grid_shape(shape: tuple[int, int], aspect: float) -> tuple[int, int]:
    """Nodes (h, w) about equally far apart in either direction."""
    height, width = shape[0] * aspect, float(shape[1])
    longest = min(_FINEST_GRID, max(8, round(_NODES_PER_PX * max(shape))))
    rows, cols = (max(8, round(longest * side / max(height, width))) for side in (height, width))
    return rows, cols


def _pitch(shape: tuple[int, int], grid: tuple[int, ...]) -> tuple[float, float]:
    """Pixels from node to node."""
    return (shape[0] - 1) / (grid[0] - 1), (shape[1] - 1) / (grid[1] - 1)


def _nodes(shape: tuple[int, int], aspect: float, grid: tuple[int, int]) -> Float64:
    """(h, w, 2) places of the nodes, (y, x) in columns."""
    y, x = (np.linspace(0, pixels - 1, nodes) for pixels, nodes in zip(shape, grid, strict=True))
    return np.stack(np.meshgrid(y * aspect, x, indexing="ij"), axis=-1)


@lru_cache(maxsize=32)
def _spline_weights(pixels: int, nodes: int) -> Float32:
    """Weights (pixels, nodes) of the cubic spline through equally spaced nodes."""
    from scipy.interpolate import CubicSpline

    weights = CubicSpline(np.linspace(0, pixels - 1, nodes), np.eye(nodes))(np.arange(pixels)).astype(np.float32)
    weights.flags.writeable = False
    return np.asarray(weights)
