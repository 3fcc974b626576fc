"""Voxels that lie one frame behind the other in a byte stream: what NIfTI, MetaImage and NPZ have in common."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from echoseg.cine import CineMeta, MaskStack, Spacing, UInt8, View
from echoseg.errors import InputError
from echoseg.io import limits
from echoseg.io.gray import NO_FPS, GrayScale, Numeric, luma
from echoseg.io.stream import CineStream, Labels


@dataclass(frozen=True)
class RawVolume:
    """Frames stored as plain numbers.

    Attributes:
        source: file name for messages.
        dtype: type of a stored number, with its byte order.
        n_frames: number of frames.
        height: rows of a frame.
        width: columns of a frame.
        open_voxels: function that opens the byte stream at the first number of the first frame.
        channels: numbers per pixel, 1 gray or 3 RGB.
        slope: stored value -> value: slope * stored + inter.
        inter: see `slope`.
        compressed_bytes: size in the file where the numbers are compressed, None where they are not.
    """

    source: str
    dtype: np.dtype[np.generic]
    n_frames: int
    height: int
    width: int
    open_voxels: Callable[[], BinaryIO]
    channels: int = 1
    slope: float = 1.0
    inter: float = 0.0
    compressed_bytes: int | None = None

    def __post_init__(self) -> None:
        limits.check_dimensions(self.source, self.n_frames, self.height, self.width)
        rgb = self.channels == 3 and self.dtype == np.uint8
        if self.dtype.kind not in "buif" or not (self.channels == 1 or rgb):
            raise InputError(
                f"{self.source}: voxels of type {self.dtype} with {self.channels} channels; "
                "a cine holds gray numbers or 8-bit RGB, convert it"
            )

    @property
    def n_bytes(self) -> int:
        """Size of all voxels as stored."""
        return self.n_frames * self._frame_bytes

    @property
    def _frame_bytes(self) -> int:
        return self.height * self.width * self.channels * self.dtype.itemsize

    def frames(self) -> Generator[Numeric, None, None]:
        """Frames (H, W) of numbers, read one at a time."""
        shape = (self.height, self.width) if self.channels == 1 else (self.height, self.width, self.channels)
        with self.open_voxels() as voxels:
            for number in range(self.n_frames):
                data = voxels.read(self._frame_bytes)
                if len(data) != self._frame_bytes:
                    raise InputError(
                        f"{self.source}: the voxels end within frame {number} of {self.n_frames}; "
                        "the file is truncated, copy it again"
                    )
                frame: Numeric = np.frombuffer(data, self.dtype).reshape(shape)
                if self.channels == 3:
                    frame = luma(frame)
                if (self.slope, self.inter) != (1.0, 0.0):
                    frame = frame.astype(np.float64) * self.slope + self.inter
                yield frame
            voxels.read(1)  # at its end a compressed stream compares its checksum

    @property
    def _is_gray8(self) -> bool:
        return self.dtype.itemsize == 1 and self.dtype.kind == "u" and (self.slope, self.inter) == (1.0, 0.0)

    def gray_scale(self) -> GrayScale:
        """How stored values become gray; costs one pass over the frames unless they are 8-bit."""
        return GrayScale() if self._is_gray8 else GrayScale.fit(self.source, self.frames())

    def stream(self, meta: VolumeMeta, labels: Callable[[], Labels] = Labels) -> CineStream:
        """The frames as gray, with what the header says about them and the labels that lie beside them."""
        if self.compressed_bytes is not None:
            limits.check_whole(self.source, self.n_bytes, self.compressed_bytes)
        scale = self.gray_scale()

        def decode() -> Generator[UInt8, None, None]:
            return (scale.apply(frame) for frame in self.frames())

        return CineStream(self.describe(meta, scale.warning()), decode, labels=labels)

    def describe(self, meta: VolumeMeta, warnings: tuple[str, ...] = ()) -> CineMeta:
        """Description of the cine that these voxels are."""
        if meta.fps is None and self.n_frames > 1:
            warnings += (NO_FPS,)
        return CineMeta(
            source=self.source,
            height=self.height,
            width=self.width,
            n_frames=self.n_frames,
            fps=meta.fps,
            spacing=meta.spacing,
            aspect=meta.aspect,
            view=meta.view,
            r_waves_s=meta.r_waves_s,
            warnings=meta.warnings + warnings,
        )

    def labels(self) -> MaskStack:
        """The voxels as label masks.

        Raises:
            InputError: a value is not one of the labels.
        """
        stack = MaskStack(self.height, self.width)
        for number, frame in enumerate(self.frames()):
            stack.append(as_labels(frame, f"{self.source}: frame {number}"))
        return stack


@dataclass(frozen=True)
class VolumeMeta:
    """What a header says beside the size of the array."""

    fps: float | None = None
    spacing: Spacing | None = None
    aspect: float | None = None
    view: View = View.UNKNOWN
    r_waves_s: tuple[float, ...] = ()
    warnings: tuple[str, ...] = ()


def as_labels(values: Numeric, where: str) -> UInt8:
    """Numbers (H, W) as uint8 labels; refused unless each is a whole number that a label can be."""
    labels = values.astype(np.uint8) if np.isfinite(values).all() and 0 <= values.min() <= values.max() <= 255 else None
    if labels is None or not np.array_equal(labels, values):
        raise InputError(
            f"{where} holds values that are no labels; save 0 background, 1 LV, 2 myocardium, 3 left atrium"
        )
    return labels
