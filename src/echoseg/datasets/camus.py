"""CAMUS: the NIfTI release and the older MHD release.

    database_nifti/patientXXXX/patientXXXX_{2CH,4CH}_{ED,ES,half_sequence}[_gt].nii.gz, Info_{2CH,4CH}.cfg
    database_split/subgroup_{training,validation,testing}.txt
    {training,testing}/patientXXXX/patientXXXX_{2CH,4CH}_{ED,ES,sequence}[_gt].mhd                    (older)

A case is one view of one patient. Where the (half) sequence is there, it is the cine, in the order of the file, and
the 1-based `ED` and `ES` of the cfg say which frames the doctors labelled. Where only the two stills are there, the
cine has two frames, ED first, and no frame rate. Masks keep the labels 0..3.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from echoseg import io
from echoseg.cine import Cine, Instant, Spacing, UInt8, View
from echoseg.datasets.base import Case, Labels, ListedDataset, Listing, raw_data
from echoseg.datasets.splits import sequential, split_name
from echoseg.datasets.tables import number, read_key_values, whole_number
from echoseg.errors import InputError

VIEWS = {"2CH": View.A2C, "4CH": View.A4C}
STILLS_WARNING = "ED and ES stills only: no frame between them, so nothing can be said about motion"

_CONTAINERS = (("database_nifti",), ("database",), ("training", "testing"), (".",))
_EXTENSIONS = (".nii.gz", ".nii", ".mhd")
_SEQUENCES = ("half_sequence", "sequence")
_PATIENT = re.compile(r"patient\d+", re.IGNORECASE)


@dataclass(frozen=True)
class CamusInfo:
    """What `Info_<view>.cfg` says; every field is None where the file, the key or a sensible value is missing.

    Attributes:
        ed_frame: 0-based frame of end-diastole in the sequence (the file counts from 1).
        es_frame: 0-based frame of end-systole.
        quality: Good, Medium or Poor.
        fps: frame rate.
        ef_percent: ejection fraction.
        edv_ml: end-diastolic volume.
        esv_ml: end-systolic volume.
    """

    ed_frame: int | None = None
    es_frame: int | None = None
    quality: str | None = None
    fps: float | None = None
    ef_percent: float | None = None
    edv_ml: float | None = None
    esv_ml: float | None = None


def read_info(path: Path) -> CamusInfo:
    """Parse a cfg file. Nothing is required here: a sequence asks for its ED and ES when it is loaded."""
    if not path.exists():
        return CamusInfo()
    keys = read_key_values(path)
    ed, es = whole_number(keys.get("ed")), whole_number(keys.get("es"))
    fps = number(keys.get("framerate"))
    return CamusInfo(
        ed_frame=None if ed is None else ed - 1,
        es_frame=None if es is None else es - 1,
        quality=keys.get("imagequality") or None,
        fps=fps if fps is not None and fps > 0 else None,
        ef_percent=number(keys.get("ef", keys.get("lvef"))),
        edv_ml=number(keys.get("lvedv")),
        esv_ml=number(keys.get("lvesv")),
    )


@dataclass(frozen=True)
class CamusFiles:
    """The files of one view of one patient; None where there is none."""

    view: str
    info: Path
    ed: Path | None
    es: Path | None
    ed_mask: Path | None
    es_mask: Path | None
    sequence: Path | None
    sequence_masks: Path | None

    @classmethod
    def of_patient(cls, folder: Path) -> tuple[CamusFiles, ...]:
        """The views in a patient's folder; a view without a single file is not there."""
        names = {entry.name for entry in folder.iterdir() if entry.exists()}  # a broken link is a missing file

        def first(view: str, *parts: str) -> Path | None:
            candidates = (f"{folder.name}_{view}_{part}{end}" for part in parts for end in _EXTENSIONS)
            return next((folder / name for name in candidates if name in names), None)

        views = (
            cls(
                view=view,
                info=folder / f"Info_{view}.cfg",
                ed=first(view, "ED"),
                es=first(view, "ES"),
                ed_mask=first(view, "ED_gt"),
                es_mask=first(view, "ES_gt"),
                sequence=first(view, *_SEQUENCES),
                sequence_masks=first(view, *(f"{name}_gt" for name in _SEQUENCES)),
            )
            for view in VIEWS
        )
        return tuple(
            files for files in views if any((files.ed, files.es, files.ed_mask, files.es_mask, files.sequence))
        )

    def images(self) -> tuple[Path] | tuple[Path, Path] | None:
        """The sequence if there is one, else both stills, else None."""
        if self.sequence:
            return (self.sequence,)
        return (self.ed, self.es) if self.ed and self.es else None

    def missing(self) -> tuple[str, ...]:
        """What a case cannot do without and does not have."""
        wanted = {"ED mask": self.ed_mask, "ES mask": self.es_mask}
        if self.sequence is None:
            wanted.update({"ED image": self.ed, "ES image": self.es})
        return tuple(name for name, path in wanted.items() if path is None)


@dataclass(frozen=True)
class CamusRecord:
    """A case with the files it is made of: either a sequence, or two stills."""

    case: Case
    cfg: Path
    info: CamusInfo
    images: tuple[Path] | tuple[Path, Path]
    ed_mask: Path
    es_mask: Path
    sequence_masks: Path | None


class CamusDataset(ListedDataset[CamusRecord]):
    """CAMUS in a folder. Without split files, the official split is replaced by `seq712`."""

    name: ClassVar[str] = "camus"

    def _tables(self) -> Iterable[Path]:
        yield from (path for paths in split_files(self.root).values() for path in paths)
        yield from (record.cfg for record in self._listing.records.values() if record.cfg.exists())

    def _files(self, record: CamusRecord) -> Iterable[Path]:
        for path in (*record.images, record.ed_mask, record.es_mask):
            yield path
            yield from raw_data(path)

    def _list(self) -> Listing[CamusRecord]:
        listing: Listing[CamusRecord] = Listing()
        usable: dict[str, list[CamusFiles]] = {}
        for patient, folder in patient_folders(self.root).items():
            for files in CamusFiles.of_patient(folder):
                if files.missing():
                    listing.drop(f"without {' and '.join(files.missing())}", f"{patient}_{files.view}")
                else:
                    usable.setdefault(patient, []).append(files)
        official, leaking = official_split(self.root, usable)
        splits = self._splits(usable, official)
        for patient, views in usable.items():
            if patient not in splits:
                listing.drop("listed in two splits" if patient in leaking else "in no split file", patient)
                continue
            for files in views:
                listing.add(make_record(patient, splits[patient], files))
        return listing

    def _load(self, record: CamusRecord, labels: Labels) -> Cine:
        cine = _read_stills(*record.images) if len(record.images) == 2 else _read_sequence(record.images[0], record)
        masks: dict[int, UInt8] = {}
        if labels == "all" and len(record.images) == 1 and record.sequence_masks:
            masks.update(enumerate(_read_labels(record.sequence_masks, cine.frames.shape)))
        for instant, path in ((Instant.ED, record.ed_mask), (Instant.ES, record.es_mask)):
            masks[cine.instants[instant]] = _read_labels(path, (1, *cine.meta.shape))[0]
        return Cine(replace(cine.meta, view=record.case.view), cine.frames, masks, cine.instants)


def make_record(patient: str, split: str, files: CamusFiles) -> CamusRecord:
    """The record of a view of which nothing is missing."""
    images = files.images()
    if images is None or files.ed_mask is None or files.es_mask is None:
        raise InputError(f"{files.info.parent}: without {' and '.join(files.missing())}; copy the patient again")
    info = read_info(files.info)
    volumes = (info.ef_percent, info.edv_ml, info.esv_ml)
    case = Case(f"{patient}_{files.view}", patient, VIEWS[files.view], split, info.quality, *volumes)
    return CamusRecord(case, files.info, info, images, files.ed_mask, files.es_mask, files.sequence_masks)


def _read_stills(ed_path: Path, es_path: Path) -> Cine:
    ed, es = io.read_cine(ed_path), io.read_cine(es_path)
    if ed.frames.shape != es.frames.shape or len(ed) != 1:
        shapes = f"shape {es.frames.shape}, {ed_path.name} has {ed.frames.shape}"
        raise InputError(f"{es_path}: {shapes}; both must be one still of one size, copy them again")
    if not same_spacing(ed.spacing, es.spacing):
        raise InputError(f"{es_path}: {es.spacing}, but {ed_path.name} has {ed.spacing}; copy both files again")
    warnings = (*dict.fromkeys(ed.meta.warnings + es.meta.warnings), STILLS_WARNING)
    meta = replace(ed.meta, n_frames=2, fps=None, warnings=warnings)
    return Cine(meta, np.concatenate([ed.frames, es.frames]), {}, {Instant.ED: 0, Instant.ES: 1})


def _read_sequence(path: Path, record: CamusRecord) -> Cine:
    cine = io.read_cine(path, fps=record.info.fps)
    return Cine(cine.meta, cine.frames, {}, sequence_instants(record.info, len(cine), record.cfg))


def sequence_instants(info: CamusInfo, n_frames: int, cfg: Path) -> dict[Instant, int]:
    """ED and ES of a sequence of `n_frames`, in whichever order they come."""
    frames = {Instant.ED: info.ed_frame, Instant.ES: info.es_frame}
    found: dict[Instant, int] = {}
    for instant, frame in frames.items():
        if frame is None:
            raise InputError(f"{cfg}: no frame number for {instant.value}; a sequence needs the lines `ED:` and `ES:`")
        if not 0 <= frame < n_frames:
            raise InputError(
                f"{cfg}: {instant.value} is frame {frame + 1} of a {n_frames}-frame sequence; frames count from 1"
            )
        found[instant] = frame
    if found[Instant.ED] == found[Instant.ES]:
        raise InputError(f"{cfg}: ED and ES are both frame {found[Instant.ED] + 1}; correct one of them")
    return found


def patient_folders(root: Path) -> dict[str, Path]:
    """Patient -> folder, for the first container that holds patients.

    The older release numbers its test patients from 1 again, so they are named `testing-patient0001` here.
    """
    for group in _CONTAINERS:
        found: dict[str, Path] = {}
        for container in group:
            folder = root / container
            for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
                if _PATIENT.fullmatch(entry.name) and entry.is_dir():
                    found[f"testing-{entry.name}" if container == "testing" else entry.name] = entry
        if found:
            return found
    return {}


def split_files(root: Path) -> dict[str, list[Path]]:
    """Split -> text files that list its patients."""
    found: dict[str, list[Path]] = {}
    for folder in (root / "database_split", root.parent / "database_split"):
        if folder.is_dir() and (folder.parent == root or root.name.startswith("database")):
            for path in sorted(folder.glob("*.txt")):
                split = split_name(path.stem.removeprefix("subgroup_"))
                if split:
                    found.setdefault(split, []).append(path)
            break
    return found


def read_split_files(root: Path) -> dict[str, list[str]]:
    """Split -> patients, as the files list them."""
    lists: dict[str, list[str]] = {}
    for split, paths in split_files(root).items():
        for path in paths:
            try:
                words = path.read_text(encoding="utf-8-sig", errors="replace").replace(",", " ").split()
            except OSError as error:
                raise InputError(f"{path}: cannot be read ({error}); copy it again from the data set") from error
            lists.setdefault(split, []).extend(words)
    return lists


def official_split(root: Path, patients: Iterable[str]) -> tuple[dict[str, str], frozenset[str]]:
    """Patient -> split, and the patients that two lists claim. Those are in no split: a leak costs more than a case."""
    lists = read_split_files(root)
    if not lists:
        second_count = {patient for patient in patients if patient.startswith("testing-")}
        return sequential(sorted(set(patients) - second_count)) | dict.fromkeys(second_count, "test"), frozenset()
    claims: dict[str, set[str]] = {}
    for split, members in lists.items():
        for patient in members:
            claims.setdefault(patient, set()).add(split)
    leaking = frozenset(patient for patient, splits in claims.items() if len(splits) > 1)
    return {patient: min(splits) for patient, splits in claims.items() if patient not in leaking}, leaking


def same_spacing(first: Spacing | None, second: Spacing | None) -> bool:
    """Whether two files agree about the size of a pixel, within what float32 headers can keep."""
    if first is None or second is None:
        return first is second
    return bool(np.allclose((first.row_mm, first.col_mm), (second.row_mm, second.col_mm), rtol=1e-4))


def _read_labels(path: Path, shape: tuple[int, ...]) -> UInt8:
    _, masks = io.read_masks(path)
    if masks.shape != shape:
        raise InputError(f"{path}: masks of shape {masks.shape} for images of {shape}; copy both files again")
    return masks.to_array()
