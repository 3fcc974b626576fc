"""Which point of the heart at end-diastole is which point at end-systole.

Endocardium and epicardium run annulus - apex - annulus, the atrium annulus - roof - annulus, and the mitral plane closes
the ventricle. On each arc, points that lie at the same fraction of its length belong together; the apex divides the arcs
of the ventricle. Points are (y, x) in units of a column, so that lengths are right where pixels are not square.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from echoseg.cine import Float64, Structure, UInt8
from echoseg.errors import InputError
from echoseg.simulator.geometry import Mask

_N_ENDO, _N_PLANE, _N_EPI, _N_ATRIUM = 32, 10, 36, 28
_SMALLEST_LV_PX = 30
_GAP = 0.03
"""Part of an outline below which a structure that touches it does not divide an arc."""
_OVERHANG = 0.5
"""How far the mitral plane reaches beyond the atrium on either side, as part of their common border."""
_FAR = 0.25
"""Distance between annulus and atrium, as part of the ventricle's length, from which they do not belong together."""
_SMOOTHING_PX = 2.0

_WAYS = ((0, 1), (1, 0), (0, -1), (-1, 0))  # right, down, left, up


@dataclass(frozen=True, eq=False)
class Border:
    """Outer border of the largest component of a mask, clockwise on the screen, one entry per pixel edge.

    Attributes:
        points: (N, 2) row and column of the middle of each edge; whole numbers are pixel centres.
        inside: (N, 2) the pixel on its inner side.
        outside: (N, 2) the pixel on its outer side; it may lie outside the image.
    """

    points: Float64
    inside: NDArray[np.intp]
    outside: NDArray[np.intp]

    def labels_inside(self, labels: UInt8) -> UInt8:
        """Labels (N,) on the inner side."""
        return labels[self.inside[:, 0], self.inside[:, 1]]

    def labels_outside(self, labels: UInt8) -> UInt8:
        """Labels (N,) on the outer side, background outside the image."""
        return np.pad(labels, 1)[self.outside[:, 0] + 1, self.outside[:, 1] + 1]


@dataclass(frozen=True, eq=False)
class HeartArcs:
    """Arcs of one label map, each (M, 2) of (y, x) in columns.

    Attributes:
        endo: endocardium, annulus - apex - annulus, clockwise.
        plane: mitral plane, from the end of `endo` back to its start.
        epi: epicardium, None where there is no myocardium.
        atrium: from the end of `endo` around the roof to its start, None where there is no atrium at the annulus.
    """

    endo: Float64
    plane: Float64
    epi: Float64 | None
    atrium: Float64 | None


def heart_arcs(labels: UInt8, aspect: float, source: str = "mask") -> HeartArcs:
    """Arcs of a label map.

    Args:
        labels: uint8 (H, W), `Structure` values; at least the ventricle.
        aspect: row size / column size of a pixel.
        source: what a message calls the mask.

    Raises:
        InputError: there is no ventricle to speak of.
    """
    if np.count_nonzero(labels == Structure.LV) < _SMALLEST_LV_PX:
        raise InputError(f"{source}: fewer than {_SMALLEST_LV_PX} pixels of LV (label 1); animate stills that show it")
    unit = np.array([aspect, 1.0])
    border = trace_border(labels == Structure.LV)
    if (labels == Structure.MYOCARDIUM).any():
        wall = border.labels_outside(labels) == Structure.MYOCARDIUM
        start, stop = _mitral_run(~wall, border.labels_outside(labels) == Structure.LA)
    else:
        start, stop = _corner_run(border.points * unit, labels, unit)
    endo = _smooth(_cyclic(border.points, stop, start)) * unit
    plane = _smooth(_cyclic(border.points, start, stop)) * unit
    length = reach(endo)
    return HeartArcs(endo, plane, _epicardium(labels, unit), _atrium(labels, unit, (endo[-1], endo[0]), length))


def match_points(ed: HeartArcs, es: HeartArcs) -> tuple[Float64, Float64]:
    """Points (M, 2) at end-diastole and the same points of the heart at end-systole; what only one still shows is left out."""
    pairs = [
        (divide_at_apex(ed.endo, _N_ENDO), divide_at_apex(es.endo, _N_ENDO)),
        (divide(ed.plane, _N_PLANE)[1:-1], divide(es.plane, _N_PLANE)[1:-1]),
    ]
    if ed.epi is not None and es.epi is not None:
        pairs.append((divide_at_apex(ed.epi, _N_EPI), divide_at_apex(es.epi, _N_EPI)))
    if ed.atrium is not None and es.atrium is not None:
        pairs.append((divide(ed.atrium, _N_ATRIUM)[1:-1], divide(es.atrium, _N_ATRIUM)[1:-1]))
    return np.concatenate([pair[0] for pair in pairs]), np.concatenate([pair[1] for pair in pairs])


def divide(arc: Float64, n: int) -> Float64:
    """`n` points (n, 2) at equal steps along an arc, both ends included."""
    steps = np.hypot(*np.diff(arc, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(steps)])
    at = np.linspace(0, along[-1], n)
    return np.stack([np.interp(at, along, arc[:, axis]) for axis in (0, 1)], axis=1)


def divide_at_apex(arc: Float64, n: int) -> Float64:
    """`n` points, half of them at equal steps on either side of the apex: the point farthest from the middle of both ends."""
    apex = int(np.argmax(_distances(arc)))
    apex = min(max(apex, 1), len(arc) - 2)
    return np.concatenate([divide(arc[: apex + 1], n // 2 + 1), divide(arc[apex:], n - n // 2)[1:]])


def trace_border(mask: Mask) -> Border:
    """Walk around the largest component of a mask; its holes are passed over."""
    from scipy.ndimage import label

    components, count = label(mask)
    if count > 1:
        mask = components == 1 + int(np.argmax(np.bincount(components.ravel())[1:]))
    padded = np.pad(mask, 1)
    inner, above, left = padded[1:, 1:], padded[:-1, 1:], padded[1:, :-1]
    corner = padded[:-1, :-1]  # of the vertex at the upper left of `inner`; the object stays on the right-hand side
    edges = np.stack([inner & ~above, left & ~inner, corner & ~left, above & ~corner])
    row, col = (int(v) for v in np.argwhere(edges[0])[0])
    start, way = (row, col), 0
    walked = []
    while True:
        walked.append((row, col, way))
        row, col = row + _WAYS[way][0], col + _WAYS[way][1]
        if (row, col) == start:
            break
        way = next(w % 4 for w in (way + 1, way, way + 3) if edges[w % 4, row, col])
    path = np.array(walked)
    step = np.array(_WAYS)[path[:, 2]]
    points = path[:, :2] - 0.5 + step / 2
    rightward = np.stack([step[:, 1], -step[:, 0]], axis=1) / 2
    return Border(points, np.rint(points + rightward).astype(np.intp), np.rint(points - rightward).astype(np.intp))


def _epicardium(labels: UInt8, unit: Float64) -> Float64 | None:
    """Outer border of the myocardium, from one annulus to the other."""
    if not (labels == Structure.MYOCARDIUM).any():
        return None
    border = trace_border((labels == Structure.LV) | (labels == Structure.MYOCARDIUM))
    wall = border.labels_inside(labels) == Structure.MYOCARDIUM
    if wall.all() or not wall.any():
        return None
    start, stop = _mitral_run(~wall, border.labels_outside(labels) == Structure.LA)
    return _smooth(_cyclic(border.points, stop, start)) * unit


def _atrium(labels: UInt8, unit: Float64, ends: tuple[Float64, Float64], length: float) -> Float64 | None:
    """Border of the atrium between the points next to the ends of the mitral plane, the long way round."""
    if np.count_nonzero(labels == Structure.LA) < _SMALLEST_LV_PX:
        return None
    points = trace_border(labels == Structure.LA).points
    distances = [np.hypot(*(points * unit - end).T) for end in ends]
    if max(float(d.min()) for d in distances) > _FAR * length:
        return None
    start, stop = (int(np.argmin(d)) for d in distances)
    arc = _cyclic(points, start, stop)
    return _smooth(arc) * unit if len(arc) > _N_ATRIUM else None


def _mitral_run(opening: Mask, at_atrium: Mask) -> tuple[int, int]:
    """First and last index of the part of an outline that is the mitral plane.

    The wall may be missing elsewhere, too, where the sector cuts it: the plane is where the atrium touches, else the longest gap.
    """
    n = len(opening)
    if opening.all() or not opening.any():
        return 0, n // 4
    first = int(np.flatnonzero(~opening)[0])  # runs do not cross the end of the rolled array
    rolled, touching = np.roll(opening, -first), np.roll(at_atrium, -first)
    bounds = np.flatnonzero(np.diff(np.concatenate([[False], rolled, [False]]).astype(np.int8)))
    runs = [[int(a), int(b)] for a, b in bounds.reshape(-1, 2)]
    joined = runs[:1]
    for run in runs[1:]:
        if run[0] - joined[-1][1] <= _GAP * n:
            joined[-1][1] = run[1]
        else:
            joined.append(run)
    start, stop = max(joined, key=lambda run: (int(touching[run[0] : run[1]].sum()), run[1] - run[0]))
    touched = start + np.flatnonzero(touching[start:stop])
    if len(touched):
        # a gap that goes on far beyond the atrium is a wall that is not seen
        longest = _OVERHANG * (touched[-1] - touched[0] + 1)
        start = int(touched[0]) if touched[0] - start > longest else start
        stop = int(touched[-1]) + 1 if stop - touched[-1] > longest else stop
    return (start + first) % n, (stop - 1 + first) % n


def _corner_run(points: Float64, labels: UInt8, unit: Float64) -> tuple[int, int]:
    """The mitral plane of a ventricle without a wall: between its two corners away from the apex.

    The base is the side of the atrium, or the lower one, as in every apical view.
    """
    centre = points.mean(0)
    _, vectors = np.linalg.eigh(np.cov((points - centre).T))
    axis = vectors[:, 1]
    atrium = np.argwhere(labels == Structure.LA)
    down = atrium.mean(0) * unit - centre if len(atrium) else np.array([1.0, 0.0])
    axis = axis if axis @ down >= 0 else -axis
    along, aside = (points - centre) @ axis, (points - centre) @ np.array([-axis[1], axis[0]])
    along, aside = along / np.ptp(along), aside / np.ptp(aside)
    corners = int(np.argmax(along + aside)), int(np.argmax(along - aside))
    between = [len(_cyclic(points, *pair)) for pair in (corners, corners[::-1])]
    return corners if between[0] <= between[1] else corners[::-1]


def _cyclic(points: Float64, start: int, stop: int) -> Float64:
    """Points from one index to another, both included, past the end of a closed line if need be."""
    count = (stop - start) % len(points) + 1
    return points[(start + np.arange(count)) % len(points)]


def _smooth(arc: Float64) -> Float64:
    """The same arc without the steps of the pixels; its ends stay."""
    from scipy.ndimage import gaussian_filter1d

    smooth = gaussian_filter1d(arc, _SMOOTHING_PX, axis=0, mode="nearest")
    smooth[0], smooth[-1] = arc[0], arc[-1]
    return np.asarray(smooth, dtype=np.float64)


def _distances(arc: Float64) -> Float64:
    return np.asarray(np.hypot(*(arc - 0.5 * (arc[0] + arc[-1])).T), dtype=np.float64)


def reach(arc: Float64) -> float:
    """Length of the ventricle: from the middle of the annulus to the apex."""
    return float(_distances(arc).max())
