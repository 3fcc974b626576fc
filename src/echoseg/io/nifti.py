"""NIfTI-1 and NIfTI-2 cines and masks, read and written frame by frame.

Arrays are stored as in CAMUS, [x, y] or [x, y, t] with x running fastest, so that a frame of rows lies contiguously in the
file and is read by taking its bytes as they come. Orientation matrices say nothing about a 2D scan and are not applied. The
header is read here instead of by nibabel, which costs 0.2 s to import and holds the whole array.
"""

from __future__ import annotations

import gzip
import math
import re
import struct
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from echoseg.cine import Spacing, UInt8
from echoseg.errors import InputError
from echoseg.io import limits
from echoseg.io.atomic import atomic_path
from echoseg.io.door import reading
from echoseg.io.gray import plausible_fps
from echoseg.io.stream import CineStream
from echoseg.io.volume import RawVolume, VolumeMeta

_HEADER_1, _HEADER_2 = 348, 540
_GZIP = b"\x1f\x8b"
_RGB24 = 128
# fmt: off
_DTYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8",
           _RGB24: "u1"}
# fmt: on
_MM_PER_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
_SECONDS_PER_UNIT = {0: 1.0, 8: 1.0, 16: 1e-3, 24: 1e-6}
_DESCRIPTION = re.compile(rb"echoseg fps=([0-9.eE+-]+)")


@dataclass(frozen=True)
class _Header:
    dims: tuple[int, ...]
    datatype: int
    zooms: tuple[float, ...]
    voxel_offset: int
    slope: float
    inter: float
    units: int
    description: bytes
    order: str


def is_nifti(path: Path, start: bytes) -> bool:
    """Whether a file that starts with `start` is a NIfTI, gzipped or not."""
    if start.startswith(_GZIP):
        with gzip.open(path) as unpacked:
            start = unpacked.read(_HEADER_1)
    return _layout(start) is not None


def _layout(start: bytes) -> tuple[str, int, bool] | None:
    """Byte order, version and whether the voxels are in a file of their own; None if this is no NIfTI header."""
    if len(start) < _HEADER_1:
        return None
    for order in "<>":
        (size,) = struct.unpack_from(order + "i", start)
        magic = {_HEADER_1: start[344:347], _HEADER_2: start[4:7]}.get(size, b"")
        if magic in (b"n+1", b"ni1", b"n+2", b"ni2"):
            return order, int(magic[2:]), magic.startswith(b"ni")
    return None


def _opener(path: Path) -> Callable[[], BinaryIO]:
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
    return (lambda: cast(BinaryIO, gzip.open(path))) if packed else (lambda: path.open("rb"))


def _read_header(source: str, file: BinaryIO) -> _Header:
    data = file.read(_HEADER_2)
    layout = _layout(data)
    if layout is None:
        raise InputError(f"{source}: not a NIfTI file; convert it to .nii.gz")
    order, version, paired = layout
    if paired:
        raise InputError(f"{source}: header of a .hdr/.img pair; convert the pair to one .nii.gz")
    if version == 2 and len(data) < _HEADER_2:
        raise InputError(f"{source}: the file ends within its header; it is truncated, copy it again")
    if version == 1:
        dims = struct.unpack_from(order + "8h", data, 40)
        (datatype,) = struct.unpack_from(order + "h", data, 70)
        zooms = tuple(float(str(np.float32(zoom))) for zoom in struct.unpack_from(order + "8f", data, 76))
        offset, slope, inter = struct.unpack_from(order + "3f", data, 108)
        units, description = data[123], data[148:228]
    else:
        (datatype,) = struct.unpack_from(order + "h", data, 12)
        dims = struct.unpack_from(order + "8q", data, 16)
        zooms = struct.unpack_from(order + "8d", data, 104)
        (offset,) = struct.unpack_from(order + "q", data, 168)
        slope, inter = struct.unpack_from(order + "2d", data, 176)
        (units,) = struct.unpack_from(order + "i", data, 500)
        description = data[240:320]
    if not 1 <= dims[0] <= 7 or not math.isfinite(offset) or offset < 0:
        raise InputError(
            f"{source}: NIfTI header with {dims[0]} dimensions and voxels at byte {offset}; export it again"
        )
    return _Header(dims[1 : dims[0] + 1], datatype, zooms[1:], int(offset), slope, inter, units, description, order)


def _frame_count(source: str, dims: tuple[int, ...]) -> int:
    """Number of frames of [x, y], [x, y, t], [x, y, 1, t] or [x, y, t, 1]."""
    beyond = [size for size in dims[2:] if size != 1]
    if len(dims) < 2 or len(beyond) > 1:
        raise InputError(f"{source}: an array of {dims}; a cine is [x, y] or [x, y, t], take one slice of a volume")
    return beyond[0] if beyond else 1


def _spacing(header: _Header) -> tuple[Spacing | None, tuple[str, ...]]:
    unit = header.units & 0x07
    x_mm, y_mm = (zoom * _MM_PER_UNIT.get(unit, 1.0) for zoom in header.zooms[:2])
    if unit == 0 and header.zooms[:2] == (1.0, 1.0):  # what every library writes when nothing is known
        return None, ()
    if not all(math.isfinite(zoom) and zoom > 0 for zoom in (x_mm, y_mm)):
        return None, (f"pixel spacing {y_mm:g} x {x_mm:g} mm in the header is not usable; give it with --spacing-mm",)
    return Spacing(row_mm=y_mm, col_mm=x_mm), ()


def _fps(header: _Header) -> float | None:
    written = _DESCRIPTION.match(header.description)
    if written:
        return plausible_fps(float(written.group(1)))
    step_s = header.zooms[3] * _SECONDS_PER_UNIT.get(header.units & 0x38, math.nan)
    return plausible_fps(1 / step_s) if len(header.dims) >= 4 and header.dims[3] > 1 and step_s > 0 else None


def open_nifti_volume(path: Path) -> tuple[RawVolume, VolumeMeta]:
    """Voxels of a NIfTI file as they are stored."""
    source = str(path)
    open_file = _opener(path)
    with open_file() as file:
        header = _read_header(source, file)
        packed = isinstance(file, gzip.GzipFile)
    if header.datatype not in _DTYPES:
        raise InputError(f"{source}: NIfTI data type {header.datatype}; convert the voxels to uint8")
    offset = max(header.voxel_offset, _HEADER_1 + 4 if header.voxel_offset else _HEADER_1)

    def open_voxels() -> BinaryIO:
        file = open_file()
        file.seek(offset)
        return file

    scaled = math.isfinite(header.slope) and header.slope != 0 and math.isfinite(header.inter)
    stored = path.stat().st_size
    volume = RawVolume(
        source=source,
        dtype=np.dtype(header.order + _DTYPES[header.datatype]),
        n_frames=_frame_count(source, header.dims),
        height=header.dims[1] if len(header.dims) > 1 else 0,
        width=header.dims[0],
        open_voxels=open_voxels,
        channels=3 if header.datatype == _RGB24 else 1,
        slope=header.slope if scaled else 1.0,
        inter=header.inter if scaled else 0.0,
        compressed_bytes=stored if packed else None,
    )
    if packed:
        limits.check_deflated(source, offset + volume.n_bytes, stored)
    else:
        limits.check_stored(source, volume.n_bytes, stored - offset)
    spacing, warnings = _spacing(header)
    return volume, VolumeMeta(fps=_fps(header), spacing=spacing, warnings=warnings)


def open_nifti(path: Path) -> CineStream:
    """Frames of a NIfTI file as a stream of gray."""
    volume, meta = open_nifti_volume(path)
    return volume.stream(meta)


def read_nifti(path: Path | str) -> tuple[UInt8, Spacing | None, float | None]:
    """Read a NIfTI file whole.

    Returns:
        Frames or labels, uint8 (T, H, W), rows first; pixel spacing and frame rate where the header holds them.
    """
    path = Path(path)
    with reading(path):
        cine = open_nifti(path).read()
    return cine.frames, cine.spacing, cine.fps


def write_nifti(
    path: Path | str,
    frames: Iterable[NDArray[np.uint8]],
    n_frames: int,
    shape: tuple[int, int],
    spacing: Spacing | None,
    fps: float | None = None,
    *,
    squeeze: bool = True,
) -> None:
    """Write frames or masks as [x, y, t], frame by frame; equal input gives equal bytes.

    NIfTI-1, or NIfTI-2 where there are more than 32767 frames.

    Args:
        path: where to; compressed if the name ends in `.gz`.
        frames: uint8 (H, W), as many as `n_frames` says.
        n_frames: number of frames, needed for the header.
        shape: (H, W).
        spacing: pixel spacing; None leaves the header's unit unknown, which reads back as None.
        fps: frame rate, kept in the description field because the third axis of [x, y, t] has no unit of time.
        squeeze: write a single frame as [x, y].

    Raises:
        InputError: a frame does not fit the header.
        OutputError: the file cannot be written.
    """
    limits.check_dimensions(str(path), n_frames, *shape)
    with atomic_path(path) as temporary, ExitStack() as files:
        raw = files.enter_context(temporary.open("wb"))
        out: BinaryIO = raw
        if Path(path).name.endswith(".gz"):
            out = cast(BinaryIO, files.enter_context(gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0)))
        out.write(_pack_header(n_frames, shape, spacing, fps, squeeze))
        count = 0
        for frame in frames:
            if frame.dtype != np.uint8 or frame.shape != shape or count == n_frames:
                raise InputError(
                    f"{path}: frame {count} is {frame.dtype} {frame.shape}; {n_frames} frames of uint8 {shape} were announced"
                )
            out.write(np.ascontiguousarray(frame).data)
            count += 1
        if count != n_frames:
            raise InputError(f"{path}: {count} frames instead of the {n_frames} announced; nothing was written")


def _pack_header(
    n_frames: int, shape: tuple[int, int], spacing: Spacing | None, fps: float | None, squeeze: bool
) -> bytes:
    """Header of a single file up to its voxels, with the orientation that CAMUS has: x to the left, y to the back.

    NIfTI-1, which every program reads, as long as its 16-bit counts suffice; else NIfTI-2, the same in wider numbers.
    """
    height, width = shape
    dims = (2 if n_frames == 1 and squeeze else 3, width, height, n_frames, 1, 1, 1, 1)
    x_mm, y_mm = (spacing.col_mm, spacing.row_mm) if spacing else (1.0, 1.0)
    zooms = (1.0, x_mm, y_mm, 1.0, 1.0, 1.0, 1.0, 1.0)
    affine = (-x_mm, 0, 0, 0, 0, -y_mm, 0, 0, 0, 0, 1, 0)
    units = 2 if spacing else 0
    description = b"" if fps is None else f"echoseg fps={float(fps)!r}".encode()
    size = _HEADER_1 if max(dims) <= np.iinfo(np.int16).max else _HEADER_2
    header = bytearray(size + 4)  # four zeros: no extension
    struct.pack_into("<i", header, 0, size)
    if size == _HEADER_1:
        struct.pack_into("<8h", header, 40, *dims)
        struct.pack_into("<2h", header, 70, 2, 8)  # uint8, 8 bits
        struct.pack_into("<8f", header, 76, *zooms)
        struct.pack_into("<3f", header, 108, len(header), 1.0, 0.0)  # voxels, slope, intercept
        header[123] = units
        struct.pack_into("80s", header, 148, description)
        struct.pack_into("<2h", header, 252, 0, 2)  # qform unknown, sform aligned
        struct.pack_into("<3f", header, 256, 0.0, 0.0, 1.0)
        struct.pack_into("<12f", header, 280, *affine)
        header[344:348] = b"n+1\0"
    else:
        header[4:12] = b"n+2\0\r\n\x1a\n"
        struct.pack_into("<2h", header, 12, 2, 8)
        struct.pack_into("<8q", header, 16, *dims)
        struct.pack_into("<8d", header, 104, *zooms)
        struct.pack_into("<q2d", header, 168, len(header), 1.0, 0.0)
        struct.pack_into("80s", header, 240, description)
        struct.pack_into("<2i3d", header, 344, 0, 2, 0.0, 0.0, 1.0)
        struct.pack_into("<12d", header, 400, *affine)
        struct.pack_into("<i", header, 500, units)
    return bytes(header)
