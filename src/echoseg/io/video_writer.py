"""Cines and overlays to video files, encoded frame by frame."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import numpy as np
from av.container import OutputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from echoseg.cine import UInt8
from echoseg.errors import InputError, OutputError, UsageError
from echoseg.io import limits
from echoseg.io.atomic import atomic_path
from echoseg.io.gray import to_limited_range

Codec = Literal["mjpeg", "h264", "ffv1"]
_LIMITED_RANGE, _FULL_RANGE = 1, 2  # AVCOL_RANGE_MPEG, AVCOL_RANGE_JPEG
_NO_COLOUR = np.uint8(128)
_CONTAINERS = {".avi": "avi", ".mp4": "mp4", ".mov": "mov", ".mkv": "matroska"}


@dataclass(frozen=True)
class _Coding:
    """How frames go into an encoder.

    Attributes:
        encoder: libav's name of it.
        gray_format: pixel format of gray frames.
        rgb_format: pixel format of RGB frames.
        options: encoder options.
        even: whether height and width must be even.
    """

    encoder: str
    gray_format: str
    rgb_format: str
    options: dict[str, str] = field(default_factory=dict)
    even: bool = False


_CODINGS: dict[str, _Coding] = {
    "mjpeg": _Coding("mjpeg", "yuvj420p", "yuvj420p", {"qmin": "2", "qmax": "2"}),
    # Macroblock trees are off because x264 then reads memory that it has not written, and equal input gives other bytes.
    "h264": _Coding(
        "libx264", "yuv420p", "yuv420p", {"crf": "18", "preset": "veryfast", "x264-params": "no-mbtree=1"}, even=True
    ),
    "ffv1": _Coding("ffv1", "gray", "bgr0", {"level": "3", "slicecrc": "1"}),
}


def write_video(
    path: Path | str,
    frames: Iterable[NDArray[np.uint8]],
    fps: float,
    shape: tuple[int, int],
    codec: Codec = "mjpeg",
) -> None:
    """Encode frames to a video file, whole or not at all.

    Args:
        path: where to; `.avi`, `.mp4`, `.mov` or `.mkv`.
        frames: uint8 (H, W) gray or (H, W, 3) RGB, all of one kind.
        fps: frames per second.
        shape: (H, W).
        codec: `mjpeg` as EchoNet-Dynamic has, `h264` for browsers (odd sizes are padded by repeating the edge), or `ffv1`,
            lossless.

    Raises:
        InputError: a frame does not fit `shape`, or there is none.
        OutputError: the file cannot be written.
    """
    container_format = _CONTAINERS.get(Path(path).suffix.lower())
    if container_format is None or codec not in _CODINGS:
        raise UsageError(f"{path}: codec {codec!r}; write mjpeg, h264 or ffv1 to {', '.join(_CONTAINERS)}")
    limits.check_dimensions(str(path), 1, *shape)
    options = {"movflags": "+faststart"} if container_format in ("mp4", "mov") else {}
    with atomic_path(path) as temporary:
        try:
            with av.open(str(temporary), "w", format=container_format, container_options=options) as container:
                encoder = _Encoder(str(path), container, fps, shape, _CODINGS[codec])
                for frame in frames:
                    encoder.write(frame)
                encoder.finish()
        except av.FFmpegError as error:
            reason = error.strerror or str(error)
            raise OutputError(
                f"{path}: cannot be written as {codec} ({reason}); check disk space, size and fps"
            ) from error


class _Encoder:
    """Turns arrays into pictures of the encoder's format and feeds them to it.

    Gray goes straight into the luma plane; only RGB is converted by libav.
    """

    def __init__(
        self, source: str, container: OutputContainer, fps: float, shape: tuple[int, int], coding: _Coding
    ) -> None:
        if not (math.isfinite(fps) and fps > 0):
            raise InputError(f"{source}: frame rate {fps}; give a positive one with --fps")
        self._source, self._container, self._shape, self._coding = source, container, shape, coding
        self._rate = Fraction(fps).limit_denominator(1001)
        self._size = tuple(size + size % 2 for size in shape) if coding.even else shape
        self._stream: VideoStream | None = None
        self._dimensions = 0
        self._count = 0

    def write(self, frame: NDArray[np.uint8]) -> None:
        """Encode the next frame."""
        if self._stream is None:
            self._dimensions = frame.ndim
            self._stream = self._add_stream()
        expected = self._shape if self._dimensions == 2 else (*self._shape, 3)
        if frame.dtype != np.uint8 or frame.shape != expected:
            raise InputError(
                f"{self._source}: frame {self._count} is {frame.dtype} {frame.shape}; need uint8 {expected} as announced"
            )
        picture = self._picture(frame)
        picture.pts = self._count
        picture.time_base = 1 / self._rate
        self._container.mux(self._stream.encode(picture))
        self._count += 1

    def finish(self) -> None:
        """Write what the encoder still holds."""
        if self._stream is None:
            raise InputError(f"{self._source}: no frames to write; give at least one")
        self._container.mux(self._stream.encode(None))

    def _add_stream(self) -> VideoStream:
        stream = self._container.add_stream(self._coding.encoder, rate=self._rate, options=self._coding.options)
        if not isinstance(stream, VideoStream):
            raise TypeError(f"{self._coding.encoder} is no video encoder")
        stream.height, stream.width = self._size
        stream.pix_fmt = self._coding.gray_format if self._dimensions == 2 else self._coding.rgb_format
        stream.codec_context.thread_count = 1  # equal input gives equal bytes, however many cores there are
        stream.codec_context.color_range = _LIMITED_RANGE if stream.pix_fmt == "yuv420p" else _FULL_RANGE
        return stream

    def _picture(self, frame: UInt8) -> av.VideoFrame:
        if self._size != self._shape:
            bottom, right = (new - old for new, old in zip(self._size, self._shape, strict=True))
            frame = np.pad(frame, ((0, bottom), (0, right), (0, 0))[: frame.ndim], mode="edge")
        if frame.ndim == 3:
            return av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        picture = av.VideoFrame(self._size[1], self._size[0], self._coding.gray_format)
        luma = to_limited_range(frame) if self._coding.gray_format == "yuv420p" else frame
        for plane, values in zip(picture.planes, (luma, _NO_COLOUR, _NO_COLOUR), strict=False):
            lines = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
            lines[: plane.height, : plane.width] = values
        picture.color_range = _LIMITED_RANGE if self._coding.gray_format == "yuv420p" else _FULL_RANGE
        return picture
