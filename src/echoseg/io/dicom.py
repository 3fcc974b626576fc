"""Ultrasound DICOM cines, decoded one frame at a time.

The header is parsed up to the pixel data, which then stay in the file: raw frames are read by seeking, compressed ones by
walking the fragments. Colour becomes gray by taking the luma channel where the file stores one, so that nothing is converted
to RGB and back.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, TypeVar

from pydicom import dcmread, uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import generate_frames, parse_basic_offsets, parse_fragments
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.pixels.utils import as_pixel_options

from echoseg.cine import CineMeta, UInt8
from echoseg.errors import InputError
from echoseg.io import dicom_meta, limits
from echoseg.io.dicom_deflated import inflated
from echoseg.io.dicom_pixels import DAMAGE as PIXEL_DAMAGE
from echoseg.io.dicom_pixels import PixelReader, Samples
from echoseg.io.door import quiet, reading
from echoseg.io.stream import CineStream

T = TypeVar("T")
# pydicom converts values when they are first used, and answers odd ones with any of these.
DAMAGE: tuple[type[Exception], ...] = (InvalidDicomError, TypeError, AttributeError, *PIXEL_DAMAGE)
_UNDEFINED = 0xFFFFFFFF
_NATIVE = (
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.DeflatedExplicitVRLittleEndian,
)
_PIXEL_DATA = {"little": b"\xe0\x7f\x10\x00", "big": b"\x7f\xe0\x00\x10"}
_GROUP_LENGTH = b"\x02\x00\x00\x00UL\x04\x00"  # element that says how long the rest of the meta group is


@dataclass(frozen=True)
class _File:
    """A parsed header and where the pixels lie.

    Attributes:
        source: file name for messages.
        dataset: header without pixels.
        syntax: transfer syntax.
        open: function that opens the bytes in which `offset` counts.
        offset: first byte of the pixel data.
        length: bytes of pixel data up to the end of the element or of the file.
        pixel_vr: OB or OW, which matters for 8-bit big endian.
    """

    source: str
    dataset: Dataset
    syntax: uid.UID
    open: Callable[[], BinaryIO]
    offset: int
    length: int
    pixel_vr: str

    @property
    def is_coded(self) -> bool:
        """Whether the pixels are compressed; syntaxes that pydicom does not know are."""
        return self.syntax not in _NATIVE


@dataclass(frozen=True)
class DicomCine:
    """A DICOM file that holds frames: what its header says, and two ways to its pixels.

    Attributes:
        meta: what is known before the first frame is decoded.
        header: data set without pixels, as it was read.
        syntax: transfer syntax of the file.
    """

    meta: CineMeta
    header: Dataset
    syntax: uid.UID
    _file: _File
    _reader: PixelReader

    @classmethod
    def open(cls, path: Path) -> DicomCine:
        """Parse a file up to its pixels.

        Raises:
            InputError: it is broken, holds no pixels, or no installed decoder reads it.
        """
        source = str(path)
        with reading(source, extra=DAMAGE), quiet():
            file = _parse(path)
            height, width, n_frames = _sizes(file)
            reader = PixelReader.create(source, file.dataset, file.syntax, file.pixel_vr)
            _check_pixels(file, height, width, n_frames)
            return cls(_meta(file, height, width, n_frames, reader.warnings), file.dataset, file.syntax, file, reader)

    def gray(self) -> Generator[UInt8, None, None]:
        """Frames in order, uint8 (H, W)."""
        return self._decode(self._reader.native, self._reader.coded)

    def samples(self) -> Generator[Samples, None, None]:
        """Frames in order as they are stored, in colour where they have one."""
        return self._decode(self._reader.native_samples, self._reader.coded_samples)

    def darkest_entry(self) -> int:
        """Entry of the file's palette that is shown darkest; only for pixels that have one."""
        return self._reader.darkest_entry()

    def _decode(
        self, native: Callable[[BinaryIO, int], Generator[T, None, None]], coded: Callable[[bytes], T]
    ) -> Generator[T, None, None]:
        with self._file.open() as pixels:
            pixels.seek(self._file.offset)
            if not self._file.is_coded:
                yield from native(pixels, self._file.length)
                return
            for codestream in _codestreams(self._file, pixels, self.meta.n_frames):
                with quiet():
                    frame = coded(codestream)
                yield frame


def open_dicom(path: Path) -> CineStream:
    """Frames of a DICOM file as a stream of gray."""
    cine = DicomCine.open(path)
    return CineStream(cine.meta, cine.gray, damage=DAMAGE)


def _meta(file: _File, height: int, width: int, n_frames: int, warnings: tuple[str, ...]) -> CineMeta:
    size = dicom_meta.calibration(file.dataset, height, width)
    fps, said = dicom_meta.timing(file.dataset, n_frames)
    return CineMeta(
        source=file.source,
        height=height,
        width=width,
        n_frames=n_frames,
        fps=fps,
        spacing=size.spacing,
        aspect=size.aspect,
        view=dicom_meta.view(file.dataset),
        r_waves_s=dicom_meta.r_waves(file.dataset),
        region=dicom_meta.tissue_box(file.dataset, height, width),
        warnings=size.warnings + said + warnings,
    )


def _parse(path: Path) -> _File:
    """Header of the file and place of its pixels."""
    source = str(path)
    file_meta, meta_end = _file_meta(path)
    syntax = uid.UID(str(file_meta.get("TransferSyntaxUID", "")))
    open_file = _inflater(path, meta_end) if syntax == uid.DeflatedExplicitVRLittleEndian else lambda: path.open("rb")
    with open_file() as file:
        dataset = dcmread(file, stop_before_pixels=True, force=True)
        if not syntax:
            implicit, little = dataset.original_encoding
            syntax = _native_syntax(bool(implicit), little is not False)
        position = file.tell()
        head = file.read(12)
        order: Literal["little", "big"] = "big" if syntax == uid.ExplicitVRBigEndian else "little"
        if "Rows" not in dataset or not head.startswith(_PIXEL_DATA[order]):
            raise InputError(f"{source}: {_what_it_is(dataset, file_meta)}; give an ultrasound image or cine")
        explicit = head[4:6] in (b"OB", b"OW")  # not what the syntax says: some writers wrap JPEG in implicit VR
        length = int.from_bytes(head[8:12] if explicit else head[4:8], order)
        offset = position + (12 if explicit else 8)
        available = file.seek(0, io.SEEK_END) - offset
    if length != _UNDEFINED:
        limits.check_stored(source, length, available)
    return _File(
        source, dataset, syntax, open_file, offset, min(length, available), head[4:6].decode() if explicit else "OW"
    )


def _file_meta(path: Path) -> tuple[FileMetaDataset, int]:
    """Meta group of the file and where it ends, with or without the preamble before it; empty and 0 if it has none."""
    with path.open("rb") as file:
        start = 132 if file.read(132)[128:] == b"DICM" else 0
        file.seek(start)
        head = file.read(12)
        if not head.startswith(_GROUP_LENGTH):
            return (read_file_meta_info(path) if start else FileMetaDataset()), 0
        meta = head + file.read(int.from_bytes(head[8:], "little"))
    return dcmread(io.BytesIO(bytes(128) + b"DICM" + meta)).file_meta, start + len(meta)


def _native_syntax(implicit: bool, little: bool) -> uid.UID:
    if not little:
        return uid.ExplicitVRBigEndian
    return uid.ImplicitVRLittleEndian if implicit else uid.ExplicitVRLittleEndian


def _what_it_is(dataset: Dataset, file_meta: FileMetaDataset) -> str:
    sop_class = dataset.get("SOPClassUID") or file_meta.get("MediaStorageSOPClassUID")
    if sop_class == uid.MediaStorageDirectoryStorage:
        return "a DICOMDIR, an index of other files"
    if "EncapsulatedDocument" in dataset:
        return "a document wrapped in DICOM, without pixels"
    return f"a DICOM object ({uid.UID(str(sop_class)).name}) without pixels" if sop_class else "DICOM without pixels"


def _inflater(path: Path, meta_end: int) -> Callable[[], BinaryIO]:
    """Opener of the data set of a deflated file, which has to be unpacked whole."""

    def open_inflated() -> BinaryIO:
        packed = path.stat().st_size - meta_end
        data, whole = inflated(path, meta_end, limits.unpacked_limit(packed) + 1)
        limits.check_whole(str(path), len(data), packed)
        if not whole:
            raise InputError(f"{path}: its deflated data end too early; the file is truncated, copy it again")
        return io.BytesIO(data)

    return open_inflated


def _sizes(file: _File) -> tuple[int, int, int]:
    """(height, width, n_frames) as declared."""
    declared = (dicom_meta.number(file.dataset, keyword) for keyword in ("Rows", "Columns"))
    height, width = (int(value or 0) for value in declared)
    frames = dicom_meta.numbers(file.dataset, "NumberOfFrames")
    n_frames = int(frames[0]) if frames else 1
    limits.check_dimensions(file.source, n_frames, height, width)
    return height, width, n_frames


def _check_pixels(file: _File, height: int, width: int, n_frames: int) -> None:
    """Refuse pixel data that cannot hold the frames that the header promises."""
    if not file.is_coded:
        bits = (dicom_meta.number(file.dataset, "BitsAllocated") or 0) * (
            dicom_meta.number(file.dataset, "SamplesPerPixel") or 1
        )
        if file.dataset.get("PhotometricInterpretation") == "YBR_FULL_422":
            bits = bits * 2 / 3
        limits.check_stored(file.source, int(n_frames * height * width * bits / 8), file.length)
        return
    limits.check_coded_frame(file.source, height, width, file.length)
    with file.open() as pixels:
        pixels.seek(file.offset)
        parse_basic_offsets(pixels)
        n_fragments, _ = parse_fragments(pixels)
    if n_fragments < n_frames:
        raise InputError(
            f"{file.source}: its header promises {n_frames} frames but only {n_fragments} are there; "
            "the file is truncated, copy it again"
        )


def _codestreams(file: _File, pixels: BinaryIO, n_frames: int) -> Generator[bytes, None, None]:
    """Compressed frames in order."""
    offsets = as_pixel_options(file.dataset).get("extended_offsets")
    found = generate_frames(pixels, number_of_frames=n_frames, extended_offsets=offsets)
    for number in range(n_frames):
        with quiet():
            codestream = next(found, None)
        if codestream is None:
            raise InputError(
                f"{file.source}: only {number} of its {n_frames} frames are there; the file is truncated, copy it again"
            )
        yield codestream
