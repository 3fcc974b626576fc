"""JPEG codestreams of DICOM files: what they say of themselves, their luma alone, and those with twelve bits."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from echoseg.cine import UInt8


def jpeg_luma(codestream: bytes) -> UInt8:
    """Luma of a JPEG without decoding its colour: a third of the time and the same values."""
    with Image.open(io.BytesIO(codestream), formats=("JPEG",)) as image:
        image.draft("L", image.size)
        return np.asarray(image if image.mode == "L" else image.convert("L"))


def jpeg_planes(codestream: bytes) -> tuple[UInt8, str]:
    """Colour of a JPEG as it is coded, (H, W, 3), and its photometric interpretation: YBR_FULL or RGB."""
    with Image.open(io.BytesIO(codestream), formats=("JPEG",)) as image:
        names = bytes(part[0] for part in getattr(image, "layer", ()))
        is_rgb = "jfif" not in image.info and (image.info.get("adobe_transform") == 0 or names == b"RGB")
        if not is_rgb:
            image.draft("YCbCr", image.size)
        return np.asarray(image), "RGB" if is_rgb else "YBR_FULL"


def says_its_colours(codestream: bytes) -> bool:
    """Whether a JPEG says itself if it holds RGB or YCbCr; of one that does not, decoders think YCbCr, whatever the header says."""
    for marker, position, length in _segments(codestream):
        holds = codestream[position : position + length]
        if (marker == 0xE0 and holds.startswith(b"JFIF")) or (marker == 0xEE and holds.startswith(b"Adobe")):
            return True
        if _is_frame_header(marker):
            names, sampling = holds[6::3], holds[7::3]
            # a single component is gray, and nobody samples red, green and blue unequally
            return names == b"RGB" or len(names) == 1 or len(set(sampling)) > 1
    return False


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
    for marker, position, _ in _segments(codestream):
        size = codestream[position + 1 : position + 5]
        if _is_frame_header(marker) and len(size) == 4:
            return int.from_bytes(size[:2], "big"), int.from_bytes(size[2:], "big")
    return None


def sample_bits(codestream: bytes) -> int | None:
    """Bits of a sample as the JPEG itself says; None where it does not."""
    for marker, position, length in _segments(codestream):
        if _is_frame_header(marker) and length:
            return codestream[position]
    return None


def decode_twelve_bits(codestream: bytes, shape: tuple[int, int]) -> NDArray[np.uint16]:
    """Samples (H, W) of a gray JPEG with twelve bits, by gdcm; pydicom asks none of its decoders for those.

    Raises:
        ValueError: gdcm cannot read it.
    """
    import gdcm

    fragment, fragments, element = gdcm.Fragment(), gdcm.SequenceOfFragments.New(), gdcm.DataElement()
    fragment.SetByteStringValue(codestream)
    fragments.AddFragment(fragment)
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((shape[1], shape[0], 1))
    image.SetDataElement(element)
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(gdcm.PhotometricInterpretation.MONOCHROME2))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGExtendedProcess2_4))
    image.SetPixelFormat(gdcm.PixelFormat(1, 16, 12, 11, 0))
    data = image.GetBuffer().encode("utf-8", "surrogateescape")  # gdcm gives bytes as text
    if len(data) != 2 * shape[0] * shape[1]:
        raise ValueError(f"{len(data)} bytes were decoded where {2 * shape[0] * shape[1]} were expected")
    return np.frombuffer(data, "<u2").reshape(shape)


def _segments(codestream: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, position, length) of the segments of a JPEG before its samples; the length is that of the content."""
    position = 2
    while position + 4 <= len(codestream):
        if codestream[position : position + 2] == b"\xff\xff":  # a fill byte
            position += 1
            continue
        marker, length = codestream[position + 1], int.from_bytes(codestream[position + 2 : position + 4], "big")
        if codestream[position] != 0xFF or length < 2 or marker == 0xDA:
            return
        yield marker, position + 4, length - 2
        position += 2 + length


def _is_frame_header(marker: int) -> bool:
    return marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC))
