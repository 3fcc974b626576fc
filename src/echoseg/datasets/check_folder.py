"""What can be wrong with a plain folder."""

from __future__ import annotations

from pathlib import Path

from echoseg.cine import Instant, Spacing
from echoseg.datasets.findings import FindingList, Progress
from echoseg.datasets.folder import (
    CINE_ENDINGS,
    MASK_ENDINGS,
    TABLE,
    FolderDataset,
    FolderRecord,
    case_files,
    folder_instants,
    image_files,
    read_folder_masks,
)
from echoseg.datasets.splits import SPLITS, split_name


def check_folder(dataset: FolderDataset, found: FindingList, deep: bool, progress: Progress) -> None:
    """Table, then every case."""
    if found.attempt(dataset.root / TABLE, lambda: dataset.table) is None:
        return
    images = case_files(dataset.root / "images", CINE_ENDINGS)
    masks = case_files(dataset.root / "masks", MASK_ENDINGS)
    spacings: list[Spacing | None] = []
    for done, (name, path) in enumerate(images.items()):
        spacings.append(_check_case(found, dataset.record(name), path, masks.get(name)))
        if deep:
            found.decodes(path)
        _check_row(found, dataset, name)
        progress(done + 1, len(images))
    for name in sorted(masks.keys() - images.keys()):
        found.add("warning", masks[name], "masks without images", "add the images, or remove the masks")
    _check_whole(found, dataset)
    found.spacings(spacings)
    found.duplicates([file for path in images.values() for file in ([path] if path.is_file() else [])])


def _check_case(found: FindingList, record: FolderRecord | None, images: Path, masks: Path | None) -> Spacing | None:
    """Check images and masks of a case; returns its pixel spacing."""
    meta = found.header(images)
    if masks is None or (masks.is_dir() and len(image_files(masks)) < 2):
        found.add("error", images, "fewer than two masks", "label ED and ES; the case is left out until then")
        return meta.spacing if meta else None
    if meta is None:
        return None
    shape = (meta.n_frames, *meta.shape)
    labels = found.attempt(masks, lambda: read_folder_masks(images, masks, shape))
    for frame, mask in (labels or {}).items():
        found.lv_area_px(masks, mask, f"mask of frame {frame}")
    spacing = (record.spacing if record else None) or meta.spacing
    if labels is not None and record is not None:
        instants = found.attempt(masks, lambda: folder_instants(record, labels))
        if instants:
            pair = labels[instants[Instant.ED]], labels[instants[Instant.ES]]
            found.ed_and_es(found.relative(masks), pair, spacing, record.case.ef_percent)
    return spacing


def _check_row(found: FindingList, dataset: FolderDataset, name: str) -> None:
    row = dataset.table.get(name)
    if row is None:
        if dataset.table:
            found.add("warning", name, f"not in {TABLE}", "add a line, or its split and spacing stay unknown")
        return
    record = dataset.record(name)
    if row.get("split") and split_name(row["split"]) is None:
        found.add("error", f"{TABLE}: {name}", f"split {row['split']!r}", f"write one of {', '.join(SPLITS)}")
    for column in ("fps", "spacing_mm"):
        if row.get(column) and record is not None and (record.fps if column == "fps" else record.spacing) is None:
            found.add("error", f"{TABLE}: {name}", f"{column} {row[column]!r}", "write a positive number")
    if record is not None:
        found.ejection(f"{TABLE}: {name}", record.case.ef_percent, record.case.edv_ml, record.case.esv_ml)


def _check_whole(found: FindingList, dataset: FolderDataset) -> None:
    for reason, names in dataset.dropped.items():
        if reason != "fewer than two masks":
            found.add(
                "error", TABLE, f"{reason}: {', '.join(names[:5])}", "correct the table; they are left out until then"
            )
    if not dataset.table:
        what = f"no {TABLE}; patients are split 8:1:1 by a hash of their names"
        found.add("info", ".", what, "write one with a split column to fix the split")
