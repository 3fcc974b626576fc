"""Contours of structures on gray frames."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from echoseg.cine import CineMeta, Structure, UInt8

Bool = NDArray[np.bool_]
Colour = tuple[int, int, int]

# Okabe-Ito colours: told apart with every kind of colour blindness, and bright on dark tissue.
PALETTE: dict[Structure, Colour] = {
    Structure.LV: (240, 228, 66),
    Structure.MYOCARDIUM: (86, 180, 233),
    Structure.LA: (230, 130, 190),
}
NAMES: dict[Structure, str] = {
    Structure.LV: "left ventricle",
    Structure.MYOCARDIUM: "myocardium",
    Structure.LA: "left atrium",
}
_HALF = 112  # of 240, and just below, so that a line of single pixels is not lost
_ORDER = (Structure.MYOCARDIUM, Structure.LA, Structure.LV)  # the ventricle's line lies on top


def video_size(meta: CineMeta, at_least: int = 336) -> tuple[int, int]:
    """(rows, columns) to show a frame at: an integer factor that brings the short side to `at_least` pixels.

    Where pixels are known not to be square, the side whose pixels are larger is stretched, so that shapes are true.
    """
    factor = math.ceil(at_least / min(meta.shape))
    return _true_shape(meta, factor * meta.height, factor * meta.width)


def picture_size(meta: CineMeta, shape: tuple[int, int], long_side: int) -> tuple[int, int]:
    """(rows, columns) of a still picture of `shape` native pixels whose long side is `long_side`, shapes true."""
    rows, cols = _true_shape(meta, *shape)
    scale = long_side / max(rows, cols)
    return max(1, round(rows * scale)), max(1, round(cols * scale))


def _true_shape(meta: CineMeta, rows: int, cols: int) -> tuple[int, int]:
    if meta.square_pixels or meta.aspect is None:
        return rows, cols
    return (round(rows * meta.aspect), cols) if meta.aspect > 1 else (rows, round(cols / meta.aspect))


class Painter:
    """Draws contours on frames of one size, shown at another."""

    def __init__(self, shape: tuple[int, int], size: tuple[int, int]) -> None:
        """A painter of frames of `shape` (H, W), for pictures of `size` (rows, columns)."""
        self.shape, self.size = shape, size

    def paint(self, frame: UInt8, mask: UInt8) -> UInt8:
        """RGB picture, uint8 (rows, columns, 3), of a frame with the contours of its label mask."""
        picture = np.empty((*self.size, 3), np.uint8)
        self.paint_into(picture, frame, mask)
        return picture

    def paint_into(self, picture: UInt8, frame: UInt8, mask: UInt8) -> None:
        """Like `paint`, into an array that exists already."""
        from PIL import Image

        if self.size != self.shape:
            rows, cols = self.size
            image = Image.fromarray(np.ascontiguousarray(frame)).resize((cols, rows), Image.Resampling.BILINEAR)
            frame = np.asarray(image)
        for channel in range(3):
            picture[..., channel] = frame
        for structure in _ORDER:
            self._draw(picture, mask == structure, PALETTE[structure])

    def _draw(self, picture: UInt8, inside: Bool, colour: Colour) -> None:
        """Draw the outline of a structure, computed in the box around it only."""
        from PIL import Image

        rows, cols = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
        if not len(rows):
            return
        (r0, r1), (c0, c1) = self._around(rows, 0), self._around(cols, 1)
        (top, bottom), (left, right) = self._shown(r0, r1, 0), self._shown(c0, c1, 1)
        down, across = (native / shown for native, shown in zip(self.shape, self.size, strict=True))
        enlarged = Image.fromarray(_softened(inside[r0:r1, c0:c1])).resize(
            (right - left, bottom - top),
            Image.Resampling.BILINEAR,
            box=(
                left * across - c0,
                top * down - r0,
                min(right * across, c1) - c0,
                min(bottom * down, r1) - r0,
            ),
        )
        picture[top:bottom, left:right][outline(np.asarray(enlarged) > _HALF)] = colour

    def _around(self, index: NDArray[np.intp], axis: int) -> tuple[int, int]:
        """Native rows or columns `index` with a margin of two."""
        return max(0, int(index[0]) - 2), min(self.shape[axis], int(index[-1]) + 3)

    def _shown(self, start: int, stop: int, axis: int) -> tuple[int, int]:
        """Shown pixels that lie wholly in native pixels `start` to `stop`."""
        native, shown = self.shape[axis], self.size[axis]
        return -(-start * shown // native), stop * shown // native


def _softened(inside: Bool) -> UInt8:
    """A structure as 0..240 with its pixel staircase averaged out, so that its outline comes out smooth when enlarged."""
    padded = np.pad(inside.astype(np.uint8), 1, mode="edge")
    down = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    return np.asarray(15 * (down[:, :-2] + 2 * down[:, 1:-1] + down[:, 2:]), dtype=np.uint8)


def outline(inside: Bool) -> Bool:
    """Pixels at either side of a boundary: a line two pixels wide."""
    edge = np.zeros_like(inside)
    for axis in (0, 1):
        low, high = (np.moveaxis(edge, axis, 0)[part] for part in (slice(1, None), slice(None, -1)))
        flat = np.moveaxis(inside, axis, 0)
        change = flat[1:] != flat[:-1]
        low |= change
        high |= change
    return edge
