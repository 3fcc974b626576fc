"""From a path to a cine, whatever the format."""

from __future__ import annotations

from pathlib import Path

from echoseg.cine import Cine, CineMeta, MaskStack, Spacing
from echoseg.errors import InputError
from echoseg.io.door import quiet, reading
from echoseg.io.sniff import Format, sniff
from echoseg.io.stream import CineStream

MASK_SOURCES = "masks are read from NIfTI, MetaImage or NPZ files and from DICOM segmentations"


def open_cine(path: Path | str, *, fps: float | None = None, spacing: Spacing | None = None) -> CineStream:
    """Open a cine of any known format for reading frame by frame.

    Args:
        path: a file, or a folder of images.
        fps: frame rate, in place of what the file says.
        spacing: pixel size, in place of what the file says.

    Returns:
        A stream whose `meta` is known and whose frames are decoded as they are iterated.

    Raises:
        InputError: the path is missing, broken or no cine.
    """
    path = Path(path)
    with reading(path), quiet():
        stream = _open(path, sniff(path))
    return stream.overridden(fps, spacing)


def _open(path: Path, found: Format) -> CineStream:
    match found:  # each reader is imported when its format is met, so that a NIfTI user never loads libav
        case Format.DICOM:
            from echoseg.io.dicom import open_dicom as opener
        case Format.VIDEO:
            from echoseg.io.video import open_video as opener
        case Format.NIFTI:
            from echoseg.io.nifti import open_nifti as opener
        case Format.METAIMAGE:
            from echoseg.io.metaimage import open_metaimage as opener
        case Format.NPZ:
            from echoseg.io.npz import open_npz as opener
        case Format.IMAGES:
            from echoseg.io.images import open_images as opener
    return opener(path)


def read_cine(path: Path | str, *, fps: float | None = None, spacing: Spacing | None = None) -> Cine:
    """Read a cine whole; see `open_cine`."""
    with open_cine(path, fps=fps, spacing=spacing) as stream:
        return stream.read()


def read_masks(path: Path | str) -> tuple[CineMeta, MaskStack]:
    """Read label masks of every frame from NIfTI, MetaImage, NPZ or a DICOM segmentation.

    Returns:
        What the file says about the cine, and the masks with labels 0..3.

    Raises:
        InputError: the file is broken, of another format, or holds values that are no labels.
    """
    path = Path(path)
    with reading(path), quiet():
        found = sniff(path)
        if found is Format.NPZ:
            from echoseg.io.npz import read_npz_masks

            return read_npz_masks(path)
        if found is Format.DICOM:
            from echoseg.io.dicom_seg_reader import read_seg_masks

            return read_seg_masks(path)
        if found is Format.NIFTI:
            from echoseg.io.nifti import open_nifti_volume as open_volume
        elif found is Format.METAIMAGE:
            from echoseg.io.metaimage import open_metaimage_volume as open_volume
        else:
            raise InputError(f"{path}: a {found.value} file; {MASK_SOURCES}, convert them")
        volume, meta = open_volume(path)
        return volume.describe(meta), volume.labels()
