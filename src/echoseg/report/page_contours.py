"""Outlines of masks as the paths that the player draws on its frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from echoseg.cine import Float64, Spacing, Structure, UInt8
from echoseg.clinical.axis import MIN_AREA_PX, smoothed_contour
from echoseg.clinical.outline import Outline, find_outline
from echoseg.report.paint import Bool

FINE = 4
"""Path units per unit of the picture: whole numbers are short, and a quarter of a pixel is finer than a screen shows."""
_STEP = 4.0  # of a path, in units of the picture
_MIN_PX = 4  # smaller specks are drawn nowhere
_PIXELS = Spacing(1.0, 1.0)


@dataclass(frozen=True)
class Tracer:
    """Traces masks that were cut to a part of the frame.

    Attributes:
        scale: (down, across), units of the picture per pixel of the mask.
    """

    scale: tuple[float, float]

    def paths(self, mask: UInt8) -> dict[Structure, str]:
        """Path of each structure that the mask holds: every component, its outer border."""
        found = {}
        for structure in (Structure.LV, Structure.MYOCARDIUM, Structure.LA):
            path = "".join(self._path(outline) for outline in _outlines(mask == int(structure)))
            if path:
                found[structure] = path
        return found

    def _path(self, outline: Outline) -> str:
        rows, cols = outline.rows, outline.cols
        if outline.area_px >= MIN_AREA_PX:
            smooth = smoothed_contour(outline, _PIXELS)
            rows, cols = smooth.y[:-1], smooth.x[:-1]
        # Pixel (0, 0) has its centre at (0, 0) of the outline, and its corner at that of the picture.
        points = _thinned(np.stack([(cols + 0.5) * self.scale[1], (rows + 0.5) * self.scale[0]], axis=1))
        corners = np.rint(points * FINE).astype(int)
        steps = np.diff(corners, axis=0)
        steps = steps[steps.any(axis=1)]
        first = f"M{corners[0, 0]} {corners[0, 1]}"
        return first + "l" + " ".join(f"{x} {y}" for x, y in steps.tolist()) + "z" if len(steps) else ""


def _outlines(inside: Bool) -> Iterator[Outline]:
    """Outlines of the 4-connected components, specks left out."""
    if not inside.any():
        return
    largest = find_outline(inside)
    if largest.n_components == 1:
        yield largest
        return
    from scipy import ndimage

    labels, count = ndimage.label(inside)
    sizes = np.bincount(labels.ravel())
    for number in range(1, count + 1):
        if sizes[number] >= _MIN_PX:
            yield find_outline(labels == number)


def _thinned(points: Float64) -> Float64:
    """Points about `_STEP` apart along a closed polygon (N, 2), at least twelve of them."""
    closed = np.concatenate([points, points[:1]])
    run = np.concatenate([[0.0], np.hypot(*np.diff(closed, axis=0).T).cumsum()])
    at = np.linspace(0, run[-1], max(12, int(run[-1] / _STEP)), endpoint=False)
    return np.stack([np.interp(at, run, closed[:, 0]), np.interp(at, run, closed[:, 1])], axis=1)
