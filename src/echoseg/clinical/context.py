"""What is known of a cine beside its masks, and what its numbers and its quality flag make of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from echoseg.clinical.strain import Display
from echoseg.errors import InputError

BODY_SURFACE_M2 = (0.1, 4.0)


@dataclass(frozen=True, eq=False)
class Context:
    """What is known of a cine beside its masks.

    Attributes:
        body_surface_m2: body surface, to index volumes and mass by; None where unknown.
        display: how the view is shown; tells which wall is which. None where nobody said.
        sector: bool (H, W), what of the image is ultrasound; None takes all of it.
    """

    body_surface_m2: float | None = None
    display: Display | None = None
    sector: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        low, high = BODY_SURFACE_M2
        surface = self.body_surface_m2
        if surface is not None and not (math.isfinite(surface) and low <= surface <= high):
            raise InputError(f"body surface of {surface} m2; give one in square metres, {low} to {high}")


NOTHING_KNOWN = Context()
