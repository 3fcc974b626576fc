"""AVI, MP4, MOV, MKV, WebM and GIF cines through libav, one frame at a time."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import av
import numpy as np

from echoseg.cine import CineMeta, UInt8
from echoseg.errors import InputError
from echoseg.io import limits
from echoseg.io.door import reading
from echoseg.io.gray import NO_FPS, Numeric, expand_limited_range, luma, plausible_fps
from echoseg.io.stream import CineStream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.container import InputContainer
    from av.video.stream import VideoStream

DAMAGE = (av.FFmpegError,)
_FULL_RANGE = 2  # AVCOL_RANGE_JPEG
# Pixel formats whose first plane is luma alone, and packed ones with the place of luma in a pair of bytes.
_LUMA_FIRST = ("gray", "yuv4", "yuvj", "yuva", "nv", "p0", "ya")
_LUMA_PACKED = {"yuyv422": 0, "yvyu422": 0, "uyvy422": 1}
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_MIN_BYTES_PER_FRAME = 4  # an index entry; a header that promises more frames than this allows is not believed


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Container and its video stream, set to decode in this thread and to return memory at once."""
    with av.open(str(path), "r", metadata_errors="ignore") as container:
        if not container.streams.video:
            raise InputError(f"{path}: holds no video stream; give a video of the cine")
        stream = container.streams.video[0]
        context = stream.codec_context
        if context is None:
            raise InputError(f"{path}: no decoder for its video codec; convert it to MP4 (h264) or AVI (mjpeg)")
        context.thread_count = 1
        context.options = {"max_pixels": str(limits.MAX_PIXELS)}
        yield container, stream


def open_video(path: Path) -> CineStream:
    """Frames of a video file as a stream of gray."""
    source = str(path)
    with reading(source, extra=DAMAGE):
        _check_complete(path)
        with _opened(path) as (container, stream):
            context = stream.codec_context
            limits.check_coded_frame(source, context.height, context.width, path.stat().st_size)
            rate = stream.average_rate or stream.guessed_rate
            fps = plausible_fps(float(rate)) if rate else None
            ratio = stream.sample_aspect_ratio
            n_frames = stream.frames
            if not 0 < n_frames * _MIN_BYTES_PER_FRAME <= path.stat().st_size:
                n_frames = sum(1 for packet in container.demux(stream) if packet.size)
            meta = CineMeta(
                source=source,
                height=context.height,
                width=context.width,
                n_frames=max(n_frames, 1),
                fps=fps,
                aspect=float(1 / ratio) if ratio else None,
                warnings=(NO_FPS,) if fps is None and n_frames > 1 else (),
            )
    return CineStream(meta, lambda: _decode(path, meta), damage=DAMAGE)


def _decode(path: Path, meta: CineMeta) -> Generator[UInt8, None, None]:
    """Gray frames; a damaged frame or a missing end is an error, because its masks would be wrong without a word."""
    count = 0
    with _opened(path) as (container, stream):
        for frame in container.decode(stream):
            if frame.is_corrupt:
                raise InputError(f"{path}: frame {count} is damaged; copy the file again")
            yield gray_plane(frame)
            count += 1
    if count < meta.n_frames - 1:  # headers are often off by one
        raise InputError(
            f"{path}: only {count} of its {meta.n_frames} frames can be decoded; the file is truncated, copy it again"
        )


def gray_plane(frame: av.VideoFrame) -> UInt8:
    """Luma of a decoded frame, 0..255; taken as it is where the frame has a luma plane, computed from RGB otherwise."""
    name = frame.format.name
    if name in _LUMA_PACKED:
        values = _plane(frame, np.dtype(np.uint8), 2)[:, _LUMA_PACKED[name] :: 2]
        bits = 8
    elif name.startswith(_LUMA_FIRST):
        bits = frame.format.components[0].bits
        dtype = np.dtype(np.uint8) if bits <= 8 else np.dtype(">u2" if name.endswith("be") else "<u2")
        step = 2 if name.startswith("ya") else 1
        values = _plane(frame, dtype, step)[:, ::step]
    else:
        return luma(frame.to_ndarray(format="rgb24"))
    gray = np.array(values, np.uint8) if bits <= 8 else _to_8_bits(frame, values, bits)
    full = name.startswith(("yuvj", "gray", "ya")) or frame.color_range == _FULL_RANGE
    return gray if full else expand_limited_range(gray)


def _plane(frame: av.VideoFrame, dtype: np.dtype[np.generic], step: int) -> Numeric:
    """First plane without the padding at the end of its lines, as a view of the frame's memory."""
    plane = frame.planes[0]
    lines = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: frame.height]
    values: Numeric = lines[:, : frame.width * step * dtype.itemsize].view(dtype)
    return values


def _to_8_bits(frame: av.VideoFrame, values: Numeric, bits: int) -> UInt8:
    """Deep luma without its low bits; formats like p010 keep theirs at the top of the 16 bits."""
    shift = 8 if frame.format.name.startswith("p0") else bits - 8
    return (values.astype(np.uint16) >> shift).astype(np.uint8)


def _check_complete(path: Path) -> None:
    """Refuse files that end before their outermost chunks do: libav would play what is there and say nothing."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(64)
        if start[:4] == b"RIFF":
            # Multi-gigabyte AVIs go on in further RIFF chunks; 0 and 2^32 - 1 are left by writers that were streaming.
            declared = int.from_bytes(start[4:8], "little")
            end = 0 if declared in (0, 0xFFFFFFFF) else declared + 7  # the last byte of padding may be missing
        elif start[:4] == _EBML:
            end = _segment_end(start)
        elif start[:3] == b"GIF":
            file.seek(max(size - 16, 0))
            end = 0 if file.read().rstrip(b"\0").endswith(b";") else size + 1
        else:
            end = _boxes_end(file, size)
    if end > size:
        raise InputError(f"{path}: the file ends before its header says; it is truncated, copy it again")


def _boxes_end(file: BinaryIO, size: int) -> int:
    """Where the last top-level box of an MP4 ends."""
    position = 0
    while position + 8 <= size:
        file.seek(position)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 0:  # up to the end of the file
            return size
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        position += max(length, 8)
    return position


def _segment_end(start: bytes) -> int:
    """Where the segment of a Matroska file ends, 0 if its writer was streaming."""
    header_length, position = _ebml_number(start, len(_EBML))
    position += header_length
    if start[position : position + len(_SEGMENT)] != _SEGMENT:
        return 0
    length, position = _ebml_number(start, position + len(_SEGMENT))
    return position + length if length else 0


def _ebml_number(data: bytes, position: int) -> tuple[int, int]:
    """Number of variable length at a position, 0 for unknown, and the position behind it."""
    if position >= len(data) or data[position] == 0:
        return 0, position
    n_bytes = 9 - data[position].bit_length()
    mask = (1 << 7 * n_bytes) - 1
    value = int.from_bytes(data[position : position + n_bytes], "big") & mask
    return (0 if value == mask else value), position + n_bytes
