"""One structure of one frame, prepared for measuring: outline, smooth contour, moments and contact with the atrium."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from echoseg.cine import Spacing, Structure
from echoseg.clinical.axis import (
    Contour,
    LongAxis,
    Shape,
    Vector,
    atrial_contact,
    contour_shape,
    find_axis,
    smoothed_contour,
)
from echoseg.clinical.outline import Outline, find_outline
from echoseg.errors import InputError

_NEIGHBOUR = {Structure.LV: Structure.LA, Structure.LA: Structure.LV}


@dataclass(frozen=True, eq=False)
class Figure:
    """A structure's largest component in one frame.

    Attributes:
        outline: its border in pixels.
        contour: its border in mm, smoothed.
        shape: area moments of the contour.
        contact: indices of the contour's points that face the other chamber, None if it is not in the mask.
    """

    outline: Outline
    contour: Contour
    shape: Shape
    contact: NDArray[np.intp] | None

    @property
    def base_vector(self) -> Vector:
        """Vector towards the base; the longer, the surer."""
        if self.contact is None:
            return self.shape.base_vector
        y, x = self.contour.y[self.contact].mean(), self.contour.x[self.contact].mean()
        return float(y) - self.shape.centre[0], float(x) - self.shape.centre[1]

    def axis(self, base_hint: Vector | None = None) -> LongAxis:
        """Long axis; the hint points roughly to the base, for figures that do not touch the other chamber."""
        return find_axis(self.contour, self.shape, base_hint=base_hint, contact=self.contact)


def find_figure(
    mask: NDArray[np.uint8] | NDArray[np.bool_], spacing: Spacing, structure: Structure = Structure.LV
) -> Figure:
    """Prepare the largest component of a structure.

    Args:
        mask: label mask (H, W), or a boolean one of the structure alone.
        spacing: pixel size.
        structure: label to measure.

    Raises:
        GeometryError: the structure is missing or too small to be measured.
    """
    if mask.ndim != 2:
        raise InputError(f"mask of shape {mask.shape}; one frame has the shape (H, W)")
    outline = find_outline(np.asarray(mask if mask.dtype == bool else mask == int(structure), bool))
    contour = smoothed_contour(outline, spacing)
    contact = None
    neighbour = _NEIGHBOUR.get(structure)
    if neighbour is not None and mask.dtype != bool:
        chamber = mask == int(neighbour)
        contact = atrial_contact(outline, chamber) if chamber.any() else None
    return Figure(outline, contour, contour_shape(contour), contact)
