"""The wall of the left ventricle in one frame: endocardium, and epicardium where the myocardium is in the mask."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from echoseg.cine import Float64, Spacing, Structure, UInt8
from echoseg.clinical.axis import Contour, LongAxis, Vector, pixels_in
from echoseg.clinical.discs import Discs, axis_discs
from echoseg.clinical.figure import Figure, find_figure
from echoseg.errors import GeometryError

N_POINTS = 97  # of a resampled arc: its pixel noise is gone, its shape is not
MIN_LINED_SHARE = 0.9  # of the endocardium, for a myocardium to be the wall


@dataclass(frozen=True, eq=False)
class Border:
    """A border of the wall in one frame.

    Attributes:
        figure: the mask within the border.
        axis: its long axis.
        arc: float64 (97, 2), (y, x) mm at equal distances from the first hinge of the mitral annulus over the apex to the second.
    """

    figure: Figure
    axis: LongAxis
    arc: Float64

    @classmethod
    def of(cls, figure: Figure, base_hint: Vector | None) -> Border:
        """The border of a figure.

        Raises:
            GeometryError: it has no arc between two hinges.
        """
        axis = figure.axis(base_hint)
        return cls(figure, axis, open_arc(figure.contour, axis))

    @property
    def discs(self) -> Discs:
        """Twenty discs within the border."""
        return axis_discs(self.figure.contour, self.axis)

    @property
    def area_px(self) -> int:
        """Pixels within the border."""
        return self.figure.outline.area_px


@dataclass(frozen=True, eq=False)
class Wall:
    """The wall in one frame.

    Attributes:
        endocardium: border of the cavity.
        epicardium: outer border of the myocardium; None where the mask has none, or one that does not line the cavity.
    """

    endocardium: Border
    epicardium: Border | None

    @property
    def middle(self) -> Float64 | None:
        """float64 (97, 2): the line halfway between the borders at equal shares of their lengths."""
        return None if self.epicardium is None else (self.endocardium.arc + self.epicardium.arc) / 2


def find_wall(mask: UInt8, spacing: Spacing, base_hint: Vector | None) -> Wall:
    """The wall in a label mask (H, W).

    Args:
        mask: labels.
        spacing: pixel size.
        base_hint: vector (y, x) that points roughly to the base.

    Raises:
        GeometryError: there is no ventricle that has an apex and a base.
    """
    endocardium = Border.of(find_figure(mask, spacing), base_hint)
    myocardium = mask == int(Structure.MYOCARDIUM)
    if not myocardium.any() or _lined_share(endocardium, myocardium) < MIN_LINED_SHARE:
        return Wall(endocardium, None)
    whole = myocardium | (mask == int(Structure.LV))
    try:
        return Wall(endocardium, Border.of(find_figure(whole, spacing), endocardium.axis.to_base))
    except GeometryError:
        return Wall(endocardium, None)


def _lined_share(border: Border, myocardium: NDArray[np.bool_]) -> float:
    """Share of the arc behind which there is myocardium, one or two pixels away."""
    outline = border.figure.outline
    points = _arc_points(border.figure.contour, border.axis)
    near = pixels_in(outline.pixels_outside(1), myocardium) | pixels_in(outline.pixels_outside(2), myocardium)
    return float(near[points].mean())


def _arc_points(contour: Contour, axis: LongAxis) -> NDArray[np.intp]:
    """Indices of the contour's points from the first hinge over the apex to the second."""
    n = len(contour.y) - 1
    start, end = axis.hinges[0] % n, axis.hinges[1] % n
    return np.arange(start, end + 1 if end >= start else end + n + 1) % n


def open_arc(contour: Contour, axis: LongAxis) -> Float64:
    """The contour without its base, float64 (97, 2), see `Border.arc`."""
    index = _arc_points(contour, axis)
    if len(index) < 3:
        raise GeometryError("contour without an arc between its hinges; the mask has no shape of a ventricle")
    return resampled(np.stack([contour.y[index], contour.x[index]], axis=1), N_POINTS)


def resampled(points: Float64, n: int) -> Float64:
    """`n` points (y, x) at equal distances along a line of points.

    Example:
        >>> resampled(np.array([[0.0, 0.0], [0.0, 4.0], [2.0, 4.0]]), 4).tolist()
        [[0.0, 0.0], [0.0, 2.0], [0.0, 4.0], [2.0, 4.0]]
    """
    along = run_of(points)
    wanted = np.linspace(0, along[-1], n)
    return np.stack([np.interp(wanted, along, points[:, k]) for k in (0, 1)], axis=1)


def run_of(points: Float64) -> Float64:
    """Length of a line of points (n, 2) up to each of them.

    Example:
        >>> run_of(np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 6.0]])).tolist()
        [0.0, 5.0, 7.0]
    """
    dy, dx = np.diff(points, axis=0).T
    return np.concatenate([[0.0], np.cumsum(np.hypot(dy, dx))])
