"""Hearts whose every number is known: halves of ellipses that beat, with a wall and an atrium."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from echoseg.cine import CineMeta, MaskStack, Segmentation, Spacing, View

SHAPE = (180, 160)


@dataclass(frozen=True)
class HeartShape:
    """A heart on one frame, mm; the pixel is 1 mm unless `pixel_mm` says otherwise.

    The mitral plane passes through `middle`; the apex is `length` above it, turned by `angle_deg`.
    """

    length: float = 80.0
    radius: float = 26.0
    wall: float = 9.0
    atrium_height: float = 34.0
    atrium_radius: float = 22.0
    middle: tuple[float, float] = (115.0, 80.0)
    angle_deg: float = 0.0
    pixel_mm: float = 1.0

    @property
    def lv_ml(self) -> float:
        return half_spheroid_ml(self.length, self.radius, self.radius)

    @property
    def atrium_ml(self) -> float:
        return half_spheroid_ml(self.atrium_height, self.atrium_radius, self.atrium_radius)

    @property
    def mass_g(self) -> float:
        outer = half_spheroid_ml(self.length + self.wall, self.radius + self.wall, self.radius + self.wall)
        return 1.05 * (outer - self.lv_ml)

    def mask(self, shape: tuple[int, int] = SHAPE) -> np.ndarray:
        """Labels uint8 (H, W)."""
        rows, cols = np.indices(shape) * self.pixel_mm
        y, x = rows - self.middle[0], cols - self.middle[1]
        turn = np.deg2rad(self.angle_deg)
        along, across = y * np.cos(turn) + x * np.sin(turn), x * np.cos(turn) - y * np.sin(turn)

        def half(height: float, width: float) -> np.ndarray:
            return (along / height) ** 2 + (across / width) ** 2 <= 1

        mask = np.zeros(shape, np.uint8)
        mask[(along <= 0) & half(self.length + self.wall, self.radius + self.wall)] = 2 if self.wall > 0 else 0
        mask[(along <= 0) & half(self.length, self.radius)] = 1
        if self.atrium_height > 0:
            mask[(along > 0) & half(self.atrium_height, self.atrium_radius)] = 3
        return mask


ED = HeartShape()
ES = replace(ED, length=68.0, radius=19.0, wall=12.0, atrium_height=42.0, atrium_radius=25.0)


def half_spheroid_ml(height: float, one: float, other: float) -> float:
    return 2 / 3 * np.pi * height * one * other / 1000


def cone_mask(length: float, radius: float, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """A triangle with its tip at the top, uint8 (H, W)."""
    y, x = np.indices(shape)
    depth = y - 30.0
    return ((depth >= 0) & (depth <= length) & (np.abs(x - 80.0) <= radius * depth / length)).astype(np.uint8)


def between(ed: HeartShape, es: HeartShape, systole: float) -> HeartShape:
    """A heart on its way from ED (0) to ES (1)."""
    names = ("length", "radius", "wall", "atrium_height", "atrium_radius")
    return replace(ed, **{name: (1 - systole) * getattr(ed, name) + systole * getattr(es, name) for name in names})


def beating(
    ed: HeartShape = ED,
    es: HeartShape = ES,
    *,
    lengths: tuple[int, ...] = (20, 20),
    depths: tuple[float, ...] = (),
    shape: tuple[int, int] = SHAPE,
) -> np.ndarray:
    """Masks (T, H, W) of beats of `lengths` frames, ED first; the last frame is the ED that ends the last beat.

    Args:
        ed: heart at end-diastole.
        es: heart at end-systole.
        lengths: frames from ED to ED of each beat.
        depths: how far each beat goes towards ES, 1 for all if not given.
        shape: of a mask.
    """
    phases = [
        depth * (0.5 - 0.5 * np.cos(2 * np.pi * t / n))
        for n, depth in zip(lengths, depths or (1.0,) * len(lengths), strict=True)
        for t in range(n)
    ]
    return np.stack([between(ed, es, phase).mask(shape) for phase in [*phases, 0.0]])


def segmented(masks: np.ndarray, *, pixel_mm: float | None = 1.0, **known: object) -> Segmentation:
    """Masks as a segmentation at 25 frames per second, of an A4C view, unless told otherwise."""
    spacing = None if pixel_mm is None else Spacing(pixel_mm, pixel_mm)
    known = {"fps": 25.0, "spacing": spacing, "view": View.A4C, "source": "a.dcm"} | known
    source = str(known.pop("source"))
    meta = CineMeta(source, *masks.shape[1:], len(masks), **known)  # type: ignore[arg-type]
    return Segmentation(meta, MaskStack.from_array(masks), None, "test")
