"""Pixels of one DICOM frame to gray, for every photometric interpretation and every decoder that is installed."""

from __future__ import annotations

import io
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
from echoseg.io.door import quiet
from echoseg.io.gray import GrayScale, Numeric, expand_limited_range, luma

DAMAGE = (Image.DecompressionBombError,)
_JPEG_8_BIT = (uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit)
# Syntaxes of the standard that are younger than pydicom's dictionary.
_NEWER_SYNTAXES = {
    "1.2.840.10008.1.2.4.110": "JPEG XL Lossless",
    "1.2.840.10008.1.2.4.111": "JPEG XL JPEG Recompression",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
}
_MAX_PALETTE_BITS = 16
# What gdcm and pylibjpeg-openjpeg read, and what dcmtk's dcmdjpeg makes raw where no package here can: JPEG with 12 bits, and
# the retired spectral selection and full progression.
_FROM_EXTRA = (
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
_FROM_DCMTK = (uid.JPEGExtended12Bit, "1.2.840.10008.1.2.4.53", "1.2.840.10008.1.2.4.55")


@dataclass(frozen=True)
class PixelReader:
    """Decoder of the frames of one file.

    Attributes:
        source: file name for messages.
        shape: (H, W).
        decoder: pydicom's decoder for the transfer syntax.
        options: what it needs to know about the pixels.
        to_gray: decoded samples and their photometric interpretation -> gray.
        luma_only: whether frames are JPEGs whose luma can be decoded alone.
        warnings: what the user must know about the gray values.
    """

    source: str
    shape: tuple[int, int]
    decoder: Decoder
    options: dict[str, Any]
    to_gray: Callable[[Numeric, str], UInt8]
    luma_only: bool
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
            luma_only=syntax in _JPEG_8_BIT and bits == 8 and photometric.startswith(("YBR_FULL", "MONOCHROME2")),
            warnings=warnings,
        )

    def native(self, pixels: BinaryIO) -> Generator[UInt8, None, None]:
        """Gray frames of uncompressed pixel data, from the position of the file on."""
        if self.options["photometric_interpretation"] == "YBR_FULL_422":
            yield from self._native_422(pixels)
            return
        frames = self.decoder.iter_array(pixels, raw=True, **self.options)
        while True:
            with quiet():
                found = next(frames, None)
            if found is None:
                return
            yield self.to_gray(found[0], str(found[1]["photometric_interpretation"]))

    def _native_422(self, pixels: BinaryIO) -> Generator[UInt8, None, None]:
        """Luma of Y Y Cb Cr quadruples; pydicom 3.0 seeks to the wrong place from the second frame on."""
        height, width = self.shape
        for _ in range(int(self.options["number_of_frames"])):
            quadruples = np.frombuffer(pixels.read(height * width * 2), np.uint8).reshape(height, width // 2, 4)
            yield quadruples[..., :2].reshape(height, width)

    def coded(self, codestream: bytes) -> UInt8:
        """Gray of one compressed frame."""
        size = picture_size(codestream)
        if size is not None and size != self.shape:
            raise InputError(
                f"{self.source}: a frame of {size[0]}x{size[1]} pixels where the header says {self.shape[0]}x{self.shape[1]}; "
                "the file is damaged, export the cine again"
            )
        if self.luma_only:
            if size is None:
                raise InputError(f"{self.source}: a frame that is no JPEG picture; the file is damaged, copy it again")
            return _jpeg_luma(codestream)
        options = self.options | {"number_of_frames": 1, "extended_offsets": None}
        values, properties = self.decoder.as_array(encapsulate([codestream]), index=0, raw=True, **options)
        return self.to_gray(values, str(properties["photometric_interpretation"]))


def _decoder(source: str, syntax: uid.UID, bits: int) -> Decoder:
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        decoder = None
    too_deep = (
        syntax == uid.JPEGExtended12Bit
        and bits > 8
        and "pylibjpeg" not in (decoder.available_plugins if decoder else ())
    )
    if decoder is None or not decoder.is_available or too_deep:
        known = _NEWER_SYNTAXES.get(syntax, syntax.name)
        name = f"{known} ({syntax})" if known != syntax else str(syntax)
        depth = f" with {bits} bits" if too_deep else ""
        raise InputError(f"{source}: no decoder for its transfer syntax {name}{depth}; {_cure(syntax)}")
    _silence_gdcm()
    return decoder


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


def _jpeg_luma(codestream: bytes) -> UInt8:
    """Luma of a JPEG without decoding its colour: a third of the time and the same values."""
    with Image.open(io.BytesIO(codestream), formats=("JPEG",)) as image:
        image.draft("L", image.size)
        return np.array(image.convert("L"))


def picture_size(codestream: bytes) -> tuple[int, int] | None:
    """(H, W) that a JPEG, JPEG-LS or JPEG 2000 codestream declares, None where it does not say."""
    start = codestream.find(b"\xff\x4f\xff\x51", 0, 256)  # JPEG 2000: SOC, SIZ
    if start >= 0 and len(codestream) >= start + 24:
        right, bottom, left, top = (
            int.from_bytes(codestream[start + i : start + i + 4], "big") for i in (8, 12, 16, 20)
        )
        return bottom - top, right - left
    if not codestream.startswith(b"\xff\xd8"):
        return None
    position = 2
    while position + 9 <= len(codestream):
        marker, length = codestream[position + 1], int.from_bytes(codestream[position + 2 : position + 4], "big")
        if codestream[position] != 0xFF or length < 2 or marker == 0xDA:
            return None
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            frame = codestream[position + 5 : position + 9]
            return int.from_bytes(frame[:2], "big"), int.from_bytes(frame[2:], "big")
        position += 2 + length
    return None


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
            return luma(values)
        if photometric.startswith("YBR_PARTIAL"):
            return expand_limited_range(values[..., 0].astype(np.uint8))
        if photometric.startswith("YBR_FULL"):
            return np.array(values[..., 0], np.uint8)
        raise InputError(f"{source}: photometric interpretation {photometric!r}; convert the cine to RGB or gray")

    return to_gray
