"""Masks of ventricles whose volume is known in closed form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from echoseg.cine import Spacing


@dataclass(frozen=True)
class Ventricle:
    """An ellipsoid of revolution, `kept` of whose long axis is left from the apex on."""

    length_mm: float
    diameter_mm: float
    kept: float = 1.0

    @property
    def volume_ml(self) -> float:
        a, b, height = self.length_mm / 2, self.diameter_mm / 2, self.kept * self.length_mm
        return np.pi * b**2 * height**2 * (3 * a - height) / (3 * a**2) / 1000

    def mask(
        self,
        spacing: Spacing,
        tilt_deg: float = 0.0,
        mirrored: bool = False,
        shift_px: tuple[float, float] = (0.0, 0.0),
    ) -> NDArray[np.uint8]:
        """Mask on a canvas of 112 mm, the apex at the top for a tilt of 0, pixels inside where their centre is."""
        field_mm = 112.0
        height, width = round(field_mm / spacing.row_mm), round(field_mm / spacing.col_mm)
        y = (np.arange(height) - (height - 1) / 2 - shift_px[0])[:, None] * spacing.row_mm
        x = (np.arange(width) - (width - 1) / 2 - shift_px[1])[None, :] * spacing.col_mm
        tilt = np.radians(-tilt_deg if mirrored else tilt_deg)
        along = y * np.cos(tilt) + x * np.sin(tilt)
        across = x * np.cos(tilt) - y * np.sin(tilt)
        a, b, height_mm = self.length_mm / 2, self.diameter_mm / 2, self.kept * self.length_mm
        from_centre = along - (a - height_mm / 2)  # the middle of the kept part lies in the middle of the canvas
        inside = ((from_centre / a) ** 2 + (across / b) ** 2 <= 1) & (along <= height_mm / 2)
        return inside.astype(np.uint8)


@pytest.fixture(scope="session")
def ventricle() -> Callable[..., Ventricle]:
    """Maker of ventricles."""
    return Ventricle
