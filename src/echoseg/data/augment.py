"""Augmentation of a clip: one geometric change for all frames, photometric changes that a scanner or a codec could make.

The weak view gets the geometry only. All randomness comes from the generator that is passed in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from echoseg.batch import IGNORE
from echoseg.errors import UsageError

Range = tuple[float, float]


@dataclass(frozen=True)
class AugmentConfig:
    """Ranges from which each clip's augmentation is drawn; the defaults change little.

    Attributes:
        rotate_deg: largest rotation either way, degrees.
        zoom: magnification.
        aspect: width / height distortion.
        shift: largest shift either way, fraction of the image.
        flip: probability of a left-right mirror image (some laboratories show the LV on the left).
        gamma: exponent of the display curve.
        contrast: factor around the mean gray.
        brightness: largest offset either way, fraction of the gray range.
        blur_px: largest standard deviation of a Gaussian blur, pixels.
        noise: largest standard deviation of white noise, fraction of the gray range.
        speckle: largest standard deviation of smooth multiplicative noise, drawn anew for every frame.
        shadow: probability of a dark wedge below a random point of the upper border (rib, lung).
        gain: largest brightness slope across the image either way (time-gain and lateral gain).
        coarse: probability of losing resolution down to as little as 40 %, as small or compressed cines have.
        marks: probability of burned-in text and graphics outside the sector.
        elastic: largest standard deviation of a smooth displacement field, fraction of the image; hearts of other shapes.
        strength: share of all these ranges and probabilities that a clip has; drawn for each clip.
    """

    rotate_deg: float = 10.0
    zoom: Range = (0.9, 1.1)
    aspect: Range = (0.95, 1.05)
    shift: float = 0.05
    flip: float = 0.0
    gamma: Range = (0.8, 1.25)
    contrast: Range = (0.85, 1.15)
    brightness: float = 0.05
    blur_px: float = 0.0
    noise: float = 0.0
    speckle: float = 0.0
    shadow: float = 0.0
    gain: float = 0.0
    coarse: float = 0.0
    marks: float = 0.0
    elastic: float = 0.0
    strength: Range = (1.0, 1.0)

    def __post_init__(self) -> None:
        for name in ("zoom", "aspect", "gamma", "contrast"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise UsageError(f"augment.{name}={low, high}: need 0 < low <= high")
        for name in ("flip", "shadow", "coarse", "marks"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"augment.{name}={getattr(self, name)}: a probability lies between 0 and 1")
        for name in ("rotate_deg", "shift", "brightness", "blur_px", "noise", "speckle", "gain", "elastic"):
            if getattr(self, name) < 0:
                raise UsageError(f"augment.{name}={getattr(self, name)}: is the largest value; it must be at least 0")
        if not 0 <= self.strength[0] <= self.strength[1] <= 1:
            raise UsageError(f"augment.strength={self.strength}: need 0 <= low <= high <= 1")

    @classmethod
    def none(cls) -> AugmentConfig:
        """Nothing changes; the strong view equals the weak one."""
        one = (1.0, 1.0)
        return cls(0.0, one, one, 0.0, 0.0, one, one, 0.0)

    def weakened(self, strength: float) -> AugmentConfig:
        """All ranges (those around 1 on a logarithmic scale) and probabilities times a number; the strength is then fixed."""
        if strength == 1:
            return replace(self, strength=(1.0, 1.0))
        spans = {name: getattr(self, name) for name in ("zoom", "aspect", "gamma", "contrast")}
        weaker: dict[str, Any] = {name: (low**strength, high**strength) for name, (low, high) in spans.items()}
        weaker |= {f.name: strength * getattr(self, f.name) for f in fields(self) if f.name not in {*spans, "strength"}}
        return AugmentConfig(**weaker)

    @classmethod
    def machines(cls) -> AugmentConfig:
        """For what differs between machines: display curve, speckle, sector, crop, aspect, mirror image, dropout, codecs."""
        return cls(
            rotate_deg=15.0, zoom=(0.62, 1.25), aspect=(0.88, 1.14), shift=0.08, flip=0.2, gamma=(0.65, 1.5),
            contrast=(0.75, 1.3), brightness=0.1, blur_px=0.9, noise=0.04, speckle=0.2, shadow=0.2, gain=0.25, coarse=0.2,
            marks=0.5,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Views:
    """A clip after augmentation, gray values 0..1 and labels."""

    strong: Float[Tensor, "T 1 S S"]
    weak: Float[Tensor, "T 1 S S"]
    masks: UInt8[Tensor, "T S S"]


def augment_clip(
    frames: UInt8[Tensor, "T s s"],
    masks: UInt8[Tensor, "T s s"],
    size: int,
    config: AugmentConfig,
    rng: np.random.Generator,
) -> Views:
    """Both views of a clip, `size` pixels square; frames whose mask is all `IGNORE` keep it."""
    if config.strength != (1.0, 1.0):
        config = config.weakened(_uniform(rng, config.strength))
    length = len(frames)
    grid = F.affine_grid(_geometry(config, rng).expand(length, 2, 3), [length, 1, size, size], align_corners=False)
    if config.elastic > 0:
        grid = grid + _elastic(size, _uniform(rng, (0.0, config.elastic)), rng)
    gray = frames.unsqueeze(1).float() / 255
    weak = F.grid_sample(gray, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    # nearest neighbour; what comes in from outside the image is background
    moved = F.grid_sample(masks.unsqueeze(1).float(), grid, mode="nearest", padding_mode="zeros", align_corners=False)
    labels = moved.squeeze(1).round().to(torch.uint8)
    ignored = (masks == IGNORE).flatten(1).all(1)
    labels[ignored] = IGNORE
    return Views(_photometric(weak, config, rng), weak, labels)


def _uniform(rng: np.random.Generator, span: Range) -> float:
    return float(rng.uniform(*span))


def _log_uniform(rng: np.random.Generator, span: Range) -> float:
    return math.exp(rng.uniform(math.log(span[0]), math.log(span[1])))


def _geometry(config: AugmentConfig, rng: np.random.Generator) -> Float[Tensor, "1 2 3"]:
    """Affine map from output to input coordinates in [-1, 1]."""
    angle = math.radians(_uniform(rng, (-config.rotate_deg, config.rotate_deg)))
    zoom, aspect = _log_uniform(rng, config.zoom), math.sqrt(_log_uniform(rng, config.aspect))
    mirror = -1.0 if rng.random() < config.flip else 1.0
    shift = rng.uniform(-2 * config.shift, 2 * config.shift, 2)
    scale_x, scale_y = mirror / (zoom * aspect), aspect / zoom
    cos, sin = math.cos(angle), math.sin(angle)
    rows = [[cos * scale_x, -sin * scale_y, shift[0]], [sin * scale_x, cos * scale_y, shift[1]]]
    return torch.tensor([rows], dtype=torch.float32)


_KNOTS = (4, 8)
"""Knots a side of the coarsest and of the finest displacement field: a heart takes up a third to a half of an image."""


def _elastic(size: int, deviation: float, rng: np.random.Generator) -> Float[Tensor, "1 S S 2"]:
    """Smooth displacements, added to a sampling grid in [-1, 1]: a cubic surface through knots that are drawn independently.

    Args:
        size: side of the image, pixels.
        deviation: standard deviation at the knots, fraction of the image.
        rng: their values, and how many there are. Finer fields are smaller, so that all bend contours alike.
    """
    knots = int(rng.integers(_KNOTS[0], _KNOTS[1] + 1))
    drawn = rng.standard_normal((1, 2, knots, knots), dtype=np.float32) * (2 * deviation * _KNOTS[0] / knots)
    field = F.interpolate(torch.from_numpy(drawn), size=(size, size), mode="bicubic", align_corners=True)
    return field.permute(0, 2, 3, 1)


def _photometric(
    clip: Float[Tensor, "T 1 S S"], config: AugmentConfig, rng: np.random.Generator
) -> Float[Tensor, "T 1 S S"]:
    sector = clip > 0
    out = clip ** _log_uniform(rng, config.gamma)
    mean = out[sector].mean() if bool(sector.any()) else out.mean()
    out = (out - mean) * _log_uniform(rng, config.contrast) + mean
    out = out + _uniform(rng, (-config.brightness, config.brightness))
    if config.gain > 0:
        out = out * _gain(out.shape[-1], config.gain, rng)
    if rng.random() < config.shadow:
        out = out * _shadow(out.shape[-1], rng)
    if config.speckle > 0:
        out = out * (1 + _uniform(rng, (0.0, config.speckle)) * _smooth_noise(out.shape, rng))
    if config.noise > 0:
        out = out + _uniform(rng, (0.0, config.noise)) * _normal(out.shape, rng)
    if config.blur_px > 0:
        out = _blur(out, _uniform(rng, (0.0, config.blur_px)))
    if rng.random() < config.coarse:
        out = _coarsen(out, _uniform(rng, (0.4, 0.9)))
    # what is black outside the sector stays black on every machine, but for what is burned in there
    outside = _marks(sector, rng) if rng.random() < config.marks else torch.zeros(())
    return torch.where(sector, out, outside).clamp(0, 1)


def _normal(shape: torch.Size, rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(rng.standard_normal(tuple(shape), dtype=np.float32))


def _smooth_noise(shape: torch.Size, rng: np.random.Generator) -> Tensor:
    """Noise with the grain of speckle, unit standard deviation."""
    noise = _blur(_normal(shape, rng), _uniform(rng, (0.5, 1.5)))
    return noise / noise.std()


def _blur(image: Float[Tensor, "T 1 S S"], sigma: float) -> Float[Tensor, "T 1 S S"]:
    if sigma < 0.2:
        return image
    offsets = torch.arange(-4, 5, dtype=torch.float32)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = kernel / kernel.sum()
    padded = F.pad(image, (4, 4, 4, 4), mode="replicate")
    return F.conv2d(F.conv2d(padded, kernel.view(1, 1, 1, 9)), kernel.view(1, 1, 9, 1))


def _coarsen(image: Float[Tensor, "T 1 S S"], factor: float) -> Float[Tensor, "T 1 S S"]:
    size = image.shape[-1]
    small = F.interpolate(image, size=max(16, round(size * factor)), mode="area")
    return F.interpolate(small, size=size, mode="bilinear", align_corners=False)


def _gain(size: int, largest: float, rng: np.random.Generator) -> Float[Tensor, "S S"]:
    slope = rng.uniform(-largest, largest, 2)
    axis = torch.linspace(-1, 1, size)
    return 1 + float(slope[0]) * axis[:, None] + float(slope[1]) * axis[None, :]


def _shadow(size: int, rng: np.random.Generator) -> Float[Tensor, "S S"]:
    """A wedge of shadow that starts at a random depth and follows the beam from the top of the sector."""
    axis = (torch.arange(size) + 0.5) / size
    beam = torch.atan2(axis[None, :] - 0.5, axis[:, None] + 0.02)
    centre, width = _uniform(rng, (-0.6, 0.6)), _uniform(rng, (0.05, 0.2))
    depth, floor = _uniform(rng, (0.0, 0.4)), _uniform(rng, (0.05, 0.5))
    below = torch.sigmoid((axis[:, None] - depth) * 20)
    return 1 - (1 - floor) * torch.exp(-(((beam - centre) / width) ** 4)) * below


def _marks(sector: Bool[Tensor, "T 1 S S"], rng: np.random.Generator) -> Float[Tensor, "S S"]:
    """Blocks of letter-like pixels, the same on all frames, well outside the sector."""
    size = sector.shape[-1]
    page = np.zeros((size, size), np.float32)
    for _ in range(int(rng.integers(1, 9))):
        height, width = int(rng.integers(2, 2 + max(1, size // 20))), int(rng.integers(3, 3 + size // 6))
        row, col = int(rng.integers(0, size - height)), int(rng.integers(0, size - width))
        page[row : row + height, col : col + width] = rng.uniform(0.2, 1.0) * (rng.random((height, width)) < 0.6)
    near = F.max_pool2d(sector.any(0, keepdim=True).float(), 9, stride=1, padding=4)[0, 0]
    return torch.from_numpy(page) * (near == 0)
