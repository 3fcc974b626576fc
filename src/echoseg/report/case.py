"""The folder of one case, written whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from echoseg.cine import CineMeta, Segmentation, UInt8
from echoseg.clinical import Indices
from echoseg.errors import InputError, OutputError, UsageError
from echoseg.io import write_nifti
from echoseg.report.gallery import Gallery
from echoseg.report.overlay import OVERLAY_FILE, write_overlay
from echoseg.report.page import report_page
from echoseg.report.pdf import PDF_FILE, require_pdf, write_pdf
from echoseg.report.result import RESULT_FILE, Document, result_document, to_text
from echoseg.report.tables import CURVE_FILE, curve_csv

USUAL_FORMATS = frozenset({"nifti", "mp4", "csv", "html"})
"""What is written unless a call says otherwise."""
FORMATS = USUAL_FORMATS | {"pdf"}
"""What can be written; `pdf` takes the package that the extra of that name brings."""
MASKS_FILE = "masks.nii.gz"
REPORT_FILE = "report.html"

Writer = Callable[[Path], None]


class FrameSource(Protocol):
    """Frames with a header, as often as one iterates: a `Cine` or a `CineStream`."""

    @property
    def meta(self) -> CineMeta:
        """What is known about the cine."""
        ...

    def __iter__(self) -> Iterator[UInt8]:
        """Frames, uint8 (H, W), in order."""
        ...


def write_case(
    case_dir: Path | str,
    segmentation: Segmentation,
    indices: Indices,
    cine: FrameSource,
    formats: frozenset[str] = USUAL_FORMATS,
    *,
    licence: str | None = None,
    extras: Mapping[str, Writer] | None = None,
) -> Document:
    """Write the results of a case into a folder, whole or not at all.

    Everything is written into a hidden folder beside `case_dir` and moved there at the end. An earlier result in `case_dir` is
    replaced only then; a folder that holds something else is left alone.

    Args:
        case_dir: folder of the case; its name is the title of the report.
        segmentation: masks of every frame.
        indices: what was measured on them.
        cine: the frames; iterated at most once.
        formats: which of `FORMATS` to write beside `result.json`.
        licence: licence of the model, for `result.json` and the report.
        extras: more files: name -> function that writes it to the path that it is given.

    Returns:
        The content of `result.json`.

    Raises:
        InputError: `case_dir` holds something else, or `cine` is not the one that was segmented.
        UsageError: a format is unknown, or the package that it takes is not installed.
        OutputError: the files cannot be written (disk full, no permission).
    """
    unknown = sorted(formats - FORMATS)
    if unknown:
        raise UsageError(f"format {unknown[0]!r}: unknown; choose among {', '.join(sorted(FORMATS))}")
    if "pdf" in formats:
        require_pdf()
    target = Path(case_dir)
    document = result_document(segmentation, indices, licence=licence)
    with _whole_folder(target) as folder:
        if "nifti" in formats:
            meta = segmentation.meta
            write_nifti(folder / MASKS_FILE, segmentation.masks, meta.n_frames, meta.shape, meta.spacing, meta.fps)
        if "csv" in formats:
            (folder / CURVE_FILE).write_text(curve_csv(document), encoding="utf-8")
        gallery = _write_video_and_watch(folder, segmentation, indices, cine, formats)
        if "html" in formats:
            page = report_page(target.name, segmentation, indices, gallery, licence=licence)
            (folder / REPORT_FILE).write_text(page, encoding="utf-8")
        if "pdf" in formats:
            write_pdf(folder / PDF_FILE, target.name, segmentation, indices, gallery.instants(), licence=licence)
        for name, write in (extras or {}).items():
            write(folder / name)
        (folder / RESULT_FILE).write_text(to_text(document), encoding="utf-8")
    return document


def _write_video_and_watch(
    folder: Path, segmentation: Segmentation, indices: Indices, cine: FrameSource, formats: frozenset[str]
) -> Gallery:
    """One pass over the frames for the video and the reports' pictures; stops early where only pictures are asked for."""
    gallery = Gallery.of(segmentation, indices, player="html" in formats)
    reported = bool(formats & {"html", "pdf"})
    if "mp4" in formats:
        frames = gallery.watch(cine) if reported else iter(cine)
        write_overlay(folder / OVERLAY_FILE, frames, segmentation, indices)
    elif reported:
        gallery.fill(cine)
    if reported:
        gallery.check()
    return gallery


@contextmanager
def _whole_folder(target: Path) -> Iterator[Path]:
    """A folder to fill, moved to `target` when the block ends well and removed when it does not."""
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        _check_replaceable(target)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        yield partial
        _move(partial, target)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{target}: cannot be written ({reason}); free space or choose another folder") from error
    except OutputError as error:  # of one file, which was to lie in `target` in the end
        raise OutputError(str(error).replace(str(partial), str(target))) from error.__cause__
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _check_replaceable(target: Path) -> None:
    if target.is_dir() and any(target.iterdir()) and not (target / RESULT_FILE).is_file():
        raise InputError(f"{target}: holds files that are no result of echoseg; choose another output folder")
    if target.exists() and not target.is_dir():
        raise InputError(f"{target}: is a file where a folder is needed; choose another output folder")


def _move(partial: Path, target: Path) -> None:
    """Rename `partial` to `target`; an earlier result goes only when the new one is in its place."""
    if not target.exists():
        partial.rename(target)
        return
    old = partial.with_suffix(".old")
    target.rename(old)
    try:
        partial.rename(target)
    except OSError:
        old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)
