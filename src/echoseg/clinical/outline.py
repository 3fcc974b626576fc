"""The outline of the largest component of a mask, as a closed sub-pixel polygon.

A binary mask's level line at 0.5 passes through the midpoint of every pixel edge that separates inside from outside.
Walking along those edges once gives the polygon in order, and tells for free whether the mask has a hole or a second
component: it has neither exactly when the walk used every edge. Only otherwise are the components labelled, so that a
clean mask costs one walk along its border.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from echoseg.cine import Float64
from echoseg.errors import GeometryError

_RIGHT, _DOWN, _LEFT, _UP = range(4)
_ROW_STEP = np.array([0.0, 1.0, 0.0, -1.0])
_COL_STEP = np.array([1.0, 0.0, -1.0, 0.0])
_FIRST_CORNER = b"\x04"  # only the bottom right pixel is set: the top left corner of an object's first pixel


def _turns() -> bytes:
    """Way out of a corner between pixels, at `4 * code + way in`; the object stays on the right-hand side.

    The code of a corner adds 1, 2, 4, 8 for a set pixel top left, top right, bottom right, bottom left of it.
    """
    is_way_out: dict[int, Callable[[int], bool]] = {
        _RIGHT: lambda code: bool(code & 4) and not code & 2,
        _DOWN: lambda code: bool(code & 8) and not code & 4,
        _LEFT: lambda code: bool(code & 1) and not code & 8,
        _UP: lambda code: bool(code & 2) and not code & 1,
    }
    table = bytearray(64)
    for code in range(1, 15):
        ways_out = [way for way, allowed in is_way_out.items() if allowed(code)]
        for way_in in range(4):
            # With two ways out, two pixels touch in this corner only: a right turn stays with the one walked around.
            table[4 * code + way_in] = ways_out[0] if len(ways_out) == 1 else (way_in + 1) % 4
    return bytes(table)


_TURNS = _turns()


@dataclass(frozen=True, eq=False)
class Outline:
    """Outer border of the largest 4-connected component of a mask.

    Attributes:
        rows, cols: float64 (N,), corners of a closed polygon, clockwise on the screen; whole numbers are pixel centres.
        row_steps, col_steps: float64 (N,), direction of the pixel edge that each point halves; the object lies on its right.
        area_px: pixels of the component with its holes filled.
        n_components: number of 4-connected components of the mask.
        stray_fraction: share of the mask's pixels that lie outside the largest component.
        touches_edge: whether the component reaches the first or last row or column of the image.
        image_shape: (H, W) of the mask.
    """

    rows: Float64
    cols: Float64
    row_steps: Float64
    col_steps: Float64
    area_px: int
    n_components: int
    stray_fraction: float
    touches_edge: bool
    image_shape: tuple[int, int]

    @property
    def points(self) -> Float64:
        """float64 (N, 2): the polygon's corners (row, col)."""
        return np.stack([self.rows, self.cols], axis=1)

    def pixels_outside(self, distance: int = 1) -> NDArray[np.int64]:
        """int64 (N, 2): the pixel outside the object at each point, `distance` pixels away; it may lie outside the image."""
        reach = distance - 0.5
        return np.rint(self.points + reach * np.stack([-self.col_steps, self.row_steps], axis=1)).astype(np.int64)

    def points_at_edge(self) -> NDArray[np.intp]:
        """Indices of the points behind which the image ends."""
        pixels = self.pixels_outside(1)
        return np.flatnonzero(((pixels < 0) | (pixels >= np.array(self.image_shape))).any(axis=1))


def _bounds(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows = np.flatnonzero(mask.any(axis=1))
    if not rows.size:
        raise GeometryError("mask without a pixel of the structure; there is no outline to follow")
    top, bottom = int(rows[0]), int(rows[-1]) + 1
    cols = np.flatnonzero(mask[top:bottom].any(axis=0))
    return top, bottom, int(cols[0]), int(cols[-1]) + 1


def _walk(cropped: NDArray[np.uint8]) -> tuple[bytearray, int, bool]:
    """Ways taken around the object that owns the first pixel, its start corner, and whether that used every edge."""
    height, width = cropped.shape
    padded = np.zeros((height + 2, width + 2), np.uint8)
    padded[1:-1, 1:-1] = cropped
    top, bottom = padded[:-1], padded[1:]
    n_edges = np.count_nonzero(top != bottom) + np.count_nonzero(padded[:, 1:] != padded[:, :-1])
    codes = (top[:, :-1] + 2 * top[:, 1:] + 4 * bottom[:, 1:] + 8 * bottom[:, :-1]).tobytes()
    start = corner = codes.find(_FIRST_CORNER)
    strides, turns = (1, width + 1, -1, -width - 1), _TURNS
    path, way = bytearray(), _UP
    while True:
        way = turns[4 * codes[corner] + way]
        path.append(way)
        corner += strides[way]
        if corner == start:
            return path, start, len(path) == n_edges


def _largest_component(cropped: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], int, float]:
    from scipy import ndimage

    labels, n_components = ndimage.label(cropped)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    largest = int(sizes.argmax())
    return (labels == largest).astype(np.uint8), int(n_components), float(1 - sizes[largest] / sizes.sum())


def find_outline(mask: NDArray[np.bool_]) -> Outline:
    """Outline of the largest 4-connected component of a boolean (H, W) mask.

    Raises:
        GeometryError: the mask is empty.

    Example:
        >>> mask = np.zeros((5, 5), bool)
        >>> mask[1:4, 1:4] = True
        >>> outline = find_outline(mask)
        >>> len(outline.rows), outline.area_px, outline.n_components
        (12, 9, 1)
    """
    top, bottom, left, right = _bounds(mask)
    cropped = mask[top:bottom, left:right].astype(np.uint8)
    n_components, stray_fraction = 1, 0.0
    path, start, is_whole = _walk(cropped)
    if not is_whole:
        cropped, n_components, stray_fraction = _largest_component(cropped)
        path, start, _ = _walk(cropped)
    ways = np.frombuffer(path, np.uint8)
    row_steps, col_steps = _ROW_STEP[ways], _COL_STEP[ways]
    # Corner (i, j) is the top left corner of pixel (i, j), half a pixel before its centre; a step ends in a corner.
    start_row, start_col = divmod(start, cropped.shape[1] + 1)
    rows = row_steps.cumsum() - 0.5 * row_steps + (start_row + top - 0.5)
    cols = col_steps.cumsum() - 0.5 * col_steps + (start_col + left - 0.5)
    height, width = mask.shape
    touches_edge = rows.min() < 0 or cols.min() < 0 or rows.max() > height - 1 or cols.max() > width - 1
    return Outline(
        rows=rows,
        cols=cols,
        row_steps=row_steps,
        col_steps=col_steps,
        area_px=-round(float(rows @ col_steps)),
        n_components=n_components,
        stray_fraction=stray_fraction,
        touches_edge=bool(touches_edge),
        image_shape=(height, width),
    )
