"""What a path holds, told from its content and never from its name."""

from __future__ import annotations

import string
from enum import Enum
from pathlib import Path

from echoseg.errors import InputError
from echoseg.io.metaimage import is_metaimage
from echoseg.io.nifti import is_nifti

_START_BYTES = 1024
_ISO_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
_IMAGES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM")
KNOWN = "DICOM, AVI, MP4, MKV, GIF, NIfTI, MetaImage, NPZ, PNG, JPEG, BMP or a folder of such images"


class Format(Enum):
    """Formats that can be read."""

    DICOM = "DICOM"
    VIDEO = "video"
    NIFTI = "NIfTI"
    METAIMAGE = "MetaImage"
    NPZ = "NPZ"
    IMAGES = "images"


def sniff(path: Path) -> Format:
    """Format of a file or folder.

    Raises:
        InputError: it is none of the known ones; the message says what it is where that can be told.
    """
    if path.is_dir():
        return Format.IMAGES
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: a device or pipe; give a file or a folder of images")
    with path.open("rb") as file:
        start = file.read(_START_BYTES)
    if not start:
        raise InputError(f"{path}: the file is empty; copy it again")
    found = _by_magic(start)
    if found is not None:
        return found
    if is_nifti(path, start):
        return Format.NIFTI
    if is_metaimage(start):
        return Format.METAIMAGE
    if _is_bare_dicom(start):
        return Format.DICOM
    raise InputError(f"{path}: {_guess(start)}; give {KNOWN}")


def _by_magic(start: bytes) -> Format | None:
    if start[128:132] == b"DICM":
        return Format.DICOM
    video = (
        (start[:4] == b"RIFF" and start[8:12] == b"AVI ")
        or start[4:8] in _ISO_BOXES
        or start[:4] == b"\x1a\x45\xdf\xa3"
        or start[:6] in (b"GIF87a", b"GIF89a")
    )
    if video:
        return Format.VIDEO
    if start[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return Format.NPZ
    return Format.IMAGES if start.startswith(_IMAGES) else None


def _is_bare_dicom(start: bytes) -> bool:
    """Whether the bytes are a data set without preamble: its first element is in group 2 or 8 and has a sane length."""
    if len(start) < 16 or start[:2] not in (b"\x02\x00", b"\x08\x00", b"\x00\x08"):
        return False
    order = "big" if start[:2] == b"\x00\x08" else "little"
    explicit = all(chr(byte) in string.ascii_uppercase for byte in start[4:6])
    length = int.from_bytes(start[6:8] if explicit else start[4:8], "big" if order == "big" else "little")
    return length < _START_BYTES and (explicit or order == "little")


def _guess(start: bytes) -> str:
    if start.startswith(b"\x93NUMPY"):
        return "a single .npy array; save it with numpy.savez(path, frames=array)"
    if start.startswith(b"%PDF"):
        return "a PDF document, not a cine"
    if all(byte in b"\t\n\r\f" or 32 <= byte < 127 for byte in start):
        return "a text file, not a cine"
    return "not a format that is known"
