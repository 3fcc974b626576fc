"""Pixels of one DICOM frame to gray, for every photometric interpretation and every decoder that is installed."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any, BinaryIO

import numpy as np
from PIL import Image
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import Decoder, get_decoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import as_pixel_options

from echoseg.cine import UInt8
from echoseg.errors import InputError
from echoseg.io import dicom_meta
from echoseg.io.dicom_jpeg import (
    decode_twelve_bits,
    jpeg_luma,
    jpeg_planes,
    picture_size,
    sample_bits,
    says_its_colours,
)
from echoseg.io.door import quiet
from echoseg.io.gray import GrayScale, Numeric, expand_limited_range, luma

Samples = tuple[Numeric, str]
"""Values of one frame, (H, W) or (H, W, 3), and their photometric interpretation."""
DAMAGE = (Image.DecompressionBombError,)
_JPEG_8_BIT = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit)
# Syntaxes of the standard that are younger than pydicom's dictionary.
_NEWER_SYNTAXES = {
    "1.2.840.10008.1.2.4.110": "JPEG XL Lossless",
    "1.2.840.10008.1.2.4.111": "JPEG XL JPEG Recompression",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
}
_MAX_PALETTE_BITS = 16
# What gdcm and pylibjpeg-openjpeg read (of JPEG extended only twelve bits need one of them), and what dcmtk's dcmdjpeg makes raw where
# no package here can: the retired spectral selection and full progression.
_FROM_EXTRA = (
    uid.JPEGExtended12Bit,
    uid.JPEGLossless,
    uid.JPEGLosslessSV1,
    uid.JPEGLSLossless,
    uid.JPEGLSNearLossless,
    uid.JPEG2000Lossless,
    uid.JPEG2000,
    uid.HTJ2KLossless,
    uid.HTJ2KLosslessRPCL,
    uid.HTJ2K,
)
_FROM_DCMTK = ("1.2.840.10008.1.2.4.53", "1.2.840.10008.1.2.4.55")


@dataclass(frozen=True)
class PixelReader:
    """Decoder of the frames of one file.

    Attributes:
        source: file name for messages.
        shape: (H, W).
        decoder: pydicom's decoder for the transfer syntax.
        options: what it needs to know about the pixels.
        to_gray: decoded samples and their photometric interpretation -> gray.
        from_luma: luma of an 8-bit JPEG -> gray; None where frames are no such JPEGs.
        warnings: what the user must know about the gray values.
    """

    source: str
    shape: tuple[int, int]
    decoder: Decoder
    options: dict[str, Any]
    to_gray: Callable[[Numeric, str], UInt8]
    from_luma: Callable[[UInt8], UInt8] | None
    warnings: tuple[str, ...]

    @classmethod
    def create(cls, source: str, dataset: Dataset, syntax: uid.UID, pixel_vr: str) -> PixelReader:
        """Reader for the pixels that a header describes."""
        options: dict[str, Any] = as_pixel_options(dataset)
        options |= {"pixel_keyword": "PixelData", "pixel_vr": pixel_vr}
        photometric, bits = str(options["photometric_interpretation"]), int(options["bits_stored"])
        signed = options["pixel_representation"] == 1
        if not 1 <= bits <= 32:
            raise InputError(f"{source}: {bits} bits per sample; the header is damaged, export the cine again")
        decoder = _decoder(source, syntax, bits)
        warnings: tuple[str, ...] = ()
        if photometric == "PALETTE COLOR":
            to_gray = _palette(source, dataset, bits)
        elif photometric.startswith("MONOCHROME"):
            scale, warnings = _window(dataset, bits, signed)
            to_gray = _monochrome(scale, dataset, inverted=photometric == "MONOCHROME1")
        else:
            to_gray = _colour(source, bits)
        return cls(
            source=source,
            shape=(int(options["rows"]), int(options["columns"])),
            decoder=decoder,
            options=options,
            to_gray=to_gray,
            from_luma=_from_luma(photometric) if syntax in _JPEG_8_BIT and bits == 8 and not signed else None,
            warnings=warnings,
        )

    def native(self, pixels: BinaryIO, length: int) -> Generator[UInt8, None, None]:
        """Gray frames of uncompressed pixel data of `length` bytes, from the position of the file on."""
        if self._is_packed(length):
            for quadruples in self._quadruples(pixels):
                yield quadruples[..., :2].reshape(self.shape)
            return
        for values, photometric in self.native_samples(pixels, length):
            yield self.to_gray(values, photometric)

    def native_samples(self, pixels: BinaryIO, length: int) -> Generator[Samples, None, None]:
        """The same frames as they are stored."""
        if self._is_packed(length):
            for quadruples in self._quadruples(pixels):
                yield _unpacked(quadruples), "YBR_FULL"
            return
        options = self.options
        if options["photometric_interpretation"] == "YBR_FULL_422":
            # unpacked from JPEG by a program that left the old name: three whole planes
            options = options | {"photometric_interpretation": "YBR_FULL"}
        frames = self.decoder.iter_array(pixels, raw=True, **options)
        while True:
            with quiet():
                found = next(frames, None)
            if found is None:
                return
            yield found[0], str(found[1]["photometric_interpretation"])

    def _is_packed(self, length: int) -> bool:
        """Whether two pixels share their colour."""
        whole = 3 * self.shape[0] * self.shape[1] * int(self.options["number_of_frames"])
        return self.options["photometric_interpretation"] == "YBR_FULL_422" and length < whole

    def _quadruples(self, pixels: BinaryIO) -> Generator[UInt8, None, None]:
        """Y Y Cb Cr of two pixels each, (H, W / 2, 4); pydicom 3.0 seeks to the wrong place from the second frame on."""
        height, width = self.shape
        for _ in range(int(self.options["number_of_frames"])):
            yield np.frombuffer(pixels.read(height * width * 2), np.uint8).reshape(height, width // 2, 4)

    def coded(self, codestream: bytes) -> UInt8:
        """Gray of one compressed frame."""
        size = self._checked_size(codestream)
        if self.from_luma is not None and not _is_deep(codestream):
            if size is None:
                raise InputError(f"{self.source}: a frame that is no JPEG picture; the file is damaged, copy it again")
            if self.options["photometric_interpretation"] != "RGB" or says_its_colours(codestream):
                return self.from_luma(jpeg_luma(codestream))
        return self.to_gray(*self._decoded(codestream))

    def coded_samples(self, codestream: bytes) -> Samples:
        """One compressed frame as it is stored: of a JPEG with colour its luma and chroma, whatever the header calls them."""
        self._checked_size(codestream)
        called = str(self.options["photometric_interpretation"])
        eight_bits = self.from_luma is not None and not _is_deep(codestream)
        if eight_bits and self.options["samples_per_pixel"] == 3 and says_its_colours(codestream):
            planes, coded = jpeg_planes(codestream)
            return planes, called if called.startswith("YBR_PARTIAL") else coded
        return self._decoded(codestream)

    def darkest_entry(self) -> int:
        """Entry of the palette that is shown darkest."""
        entries = np.arange(2 ** int(self.options["bits_stored"]))
        return int(self.to_gray(entries, "PALETTE COLOR").argmin())

    def _checked_size(self, codestream: bytes) -> tuple[int, int] | None:
        size = picture_size(codestream)
        if size is not None and size != self.shape:
            raise InputError(
                f"{self.source}: a frame of {size[0]}x{size[1]} pixels where the header says {self.shape[0]}x{self.shape[1]}; "
                "the file is damaged, export the cine again"
            )
        return size

    def _decoded(self, codestream: bytes) -> Samples:
        if uid.JPEGExtended12Bit == self.decoder.UID and _is_deep(codestream):
            if not _reads_twelve_bits():
                raise _no_decoder(self.source, uid.JPEGExtended12Bit, " with 12 bits")
            return decode_twelve_bits(codestream, self.shape), str(self.options["photometric_interpretation"])
        options = self.options | {"number_of_frames": 1, "extended_offsets": None}
        values, properties = self.decoder.as_array(encapsulate([codestream]), index=0, raw=True, **options)
        return values, str(properties["photometric_interpretation"])


def _unpacked(quadruples: UInt8) -> UInt8:
    """(H, W, 3) of Y Y Cb Cr."""
    height, half, _ = quadruples.shape
    out = np.empty((height, 2 * half, 3), np.uint8)
    out[..., 0] = quadruples[..., :2].reshape(height, 2 * half)
    out[..., 1:] = quadruples[..., 2:].repeat(2, axis=1)
    return out


def _decoder(source: str, syntax: uid.UID, bits: int) -> Decoder:
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        decoder = None
    too_deep = syntax == uid.JPEGExtended12Bit and bits > 8 and not _reads_twelve_bits()
    if decoder is None or not decoder.is_available or too_deep:
        raise _no_decoder(source, syntax, f" with {bits} bits" if too_deep else "")
    _silence_gdcm()
    return decoder


def _is_deep(codestream: bytes) -> bool:
    return (sample_bits(codestream) or 8) > 8


def _reads_twelve_bits() -> bool:
    return find_spec("gdcm") is not None


def _no_decoder(source: str, syntax: uid.UID, depth: str) -> InputError:
    known = _NEWER_SYNTAXES.get(syntax, syntax.name)
    name = f"{known} ({syntax})" if known != syntax else str(syntax)
    return InputError(f"{source}: no decoder for its transfer syntax {name}{depth}; {_cure(syntax)}")


def _cure(syntax: uid.UID) -> str:
    """What makes a file readable whose transfer syntax has no decoder here."""
    if syntax in _FROM_EXTRA:
        return "install echoseg[dicom], which brings one"
    convert = "convert it to another one, uncompressed for example"
    return f"{convert}, with dcmtk's `dcmdjpeg in.dcm out.dcm`" if syntax in _FROM_DCMTK else convert


@cache
def _silence_gdcm() -> None:
    """Keep gdcm from writing to the terminal by itself."""
    if find_spec("gdcm"):
        import gdcm

        for switch_off in (gdcm.Trace.DebugOff, gdcm.Trace.WarningOff, gdcm.Trace.ErrorOff):
            switch_off()


def _from_luma(photometric: str) -> Callable[[UInt8], UInt8] | None:
    """What makes gray of the luma of a JPEG; None where luma is not what the pixels mean (a palette)."""
    if photometric.startswith("YBR_PARTIAL"):
        return expand_limited_range
    if photometric == "MONOCHROME1":
        return np.invert
    return (lambda gray: gray) if photometric.startswith(("MONOCHROME2", "YBR_FULL", "RGB")) else None


def _window(dataset: Dataset, bits: int, signed: bool) -> tuple[GrayScale, tuple[str, ...]]:
    """Scale of monochrome values: 8 bits as they are, others by the window of the file or by the bits that are stored."""
    if bits == 8 and not signed:
        return GrayScale(), ()
    center, width = dicom_meta.number(dataset, "WindowCenter"), dicom_meta.number(dataset, "WindowWidth")
    if center is not None and width is not None and width > 1:  # PS3.3 C.11.2.1.2
        scale = GrayScale(center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2)
        how = f"the file's window {scale.low:g}..{scale.high:g}"
    else:
        slope, inter = _rescale(dataset)
        ends = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
        low, high = sorted(slope * end + inter for end in ends)
        scale, how = GrayScale(low, high), "all values that its bits can hold"
    return scale, (f"{bits}-bit pixels were reduced to 8 by {how}; export 8-bit frames to choose another contrast",)


def _rescale(dataset: Dataset) -> tuple[float, float]:
    slope, inter = dicom_meta.number(dataset, "RescaleSlope"), dicom_meta.number(dataset, "RescaleIntercept")
    return slope or 1.0, inter or 0.0


def _monochrome(scale: GrayScale, dataset: Dataset, *, inverted: bool) -> Callable[[Numeric, str], UInt8]:
    slope, inter = (1.0, 0.0) if scale.is_identity else _rescale(dataset)

    def to_gray(values: Numeric, photometric: str) -> UInt8:
        if (slope, inter) != (1.0, 0.0):
            values = values.astype(np.float64) * slope + inter
        gray = scale.apply(values)
        return 255 - gray if inverted else gray

    return to_gray


def _palette(source: str, dataset: Dataset, bits: int) -> Callable[[Numeric, str], UInt8]:
    """Gray of every palette entry, computed once."""
    if bits > _MAX_PALETTE_BITS:
        raise InputError(f"{source}: a palette of {bits} bits; the header is damaged, export the cine again")
    indices = np.arange(2**bits, dtype=np.uint8 if bits <= 8 else np.uint16)
    colours = apply_color_lut(indices, dataset)
    if colours.dtype != np.uint8:
        colours = (colours >> 8).astype(np.uint8)
    table = luma(colours[..., :3])

    def to_gray(values: Numeric, photometric: str) -> UInt8:
        return table[values.astype(np.intp)]

    return to_gray


def _colour(source: str, bits: int) -> Callable[[Numeric, str], UInt8]:
    def to_gray(values: Numeric, photometric: str) -> UInt8:
        if values.ndim != 3 or values.shape[2] != 3:
            raise InputError(
                f"{source}: {photometric} pixels of shape {values.shape}; the header is damaged, export the cine again"
            )
        if bits > 8:
            values = values.astype(np.uint32) >> (bits - 8)
        if photometric == "RGB":
            # Pillow's gray is this package's luma to the bit, in a third of the time
            return np.asarray(Image.fromarray(np.ascontiguousarray(values, np.uint8)).convert("L"))
        if photometric.startswith("YBR_PARTIAL"):
            return expand_limited_range(values[..., 0].astype(np.uint8))
        if photometric.startswith("YBR_FULL"):
            return np.array(values[..., 0], np.uint8)
        raise InputError(f"{source}: photometric interpretation {photometric!r}; convert the cine to RGB or gray")

    return to_gray
