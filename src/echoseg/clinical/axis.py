"""The long axis of a ventricle, from its outline alone or with the atrium's help.

The mitral annulus shows in a mask as two corners. A corner is where the outline reaches farthest in a diagonal direction
(towards the base and to one side), and it stays there for a wide range of directions: no threshold, no curvature, no
assumption about where in the image the base lies. The apex is the point farthest from the middle between the corners,
and the axis ends where that line leaves the mask. Volumes depend on the direction of the axis only to second order, which
is why they stay smooth from frame to frame.

Which end is the base is told by the mass: a ventricle is blunt at the base and pointed at the apex. Where that leaves a
doubt (an ellipse), the apex is taken to point to the probe, at the top of the image. An atrium in the mask decides alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from echoseg.cine import Float64, Spacing
from echoseg.clinical.outline import Outline
from echoseg.errors import GeometryError

Vector = tuple[float, float]

UP_PRIOR = (
    0.08  # in units of skewness; of 898 expert masks none is skewed the wrong way by more than 0.05, the median is 0.13
)
ROUND_SHAPE = 0.1  # relative difference of the two variances under which a shape has no long axis of its own
ROUND_UP_PRIOR = 0.3  # such a shape is skewed in three directions, as a triangle is: the upright one is meant
MIN_AREA_PX = 16
MIN_CONTACT_SHARE = 0.03  # of the outline, for the atrium to tell where the base is
_REFINEMENTS = 2
_ALL_ANGLES = np.arange(12) * (math.pi / 12)
# Quadratic Savitzky-Golay filter over nine points: takes the staircase out of the outline without shrinking it.
_SMOOTHING = np.array([-21.0, 14.0, 39.0, 54.0, 59.0, 54.0, 39.0, 14.0, -21.0]) / 231.0
_MIN_POINTS_TO_SMOOTH = 36


@dataclass(frozen=True, eq=False)
class Contour:
    """Smoothed outline in millimetres, its first point repeated at the end.

    Attributes:
        y, x: float64 (N + 1,), mm down and across; pixel (0, 0) has its centre at the origin.
    """

    y: Float64
    x: Float64


@dataclass(frozen=True, eq=False)
class LongAxis:
    """A directed line through the ventricle.

    Attributes:
        middle: (y, x) mm, midpoint of the two hinges of the mitral annulus.
        to_base: (y, x), unit vector from the apex to the base.
        hinges: indices of the contour's corners at the two hinges. Walking on from the first, the contour passes the apex
            before it comes to the second.
    """

    middle: Vector
    to_base: Vector
    hinges: tuple[int, int] = (0, 0)


@dataclass(frozen=True, eq=False)
class Shape:
    """What the area moments of a contour tell.

    Attributes:
        centre: (y, x) mm, centre of area.
        base_vector: vector along the long axis towards the base; its length is the evidence for that end being the base.
    """

    centre: Vector
    base_vector: Vector


def smoothed_contour(outline: Outline, spacing: Spacing) -> Contour:
    """Outline in millimetres, without its pixel staircase."""
    if outline.area_px < MIN_AREA_PX:
        raise GeometryError(
            f"mask of {outline.area_px} pixels; a ventricle needs at least {MIN_AREA_PX} to be measured"
        )
    return Contour(_closed(outline.rows * spacing.row_mm), _closed(outline.cols * spacing.col_mm))


def _closed(values: Float64) -> Float64:
    """Smoothed values around the contour, the first repeated at the end."""
    if len(values) < _MIN_POINTS_TO_SMOOTH:
        return np.concatenate([values, values[:1]])
    half = len(_SMOOTHING) // 2
    return np.convolve(np.concatenate([values[-half:], values, values[: half + 1]]), _SMOOTHING, "valid")


def contour_shape(contour: Contour) -> Shape:
    """Centre, direction and evidence for the base from the area moments (Green's theorem on the contour)."""
    y0, x0 = float(contour.y[0]), float(contour.x[0])
    y, x = (contour.y[1:] + contour.y[:-1]) / 2 - y0, (contour.x[1:] + contour.x[:-1]) / 2 - x0
    # An outline is walked clockwise on the screen; Green's theorem with y down wants the other way round.
    dy, dx = contour.y[:-1] - contour.y[1:], contour.x[:-1] - contour.x[1:]
    area = float(y @ dx)
    yy, xx = y * y, x * x
    y_centre, x_centre = float(yy @ dx) / (2 * area), -float(xx @ dy) / (2 * area)
    var_y = float((yy * y) @ dx) / (3 * area) - y_centre**2
    var_x = -float((xx * x) @ dy) / (3 * area) - x_centre**2
    cov = float((yy * x) @ dx) / (2 * area) - y_centre * x_centre
    spread, total = math.hypot(var_y - var_x, 2 * cov), var_y + var_x
    is_round = spread < ROUND_SHAPE * total
    angles = _ALL_ANGLES if is_round else np.array([0.5 * math.atan2(2 * cov, var_y - var_x)])
    uy, ux = np.cos(angles)[:, None], np.sin(angles)[:, None]
    # (along, across) is (y, x) turned, so that the integral of along^4 d(across) has the sign of those above.
    along_squared = ((y - y_centre) * uy + (x - x_centre) * ux) ** 2
    third_moment = np.vecdot(along_squared * along_squared, dx * uy - dy * ux) / (4 * area)
    evidence = (ROUND_UP_PRIOR if is_round else UP_PRIOR) * uy[:, 0] - third_moment / ((total + spread) / 2) ** 1.5
    best = int(np.abs(evidence).argmax())
    base_vector = float(evidence[best] * uy[best, 0]), float(evidence[best] * ux[best, 0])
    return Shape((y_centre + y0, x_centre + x0), base_vector)


def atrial_contact(outline: Outline, partner: NDArray[np.bool_]) -> NDArray[np.intp] | None:
    """Indices of the outline's points that face the atrium, None if too few do.

    The atrium may stand up to one pixel away: predicted labels often leave such a gap.
    """
    facing = pixels_in(outline.pixels_outside(1), partner) | pixels_in(outline.pixels_outside(2), partner)
    if np.count_nonzero(facing) < max(3, MIN_CONTACT_SHARE * len(facing)):
        return None
    return np.flatnonzero(facing)


def pixels_in(pixels: NDArray[np.int64], mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of the pixels (N, 2) are set in a mask (H, W); those outside the image are not."""
    clipped = np.minimum(np.maximum(pixels, 0), np.array(mask.shape) - 1)
    return np.asarray(mask[clipped[:, 0], clipped[:, 1]] & (clipped == pixels).all(axis=1))


def find_axis(
    contour: Contour, shape: Shape, *, base_hint: Vector | None, contact: NDArray[np.intp] | None
) -> LongAxis:
    """Long axis of a contour.

    Args:
        contour: smoothed outline, mm.
        shape: its moments.
        base_hint: vector that points roughly to the base, e.g. learned from the other frames of the cine.
        contact: indices of the contour's points that face the atrium.
    """
    if contact is not None:
        return _axis_from_contact(contour, shape, contact)
    to_base = _unit(shape.base_vector, or_else=(1.0, 0.0))
    if base_hint is not None and to_base[0] * base_hint[0] + to_base[1] * base_hint[1] < 0:
        to_base = (-to_base[0], -to_base[1])
    middle, hinges = shape.centre, (0, 0)
    for _ in range(_REFINEMENTS):
        hinges = _corners(contour, to_base)
        middle = _midpoint(contour, *hinges)
        to_base = _from_apex(contour, middle, to_base)
    return LongAxis(middle, to_base, hinges)


def _corners(contour: Contour, to_base: Vector) -> tuple[int, int]:
    """Indices of the points that reach farthest towards the base and to one side, and to the other."""
    along = contour.y * to_base[0] + contour.x * to_base[1]
    across = contour.x * to_base[0] - contour.y * to_base[1]
    return int((along - across).argmax()), int((along + across).argmax())


def _axis_from_contact(contour: Contour, shape: Shape, contact: NDArray[np.intp]) -> LongAxis:
    y, x = contour.y[contact], contour.x[contact]
    down = _unit((float(y.mean()) - shape.centre[0], float(x.mean()) - shape.centre[1]), or_else=(1.0, 0.0))
    across = x * down[0] - y * down[1]
    middle = _midpoint(contour, int(contact[across.argmin()]), int(contact[across.argmax()]))
    to_base = _from_apex(contour, middle, down)
    # An atrium that is narrower than the annulus touches its middle only.
    return LongAxis(middle, to_base, _corners(contour, to_base))


def _midpoint(contour: Contour, one: int, two: int) -> Vector:
    return float(contour.y[one] + contour.y[two]) / 2, float(contour.x[one] + contour.x[two]) / 2


def _from_apex(contour: Contour, middle: Vector, fallback: Vector) -> Vector:
    """Unit vector from the point farthest from `middle` to it."""
    y, x = contour.y - middle[0], contour.x - middle[1]
    apex = int((y * y + x * x).argmax())
    return _unit((-float(y[apex]), -float(x[apex])), or_else=fallback)


def _unit(vector: Vector, *, or_else: Vector) -> Vector:
    length = math.hypot(*vector)
    return (vector[0] / length, vector[1] / length) if length > 0 else or_else
