"""Twenty discs along the long axis, and the volumes that follow from them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from echoseg.cine import Float64, Spacing, Structure
from echoseg.clinical.axis import Contour, LongAxis, Vector
from echoseg.clinical.figure import Figure, find_figure
from echoseg.errors import GeometryError, InputError

N_DISCS = 20
MM3_PER_ML = 1000.0


@dataclass(frozen=True, eq=False)
class Discs:
    """A ventricle cut into discs of equal height, perpendicular to its long axis.

    Points are (y_mm down, x_mm across); pixel (0, 0) has its centre at the origin. Discs count from apex to base.

    Attributes:
        length_mm: long axis, from the apex to where the axis leaves the mask at the base.
        diameters_mm: float64 (n,), the chord in the middle of each disc.
        apex, base: float64 (2,), ends of the axis.
        chords: float64 (n, 2, 2), disc, end, (y, x).
    """

    length_mm: float
    diameters_mm: Float64
    apex: Float64
    base: Float64
    chords: Float64

    def __post_init__(self) -> None:
        n = len(self.diameters_mm)
        if not (math.isfinite(self.length_mm) and self.length_mm > 0):
            raise GeometryError(f"long axis of {self.length_mm} mm; it must be a positive length")
        if n < 1 or self.diameters_mm.shape != (n,) or self.chords.shape != (n, 2, 2):
            raise GeometryError(
                f"diameters {self.diameters_mm.shape} and chords {self.chords.shape}; need (n,) and (n, 2, 2)"
            )
        if not (np.isfinite(self.diameters_mm).all() and (self.diameters_mm >= 0).all()):
            raise GeometryError("disc diameters must be finite and not negative")
        for name in ("diameters_mm", "apex", "base", "chords"):
            frozen = getattr(self, name).view()
            frozen.flags.writeable = False
            object.__setattr__(self, name, frozen)


@dataclass(frozen=True, eq=False)
class Cut:
    """Discs in the axis' own coordinates: `along` from the middle of the base, `across` to either side."""

    apex_along: float
    base_along: float
    levels: Float64
    low: Float64
    high: Float64


def cut_figure(contour: Contour, axis: LongAxis, n: int) -> Cut:
    """Cut a contour into `n` discs, each measured by the chord in its middle between the outermost walls."""
    uy, ux = axis.to_base
    y, x = contour.y - axis.middle[0], contour.x - axis.middle[1]
    along, across = y * uy + x * ux, x * uy - y * ux
    is_left = across < 0
    edge = np.flatnonzero(is_left[1:] != is_left[:-1])
    if edge.size < 2:
        raise GeometryError("long axis misses the mask; the mask has no shape of a ventricle")
    on_axis = _crossing(across, along, edge, 0.0)
    apex_along, base_along = float(on_axis.min()), float(on_axis.max())
    levels = apex_along + (base_along - apex_along) * (np.arange(n) + 0.5) / n
    is_before = along < levels[:, None]  # (n, N + 1); the contour crosses a level where this changes
    disc, edge = np.divmod(np.flatnonzero(is_before[:, 1:] != is_before[:, :-1]), len(along) - 1)
    first = np.searchsorted(disc, np.arange(n))
    if base_along <= apex_along or first[-1] >= disc.size or (np.diff(first) == 0).any():
        raise GeometryError("long axis without a length; the mask has no shape of a ventricle")
    wall = _crossing(along, across, edge, levels[disc])
    return Cut(apex_along, base_along, levels, np.minimum.reduceat(wall, first), np.maximum.reduceat(wall, first))


def _crossing(through: Float64, value: Float64, edge: NDArray[np.intp], level: Float64 | float) -> Float64:
    """`value` where `through` passes a level between the points `edge` and `edge + 1`."""
    start, end = through[edge], through[edge + 1]
    return np.asarray(value[edge] + (level - start) / (end - start) * (value[edge + 1] - value[edge]))


def find_discs(
    mask: NDArray[np.uint8] | NDArray[np.bool_],
    spacing: Spacing,
    n: int = N_DISCS,
    *,
    structure: Structure = Structure.LV,
    base_hint: Vector | None = None,
) -> Discs:
    """Long axis and `n` discs of a ventricle, from its largest component.

    Args:
        mask: label mask (H, W), or a boolean one of the structure alone. An atrium in a label mask tells the base.
        spacing: pixel size.
        n: number of discs.
        structure: label to measure.
        base_hint: (y, x) vector that points roughly from the apex to the base, when the caller knows it.

    Raises:
        GeometryError: the mask is empty, too small, or has no long axis.

    Example:
        A half ellipse 80 mm long and 60 mm wide at its base:

        >>> y, x = np.mgrid[0:400, 0:400] / 4
        >>> mask = (((y - 90) / 80) ** 2 + ((x - 50) / 30) ** 2 <= 1) & (y <= 90)
        >>> discs = find_discs(mask, Spacing(0.25, 0.25))
        >>> round(discs.length_mm), round(float(discs.diameters_mm[-1]))
        (80, 60)
        >>> round(simpson_single_plane(discs)), round(2 / 3 * np.pi * 80 * 30**2 / 1000)
        (151, 151)
    """
    return figure_discs(find_figure(mask, spacing, structure), n, base_hint=base_hint)


def figure_discs(figure: Figure, n: int = N_DISCS, *, base_hint: Vector | None = None) -> Discs:
    """Discs of a figure that was prepared before."""
    return axis_discs(figure.contour, figure.axis(base_hint), n)


def axis_discs(contour: Contour, axis: LongAxis, n: int = N_DISCS) -> Discs:
    """Discs of a contour along an axis that was found before."""
    cut = cut_figure(contour, axis, n)
    to_base, middle = np.array(axis.to_base), np.array(axis.middle)
    sideways = np.array([-axis.to_base[1], axis.to_base[0]])
    on_axis = middle + cut.levels[:, None] * to_base
    ends = [on_axis + side[:, None] * sideways for side in (cut.low, cut.high)]
    return Discs(
        length_mm=cut.base_along - cut.apex_along,
        diameters_mm=cut.high - cut.low,
        apex=middle + cut.apex_along * to_base,
        base=middle + cut.base_along * to_base,
        chords=np.stack(ends, axis=1),
    )


def simpson_single_plane(discs: Discs) -> float:
    """Volume in mL of discs with circular cross-section: V = pi/4 * L/n * sum d_i^2."""
    return stacked_ml(discs.length_mm, discs.diameters_mm, discs.diameters_mm)


def simpson_biplane(a4c: Discs, a2c: Discs) -> float:
    """Volume in mL of elliptic discs from two views of one instant: V = pi/4 * L/n * sum a_i b_i, L the longer axis."""
    _require_same_number(a4c, a2c)
    return stacked_ml(max(a4c.length_mm, a2c.length_mm), a4c.diameters_mm, a2c.diameters_mm)


def simpson_biplane_shared_height(ed: tuple[Discs, Discs], es: tuple[Discs, Discs]) -> tuple[float, float]:
    """End-diastolic and end-systolic volume in mL with ONE disc height for both, the longest axis of all four masks.

    For comparison with published CAMUS tables only, whose script does this. The ventricle shortens in systole, so the
    end-systolic volume comes out too large and the ejection fraction too small, by 6 to 12 points. Use
    `simpson_biplane` for each instant instead.

    Args:
        ed: discs of the four- and the two-chamber view at end-diastole.
        es: the same at end-systole.
    """
    for pair in (ed, es):
        _require_same_number(*pair)
    height_mm = max(discs.length_mm for discs in (*ed, *es))
    return (
        stacked_ml(height_mm, ed[0].diameters_mm, ed[1].diameters_mm),
        stacked_ml(height_mm, es[0].diameters_mm, es[1].diameters_mm),
    )


def area_length(area_mm2: float, length_mm: float) -> float:
    """Volume in mL by the area-length formula V = 8 A^2 / (3 pi L).

    Example:
        >>> round(area_length(np.pi * 45 * 25, 90.0), 2), round(4 / 3 * np.pi * 45 * 25**2 / 1000, 2)
        (117.81, 117.81)
    """
    if not (length_mm > 0 and area_mm2 >= 0):
        raise GeometryError(f"area {area_mm2} mm2 and length {length_mm} mm; both must be positive")
    return 8 * area_mm2**2 / (3 * math.pi * length_mm) / MM3_PER_ML


def stacked_ml(length_mm: float, one_mm: Float64, other_mm: Float64) -> float:
    """Volume in mL of elliptic discs of equal height: pi/4 * L/n * sum a_i b_i."""
    return math.pi / 4 * length_mm / len(one_mm) * float(one_mm @ other_mm) / MM3_PER_ML


def _require_same_number(a4c: Discs, a2c: Discs) -> None:
    if len(a4c.diameters_mm) != len(a2c.diameters_mm):
        raise InputError(
            f"{len(a4c.diameters_mm)} discs in one view and {len(a2c.diameters_mm)} in the other; cut both into the same number"
        )
