"""The DICOM files of a case, as writers for `write_case(extras=...)`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from echoseg.errors import UsageError

if TYPE_CHECKING:
    from echoseg.cine import Segmentation
    from echoseg.clinical import Indices
    from echoseg.report.dicom_common import SourceObject

DICOM_FILES = {"seg": "masks.seg.dcm", "sr": "report.sr.dcm", "dicom-video": "overlay.dcm"}
DICOM_FORMATS = frozenset(DICOM_FILES)

Writer = Callable[[Path], None]


def dicom_writers(
    source: Path, segmentation: Segmentation, indices: Indices, formats: frozenset[str]
) -> dict[str, Writer]:
    """Writers of the DICOM objects of a case.

    Args:
        source: the DICOM file that was segmented.
        segmentation: its masks.
        indices: what was measured on them.
        formats: which of `DICOM_FORMATS` to write.

    Returns:
        File name -> function that writes it to the path that it is given, whole or not at all.

    Raises:
        UsageError: a format is unknown.
        InputError: the source is no DICOM file, or a package that writes reports is missing.
    """
    unknown = sorted(formats - DICOM_FORMATS)
    if unknown:
        raise UsageError(f"format {unknown[0]!r}: unknown; choose among {', '.join(sorted(DICOM_FORMATS))}")
    if not formats:
        return {}
    from echoseg.report.dicom_common import read_source

    found = read_source(source)
    writers: dict[str, Writer] = {}
    if "seg" in formats:
        from echoseg.report.dicom_seg import write_seg

        writers[DICOM_FILES["seg"]] = partial(write_seg, source=found, segmentation=segmentation)
    if "sr" in formats:
        from echoseg.report.dicom_sr import require_highdicom, write_sr

        require_highdicom(str(source))
        writers[DICOM_FILES["sr"]] = partial(write_sr, source=found, segmentation=segmentation, indices=indices)
    if "dicom-video" in formats:
        writers[DICOM_FILES["dicom-video"]] = partial(_write_video, source=found, segmentation=segmentation)
    return writers


def _write_video(path: Path, source: SourceObject, segmentation: Segmentation) -> None:
    """Frames are decoded again, and go into the file one by one."""
    from echoseg.io import open_cine
    from echoseg.report.dicom_video import write_dicom_video

    with open_cine(source.path) as frames:
        write_dicom_video(path, source, segmentation, frames)
