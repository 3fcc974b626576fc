"""From received levels to pixels: speckle reduction, persistence, gray scale and scan conversion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.ndimage import gaussian_filter1d

from echoseg.cine import Float32, Float64, Spacing, UInt8
from echoseg.simulator.geometry import Mask
from echoseg.simulator.presets import Style
from echoseg.simulator.randomness import uniform
from echoseg.simulator.ultrasound import Scanner

_FAINTEST_DB = -90.0
"""Levels below are all equally black on every screen."""
_GRAY_STEPS = 4096
_GAIN_STEP_DB = 0.25
_LARGEST_GAIN_DB = 80.0


@dataclass(frozen=True)
class ImageGrid:
    """Pixels of the image in the sector's plane.

    Attributes:
        shape: (H, W).
        spacing: pixel size.
        left_mm: x of the left border; the upper border lies at the transducer.
        mirrored: whether x runs to the left, as where the left ventricle is shown on the left.
    """

    shape: tuple[int, int]
    spacing: Spacing
    left_mm: float
    mirrored: bool = False

    @classmethod
    def echonet(cls, scanner: Scanner, *, mirrored: bool = False) -> ImageGrid:
        """112 x 112 pixels with the depth over the whole height."""
        size = scanner.depth_mm / 112
        return cls((112, 112), Spacing(size, size), -scanner.depth_mm / 2, mirrored)

    @classmethod
    def camus(cls, scanner: Scanner, *, mirrored: bool = False) -> ImageGrid:
        """The whole sector in the native, anisotropic pixels of CAMUS."""
        spacing = Spacing(row_mm=0.154, col_mm=0.308)
        half = scanner.depth_mm * np.sin(np.deg2rad(scanner.sector_deg / 2))
        height, width = int(np.ceil(scanner.depth_mm / spacing.row_mm)), int(np.ceil(2 * half / spacing.col_mm))
        return cls((height, width), spacing, -width / 2 * spacing.col_mm, mirrored)

    def columns_mm(self) -> Float64:
        """X (W,) of the centres of the columns."""
        x = (np.arange(self.shape[1], dtype=np.float64) + 0.5) * self.spacing.col_mm + self.left_mm
        return np.asarray(-x if self.mirrored else x, dtype=np.float64)

    def to_image_mm(self, x: Float64, z: Float64) -> Float64:
        """(y_mm, x_mm) (..., 2) with the centre of the upper left pixel at (0, 0)."""
        y, across = z - self.spacing.row_mm / 2, -x if self.mirrored else x
        return np.stack([y, across - self.left_mm - self.spacing.col_mm / 2], axis=-1)


class ScanConverter:
    """Bilinear map from the polar grid to pixels.

    Attributes:
        inside: bool (H, W), pixels in the sector.
    """

    def __init__(self, scanner: Scanner, grid: ImageGrid) -> None:
        """Compute the weights once; they are the rows of a sparse matrix."""
        z = (np.arange(grid.shape[0])[:, None] + 0.5) * grid.spacing.row_mm
        x = grid.columns_mm()[None]
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

    def __init__(self, rng: np.random.Generator, style: Style, scanner: Scanner) -> None:
        """Draw the operator's settings; black is at 0 dB until the gain is set by `adjust_gain`."""
        self._range_db = uniform(rng, style.range_db)
        self._mean_gray = uniform(rng, style.mean_gray)
        ramp = np.linspace(0, 1, _GRAY_STEPS) ** uniform(rng, style.gamma)
        self._curve = (255 * ramp).astype(np.float32)
        self._gain_db = 0.0
        self._axial_sd = uniform(rng, style.smoothing_mm) / scanner.range_step_mm
        self._lateral_sd = 0.6 * scanner.beam_sd_deg / scanner.beam_step_deg
        self._persistence_s = uniform(rng, style.persistence_s)

    def reduce_speckle(self, level_db: Float32) -> Float32:
        """Smooth the logarithm of the echo (n_ranges, n_beams)."""
        np.clip(level_db, _FAINTEST_DB, None, out=level_db)
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

    def adjust_gain(self, levels_db: Float32) -> None:
        """Choose the gain at which a cine (T, n_ranges, n_beams) has the mean gray value that the operator wants."""
        some_db = levels_db[:: max(1, len(levels_db) // 4)]
        area = np.arange(levels_db.shape[1])  # of a polar sample grows with its depth
        low, high = -_LARGEST_GAIN_DB, _LARGEST_GAIN_DB + self._range_db
        while high - low > _GAIN_STEP_DB:
            self._gain_db = (low + high) / 2
            too_bright = np.average(self.to_gray(some_db).mean(axis=(0, 2)), weights=area) > self._mean_gray
            low, high = (low, self._gain_db) if too_bright else (self._gain_db, high)

    def to_gray(self, level_db: Float32) -> Float32:
        """Gray values 0..255 of levels."""
        scale = np.float32((_GRAY_STEPS - 1) / self._range_db)
        steps = np.clip((level_db + np.float32(self._gain_db)) * scale, 0, _GRAY_STEPS - 1)
        return np.asarray(self._curve[steps.astype(np.int32)], dtype=np.float32)


def draw_screen_marks(rng: np.random.Generator, inside: Mask) -> UInt8:
    """Probe mark, scale, lines of text and a piece of an ECG outside the sector; uint8 (H, W), the same on all frames."""
    height, width = inside.shape
    unit = max(1, height // 112)
    marks = np.zeros(inside.shape, np.uint8)
    gray = int(rng.integers(90, 255))
    if rng.random() < 0.8:
        left = width // 2 + unit * int(rng.integers(4, 12))
        marks[2 * unit : 5 * unit, left : left + 3 * unit] = gray
    if rng.random() < 0.5:
        right = width - unit * int(rng.integers(2, 6))
        step = unit * int(rng.integers(8, 20))
        for row in range(step, height, step):
            marks[row : row + unit, right - unit * int(rng.integers(1, 3)) : right] = gray
    for _ in range(int(rng.integers(0, 6))):
        row, col = int(rng.integers(height)), int(rng.integers(width))
        letters = rng.random((4, int(rng.integers(6, 26)))) < 0.55
        block = np.kron(letters, np.ones((unit, unit), bool))[: height - row, : width - col]
        marks[row : row + block.shape[0], col : col + block.shape[1]][block] = gray
    if rng.random() < 0.4:
        column = np.arange(width)
        beat = (column / width * uniform(rng, (1, 3)) + rng.random()) % 1
        wave = 7 * np.exp(-(((beat - 0.3) / 0.015) ** 2)) + 1.5 * np.exp(-(((beat - 0.6) / 0.06) ** 2))
        row = np.rint(height - unit * (4 + wave)).astype(int)
        for thick in range(unit):
            marks[np.clip(row + thick, 0, height - 1), column] = gray
    return marks * ~inside
