"""Bounds on what a header may promise, so that memory stays in proportion to the file."""

from __future__ import annotations

from echoseg.errors import InputError

MAX_PIXELS = 1 << 26  # of one frame: 8192 x 8192
MAX_FRAMES = 10_000_000
_MAX_DEFLATE = 1032  # deflate cannot do better than 258 bytes in two bits
_DEFLATE_SLACK = 1 << 16
_MAX_EXPANSION = 400  # gray frames deflate to a half, black ones to a thousandth
_FREE_BYTES = 1 << 26  # up to here any expansion is harmless
_FREE_PIXELS = 1 << 22
_PIXELS_PER_BYTE = 4096  # the best intra coders need more than this on a flat picture


def check_dimensions(source: str, n_frames: int, height: int, width: int) -> None:
    """Refuse sizes that no cine has."""
    if height < 1 or width < 1 or n_frames < 1:
        raise InputError(
            f"{source}: {n_frames} frames of {height}x{width} pixels; there is nothing to read, export the cine again"
        )
    if height * width > MAX_PIXELS or n_frames > MAX_FRAMES:
        raise InputError(
            f"{source}: its header promises {n_frames} frames of {height}x{width} pixels, more than any echocardiogram has; "
            "the header is damaged, export the cine again"
        )


def check_stored(source: str, declared_bytes: int, stored_bytes: int) -> None:
    """Refuse uncompressed data that is shorter than its header says."""
    if declared_bytes > stored_bytes:
        raise InputError(
            f"{source}: its header promises {declared_bytes} bytes of pixels but only {max(stored_bytes, 0)} are there; "
            "the file is truncated, copy it again"
        )


def check_deflated(source: str, declared_bytes: int, compressed_bytes: int) -> None:
    """Refuse headers that promise more than deflate can pack into that many bytes."""
    if declared_bytes > _MAX_DEFLATE * compressed_bytes + _DEFLATE_SLACK:
        raise InputError(
            f"{source}: {compressed_bytes} compressed bytes are said to hold {declared_bytes}, which cannot be; "
            "the header is damaged or the file truncated, export the cine again"
        )


def unpacked_limit(compressed_bytes: int) -> int:
    """Most bytes that the frames of a compressed file of that size can be believed to have."""
    return max(_FREE_BYTES, _MAX_EXPANSION * compressed_bytes)


def check_whole(source: str, unpacked_bytes: int, compressed_bytes: int) -> None:
    """Refuse frames that unpack to what only a decompression bomb does; masks may, they are black for the most part."""
    if unpacked_bytes > unpacked_limit(compressed_bytes):
        raise InputError(
            f"{source}: {compressed_bytes} bytes unpack to more than {unpacked_limit(compressed_bytes)}; "
            "no cine compresses like that, export it again"
        )


def check_coded_frame(source: str, height: int, width: int, coded_bytes: int) -> None:
    """Refuse a coded picture (JPEG, video) whose size is out of proportion to the bytes that code it."""
    check_dimensions(source, 1, height, width)
    if height * width > _FREE_PIXELS and height * width > _PIXELS_PER_BYTE * coded_bytes:
        raise InputError(
            f"{source}: {coded_bytes} bytes are said to hold a picture of {height}x{width} pixels; "
            "the header is damaged, export the cine again"
        )
