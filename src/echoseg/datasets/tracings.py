"""Expert tracings as EchoNet-Dynamic stores them: the long axis and twenty chords, as line segments.

A tracing is a float array (n, 4) of x1, y1, x2, y2 in pixels. Row 0 is the long axis, the others are chords in order
along it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from echoseg.cine import Float64, UInt8


def tracing_outline(tracing: Float64) -> Float64:
    """Closed outline (2 (n-1), 2) of (row, col): down one end of the chords, back up the other, without the axis."""
    chords = tracing[1:]
    return np.concatenate([chords[:, 1::-1], chords[::-1, 3:1:-1]])


def tracing_mask(tracing: Float64, shape: tuple[int, int]) -> UInt8:
    """LV mask (H, W) of a tracing: outline rounded to pixels and filled."""
    outline = np.rint(tracing_outline(tracing)).astype(np.int64)
    return polygon_mask(outline[:, 0], outline[:, 1], shape)


def tracing_volume_px3(tracing: Float64) -> float:
    """Single-plane discs on the drawn chords: (pi/4) (L/n) sum d_i^2."""
    lengths = np.hypot(tracing[:, 2] - tracing[:, 0], tracing[:, 3] - tracing[:, 1])
    n_discs = len(tracing) - 1
    return math.pi / 4 * float(lengths[0]) / n_discs * float(np.sum(lengths[1:] ** 2)) if n_discs else 0.0


def outline_area_px2(outline: Float64) -> float:
    """Area inside a closed outline (shoelace formula), without sign."""
    if len(outline) < 3:
        return 0.0
    row, col = (outline - outline[0]).T
    return abs(float(row @ np.roll(col, -1) - col @ np.roll(row, -1))) / 2


def polygon_mask(rows: NDArray[np.int64], cols: NDArray[np.int64], shape: tuple[int, int]) -> UInt8:
    """Fill a polygon with whole-number vertices; uint8 (H, W).

    Same pixels as `skimage.draw.polygon(rows, cols, shape)`: even-odd inside, and the boundary belongs to it. A pixel
    is in if it is a vertex, or if the number of edges crossed to its right is odd, or to its left. On an edge these
    two differ, which is how the boundary comes in. Parts outside the frame are cut off.
    """
    mask = np.zeros(shape, np.uint8)
    if len(rows) == 0:
        return mask
    top, left = max(int(rows.min()), 0), max(int(cols.min()), 0)
    bottom, right = min(int(rows.max()), shape[0] - 1), min(int(cols.max()), shape[1] - 1)
    if top > bottom or left > right:
        return mask
    y = np.arange(top, bottom + 1)[:, None]
    x = np.arange(left, right + 1)[None, :]
    odd_right = np.zeros((bottom - top + 1, right - left + 1), bool)
    odd_left = odd_right.copy()
    vertex = odd_right.copy()
    for row0, col0, row1, col1 in zip(rows, cols, np.roll(rows, 1), np.roll(cols, 1), strict=True):
        y0, y1, x0, x1 = row0 - y, row1 - y, col0 - x, col1 - x
        crossing = np.sign(x0 * y1 - x1 * y0) * np.sign(
            y1 - y0
        )  # sign of where the edge meets the pixel's row, seen from it
        odd_right ^= ((y0 > 0) != (y1 > 0)) & (crossing > 0)
        odd_left ^= ((y0 < 0) != (y1 < 0)) & (crossing < 0)
        vertex |= (y0 == 0) & (x0 == 0)
    mask[top : bottom + 1, left : right + 1] = odd_right | odd_left | vertex
    return mask


def crosses_itself(outline: Float64) -> bool:
    """Whether two sides of a closed outline cross properly; touching does not count."""
    start, end = outline, np.roll(outline, -1, axis=0)
    n = len(outline)

    def side(points: Float64) -> Float64:
        """Sign of every point against every side: (n sides, n points)."""
        along = (end - start)[:, None, :]
        to_point = points[None, :, :] - start[:, None, :]
        return np.asarray(np.sign(along[..., 0] * to_point[..., 1] - along[..., 1] * to_point[..., 0]))

    apart = side(start) * side(end) < 0  # [i, j]: the ends of side j lie on different sides of the line through side i
    return n > 3 and bool(np.any(apart & apart.T))
