"""Cines and masks in and out of files.

Reading starts with `open_cine` (frame by frame) or `read_cine` (whole), which tell the format from the content. Names are
loaded when they are first used, so that importing this package loads neither libav nor pydicom.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from echoseg.lazy import lazy_names

if TYPE_CHECKING:
    from echoseg.io.atomic import atomic_path, atomic_write_bytes, atomic_write_text
    from echoseg.io.metaimage import read_mhd
    from echoseg.io.nifti import read_nifti, write_nifti
    from echoseg.io.npz import write_npz_cine
    from echoseg.io.reading import open_cine, read_cine, read_masks
    from echoseg.io.stream import CineStream
    from echoseg.io.video_writer import write_video

__all__ = [
    "CineStream",
    "atomic_path",
    "atomic_write_bytes",
    "atomic_write_text",
    "open_cine",
    "read_cine",
    "read_masks",
    "read_mhd",
    "read_nifti",
    "write_nifti",
    "write_npz_cine",
    "write_video",
]

_HOME = {
    "CineStream": "stream",
    "atomic_path": "atomic",
    "atomic_write_bytes": "atomic",
    "atomic_write_text": "atomic",
    "open_cine": "reading",
    "read_cine": "reading",
    "read_masks": "reading",
    "read_mhd": "metaimage",
    "read_nifti": "nifti",
    "write_nifti": "nifti",
    "write_npz_cine": "npz",
    "write_video": "video_writer",
}

__getattr__ = lazy_names(__name__, _HOME)
