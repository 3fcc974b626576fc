"""Colour and deep pixels to the 8-bit gray that all rooms work on."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from echoseg.cine import UInt8
from echoseg.errors import InputError

Numeric = NDArray[np.generic]
MIN_FPS, MAX_FPS = 2.0, 2000.0
NO_FPS = "the file does not say its frame rate; give it with --fps"


def luma(rgb: Numeric) -> UInt8:
    """ITU-R 601 luma of uint8 (..., 3): round(0.299 R + 0.587 G + 0.114 B) in 16-bit fixed point."""
    red, green, blue = (rgb[..., i].astype(np.uint32) for i in range(3))
    gray: UInt8 = ((red * 19595 + green * 38470 + blue * 7471 + 32768) >> 16).astype(np.uint8)
    return gray


@cache
def _full_range_table() -> UInt8:
    levels = np.arange(256, dtype=np.float64)
    table: UInt8 = np.clip(np.rint((levels - 16) * (255 / 219)), 0, 255).astype(np.uint8)
    table.flags.writeable = False
    return table


def expand_limited_range(luma_plane: UInt8) -> UInt8:
    """Video levels 16..235 to 0..255; what lies outside is clipped."""
    expanded: UInt8 = np.take(_full_range_table(), luma_plane)
    return expanded


@cache
def _limited_range_table() -> UInt8:
    table: UInt8 = np.rint(16 + np.arange(256) * (219 / 255)).astype(np.uint8)
    table.flags.writeable = False
    return table


def to_limited_range(gray: UInt8) -> UInt8:
    """Levels 0..255 to the 16..235 of video."""
    limited: UInt8 = np.take(_limited_range_table(), gray)
    return limited


@dataclass(frozen=True)
class GrayScale:
    """Linear map from stored values to 0..255.

    Attributes:
        low: value that becomes 0.
        high: value that becomes 255.
    """

    low: float = 0.0
    high: float = 255.0

    @property
    def is_identity(self) -> bool:
        """Whether values are kept as they are."""
        return (self.low, self.high) == (0.0, 255.0)

    def apply(self, values: Numeric) -> UInt8:
        """Values (H, W) as uint8, rounded and clipped."""
        if self.is_identity and values.dtype == np.uint8:
            return np.ascontiguousarray(values, dtype=np.uint8)
        gray = values.astype(np.float64)
        if not self.is_identity:
            gray = (gray - self.low) * (255.0 / (self.high - self.low))
        return np.clip(np.rint(gray), 0, 255).astype(np.uint8)

    @classmethod
    def fit(cls, source: str, frames: Iterable[Numeric]) -> GrayScale:
        """Scale for the values of all frames.

        Values within 0..255 are kept, except for real numbers within 0..1, which are fractions of white. All others are
        scaled from minimum..maximum.
        """
        low, high, real = math.inf, -math.inf, False
        for number, frame in enumerate(frames):
            smallest, largest = float(frame.min()), float(frame.max())
            if not (math.isfinite(smallest) and math.isfinite(largest)):
                raise InputError(
                    f"{source}: frame {number} holds NaN or infinite values; replace them and export it again"
                )
            low, high, real = min(low, smallest), max(high, largest), frame.dtype.kind == "f"
        if low > high:
            raise InputError(f"{source}: no frames; export the cine again")
        if real and low >= 0 and 0 < high <= 1:
            return cls(0.0, 1.0)
        if low >= 0 and high <= 255:
            return cls()
        return cls(low, high if high > low else low + 255.0)

    def warning(self) -> tuple[str, ...]:
        """What to tell the user about it."""
        if self.is_identity:
            return ()
        return (
            f"gray values {self.low:g}..{self.high:g} were scaled to 0..255; export 8-bit frames to keep their contrast",
        )


def plausible_fps(fps: float | None) -> float | None:
    """The frame rate if an echocardiogram can have it, else None."""
    if fps is None or not math.isfinite(fps) or not MIN_FPS <= fps <= MAX_FPS:
        return None
    return fps
