"""What an ultrasound machine's screen looks like: a fan of moving speckle, and what is drawn around it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

UInt8 = NDArray[np.uint8]
Mask = NDArray[np.bool_]
SHAPE = (300, 400)
NAME = "DOE^JANE"


def fan(shape: tuple[int, int] = SHAPE, *, top: float = 0.12, bottom: float = 0.87, angle: float = 0.65) -> Mask:
    """A sector of half opening angle `angle` (radians) from one height to another, bool (H, W)."""
    rows, cols = np.indices(shape)
    down, across = rows - top * shape[0], cols - shape[1] / 2
    return (np.abs(np.arctan2(across, down)) < angle) & (np.hypot(down, across) < (bottom - top) * shape[0])


def speckle(inside: Mask, n_frames: int = 12, seed: int = 0, ground: int = 0) -> UInt8:
    """A dark ventricle that beats in gray speckle, `ground` outside of the sector, uint8 (T, H, W)."""
    rng = np.random.default_rng(seed)
    rows, cols = np.indices(inside.shape)
    height, width = inside.shape
    still = gaussian_filter(rng.standard_normal(inside.shape), 1.2)
    frames = np.full((n_frames, *inside.shape), ground, np.uint8)
    for number, frame in enumerate(frames):
        grain = gaussian_filter(rng.standard_normal(inside.shape), 1.2) + 0.3 * still
        size = 1 + 0.15 * np.cos(2 * np.pi * number / n_frames)
        cavity = np.hypot((rows - 0.45 * height) / (0.2 * size), (cols - width / 2) / (0.11 * size)) < height
        level = np.where(cavity, 18, 90) + np.where(cavity, 12, 130) * grain
        frame[inside] = np.clip(np.maximum(level, ground), 0, 255).astype(np.uint8)[inside]
    return frames


def drawn(frames: UInt8, inside: Mask, name: str = NAME, ground: int = 0) -> UInt8:
    """The same with a name, settings, a clock, a depth scale, a probe mark and an ECG around the sector."""
    height, width = inside.shape
    unit = height / 300
    out = np.empty_like(frames)
    trace = (height * 0.94 - 14 * unit * np.exp(-((((np.arange(width) / unit) % 90 - 30) / 3.0) ** 2))).astype(int)
    for number, frame in enumerate(frames):
        image = Image.new("L", (width, height), ground)
        draw = ImageDraw.Draw(image)
        draw.rectangle((0, 0, width, 22 * unit), fill=70)
        size = 11 * unit
        draw.text((6 * unit, 5 * unit), f"{name} 1234567", fill=255, font_size=size)
        draw.text((width - 90 * unit, 5 * unit), f"10:14:{number % 60:02d}", fill=255, font_size=size)
        for line, text in enumerate(("FR 50Hz", "15cm", "2D", "57%", "C 50", "P Low")):
            draw.text((4 * unit, (40 + 13 * line) * unit), text, fill=200, font_size=size)
        draw.rectangle((width - 14 * unit, 40 * unit, width - 8 * unit, 100 * unit), fill=180)
        for row in range(40, 260, 20):
            draw.line((width - 24 * unit, row * unit, width - 20 * unit, row * unit), fill=220)
        draw.ellipse((width / 2 - 4 * unit, 25 * unit, width / 2 + 3 * unit, 32 * unit), fill=200)
        screen = np.array(image)
        swept = (number * 7 + np.arange(width)) % width > 8 * unit
        for col in np.flatnonzero(swept[:-1]):
            first, last = sorted((trace[col], trace[col + 1]))
            screen[first : last + 2, col] = 255
        screen[inside] = frame[inside]
        out[number] = screen
    return out


def machine_screen(n_frames: int = 12, shape: tuple[int, int] = SHAPE, *, name: str = NAME) -> tuple[UInt8, Mask]:
    """A cine as a machine exports it, and where its sector is."""
    inside = fan(shape)
    return drawn(speckle(inside, n_frames), inside, name), inside
