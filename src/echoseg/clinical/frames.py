"""Measurements of single frames, and of all frames of a cine in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray

from echoseg.cine import Float64, Spacing, Structure, UInt8
from echoseg.clinical.axis import LongAxis, Vector, pixels_in
from echoseg.clinical.discs import MM3_PER_ML, N_DISCS, Discs, cut_figure, figure_discs, stacked_ml
from echoseg.clinical.figure import Figure, find_figure
from echoseg.clinical.outline import Outline
from echoseg.errors import GeometryError

SIMPSON_SINGLE_PLANE = "simpson_single_plane"
AREA_LENGTH = "area_length"
METHODS = (SIMPSON_SINGLE_PLANE, AREA_LENGTH)
FRAMES_FOR_HINT = 64
APICAL_SHARE = 0.15  # of the long axis
APICAL_DISCS = 3
MIN_CUT_SHARE = 0.03  # of the outline


@dataclass(frozen=True, eq=False)
class FrameMeasure:
    """What one mask measures.

    Attributes:
        area_mm2: area of the largest component, holes filled; 0 when the mask is empty.
        length_mm: long axis; 0 where there is none.
        discs: twenty discs, None when the mask is empty or degenerate.
        n_components: 4-connected components of the structure.
        stray_fraction: share of the structure's pixels outside the largest component.
        touches_edge: whether the structure reaches the edge of the image.
    """

    area_mm2: float
    length_mm: float
    discs: Discs | None
    n_components: int
    stray_fraction: float
    touches_edge: bool


@dataclass(frozen=True, eq=False)
class FrameSeries:
    """What the masks of a cine measure, frame by frame; arrays of length T.

    Measured with a spacing of one pixel, mm reads px, and mL reads thousands of cubic pixels.

    Attributes:
        area_mm2: area of the largest component, holes filled; 0 for an empty mask.
        length_mm: long axis, NaN where the mask has none.
        simpson_ml: volume by discs of circular cross-section, NaN where the mask has no long axis.
        stray_fraction: share of the structure's pixels outside the largest component.
        touches_edge: whether the structure reaches the edge of the image, or of the ultrasound sector where that is known.
        apex_at_edge: whether its apical part does.
        apex_lean: how far the three discs at the apex lie beside the axis, relative to their diameters; a mask whose apex was cut
            off has a corner there, and leans. NaN without a long axis.
        slenderness: long axis relative to the widest disc; NaN without one.
        towards_base: vector (y, x) that points roughly to the base, the same for all frames; None without a mask.
    """

    area_mm2: Float64
    length_mm: Float64
    simpson_ml: Float64
    stray_fraction: Float64
    touches_edge: NDArray[np.bool_]
    apex_at_edge: NDArray[np.bool_]
    apex_lean: Float64
    slenderness: Float64
    towards_base: Vector | None = None

    @property
    def area_length_ml(self) -> Float64:
        """Volume by area and length, V = 8 A^2 / (3 pi L); NaN where the mask has no long axis."""
        return 8 * self.area_mm2**2 / (3 * np.pi * self.length_mm) / MM3_PER_ML

    def volume_ml(self, method: str) -> Float64:
        """Volume by one of `METHODS`."""
        return self.area_length_ml if method == AREA_LENGTH else self.simpson_ml


def measure_frame(
    mask: NDArray[np.uint8] | NDArray[np.bool_], spacing: Spacing, *, structure: Structure = Structure.LV
) -> FrameMeasure:
    """Area, long axis and discs of a structure in one frame. Never raises on a poor mask.

    Args:
        mask: label mask (H, W), or a boolean one of the structure alone.
        spacing: pixel size.
        structure: label to measure.

    Example:
        >>> y, x = np.mgrid[0:120, 0:120]
        >>> mask = ((y - 60) / 45) ** 2 + ((x - 60) / 25) ** 2 <= 1
        >>> frame = measure_frame(mask, Spacing(1.0, 1.0))
        >>> round(frame.length_mm), round(frame.area_mm2 / 100), frame.n_components
        (90, 35, 1)
    """
    try:
        figure = find_figure(mask, spacing, structure)
    except GeometryError:
        return FrameMeasure(0.0, 0.0, None, 0, 0.0, False)
    try:
        discs = figure_discs(figure)
    except GeometryError:
        discs = None
    outline = figure.outline
    return FrameMeasure(
        area_mm2=outline.area_px * spacing.row_mm * spacing.col_mm,
        length_mm=discs.length_mm if discs else 0.0,
        discs=discs,
        n_components=outline.n_components,
        stray_fraction=outline.stray_fraction,
        touches_edge=outline.touches_edge,
    )


def measure_frames(
    masks: Iterable[NDArray[np.uint8]],
    spacing: Spacing,
    *,
    structure: Structure = Structure.LV,
    sector: NDArray[np.bool_] | None = None,
) -> FrameSeries:
    """Measure every frame of a cine in one pass with bounded memory.

    Which end is the base is decided once, from the evidence of the first frames together: it cannot flip within a cine.

    Args:
        masks: label masks (H, W) in the order of the frames.
        spacing: pixel size.
        structure: label to measure.
        sector: bool (H, W), what of the image is ultrasound; None takes all of it.
    """
    figures = _figures(masks, spacing, structure)
    first = list(islice(figures, FRAMES_FOR_HINT))
    hint = joint_hint(first)
    rows = [_measure_row(figure, spacing, hint, sector) for figure in chain(first, figures)]
    area, length, volume, stray, edge, apex_edge, apex_lean, slenderness = np.array(rows, np.float64).reshape(-1, 8).T
    return FrameSeries(area, length, volume, stray, edge > 0, apex_edge > 0, apex_lean, slenderness, hint)


def _figures(masks: Iterable[UInt8], spacing: Spacing, structure: Structure) -> Iterator[Figure | None]:
    for mask in masks:
        try:
            yield find_figure(mask, spacing, structure)
        except GeometryError:
            yield None


def joint_hint(figures: Sequence[Figure | None]) -> Vector | None:
    """Vector (y, x) towards the base from the evidence of several frames together, None without a figure."""
    vectors = [figure.base_vector for figure in figures if figure is not None]
    if not vectors:
        return None
    return sum(y for y, _ in vectors), sum(x for _, x in vectors)


_Row = tuple[float, float, float, float, bool, bool, float, float]


def _measure_row(
    figure: Figure | None, spacing: Spacing, hint: Vector | None, sector: NDArray[np.bool_] | None
) -> _Row:
    """What `FrameSeries` holds of one frame, in its order."""
    if figure is None:
        return 0.0, np.nan, np.nan, 0.0, False, False, np.nan, np.nan
    outline = figure.outline
    area_mm2 = outline.area_px * spacing.row_mm * spacing.col_mm
    cut_off = _points_cut_off(outline, sector)
    at_edge = len(cut_off) > 0
    try:
        axis = figure.axis(hint)
        cut = cut_figure(figure.contour, axis, N_DISCS)
    except GeometryError:
        return area_mm2, np.nan, np.nan, outline.stray_fraction, at_edge, False, np.nan, np.nan
    length_mm, diameters = cut.base_along - cut.apex_along, cut.high - cut.low
    volume = stacked_ml(length_mm, diameters, diameters)
    widest = float(diameters.max())
    lean = float(np.abs(cut.low + cut.high)[:APICAL_DISCS].sum() / (2 * diameters[:APICAL_DISCS].sum()))
    along = _along(figure, axis, cut_off) - cut.apex_along
    apex_at_edge = bool((along < APICAL_SHARE * length_mm).any())
    return (
        area_mm2, length_mm, volume, outline.stray_fraction, at_edge, apex_at_edge,
        lean, length_mm / widest,
    )  # fmt: skip


def _along(figure: Figure, axis: LongAxis, points: NDArray[np.intp]) -> Float64:
    """Positions of points of the contour along the axis, mm from the middle of the base."""
    y, x = figure.contour.y[points] - axis.middle[0], figure.contour.x[points] - axis.middle[1]
    return np.asarray(y * axis.to_base[0] + x * axis.to_base[1])


def _points_cut_off(outline: Outline, sector: NDArray[np.bool_] | None) -> NDArray[np.intp]:
    """Indices of the outline's points behind which the image ends, or the sector does.

    A few points at the sector's edge are the staircases of two borders that meet; a ventricle that is cut off lies along it.
    """
    if sector is None:
        return outline.points_at_edge() if outline.touches_edge else np.empty(0, np.intp)
    found = np.flatnonzero(~pixels_in(outline.pixels_outside(1), sector))
    return found if outline.touches_edge or len(found) > MIN_CUT_SHARE * len(outline.rows) else found[:0]
