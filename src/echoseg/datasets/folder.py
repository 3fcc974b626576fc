"""A plain folder: images, masks of two or more of their frames, and, if you like, a table.

    images/<case>/000.png, 001.png, ...      a cine as a folder of images in the order of their names, or
    images/<case>.<nii.gz|nii|mhd|npz|avi|mp4|dcm>
    masks/<case>/007.png                one image per labelled frame: the name of the frame's own image, or its 0-based
                                        number where the cine is one file; values 0..3, or 0 and 255 for LV alone
    masks/<case>.<nii.gz|nii|mhd|npz>   or all in one file, a mask per frame, empty where nothing was labelled
    cases.csv                           columns, all but the first optional: case, split, patient, view (A4C, A2C),
                                        fps, spacing_mm (one number, or rows x columns as 0.154x0.308), quality,
                                        ef (%), edv, esv (mL), ed_frame, es_frame (0-based)

Without a `split` column, patients are split 8:1:1 in an order fixed by a hash of their names. Without a `patient`
column, a case `p07_4CH` or `p07_A2C` belongs to patient `p07`, any other case is its own patient. Without `ed_frame`
and `es_frame`, the labelled frame with the largest LV is ED and that with the smallest is ES.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from echoseg import io
from echoseg.cine import Cine, Instant, Spacing, Structure, UInt8, View
from echoseg.datasets.base import Case, Labels, ListedDataset, Listing, raw_data
from echoseg.datasets.splits import by_name_hash, split_name
from echoseg.datasets.tables import number, read_table, whole_number
from echoseg.errors import InputError

CINE_ENDINGS = (".nii.gz", ".nii", ".mhd", ".npz", ".avi", ".mp4", ".dcm")
MASK_ENDINGS = (".nii.gz", ".nii", ".mhd", ".npz")
IMAGE_ENDINGS = (".png", ".jpg", ".jpeg", ".bmp")
TABLE = "cases.csv"

_VIEW_NAMES = {"4CH": View.A4C, "A4C": View.A4C, "2CH": View.A2C, "A2C": View.A2C}
_CASE_VIEW = re.compile(r"(?P<patient>.+)[_-](?P<view>4CH|A4C|2CH|A2C)", re.IGNORECASE)


@dataclass(frozen=True)
class FolderRecord:
    """A case, where it lies, and what the table says about reading it."""

    case: Case
    images: Path
    masks: Path
    fps: float | None = None
    spacing: Spacing | None = None
    ed_frame: int | None = None
    es_frame: int | None = None


def parse_spacing(text: str) -> Spacing | None:
    """`0.3` or `0.154x0.308` (rows x columns), mm; None where it is empty or neither."""
    sizes = [number(part) for part in re.split("[x×*]", text.lower())]
    if len(sizes) > 2 or any(size is None or size <= 0 for size in sizes):
        return None
    known = [size for size in sizes if size is not None]
    return Spacing(known[0], known[-1])


def case_files(folder: Path, endings: tuple[str, ...]) -> dict[str, Path]:
    """Case -> its file or folder."""
    found: dict[str, Path] = {}
    for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
        ending = next((end for end in endings if entry.name.lower().endswith(end)), None)
        if entry.is_dir():
            found.setdefault(entry.name, entry)
        elif ending is not None and entry.is_file():
            found.setdefault(entry.name[: -len(ending)], entry)
    return found


def image_files(folder: Path) -> list[Path]:
    """Images of a folder in the order in which `open_cine` takes them as frames."""
    from echoseg.io.images import natural_key

    files = (
        file for file in folder.iterdir() if file.suffix.lower() in IMAGE_ENDINGS and not file.name.startswith(".")
    )
    return sorted(files, key=lambda file: (natural_key(file.name), file.name))


class FolderDataset(ListedDataset[FolderRecord]):
    """A plain folder of images and masks, see the head of this file."""

    name: ClassVar[str] = "folder"

    @cached_property
    def table(self) -> dict[str, Mapping[str, str]]:
        """Case -> its row of cases.csv; empty without the file."""
        path = self.root / TABLE
        if not path.exists():
            return {}
        table = read_table(path, ("case",))
        return {table.get(row, "case"): {name: table.get(row, name) for name in table.columns} for row in table.rows}

    def _tables(self) -> Iterable[Path]:
        path = self.root / TABLE
        return (path,) if path.exists() else ()

    def _files(self, record: FolderRecord) -> Iterable[Path]:
        for path in (record.images, record.masks):
            files = image_files(path) if path.is_dir() else [path]
            yield from files
            yield from (raw for file in files for raw in raw_data(file))

    def _list(self) -> Listing[FolderRecord]:
        listing: Listing[FolderRecord] = Listing()
        images = case_files(self.root / "images", CINE_ENDINGS)
        masks = case_files(self.root / "masks", MASK_ENDINGS)
        patients = {name: self._patient_and_view(name) for name in images}
        splits = self._splits((patient for patient, _ in patients.values()), self._official(patients))
        for name in sorted(images.keys() | self.table.keys()):
            if name not in images:
                listing.drop("in cases.csv, but not in images", name)
            elif name not in masks or (masks[name].is_dir() and len(image_files(masks[name])) < 2):
                listing.drop("fewer than two masks", name)
            elif patients[name][0] not in splits:
                listing.drop("no split, or two", name)
            else:
                listing.add(self._make_record(name, splits[patients[name][0]], images[name], masks[name]))
        return listing

    def _patient_and_view(self, name: str) -> tuple[str, View]:
        row, by_name = self.table.get(name, {}), _CASE_VIEW.fullmatch(name)
        view = row.get("view") or (by_name["view"] if by_name else "")
        patient = row.get("patient") or (by_name["patient"] if by_name else name)
        return patient, _VIEW_NAMES.get(view.upper(), View.UNKNOWN)

    def _official(self, patients: Mapping[str, tuple[str, View]]) -> dict[str, str]:
        """Patient -> split from the table; patients that it puts in two splits, or in none, are left out."""
        if not any(row.get("split") for row in self.table.values()):
            return by_name_hash(sorted({patient for patient, _ in patients.values()}))
        claims: dict[str, set[str | None]] = {}
        for name, (patient, _) in patients.items():
            claims.setdefault(patient, set()).add(split_name(self.table.get(name, {}).get("split", "")))
        single = {patient: next(iter(splits)) for patient, splits in claims.items() if len(splits) == 1}
        return {patient: split for patient, split in single.items() if split}

    def _make_record(self, name: str, split: str, images: Path, masks: Path) -> FolderRecord:
        row = self.table.get(name, {})
        patient, view = self._patient_and_view(name)
        volumes = (number(row.get("ef")), number(row.get("edv")), number(row.get("esv")))
        fps = number(row.get("fps"))
        return FolderRecord(
            case=Case(name, patient, view, split, row.get("quality") or None, *volumes),
            images=images,
            masks=masks,
            fps=fps if fps and fps > 0 else None,
            spacing=parse_spacing(row.get("spacing_mm", "")),
            ed_frame=whole_number(row.get("ed_frame")),
            es_frame=whole_number(row.get("es_frame")),
        )

    def _load(self, record: FolderRecord, labels: Labels) -> Cine:
        with io.open_cine(record.images, fps=record.fps, spacing=record.spacing) as stream:
            cine = stream.read()
        masks = read_folder_masks(record.images, record.masks, cine.frames.shape)
        instants = folder_instants(record, masks)
        if labels == "edes":
            masks = {frame: masks[frame] for frame in instants.values()}
        view = cine.view if record.case.view is View.UNKNOWN else record.case.view
        return Cine(replace(cine.meta, view=view), cine.frames, masks, instants)

    def record(self, name: str) -> FolderRecord | None:
        """What is known about reading a case; None for one that was left out."""
        return self._listing.records.get(name)


def folder_instants(record: FolderRecord, masks: Mapping[int, UInt8]) -> dict[Instant, int]:
    """ED and ES as the table says, or else the largest and the smallest LV."""
    areas = {frame: int(np.count_nonzero(mask == Structure.LV)) for frame, mask in masks.items()}
    for instant, frame in ((Instant.ED, record.ed_frame), (Instant.ES, record.es_frame)):
        if frame is not None and frame not in masks:
            raise InputError(
                f"{record.masks}: no mask for {instant.value}, frame {frame}; correct {TABLE} or add the mask"
            )
    if len(masks) < 2:
        raise InputError(f"{record.masks}: {len(masks)} labelled frames; ED and ES need a mask each")
    free = [frame for frame in areas if frame not in (record.ed_frame, record.es_frame)]
    ed = record.ed_frame if record.ed_frame is not None else max(free, key=areas.__getitem__)
    es = record.es_frame if record.es_frame is not None else min((f for f in free if f != ed), key=areas.__getitem__)
    if ed == es:
        raise InputError(f"{record.masks}: ED and ES are both frame {ed}; correct {TABLE}")
    return {Instant.ED: ed, Instant.ES: es}


def read_folder_masks(images: Path, masks: Path, shape: tuple[int, ...]) -> dict[int, UInt8]:
    """Frame -> labels of a case; frames without a labelled pixel in a mask file of the whole cine are left out."""
    if not masks.is_dir():
        meta, stack = io.read_masks(masks)
        if stack.shape != shape:
            raise InputError(
                f"{meta.source}: masks of {stack.shape} for frames of {shape}; give one mask per frame, of its size"
            )
        return {frame: mask for frame, mask in enumerate(stack) if mask.any()}
    numbers = {path.stem: i for i, path in enumerate(image_files(images))} if images.is_dir() else {}
    found: dict[int, UInt8] = {}
    for path in image_files(masks):
        frame = numbers.get(path.stem, None if numbers else whole_number(path.stem))
        if frame is None or not 0 <= frame < shape[0]:
            raise InputError(f"{path}: belongs to none of the {shape[0]} frames; name it like the image that it labels")
        found[frame] = read_mask_image(path, shape[1:])
    return found


def read_mask_image(path: Path, shape: tuple[int, ...]) -> UInt8:
    """Labels of an image file: 0..3 as they are, 0 and 255 as LV."""
    from PIL import Image

    from echoseg.io.door import quiet, reading
    from echoseg.io.images import DAMAGE

    with reading(path, extra=DAMAGE), quiet(), Image.open(path) as image:
        mask: UInt8 = np.array(image if image.mode in ("L", "P", "1") else image.convert("L"), dtype=np.uint8)
    if mask.shape != tuple(shape):
        raise InputError(f"{path}: mask of {mask.shape} for frames of {tuple(shape)}; resample it to the frame's size")
    if set(np.unique(mask)) <= {0, 255}:
        return np.asarray(mask == 255, dtype=np.uint8)
    if mask.max() > max(Structure):
        raise InputError(f"{path}: label {mask.max()}; use 0..3, or 0 and 255 for the LV alone")
    return np.asarray(mask)
