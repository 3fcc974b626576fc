"""A cine that is decoded frame by frame, as often as one likes, without ever being in memory whole."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import TracebackType

import numpy as np

from echoseg.cine import Cine, CineMeta, Instant, Spacing, UInt8
from echoseg.errors import InputError
from echoseg.io.door import reading

FrameSource = Callable[[], Generator[UInt8, None, None]]
_FIRST_CHUNK_BYTES = 1 << 28


@dataclass(frozen=True)
class Labels:
    """Masks and instants that a file holds beside its frames."""

    masks: Mapping[int, UInt8] = field(default_factory=dict)
    instants: Mapping[Instant, int] = field(default_factory=dict)


class CineStream:
    """Frames of a file, decoded when they are asked for.

    Each `iter()` starts at the first frame and decodes anew; two iterators do not disturb each other. Memory is bounded by
    one frame. Use as a context manager, or close it, to close files that unfinished iterators hold open.

    Attributes:
        meta: what is known before the first frame is decoded.
    """

    def __init__(
        self,
        meta: CineMeta,
        decode: FrameSource,
        *,
        labels: Callable[[], Labels] = Labels,
        damage: tuple[type[Exception], ...] = (),
    ) -> None:
        """Wrap a decoder.

        Args:
            meta: description of the cine.
            decode: function that starts a new pass over the frames, uint8 (H, W).
            labels: function that reads masks and instants; called when they are first asked for.
            damage: exception types of the decoder's library that mean a broken file.
        """
        self.meta = meta
        self._decode = decode
        self._read_labels = labels
        self._labels: Labels | None = None
        self._damage = damage
        self._running: weakref.WeakSet[Generator[UInt8, None, None]] = weakref.WeakSet()
        self._closed = False

    @property
    def masks(self) -> Mapping[int, UInt8]:
        """Frame number -> labels (H, W); empty for files that hold only frames."""
        return self._label_data().masks

    @property
    def instants(self) -> Mapping[Instant, int]:
        """Frame numbers of ED and ES; empty for files that hold only frames."""
        return self._label_data().instants

    def _label_data(self) -> Labels:
        if self._labels is None:
            with reading(self.meta.source, "the masks", self._damage):
                self._labels = self._read_labels()
        return self._labels

    def __iter__(self) -> Iterator[UInt8]:
        if self._closed:
            raise InputError(f"{self.meta.source}: read after it was closed; open it again")
        frames = self._frames()
        self._running.add(frames)
        return frames

    def _frames(self) -> Generator[UInt8, None, None]:
        source, decoder = self.meta.source, self._decode()
        count = 0
        try:
            while True:
                with reading(source, f"frame {count}", self._damage):
                    frame = next(decoder, None)
                if frame is None:
                    break
                if frame.shape != self.meta.shape:
                    raise InputError(
                        f"{source}: frame {count} has shape {frame.shape}, the first one {self.meta.shape}; "
                        "frames of one cine have one size, export it again"
                    )
                yield frame
                count += 1
        finally:
            decoder.close()
        if count == 0:
            raise InputError(f"{source}: not a single frame can be decoded; export the cine in another format")

    def read(self) -> Cine:
        """Decode everything.

        Returns:
            The cine in memory, with masks and instants where the file holds them.
        """
        height, width = self.meta.shape
        room = max(1, min(self.meta.n_frames, _FIRST_CHUNK_BYTES // (height * width)))
        frames = np.empty((room, height, width), np.uint8)
        count = 0
        with reading(self.meta.source):
            for frame in self:
                if count == len(frames):
                    frames = np.concatenate([frames, np.empty_like(frames)])
                frames[count] = frame
                count += 1
        if count < len(frames):
            frames = frames[:count].copy()
        return Cine(replace(self.meta, n_frames=count), frames, self.masks, self.instants)

    def overridden(self, fps: float | None, spacing: Spacing | None) -> CineStream:
        """The same stream with what the user knows better.

        A warning ends with the option that cures it; where that option was given, the warning goes.
        """
        meta = self.meta
        if fps is not None:
            meta = replace(meta, fps=fps, warnings=tuple(w for w in meta.warnings if "--fps" not in w))
        if spacing is not None:
            meta = replace(meta, spacing=spacing, warnings=tuple(w for w in meta.warnings if "--spacing-mm" not in w))
        return CineStream(meta, self._decode, labels=self._read_labels, damage=self._damage)

    def close(self) -> None:
        """End all unfinished iterators and close their files."""
        self._closed = True
        for frames in list(self._running):
            frames.close()

    def __enter__(self) -> CineStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
