"""Deflated DICOM files: pydicom unpacks all of one, whatever that takes, before it shows the first element."""

from __future__ import annotations

import io
import zlib
from pathlib import Path
from typing import BinaryIO

_UID = b"1.2.840.10008.1.2.1.99"
_META_START = 144  # preamble, magic word and the element that says how long the meta group is
_META_BYTES = 1 << 12
_HEADER_BYTES = 1 << 20


def deflated_start(path: Path) -> int | None:
    """Where the deflated data set of a file begins; None for a file that is not deflated."""
    with path.open("rb") as file:
        start = file.read(_META_BYTES)
    if _UID not in start or start[128:132] != b"DICM":
        return None
    return _META_START + int.from_bytes(start[140:144], "little")


def inflated(path: Path, start: int, limit: int, packed_limit: int = -1) -> tuple[bytes, bool]:
    """Unpack a data set.

    Args:
        path: the file.
        start: see `deflated_start`.
        limit: bytes that are unpacked at most.
        packed_limit: bytes of the file that are read at most; below 0 all of it.

    Returns:
        The data set, and whether it was whole.
    """
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    with path.open("rb") as file:
        file.seek(start)
        data = unpacker.decompress(file.read(packed_limit), limit)
    return data, unpacker.eof


def open_header(path: Path) -> BinaryIO:
    """A file to read a header from; of a deflated one the beginning of its data set, without the meta group."""
    start = deflated_start(path)
    return path.open("rb") if start is None else io.BytesIO(inflated(path, start, _HEADER_BYTES, _HEADER_BYTES)[0])
