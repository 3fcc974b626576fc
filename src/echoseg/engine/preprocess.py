"""From a frame to the network's input size and back, with a geometry that is inverted exactly.

Pixel centres are at half-integers (`align_corners=False`). Training and inference share this code, so that both see the same
uint8 pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, islice

import numpy as np
from numpy.typing import NDArray

from echoseg.cine import Float32, UInt8
from echoseg.engine.config import ResizeMode
from echoseg.errors import InputError
from echoseg.io import sector

Box = tuple[slice, slice]


def without_graphics(frames: Iterable[UInt8], region: sector.Box | None = None) -> Iterator[UInt8]:
    """The frames of a cine, black where text, scales or an ECG are drawn around the ultrasound.

    The first `sector.SAMPLE_FRAMES` frames are held until the sector is known. Where it is not found for sure, or nothing is drawn
    around it, as in a cine that was cropped to it, frames go through as they are.

    Args:
        frames: uint8 (H, W) each.
        region: (top, left, bottom, right) of the tissue, where the file's header says it.
    """
    iterator = iter(frames)
    first = list(islice(iterator, sector.SAMPLE_FRAMES))
    alike = len({frame.shape for frame in first}) == 1  # else the error comes from where the frame is used
    found = sector.find_sector(first, region) if alike else None
    if found is None or not found.has_graphics:
        yield from chain(first, iterator)
        return
    keep = found.visible.astype(np.uint8)
    for frame in chain(first, iterator):
        yield frame * keep if frame.shape == keep.shape and frame.dtype == np.uint8 else frame


BLACK = 12
"""Gray level up to which a pixel counts as black: compression leaves as much outside the sector."""


def mean_gray(image: UInt8) -> float:
    """Mean gray value, 0..1, of the pixels of an image that are not black; 0 where all are."""
    counts = np.bincount(image.ravel(), minlength=256)[BLACK + 1 :]
    return float(counts @ np.arange(BLACK + 1, 256) / max(1, counts.sum()) / 255)


@dataclass(frozen=True)
class Geometry:
    """Placement of a native frame inside the network's input.

    The frame is resampled to `content` pixels and lies at (`top`, `left`) of a black canvas of `size`.

    Attributes:
        shape: (H, W) of the native frame.
        size: (rows, columns) of the network's input.
        content: (rows, columns) that the frame takes there.
        top: first row of the content.
        left: first column of the content.
    """

    shape: tuple[int, int]
    size: tuple[int, int]
    content: tuple[int, int]
    top: int
    left: int

    @classmethod
    def fit(cls, shape: tuple[int, int], size: int | tuple[int, int], mode: ResizeMode = "letterbox") -> Geometry:
        """Geometry of frames of `shape` in an input of `size` (one number: square)."""
        rows, cols = (size, size) if isinstance(size, int) else size
        if mode == "stretch":
            return cls(shape, (rows, cols), (rows, cols), 0, 0)
        scale = min(rows / shape[0], cols / shape[1])
        content = (
            min(rows, max(1, round(shape[0] * scale))),
            min(cols, max(1, round(shape[1] * scale))),
        )
        return cls(shape, (rows, cols), content, (rows - content[0]) // 2, (cols - content[1]) // 2)

    @property
    def content_box(self) -> Box:
        """Where the frame lies in the network's input."""
        return slice(self.top, self.top + self.content[0]), slice(self.left, self.left + self.content[1])

    def apply(self, frame: UInt8) -> UInt8:
        """A native frame, uint8 (H, W), in the network's input: bilinear, averaged over the area where it shrinks."""
        return self._place(frame, smooth=True)

    def apply_mask(self, mask: UInt8, *, outside: int = 0) -> UInt8:
        """A native label mask in the network's input: nearest label, `outside` on the padding."""
        return self._place(mask, smooth=False, outside=outside)

    def _place(self, image: UInt8, *, smooth: bool, outside: int = 0) -> UInt8:
        from PIL import Image

        if image.shape != self.shape or image.dtype != np.uint8:
            raise InputError(
                f"frame of {image.dtype} {image.shape} where uint8 {self.shape} was expected; "
                "all frames of a cine must have one size"
            )
        if self.content != self.shape:
            how = Image.Resampling.BILINEAR if smooth else Image.Resampling.NEAREST
            rows, cols = self.content
            image = np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize((cols, rows), how))
        if self.content == self.size:
            return image
        canvas = np.full(self.size, outside, np.uint8)
        canvas[self.content_box] = image
        return canvas

    def restore(self, maps: NDArray[np.float32], box: Box | None = None) -> Float32:
        """Maps of the network's size, float (K, rows, cols), at the native size: bilinear, (K, H, W).

        Args:
            maps: probabilities or logits.
            box: part of the native frame to compute, slices with start and stop; None = all of it.
        """
        rows, cols = box if box is not None else (slice(0, self.shape[0]), slice(0, self.shape[1]))
        if self.shape == self.content:
            return np.array(maps[:, *self.content_box][:, rows, cols], dtype=np.float32)
        down, across = (_taps(*sizes) for sizes in zip(self.shape, self.content, strict=True))
        part = down.needed(rows), across.needed(cols)
        content = maps[:, *self.content_box][:, *part]
        return np.asarray(
            down.weights[rows, part[0]] @ content @ across.weights[cols, part[1]].T,
            dtype=np.float32,
        )

    def native_box(self, inside: NDArray[np.bool_]) -> Box | None:
        """Native pixels whose bilinear value any pixel of `inside` (network's size) has a part in; None if there are none."""
        content = inside[self.content_box]
        rows, cols = np.flatnonzero(content.any(1)), np.flatnonzero(content.any(0))
        if not len(rows):
            return None
        down, across = (_taps(*sizes) for sizes in zip(self.shape, self.content, strict=True))
        box = down.touched(int(rows[0]), int(rows[-1])), across.touched(int(cols[0]), int(cols[-1]))
        return box if all(part.start < part.stop for part in box) else None


@dataclass(frozen=True, eq=False)
class _Taps:
    """Bilinear interpolation along one axis: native = weights @ content.

    Attributes:
        weights: float32 (native, content), at most two of a row above zero.
        low: first of them, for each native pixel; never falls.
        high: last of them.
    """

    weights: Float32
    low: NDArray[np.intp]
    high: NDArray[np.intp]

    def needed(self, native: slice) -> slice:
        """Content that native pixels are made of."""
        return slice(int(self.low[native.start]), int(self.high[native.stop - 1]) + 1)

    def touched(self, first: int, last: int) -> slice:
        """Native pixels that any content from `first` to `last` has a part in."""
        return slice(int(np.searchsorted(self.high, first)), int(np.searchsorted(self.low, last, side="right")))


@lru_cache(maxsize=64)
def _taps(native: int, content: int) -> _Taps:
    position = np.clip((np.arange(native) + 0.5) * content / native - 0.5, 0, content - 1)
    low = position.astype(np.intp)
    share = position - low
    high = np.where(share > 0, low + 1, low)
    weights = np.zeros((native, content), np.float32)
    weights[np.arange(native), high] = share
    weights[np.arange(native), low] += 1 - share
    for array in (weights, low, high):
        array.flags.writeable = False
    return _Taps(weights, low, high)
