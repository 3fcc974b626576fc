"""A chamber of the heart at single frames of a cine, the same way up in all of them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from echoseg.cine import MaskStack, Segmentation, Spacing, Structure
from echoseg.clinical.axis import Vector
from echoseg.clinical.curve import spacing_to_measure
from echoseg.clinical.discs import Discs, area_length, figure_discs, simpson_single_plane
from echoseg.clinical.figure import Figure, find_figure
from echoseg.clinical.frames import FRAMES_FOR_HINT, joint_hint
from echoseg.errors import GeometryError


@dataclass(frozen=True, eq=False)
class ChamberShape:
    """A chamber in one frame.

    Attributes:
        frame: which one.
        area_mm2: area of the largest component, holes filled.
        discs: its long axis and twenty discs.
        figure: its outline.
    """

    frame: int
    area_mm2: float
    discs: Discs
    figure: Figure

    @property
    def simpson_ml(self) -> float:
        """Volume by discs of circular cross-section."""
        return simpson_single_plane(self.discs)

    @property
    def area_length_ml(self) -> float:
        """Volume by area and length."""
        return area_length(self.area_mm2, self.discs.length_mm)


@dataclass(frozen=True, eq=False)
class Chamber:
    """A structure of a segmented cine, to be looked at frame by frame.

    Measured with a spacing of one pixel, mm reads px, and mL reads thousands of cubic pixels.

    Attributes:
        masks: labels of every frame.
        spacing: pixel size.
        structure: label to look at.
        towards_base: vector (y, x) that points roughly to the base; the same for all frames.
    """

    masks: MaskStack
    spacing: Spacing
    structure: Structure
    towards_base: Vector | None

    @classmethod
    def of(cls, segmentation: Segmentation) -> Chamber:
        """The left ventricle of a cine; which end is the base is told by its first frames together.

        Raises:
            InputError: pixels are known not to be square and their size is unknown.
        """
        spacing = spacing_to_measure(segmentation.meta)
        first = [_figure(mask, spacing, Structure.LV) for mask in islice(segmentation.masks, FRAMES_FOR_HINT)]
        return cls(segmentation.masks, spacing, Structure.LV, joint_hint(first))

    def atrium(self) -> Chamber:
        """The left atrium behind this ventricle: its base is the mitral annulus, too, seen from the other side."""
        towards_base = None if self.towards_base is None else (-self.towards_base[0], -self.towards_base[1])
        return Chamber(self.masks, self.spacing, Structure.LA, towards_base)

    def at(self, frame: int) -> ChamberShape | None:
        """The chamber in one frame; None where it is missing or has no long axis."""
        figure = _figure(self.masks[frame], self.spacing, self.structure)
        if figure is None:
            return None
        try:
            discs = figure_discs(figure, base_hint=self.towards_base)
        except GeometryError:
            return None
        area_mm2 = figure.outline.area_px * self.spacing.row_mm * self.spacing.col_mm
        return ChamberShape(frame, area_mm2, discs, figure)


def _figure(mask: NDArray[np.uint8], spacing: Spacing, structure: Structure) -> Figure | None:
    try:
        return find_figure(mask, spacing, structure)
    except GeometryError:
        return None
