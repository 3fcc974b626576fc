"""Measurements of single frames, and of all frames of a cine in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray

from echoseg.cine import Float64, Spacing, Structure, UInt8
from echoseg.clinical.axis import Vector, find_axis
from echoseg.clinical.discs import N_DISCS, Discs, area_length, cut_figure, figure_discs, stacked_ml
from echoseg.clinical.figure import Figure, find_figure
from echoseg.errors import GeometryError, UsageError

SIMPSON_SINGLE_PLANE = "simpson_single_plane"
AREA_LENGTH = "area_length"
METHODS = (SIMPSON_SINGLE_PLANE, AREA_LENGTH)
_FRAMES_FOR_HINT = 64


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
        volume_ml: volume, NaN where the mask has no long axis.
        stray_fraction: share of the structure's pixels outside the largest component.
        touches_edge: whether the structure reaches the edge of the image.
    """

    area_mm2: Float64
    length_mm: Float64
    volume_ml: Float64
    stray_fraction: Float64
    touches_edge: NDArray[np.bool_]


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
    method: str = SIMPSON_SINGLE_PLANE,
    structure: Structure = Structure.LV,
) -> FrameSeries:
    """Measure every frame of a cine in one pass with bounded memory.

    Which end is the base is decided once, from the evidence of the first frames together: it cannot flip within a cine.

    Args:
        masks: label masks (H, W) in the order of the frames.
        spacing: pixel size.
        method: "simpson_single_plane" or "area_length".
        structure: label to measure.
    """
    if method not in METHODS:
        raise UsageError(f"volume method {method!r} is unknown; choose one of {', '.join(METHODS)}")
    figures = _figures(masks, spacing, structure)
    first = list(islice(figures, _FRAMES_FOR_HINT))
    hint = _joint_hint(first)
    rows = [_measure_row(figure, spacing, method, hint) for figure in chain(first, figures)]
    table = np.array(rows, np.float64).reshape(-1, 5)
    return FrameSeries(table[:, 0], table[:, 1], table[:, 2], table[:, 3], table[:, 4] > 0)


def _figures(masks: Iterable[UInt8], spacing: Spacing, structure: Structure) -> Iterator[Figure | None]:
    for mask in masks:
        try:
            yield find_figure(mask, spacing, structure)
        except GeometryError:
            yield None


def _joint_hint(figures: list[Figure | None]) -> Vector | None:
    vectors = [figure.base_vector for figure in figures if figure is not None]
    if not vectors:
        return None
    return sum(y for y, _ in vectors), sum(x for _, x in vectors)


def _measure_row(
    figure: Figure | None, spacing: Spacing, method: str, hint: Vector | None
) -> tuple[float, float, float, float, bool]:
    """Area, length, volume, stray fraction and contact with the image's edge of one frame."""
    if figure is None:
        return 0.0, np.nan, np.nan, 0.0, False
    outline = figure.outline
    area_mm2 = outline.area_px * spacing.row_mm * spacing.col_mm
    try:
        axis = find_axis(figure.contour, figure.shape, base_hint=hint, contact=figure.contact)
        cut = cut_figure(figure.contour, axis, N_DISCS)
    except GeometryError:
        return area_mm2, np.nan, np.nan, outline.stray_fraction, outline.touches_edge
    length_mm, diameters = cut.base_along - cut.apex_along, cut.high - cut.low
    volume = area_length(area_mm2, length_mm) if method == AREA_LENGTH else stacked_ml(length_mm, diameters, diameters)
    return area_mm2, length_mm, volume, outline.stray_fraction, outline.touches_edge
