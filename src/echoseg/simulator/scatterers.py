"""Point scatterers: how densely they lie and how strongly they echo.

The number of scatterers per resolution cell is the same at every depth (their density falls as 1/r), so that speckle is
fully developed from the near field on. They are spread evenly, one at a random place of every cell of a lattice, and have
Rayleigh amplitudes, as if each were a cluster of many: so the second moment of the intensity is that of Rayleigh speckle
however few they are. Amplitudes are relative to myocardium.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from echoseg.cine import Float32, Float64

_MARGIN_DEG = 6.0
_MARGIN_MM = 10.0


@dataclass(frozen=True)
class Region:
    """Part of the sector that is filled with scatterers.

    Attributes:
        depth_mm: largest depth.
        sector_deg: opening angle.
        cell_mm: depth that holds one scatterer per `cell_rad`.
        cell_rad: angle that holds one scatterer per `cell_mm`.
    """

    depth_mm: float
    sector_deg: float
    cell_mm: float
    cell_rad: float

    @property
    def per_mm_rad(self) -> float:
        """Scatterers per mm of depth and radian of angle."""
        return 1 / (self.cell_mm * self.cell_rad)


@dataclass(frozen=True)
class Echoes:
    """Scatterers on one frame: sector coordinates in mm and amplitudes, float32 (N,)."""

    x: Float32
    z: Float32
    amplitude: Float32


def scatter(rng: np.random.Generator, region: Region) -> tuple[Float64, Float64]:
    """Depth in mm and angle in rad (N,) of scatterers that fill a region and a margin around it."""
    half_rad = np.deg2rad(region.sector_deg / 2 + _MARGIN_DEG)
    n_depths = int(np.ceil((region.depth_mm + _MARGIN_MM) / region.cell_mm))
    n_angles = int(np.ceil(2 * half_rad / region.cell_rad))
    row, col = np.indices((n_depths, n_angles)).reshape(2, -1)
    depth = (row + rng.random(row.size)) * region.cell_mm
    return depth, (col + rng.random(col.size)) * region.cell_rad - half_rad


def rayleigh_amplitudes(rng: np.random.Generator, level_db: Float64) -> Float32:
    """Amplitudes (N,) of scatterers whose mean power is `level_db`."""
    return np.asarray(rng.rayleigh(np.sqrt(0.5), len(level_db)) * 10 ** (level_db / 20), dtype=np.float32)


class Amplitudes:
    """Amplitudes of scatterers that slowly leave the image plane while others enter.

    Each is cos(a) times one Rayleigh phasor plus sin(a) times another, so that the speckle stays Rayleigh at every angle a.
    """

    def __init__(self, rng: np.random.Generator, level_db: Float64) -> None:
        """Draw them for a mean power of `level_db` (N,)."""
        here, there = (rayleigh_amplitudes(rng, level_db) for _ in range(2))
        self._here, self._there = here**2, there**2
        self._both = 2 * here * there * np.cos(rng.uniform(0, 2 * np.pi, len(level_db))).astype(np.float32)

    def at(self, angle_rad: float) -> Float32:
        """Amplitudes (N,) at an angle."""
        cos, sin = np.float32(np.cos(angle_rad)), np.float32(np.sin(angle_rad))
        power = cos**2 * self._here + sin**2 * self._there + cos * sin * self._both
        return np.asarray(np.sqrt(np.maximum(power, 0)), dtype=np.float32)
