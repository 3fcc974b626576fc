"""What can be wrong with a CAMUS folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from echoseg.cine import Spacing, UInt8
from echoseg.datasets.base import raw_data
from echoseg.datasets.camus import (
    CamusDataset,
    CamusFiles,
    CamusInfo,
    patient_folders,
    read_info,
    read_split_files,
    same_spacing,
    sequence_instants,
)
from echoseg.datasets.findings import COPY_AGAIN, FindingList, Progress
from echoseg.datasets.splits import SPLITS


def check_camus(dataset: CamusDataset, found: FindingList, deep: bool, progress: Progress) -> None:
    """Files, headers, cfg and masks of every patient, then what only the whole folder shows."""
    folders = patient_folders(dataset.root)
    views = [(patient, files) for patient, folder in folders.items() for files in CamusFiles.of_patient(folder)]
    spacings: list[Spacing | None] = []
    for done, (patient, files) in enumerate(views):
        spacings.append(_check_view(found, patient, files, deep))
        progress(done + 1, len(views))
    _check_splits(found, dataset, set(folders))
    found.spacings(spacings)
    n_stills = sum(files.sequence is None for _, files in views)
    if n_stills:
        what = f"{n_stills} of {len(views)} views are ED and ES stills only"
        found.add(
            "info", ".", what, "nothing to do: such a cine has two frames; motion cannot be trained or scored on it"
        )
    n_partly = sum(files.sequence is not None and files.sequence_masks is None for _, files in views)
    if n_partly:
        what = f"{n_partly} of {len(views) - n_stills} sequences without masks between ED and ES"
        found.add("info", ".", what, "nothing to do for training; they cannot be scored on all frames")
    images = [path for _, files in views for path in (files.ed, files.es, files.sequence) if path is not None]
    found.duplicates([data for path in images for data in (raw_data(path) or (path,)) if data.suffix != ".mhd"])


def _check_view(found: FindingList, patient: str, files: CamusFiles, deep: bool) -> Spacing | None:
    """Check one view of one patient; returns its pixel spacing."""
    where = f"{patient}_{files.view}"
    for name in files.missing():
        found.add("error", where, f"no {name}", "copy it from the data set; the case is left out until then")
    for name, still in (("ED", files.ed), ("ES", files.es)):
        if still is None and files.sequence is not None:
            found.add("info", where, f"no {name} image", "nothing to do: the sequence holds the frame")
    info = found.attempt(files.info, lambda: read_info(files.info)) or CamusInfo()
    if not files.info.exists():
        found.add("warning" if files.sequence is None else "error", files.info, "missing", COPY_AGAIN)
    found.ejection(found.relative(files.info), info.ef_percent, info.edv_ml, info.esv_ml)
    shape, spacing = _check_headers(found, files, info)
    for path in (files.ed, files.es):
        if path is not None:
            found.decodes(path)
    for path in (files.sequence, files.sequence_masks) if deep else ():
        if path is not None:
            found.decodes(path) if path is files.sequence else found.labels(path)
    ed, es = (_check_mask(found, path, shape) if path else None for path in (files.ed_mask, files.es_mask))
    if ed is not None and es is not None:
        found.ed_and_es(where, (ed, es), spacing, info.ef_percent)
    return spacing


def _check_headers(
    found: FindingList, files: CamusFiles, info: CamusInfo
) -> tuple[tuple[int, int] | None, Spacing | None]:
    """Sizes and spacings of all images of a view; returns those of the first readable one."""
    paths = [path for path in (files.sequence, files.ed, files.es) if path is not None]
    headers = {path: meta for path in paths if (meta := found.header(path)) is not None}
    if files.sequence in headers:
        n_frames = headers[files.sequence].n_frames
        found.attempt(files.info, lambda: sequence_instants(info, n_frames, files.info))
    if not headers:
        return None, None
    first, meta = next(iter(headers.items()))
    for path, other in headers.items():
        if other.shape != meta.shape:
            found.add("error", path, f"{other.shape} pixels, {first.name} has {meta.shape}", COPY_AGAIN)
        elif not same_spacing(other.spacing, meta.spacing):
            found.add("error", path, f"{other.spacing}, {first.name} has {meta.spacing}", COPY_AGAIN)
    return meta.shape, meta.spacing


def _check_mask(found: FindingList, path: Path, shape: tuple[int, int] | None) -> UInt8 | None:
    masks = found.labels(path)
    if masks is None:
        return None
    if len(masks) != 1 or shape not in (None, masks.shape[1:]):
        found.add("error", path, f"mask of {masks.shape} for images of {shape}", COPY_AGAIN)
        return None
    found.lv_area_px(path, masks[0])
    return np.asarray(masks[0])


def _check_splits(found: FindingList, dataset: CamusDataset, patients: set[str]) -> None:
    lists = found.attempt(dataset.root / "database_split", lambda: read_split_files(dataset.root))
    if not lists:
        what = "no split files; the first 70 % of the patients train, 10 % validate, 20 % test"
        found.add("info", "database_split", what, "copy the folder from the NIfTI release for the official split")
        return
    claims: dict[str, list[str]] = {}
    for split in (split for split in SPLITS if split in lists):
        for patient in sorted(set(lists[split])):
            claims.setdefault(patient, []).append(split)
    for patient, splits in sorted(claims.items()):
        if len(splits) > 1:
            found.add("error", patient, f"listed in {' and '.join(splits)}", "a leak; take it out of all lists but one")
    unknown, unlisted = sorted(claims.keys() - patients), sorted(patients - claims.keys())
    if unknown:
        what = f"{len(unknown)} listed patients are not here: {shortened(unknown)}"
        found.add("warning", "database_split", what, "copy them, or know that the split is smaller than published")
    if unlisted:
        what = f"{len(unlisted)} patients are in no list and are not used: {shortened(unlisted)}"
        found.add("warning", "database_split", what, "add them to a list")


def shortened(names: list[str], n: int = 5) -> str:
    """The first names and how many more."""
    return ", ".join(names[:n]) + (f" and {len(names) - n} more" if len(names) > n else "")
