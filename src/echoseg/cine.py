"""The values that all rooms speak: a cine, what is known about it, and its segmentation.

Frozen dataclasses, validated once when they are made, so that no other function checks again. Frames are
`uint8 (T, H, W)`, rows first. Arrays are frozen through a view, so that the caller's own array stays writable.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, IntEnum
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from echoseg.errors import InputError

UInt8 = NDArray[np.uint8]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


class View(Enum):
    """Apical view of a cine."""

    A4C = "A4C"
    A2C = "A2C"
    UNKNOWN = "unknown"


class Instant(Enum):
    """The two instants of a beat that doctors label."""

    ED = "ED"
    ES = "ES"


class Structure(IntEnum):
    """Label values of every mask, numbered as in CAMUS."""

    BACKGROUND = 0
    LV = 1
    MYOCARDIUM = 2
    LA = 3


N_LABELS = len(Structure)


@dataclass(frozen=True)
class Spacing:
    """Physical size of a pixel.

    Attributes:
        row_mm: distance between two rows (down the image), mm.
        col_mm: distance between two columns (across the image), mm.
    """

    row_mm: float
    col_mm: float

    def __post_init__(self) -> None:
        for name in ("row_mm", "col_mm"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise InputError(f"{name}={value}: pixel spacing must be a positive number of millimetres")

    @property
    def square(self) -> bool:
        """Whether rows and columns have the same size, within 0.1 %."""
        return abs(self.row_mm / self.col_mm - 1) <= 1e-3

    def resized(self, old: tuple[int, int], new: tuple[int, int]) -> Spacing:
        """Spacing after an image of shape `old` (H, W) was resampled to shape `new`."""
        return Spacing(self.row_mm * old[0] / new[0], self.col_mm * old[1] / new[1])


@dataclass(frozen=True)
class CineMeta:
    """What is known about a cine before its first frame is decoded.

    Attributes:
        source: where it came from (path or description); the first word of every message about it.
        height: rows of a frame.
        width: columns of a frame.
        n_frames: number of frames as declared by the file; the decoder has the last word.
        fps: frames per second, or None when the file does not say.
        spacing: physical pixel size, or None when unknown or not to be trusted.
        aspect: row size / column size of a pixel; None = unknown, taken as square. Follows from spacing if there is one.
        view: apical view if the file says it.
        r_waves_s: times of the R-waves in seconds from the first frame, empty when unknown.
        region: (top, left, bottom, right) of the two-dimensional tissue, where the file's header says it; the last two exclusive.
        warnings: sentences that a user must see (stale calibration, guessed frame rate).
    """

    source: str
    height: int
    width: int
    n_frames: int
    fps: float | None = None
    spacing: Spacing | None = None
    aspect: float | None = None
    view: View = View.UNKNOWN
    r_waves_s: tuple[float, ...] = ()
    region: tuple[int, int, int, int] | None = None
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1 or self.n_frames < 1:
            raise InputError(
                f"{self.source}: {self.n_frames} frames of {self.height}x{self.width} pixels; a cine has at least one of each"
            )
        if self.fps is not None and not (math.isfinite(self.fps) and self.fps > 0):
            raise InputError(f"{self.source}: frame rate {self.fps}; give a positive one with --fps")
        if self.spacing is not None:
            object.__setattr__(self, "aspect", self.spacing.row_mm / self.spacing.col_mm)
        if self.aspect is not None and not (math.isfinite(self.aspect) and self.aspect > 0):
            raise InputError(f"{self.source}: pixel aspect ratio {self.aspect} is not a positive number")

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of a frame."""
        return self.height, self.width

    @property
    def square_pixels(self) -> bool:
        """False only where pixels are *known* not to be square (within 1 %)."""
        return self.aspect is None or abs(self.aspect - 1) <= 0.01


def _frozen(array: NDArray[np.generic]) -> NDArray[np.generic]:
    view = array.view()
    view.flags.writeable = False
    return view


def _checked_mask(mask: NDArray[np.generic], shape: tuple[int, int], where: str) -> UInt8:
    if mask.shape != shape:
        raise InputError(f"{where}: mask of shape {mask.shape} for frames of {shape}; resample it to the frame's size")
    if mask.dtype != np.uint8:
        raise InputError(f"{where}: mask of type {mask.dtype}; labels are uint8 0..{N_LABELS - 1}")
    if mask.size and int(mask.max()) >= N_LABELS:
        raise InputError(
            f"{where}: label {int(mask.max())}; labels are 0 background, 1 LV, 2 myocardium, 3 left atrium"
        )
    return np.asarray(_frozen(mask), dtype=np.uint8)


@dataclass(frozen=True, eq=False)
class Cine:
    """A cine held in memory, with the masks of its labelled frames.

    Attributes:
        meta: what is known about it.
        frames: uint8 (T, H, W), gray.
        masks: frame number -> uint8 (H, W) labels; only labelled frames are there.
        instants: frame numbers of ED and ES where a doctor marked them.
    """

    meta: CineMeta
    frames: UInt8
    masks: Mapping[int, UInt8] = field(default_factory=dict)
    instants: Mapping[Instant, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        source = self.meta.source
        if self.frames.dtype != np.uint8 or self.frames.ndim != 3:
            raise InputError(
                f"{source}: frames of type {self.frames.dtype} and shape {self.frames.shape}; need uint8 (T, H, W)"
            )
        if self.frames.shape[1:] != self.meta.shape:
            raise InputError(
                f"{source}: frames of shape {self.frames.shape[1:]}, but the header says {self.meta.shape}"
            )
        if len(self.frames) < 1:
            raise InputError(f"{source}: no frames")
        object.__setattr__(self, "frames", _frozen(self.frames))
        if self.meta.n_frames != len(self.frames):
            object.__setattr__(self, "meta", replace(self.meta, n_frames=len(self.frames)))
        checked = {}
        for frame, mask in sorted(self.masks.items()):
            self._check_frame(frame, "mask")
            checked[frame] = _checked_mask(mask, self.meta.shape, f"{source}, frame {frame}")
        object.__setattr__(self, "masks", MappingProxyType(checked))
        for instant, frame in self.instants.items():
            self._check_frame(frame, instant.value)
        object.__setattr__(self, "instants", MappingProxyType(dict(self.instants)))

    def _check_frame(self, frame: int, what: str) -> None:
        if not 0 <= frame < len(self.frames):
            raise InputError(f"{self.source}: {what} on frame {frame} of a {len(self.frames)}-frame cine")

    @property
    def source(self) -> str:
        """Where the cine came from."""
        return self.meta.source

    @property
    def fps(self) -> float | None:
        """Frames per second, None if unknown."""
        return self.meta.fps

    @property
    def spacing(self) -> Spacing | None:
        """Physical pixel size, None if unknown."""
        return self.meta.spacing

    @property
    def view(self) -> View:
        """Apical view."""
        return self.meta.view

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[UInt8]:
        return iter(self.frames)


def _packed(labels: UInt8) -> bytes:
    """Lengths (uint32) and labels of the runs of a flat mask, deflated."""
    starts = np.concatenate(([0], np.flatnonzero(labels[1:] != labels[:-1]) + 1))[: labels.size]
    lengths = np.diff(starts, append=labels.size)
    return zlib.compress(lengths.astype("<u4").tobytes() + labels[starts].tobytes(), 1)


def _unpacked(data: bytes) -> UInt8:
    """The flat mask of `_packed`; read-only."""
    raw = zlib.decompress(data)
    n = len(raw) // 5
    labels = np.repeat(np.frombuffer(raw, np.uint8, offset=4 * n), np.frombuffer(raw, "<u4", n))
    labels.flags.writeable = False
    return labels


class MaskStack:
    """Label masks of a cine's frames, compressed frame by frame.

    A mask of 112 x 112 labels takes 0.2-0.6 kB instead of 12.5 kB, so that the masks of ten thousand frames are held in a
    few megabytes. Masks are appended in the order of the frames and read back one at a time. They are kept as runs of equal
    labels, deflated: smaller than deflated pixels, and less work.
    """

    def __init__(self, height: int, width: int) -> None:
        """An empty stack for frames of `height` x `width` pixels."""
        self.height, self.width = height, width
        self._packed: list[bytes] = []

    @classmethod
    def from_array(cls, masks: NDArray[np.uint8]) -> MaskStack:
        """Stack of a uint8 (T, H, W) label array."""
        if masks.ndim != 3:
            raise InputError(f"masks of shape {masks.shape}; need (T, H, W)")
        stack = cls(masks.shape[1], masks.shape[2])
        stack.extend(masks)
        return stack

    def append(self, mask: NDArray[np.uint8]) -> None:
        """Add the mask, uint8 (H, W), of the next frame."""
        checked = _checked_mask(mask, (self.height, self.width), f"frame {len(self)}")
        self._packed.append(_packed(checked.ravel()))

    def extend(self, masks: Iterable[NDArray[np.uint8]]) -> None:
        """Add the masks of the next frames."""
        for mask in masks:
            self.append(mask)

    def __len__(self) -> int:
        return len(self._packed)

    def __getitem__(self, frame: int) -> UInt8:
        return _unpacked(self._packed[frame]).reshape(self.height, self.width)

    def __iter__(self) -> Iterator[UInt8]:
        return (self[i] for i in range(len(self)))

    @property
    def shape(self) -> tuple[int, int, int]:
        """(T, H, W)."""
        return len(self), self.height, self.width

    def to_array(self) -> UInt8:
        """All masks, uint8 (T, H, W)."""
        out = np.zeros(self.shape, np.uint8)
        for i, mask in enumerate(self):
            out[i] = mask
        return out


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Masks of every frame of a cine, at the cine's native size.

    Attributes:
        meta: the cine that was segmented; its spacing belongs to these masks as they are.
        masks: labels of every frame.
        confidence: float32 (T,), 0..1: expected Dice of the LV mask under the model's own probabilities. None where the masks
            did not come from a model.
        model: name and version of the model, or where the masks came from.
        beyond_training: sentences that say in what the cine differs from everything that the model learned on.
        doubtful_below: confidence under which a frame is doubtful, as the model's validation says; None = not known.
    """

    meta: CineMeta
    masks: MaskStack
    confidence: Float32 | None
    model: str
    beyond_training: tuple[str, ...] = ()
    doubtful_below: float | None = None

    def __post_init__(self) -> None:
        source = self.meta.source
        if len(self.masks) < 1:
            raise InputError(f"{source}: a segmentation without a frame")
        if (self.masks.height, self.masks.width) != self.meta.shape:
            raise InputError(f"{source}: masks of {self.masks.shape[1:]} for frames of {self.meta.shape}")
        if self.meta.n_frames != len(self.masks):
            object.__setattr__(self, "meta", replace(self.meta, n_frames=len(self.masks)))
        if self.confidence is not None and self.confidence.shape != (len(self.masks),):
            raise InputError(f"{source}: {self.confidence.shape} confidences for {len(self.masks)} frames")
