"""MetaImage (.mhd with .raw or .zraw, or .mha), the format of the first CAMUS release."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO, cast

import numpy as np

from echoseg.cine import Spacing, UInt8
from echoseg.errors import InputError
from echoseg.io import limits
from echoseg.io.door import reading
from echoseg.io.gray import plausible_fps
from echoseg.io.stream import CineStream
from echoseg.io.volume import RawVolume, VolumeMeta

MAX_HEADER = 1 << 16
# fmt: off
_DTYPES = {"MET_UCHAR": "u1", "MET_CHAR": "i1", "MET_USHORT": "u2", "MET_SHORT": "i2", "MET_UINT": "u4", "MET_INT": "i4",
           "MET_ULONG_LONG": "u8", "MET_LONG_LONG": "i8", "MET_FLOAT": "f4", "MET_DOUBLE": "f8"}
# fmt: on


@dataclass(frozen=True)
class _Header:
    source: str
    fields: dict[str, str]
    end: int

    def text(self, key: str, default: str = "") -> str:
        return self.fields.get(key.lower(), default)

    def numbers(self, key: str) -> tuple[float, ...]:
        return tuple(float(word) for word in self.text(key).split())

    def yes(self, *keys: str) -> bool:
        return any(self.text(key).lower() == "true" for key in keys)


def is_metaimage(start: bytes) -> bool:
    """Whether a file that starts with `start` is a MetaImage header."""
    return b"\0" not in start[:32] and (
        start.lstrip().startswith((b"ObjectType", b"NDims")) or b"\nElementDataFile" in start
    )


def _read_header(path: Path) -> _Header:
    """Lines `key = value` up to and including ElementDataFile, after which local voxels begin."""
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        while file.tell() < MAX_HEADER:
            line = file.readline(MAX_HEADER)
            if not line:
                break
            key, equals, value = line.decode("latin-1").partition("=")
            if equals:
                fields[key.strip().lower()] = value.strip()
            if key.strip().lower() == "elementdatafile":
                return _Header(str(path), fields, file.tell())
    raise InputError(f"{path}: MetaImage header without ElementDataFile; the file is truncated, copy it again")


def _voxel_file(path: Path, header: _Header) -> tuple[Path, int]:
    """File that holds the voxels and where in it they (or their compressed form) begin."""
    name = header.text("ElementDataFile")
    if name.upper() == "LOCAL":
        return path, header.end
    if name.upper() == "LIST" or "%" in name:
        raise InputError(f"{path}: voxels in a list of files; convert it to one .mha or .nii.gz")
    if not name or PurePosixPath(name).name != name or PureWindowsPath(name).name != name:
        raise InputError(f"{path}: ElementDataFile = {name!r}; the voxels must be in a file next to the header")
    voxels = path.with_name(name)
    if not voxels.is_file():
        raise InputError(f"{path}: its voxel file {name} is missing; copy it next to the header")
    return voxels, 0


class _Inflated(io.RawIOBase):
    """Zlib stream unpacked as it is read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._unpacker = file, zlib.decompressobj()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed wants a Buffer without len()
        data = b""
        while not data and not self._unpacker.eof:
            packed = self._unpacker.unconsumed_tail or self._file.read(1 << 16)
            if not packed:
                break
            data = self._unpacker.decompress(packed, len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def _opener(voxels: Path, offset: int, compressed: bool) -> Callable[[], BinaryIO]:
    def open_voxels() -> BinaryIO:
        file = voxels.open("rb")
        file.seek(offset)
        return cast(BinaryIO, io.BufferedReader(_Inflated(file))) if compressed else file

    return open_voxels


def _sizes(header: _Header) -> tuple[int, int, int]:
    """(n_frames, height, width) of DimSize = x y [t] or x y 1 t."""
    sizes = header.numbers("DimSize")
    if not 2 <= len(sizes) <= 4 or not all(size.is_integer() for size in sizes):
        raise InputError(f"{header.source}: DimSize = {header.text('DimSize')}; a cine has two or three dimensions")
    width, height, *rest = (int(size) for size in sizes)
    beyond = [size for size in rest if size != 1]
    if len(beyond) > 1:
        raise InputError(f"{header.source}: DimSize = {header.text('DimSize')} is a volume; take one slice of it")
    return (beyond[0] if beyond else 1), height, width


def open_metaimage_volume(path: Path) -> tuple[RawVolume, VolumeMeta]:
    """Voxels of a MetaImage as they are stored."""
    source, header = str(path), _read_header(path)
    element, compressed = header.text("ElementType"), header.yes("CompressedData")
    if element not in _DTYPES or header.text("BinaryData", "True").lower() != "true":
        raise InputError(f"{source}: ElementType = {element or 'missing'}; convert the voxels to binary MET_UCHAR")
    voxels, offset = _voxel_file(path, header)
    n_frames, height, width = _sizes(header)
    order = ">" if header.yes("ElementByteOrderMSB", "BinaryDataByteOrderMSB") else "<"
    channels = int(header.text("ElementNumberOfChannels", "1"))
    dtype = np.dtype(order + _DTYPES[element])
    stored = voxels.stat().st_size
    skip = int(header.text("HeaderSize", "0"))
    n_bytes = n_frames * height * width * channels * dtype.itemsize
    if not compressed:
        offset = stored - n_bytes if skip == -1 else offset + max(skip, 0)
    volume = RawVolume(
        source=source,
        dtype=dtype,
        n_frames=n_frames,
        height=height,
        width=width,
        open_voxels=_opener(voxels, offset, compressed),
        channels=channels,
        compressed_bytes=stored if compressed else None,
    )
    if compressed:
        limits.check_deflated(source, n_bytes, stored)
    else:
        limits.check_stored(source, n_bytes, stored - offset if offset >= 0 else stored)
    return volume, _describe(header)


def _describe(header: _Header) -> VolumeMeta:
    steps = header.numbers("ElementSpacing") or header.numbers("ElementSize")
    fps = plausible_fps(1 / steps[3]) if len(steps) == 4 and steps[3] > 0 else None
    if len(steps) < 2:
        return VolumeMeta(fps=fps)
    x_mm, y_mm = steps[:2]
    if not (0 < x_mm < float("inf") and 0 < y_mm < float("inf")):
        warning = f"ElementSpacing {header.text('ElementSpacing')} is not usable; give it with --spacing-mm"
        return VolumeMeta(fps=fps, warnings=(warning,))
    return VolumeMeta(fps=fps, spacing=Spacing(row_mm=y_mm, col_mm=x_mm))


def open_metaimage(path: Path) -> CineStream:
    """Frames of a MetaImage as a stream of gray."""
    volume, meta = open_metaimage_volume(path)
    return volume.stream(meta)


def read_mhd(path: Path | str) -> tuple[UInt8, Spacing | None, float | None]:
    """Read a MetaImage whole.

    Returns:
        Frames or labels, uint8 (T, H, W), rows first; pixel spacing and frame rate where the header holds them.
    """
    path = Path(path)
    with reading(path):
        cine = open_metaimage(path).read()
    return cine.frames, cine.spacing, cine.fps
