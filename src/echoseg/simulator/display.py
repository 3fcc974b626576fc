"""From received levels to pixels: speckle reduction, persistence, gray scale and scan conversion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.ndimage import gaussian_filter1d

from echoseg.cine import Float32, Float64, Spacing, UInt8
from echoseg.simulator.geometry import Mask
from echoseg.simulator.presets import Preset
from echoseg.simulator.randomness import uniform
from echoseg.simulator.ultrasound import Scanner

_MEAN_LOG_SPECKLE_DB = 2.5
"""How far the mean of the logarithm of speckle lies below the logarithm of its mean power."""
_MARGIN_DB = 12.0
_GRAY_STEPS = 4096
_DARKEST_GRAY = 12.0
"""Mean gray value of the sector below which the operator turns up the gain."""
_GAIN_STEP_DB = 2.0
_LARGEST_GAIN_DB = 40.0


@dataclass(frozen=True)
class ImageGrid:
    """Pixels of the image in the sector's plane.

    Attributes:
        shape: (H, W).
        spacing: pixel size.
        left_mm: x of the left border; the upper border lies at the transducer.
    """

    shape: tuple[int, int]
    spacing: Spacing
    left_mm: float

    @classmethod
    def echonet(cls, scanner: Scanner) -> ImageGrid:
        """112 x 112 pixels with the depth over the whole height."""
        size = scanner.depth_mm / 112
        return cls((112, 112), Spacing(size, size), -scanner.depth_mm / 2)

    @classmethod
    def camus(cls, scanner: Scanner) -> ImageGrid:
        """The whole sector in the native, anisotropic pixels of CAMUS."""
        spacing = Spacing(row_mm=0.154, col_mm=0.308)
        half = scanner.depth_mm * np.sin(np.deg2rad(scanner.sector_deg / 2))
        height, width = int(np.ceil(scanner.depth_mm / spacing.row_mm)), int(np.ceil(2 * half / spacing.col_mm))
        return cls((height, width), spacing, -width / 2 * spacing.col_mm)

    def to_image_mm(self, x: Float64, z: Float64) -> Float64:
        """(y_mm, x_mm) (..., 2) with the centre of the upper left pixel at (0, 0)."""
        y = z - self.spacing.row_mm / 2
        return np.stack([y, x - self.left_mm - self.spacing.col_mm / 2], axis=-1)


class ScanConverter:
    """Bilinear map from the polar grid to pixels.

    Attributes:
        inside: bool (H, W), pixels in the sector.
    """

    def __init__(self, scanner: Scanner, grid: ImageGrid) -> None:
        """Compute the weights once; they are the rows of a sparse matrix."""
        z = (np.arange(grid.shape[0])[:, None] + 0.5) * grid.spacing.row_mm
        x = (np.arange(grid.shape[1])[None] + 0.5) * grid.spacing.col_mm + grid.left_mm
        row = np.hypot(x, z) / scanner.range_step_mm
        col = (np.rad2deg(np.arctan2(x, z)) + scanner.sector_deg / 2) / scanner.beam_step_deg
        self.inside: Mask = (row < scanner.n_ranges - 1) & (col >= 0) & (col < scanner.n_beams - 1)
        row, col = row[self.inside], col[self.inside]
        top, left = row.astype(np.int32), col.astype(np.int32)
        down, right = row - top, col - left
        weights = np.stack([(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right], axis=-1)
        corner = top * scanner.n_beams + left
        offsets = np.array([0, 1, scanner.n_beams, scanner.n_beams + 1], np.int32)
        bounds = np.concatenate([[0], np.cumsum(4 * self.inside.ravel(), dtype=np.int32)]).astype(np.int32)
        self._matrix = sparse.csr_array(
            (weights.astype(np.float32).ravel(), (corner[:, None] + offsets).ravel(), bounds),
            shape=(grid.shape[0] * grid.shape[1], scanner.n_ranges * scanner.n_beams),
        )
        self._shape = grid.shape

    def __call__(self, gray: Float32) -> UInt8:
        """Image uint8 (H, W) of a polar image of gray values 0..255."""
        return np.asarray(self._matrix @ gray.ravel() + np.float32(0.5)).astype(np.uint8).reshape(self._shape)


class Display:
    """What the scanner's screen does with the received levels."""

    def __init__(
        self, rng: np.random.Generator, preset: Preset, scanner: Scanner, floor_db: float, *, fine: bool
    ) -> None:
        """Draw the operator's settings; `floor_db` is the level of an ideal cavity."""
        self._black_db = min(floor_db + uniform(rng, preset.black_db), -8.0)
        self._white_db = uniform(rng, preset.white_db)
        ramp = np.linspace(0, 1, _GRAY_STEPS) ** uniform(rng, preset.gamma)
        self._curve = (255 * ramp).astype(np.float32)
        smoothing_mm = uniform(rng, preset.smoothing_mm) * (0.55 if fine else 1.0)
        self._axial_sd = smoothing_mm / scanner.range_step_mm
        self._lateral_sd = 0.6 * scanner.beam_sd_deg / scanner.beam_step_deg
        self._persistence_s = uniform(rng, preset.persistence_s)

    def reduce_speckle(self, level_db: Float32) -> Float32:
        """Smooth the logarithm of the echo (n_ranges, n_beams)."""
        level_db += np.float32(_MEAN_LOG_SPECKLE_DB)
        np.clip(level_db, self._black_db - _MARGIN_DB, self._white_db + _MARGIN_DB / 2, out=level_db)
        axial = gaussian_filter1d(level_db, self._axial_sd, axis=0, truncate=3)
        return np.asarray(gaussian_filter1d(axial, self._lateral_sd, axis=1, truncate=3), dtype=np.float32)

    def persist(self, levels_db: Float32, step_s: float) -> Float32:
        """Average frames (T, n_ranges, n_beams) over time, with weights that depend on seconds.

        The weights are symmetric about a frame's own time: a real scanner averages over the past, but a label is drawn on what is
        seen, so that image and label belong to the same instant.
        """
        reach = min(int(3 * self._persistence_s / step_s), len(levels_db) - 1)
        if reach == 0:
            return levels_db
        weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) * step_s / self._persistence_s) ** 2)
        padded = np.pad(levels_db, ((reach, reach), (0, 0), (0, 0)), mode="edge")
        averaged = np.zeros_like(levels_db)
        for shift, weight in enumerate(weights / weights.sum()):
            averaged += np.float32(weight) * padded[shift : shift + len(levels_db)]
        return averaged

    def turn_up(self, levels_db: Float32) -> Float32:
        """Raise the gain of a cine (T, n_ranges, n_beams) until it is not nearly black."""
        some_db = levels_db[:: max(1, len(levels_db) // 4)]
        area = np.arange(levels_db.shape[1])  # of a polar sample grows with its depth
        gain_db = 0.0
        while gain_db < _LARGEST_GAIN_DB:
            gray = self.to_gray(some_db + np.float32(gain_db)).mean(axis=(0, 2))
            if np.average(gray, weights=area) >= _DARKEST_GRAY:
                break
            gain_db += _GAIN_STEP_DB
        return levels_db + np.float32(gain_db) if gain_db else levels_db

    def to_gray(self, level_db: Float32) -> Float32:
        """Gray values 0..255 (n_ranges, n_beams) of levels."""
        scale = np.float32((_GRAY_STEPS - 1) / (self._white_db - self._black_db))
        steps = np.clip((level_db - np.float32(self._black_db)) * scale, 0, _GRAY_STEPS - 1)
        return np.asarray(self._curve[steps.astype(np.int32)], dtype=np.float32)


def draw_screen_marks(rng: np.random.Generator, inside: Mask) -> UInt8:
    """A probe mark and a piece of a line outside the sector, as many clips have them; uint8 (H, W)."""
    marks = np.zeros(inside.shape, np.uint8)
    if rng.random() < 0.8:
        left = inside.shape[1] // 2 + int(rng.integers(4, 12))
        marks[2:5, left : left + 3] = rng.integers(90, 255)
        row, col, length = int(rng.integers(18, 36)), int(rng.integers(90, 102)), int(rng.integers(6, 14))
        steps = np.arange(length)
        bottom, right = inside.shape[0] - 1, inside.shape[1] - 1
        marks[np.minimum(row + steps, bottom), np.minimum(col + steps, right)] = rng.integers(90, 230)
    return marks * ~inside
