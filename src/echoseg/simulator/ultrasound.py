"""From scatterers to echoes: a phased-array scanner in polar coordinates.

Every scatterer adds its amplitude, with the phase of its two-way path, to a polar grid (range x beam). The grid is then
convolved with the point spread function: Gaussian in range, and in angle Gaussian with a width that depends on depth,
plus wide side lobes. Both are applied as transfer functions, scaled so that a uniform medium of amplitude 1 has the same
mean power at every depth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from echoseg.cine import Float64
from echoseg.simulator.presets import Style
from echoseg.simulator.randomness import uniform
from echoseg.simulator.scatterers import Echoes, Region

Complex64 = NDArray[np.complex64]

_CELL_SCATTERERS = 6.0
"""Scatterers per resolution cell (2 pi sigma_r sigma_theta)."""
MEDIUM_DB = -2.6
"""Mean power of a uniform medium of amplitude 1: 0 dB is the level of the bright parts of a wall, not its mean."""
_DEFOCUS = 0.9
"""How much wider the beam is, relatively, at the transducer and at full depth than in the focus at half depth."""
_SIDE_LOBE_WIDTH = 6.0
_SIDE_LOBE_GAIN = 2.2
_GUARD_BEAMS = 14


@dataclass(frozen=True)
class Scanner:
    """Settings of the ultrasound scanner.

    Attributes:
        depth_mm: imaging depth.
        sector_deg: opening angle of the sector.
        wavelength_mm: wavelength.
        axial_sd_mm: standard deviation of the pulse envelope.
        beam_sd_deg: standard deviation of the two-way beam in its focus.
        n_ranges: samples along a beam.
        n_beams: beams.
    """

    depth_mm: float = 155.0
    sector_deg: float = 84.0
    wavelength_mm: float = 0.55
    axial_sd_mm: float = 0.55
    beam_sd_deg: float = 0.75
    n_ranges: int = 384
    n_beams: int = 132

    @property
    def range_step_mm(self) -> float:
        """Distance between two samples of a beam."""
        return self.depth_mm / self.n_ranges

    @property
    def beam_step_deg(self) -> float:
        """Angle between two beams."""
        return self.sector_deg / (self.n_beams - 1)

    @property
    def shape(self) -> tuple[int, int]:
        """(ranges, beams) of the polar grid."""
        return self.n_ranges, self.n_beams

    @property
    def ranges_mm(self) -> Float64:
        """Depth of the samples (n_ranges,)."""
        return np.arange(self.n_ranges, dtype=np.float64) * self.range_step_mm

    @property
    def angles_deg(self) -> Float64:
        """Angle of the beams (n_beams,), 0 straight down."""
        return np.linspace(-self.sector_deg / 2, self.sector_deg / 2, self.n_beams)

    @property
    def region(self) -> Region:
        """What must be filled with scatterers, and how densely."""
        share = np.sqrt(2 * np.pi / _CELL_SCATTERERS)
        return Region(
            self.depth_mm, self.sector_deg, share * self.axial_sd_mm, share * float(np.deg2rad(self.beam_sd_deg))
        )


def sample_scanner(
    rng: np.random.Generator, style: Style, heart_depth_mm: float, sector_deg: float, *, fine: bool
) -> Scanner:
    """Draw the settings of a scanner of a style that shows a heart which reaches down to `heart_depth_mm`."""
    return Scanner(
        depth_mm=float(np.clip(heart_depth_mm * uniform(rng, (1.0, 1.15)), 105, 210)),
        sector_deg=sector_deg,
        wavelength_mm=uniform(rng, (0.45, 0.80)),
        axial_sd_mm=uniform(rng, style.axial_sd_mm),
        beam_sd_deg=uniform(rng, style.beam_sd_deg),
        n_ranges=640 if fine else 384,
        n_beams=180 if fine else 132,
    )


def _gaussian(frequency: NDArray[np.floating[Any]], sd: Float64 | float) -> Float64:
    """Transfer function of a Gaussian of unit sum; frequencies in cycles per sample."""
    return np.asarray(np.exp(-0.5 * (2 * np.pi * frequency * sd) ** 2), dtype=np.float64)


def _mean_power(transfer: Float64, frequency: NDArray[np.floating[Any]]) -> Float64:
    """Mean energy over the last axis of a point that falls between two samples, shared linearly by them."""
    return np.asarray(np.mean(transfer**2 * (2 + np.cos(2 * np.pi * frequency)) / 3, axis=-1), dtype=np.float64)


class Beamformer:
    """Turns scatterers into complex baseband echoes."""

    def __init__(self, scanner: Scanner, side_lobe_db: float) -> None:
        """Prepare the transfer functions of a scanner whose side lobes are `side_lobe_db` strong."""
        self.scanner = scanner
        guard_ranges = int(np.ceil(4 * scanner.axial_sd_mm / scanner.range_step_mm))
        self._rows = scipy.fft.next_fast_len(scanner.n_ranges + guard_ranges)
        self._cols = scipy.fft.next_fast_len(scanner.n_beams + 2 * _GUARD_BEAMS)
        range_frequency, beam_frequency = np.fft.fftfreq(self._rows), np.fft.fftfreq(self._cols)
        axial = _gaussian(range_frequency, scanner.axial_sd_mm / scanner.range_step_mm)
        relative_depth = np.arange(self._rows, dtype=np.float64) / scanner.n_ranges
        defocus = np.clip(1.6 * np.abs(relative_depth - 0.5), 0, 1) ** 1.5
        beam_sd = scanner.beam_sd_deg / scanner.beam_step_deg
        main = _gaussian(beam_frequency, beam_sd * (1 + _DEFOCUS * defocus[:, None]))
        side = _SIDE_LOBE_GAIN * 10 ** (side_lobe_db / 20) * _gaussian(beam_frequency, _SIDE_LOBE_WIDTH * beam_sd)
        per_sample = scanner.region.per_mm_rad * scanner.range_step_mm * np.deg2rad(scanner.beam_step_deg)
        power = per_sample * _mean_power(axial, range_frequency) * _mean_power(main, beam_frequency)
        self._axial = axial.astype(np.float32)[:, None]
        level = 10 ** (MEDIUM_DB / 20)
        self._lateral = (level * main * (1 + side) / np.sqrt(power)[:, None]).astype(np.float32)

    def _splat(self, echoes: Echoes) -> Complex64:
        """Sum of all scatterers on the padded polar grid, shared bilinearly by the four nearest samples."""
        scanner = self.scanner
        r = np.hypot(echoes.x, echoes.z)
        row = r * np.float32(1 / scanner.range_step_mm)
        col = np.arctan2(echoes.x, echoes.z) * np.float32(np.rad2deg(1) / scanner.beam_step_deg)
        col += np.float32((scanner.n_beams - 1) / 2 + _GUARD_BEAMS)
        visible = (row < self._rows - 1) & (col >= 0) & (col < self._cols - 1)
        r, row, col, amplitude = r[visible], row[visible], col[visible], echoes.amplitude[visible]
        top, left = row.astype(np.intp), col.astype(np.intp)
        down, right = row - top.astype(np.float32), col - left.astype(np.float32)
        phase = r * np.float32(-4 * np.pi / scanner.wavelength_mm)
        upper, lower = amplitude * (1 - down), amplitude * down
        weights = np.concatenate([upper * (1 - right), upper * right, lower * (1 - right), lower * right])
        corner = top * self._cols + left
        index = np.concatenate([corner, corner + 1, corner + self._cols, corner + self._cols + 1])
        size = self._rows * self._cols
        grid = np.empty(size, np.complex64)
        grid.real = np.bincount(index, weights * np.tile(np.cos(phase), 4), size)
        grid.imag = np.bincount(index, weights * np.tile(np.sin(phase), 4), size)
        return grid.reshape(self._rows, self._cols)

    def __call__(self, echoes: Echoes) -> Complex64:
        """Complex echoes (n_ranges, n_beams) of scatterers."""
        spectrum = scipy.fft.fft(self._splat(echoes), axis=0, overwrite_x=True)
        spectrum *= self._axial
        lines = scipy.fft.fft(scipy.fft.ifft(spectrum, axis=0, overwrite_x=True), axis=1, overwrite_x=True)
        lines *= self._lateral
        image = scipy.fft.ifft(lines, axis=1, overwrite_x=True)
        n_ranges, n_beams = self.scanner.shape
        return np.asarray(image[:n_ranges, _GUARD_BEAMS : _GUARD_BEAMS + n_beams], dtype=np.complex64)


class SpeckleBank:
    """Stock of speckle without scatterers: blood, clutter and noise are drawn from it."""

    def __init__(self, rng: np.random.Generator, shape: tuple[int, int], sd: tuple[float, float]) -> None:
        """Make speckle for a grid of `shape`, correlated over `sd` samples in range and beam."""
        self._shape = shape
        self._margin = 96, 64
        size = shape[0] + self._margin[0], shape[1] + self._margin[1]
        white = rng.standard_normal((*size, 2), dtype=np.float32)
        spectrum = scipy.fft.fft2(white[..., 0] + np.complex64(1j) * white[..., 1])
        spectrum *= _gaussian(np.fft.fftfreq(size[0]), sd[0])[:, None]
        spectrum *= _gaussian(np.fft.fftfreq(size[1]), sd[1])
        texture = scipy.fft.ifft2(spectrum)
        texture /= np.sqrt(np.mean(np.abs(texture) ** 2))
        self._texture: Complex64 = texture.astype(np.complex64)

    def _window(self, rng: np.random.Generator) -> Complex64:
        top, left = (int(rng.integers(0, margin + 1)) for margin in self._margin)
        return self._texture[top : top + self._shape[0], left : left + self._shape[1]]

    def draw(self, rng: np.random.Generator) -> Complex64:
        """Speckle of unit power, nearly independent of every other draw: two random windows with random phases."""
        first, second = np.exp(2j * np.pi * rng.random(2)) * np.sqrt(0.5)
        drawn = self._window(rng) * np.complex64(first)
        drawn += self._window(rng)[::-1] * np.complex64(second)
        return drawn
