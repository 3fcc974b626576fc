"""Frames of which only the ultrasound is left, and the pixel data of a file made of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from echoseg.errors import InputError
from echoseg.io.gray import Numeric
from echoseg.io.sector import Box, Mask, find_sector, marks_inside

if TYPE_CHECKING:
    from echoseg.io.dicom import DicomCine

_NEARLY_ALL = 0.95  # of a picture: then nothing tells the sector from the screen
_ITEM, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
_PIXEL_DATA = b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff"  # explicit VR, undefined length


def what_to_keep(cine: DicomCine, box: Box | None) -> Mask:
    """Pixels of every frame that are ultrasound and nothing else, bool (H, W).

    Args:
        cine: the file.
        box: what the user says is free of names, in place of what is found.

    Raises:
        InputError: the sector is not found for sure, or the box does not lie in the frames.
    """
    meta = cine.meta
    if box is not None:
        return _inside(meta.source, meta.shape, box)
    sector = find_sector(cine.gray(), meta.region)
    if sector is None or sector.mask.mean() > _NEARLY_ALL:
        what = "a still" if meta.n_frames == 1 else "a cine"
        raise InputError(
            f"{meta.source}: {what} of which it is not certain what is ultrasound and what is drawn around it; look at it, and give "
            "the part that is free of names with --keep-box TOP,LEFT,BOTTOM,RIGHT"
        )
    return sector.visible & ~marks_inside(cine.gray(), sector.visible)


def _inside(source: str, shape: tuple[int, int], box: Box) -> Mask:
    top, left, bottom, right = box
    if bottom > shape[0] or right > shape[1]:
        raise InputError(
            f"{source}: --keep-box {','.join(map(str, box))} does not lie in frames of {shape[0]}x{shape[1]} pixels; "
            "give TOP,LEFT,BOTTOM,RIGHT within them"
        )
    mask = np.zeros(shape, bool)
    mask[top:bottom, left:right] = True
    return mask


def blanked(cine: DicomCine, keep: Mask) -> Iterator[tuple[Numeric, str]]:
    """Frames as they are stored, black outside of `keep`, with their photometric interpretation."""
    bits, signed = int(cine.header.BitsStored), int(cine.header.get("PixelRepresentation") or 0) == 1
    for values, photometric in cine.samples():
        frame = values.astype(values.dtype.newbyteorder("="))
        if not signed and bits < 8 * frame.dtype.itemsize:
            frame = np.bitwise_and(frame, frame.dtype.type((1 << bits) - 1))  # old overlays hide in unused bits
        frame[~keep] = _black(cine, photometric, frame.dtype)
        yield frame, photometric.replace("YBR_FULL_422", "YBR_FULL")


def _black(cine: DicomCine, photometric: str, dtype: np.dtype[np.generic]) -> Numeric:
    """Stored value that is shown black."""
    bits, signed = int(cine.header.BitsStored), int(cine.header.get("PixelRepresentation") or 0) == 1
    if photometric.startswith("YBR_PARTIAL"):
        return np.array([16, 128, 128], dtype)
    if photometric.startswith("YBR"):
        return np.array([0, 128, 128], dtype)
    if photometric == "PALETTE COLOR":
        return np.array(cine.darkest_entry(), dtype)
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return np.array(high if photometric == "MONOCHROME1" else low, dtype)


def write_frames(file: BinaryIO, frames: Iterator[tuple[Numeric, str]]) -> None:
    """Append pixel data to a header: RLE, which loses nothing and which every reader has; one fragment a frame."""
    from pydicom.pixels.encoders.base import get_encoder
    from pydicom.uid import RLELossless

    encoder = get_encoder(RLELossless)
    file.write(_PIXEL_DATA + _ITEM + bytes(4))
    for values, _ in frames:
        code = encoder.encode(
            np.ascontiguousarray(values),
            rows=values.shape[0],
            columns=values.shape[1],
            samples_per_pixel=values.shape[2] if values.ndim == 3 else 1,
            bits_allocated=8 * values.dtype.itemsize,
            bits_stored=8 * values.dtype.itemsize,
            pixel_representation=int(values.dtype.kind == "i"),
            photometric_interpretation="RGB" if values.ndim == 3 else "MONOCHROME2",  # the planes are coded as they are
            planar_configuration=0,
            number_of_frames=1,
        )
        code += b"\0" * (len(code) % 2)
        file.write(_ITEM + len(code).to_bytes(4, "little") + code)
    file.write(_END + bytes(4))
