"""EchoNet-Dynamic: FileList.csv, VolumeTracings.csv and Videos/*.avi.

What the tables get wrong, or only seem to say, and what is done about it:

* `FileName` comes with and without `.avi`, in either table.
* ED is the traced frame with the larger mask, wherever it stands in the table and whenever it comes in the video.
* A video with fewer than two usable tracings is left out; one whose tracings have other than 21 rows stays if they
  enclose an area. `dropped` has the names and the counts.
* A training video without any tracing, EF and volumes is an unlabelled one: a case without masks.
* There is no pixel spacing: volumes are relative, distances are in pixels. Pixels are square.

A folder written by the simulator also holds `EvaluationMasks/<FileName>.npz` with exact masks, volumes and visibility of
every frame. Only `load(case, "all")` and `evaluation_extras` open them.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from echoseg import io
from echoseg.cine import Cine, CineMeta, Float64, Instant, UInt8, View
from echoseg.datasets.base import Case, Labels, ListedDataset, Listing
from echoseg.datasets.splits import split_name
from echoseg.datasets.tables import Table, number, read_table, whole_number
from echoseg.datasets.tracings import outline_area_px2, tracing_mask, tracing_outline
from echoseg.errors import InputError

N_TRACING_ROWS = 21
FILE_LIST, TRACINGS, VIDEOS, EVALUATION = "FileList.csv", "VolumeTracings.csv", "Videos", "EvaluationMasks"
_EXTRAS = ("volume_ml", "visibility", "clear_from")


@dataclass(frozen=True)
class VideoRow:
    """A line of FileList.csv; None where a cell is empty or no number."""

    stem: str
    split: str | None
    ef_percent: float | None
    edv_ml: float | None
    esv_ml: float | None
    fps: float | None
    n_frames: int | None
    label_order: int | None = None


@dataclass
class EchoNetTables:
    """Both tables, parsed.

    Attributes:
        videos: rows of FileList.csv in their order, repeated names included.
        tracings: file name without extension -> 0-based frame -> tracing (n, 4).
        unreadable: file name -> lines of VolumeTracings.csv (counted from 1) that hold no numbers.
    """

    videos: list[VideoRow]
    tracings: dict[str, dict[int, Float64]]
    unreadable: dict[str, list[int]] = field(default_factory=dict)

    def unlabelled(self, row: VideoRow) -> bool:
        """Whether nobody meant to label a video: it is in no line of the tracings and has no volume and no EF."""
        traced = row.stem in self.tracings or row.stem in self.unreadable
        return not traced and row.ef_percent is row.edv_ml is row.esv_ml is None


def stem_of(file_name: str) -> str:
    """File name without `.avi`, which some copies of the tables have and others have not."""
    name = file_name.strip()
    return name[:-4] if name.lower().endswith(".avi") else name


def read_echonet_tables(root: Path) -> EchoNetTables:
    """Parse FileList.csv and VolumeTracings.csv."""
    videos = read_table(root / FILE_LIST, ("FileName", "Split"))
    tracings = read_table(root / TRACINGS, ("FileName", "X1", "Y1", "X2", "Y2", "Frame"))
    tables = EchoNetTables([_video_row(videos, row) for row in videos.rows], {})
    names, frame = tracings.columns["filename"], tracings.columns["frame"]
    ends = [tracings.columns[name] for name in ("x1", "y1", "x2", "y2")]
    segments: dict[tuple[str, int], list[list[float]]] = {}
    for line, row in enumerate(tracings.rows, start=2):
        stem = stem_of(row[names]) if names < len(row) else ""
        try:
            key = stem, int(float(row[frame]))
            segment = [float(row[column]) for column in ends]
        except (ValueError, IndexError, OverflowError):
            tables.unreadable.setdefault(stem, []).append(line)
            continue
        segments.setdefault(key, []).append(segment)
    for (stem, number_of_frame), rows in segments.items():
        tables.tracings.setdefault(stem, {})[number_of_frame] = np.array(rows, np.float64)
    return tables


def _video_row(table: Table, row: list[str]) -> VideoRow:
    return VideoRow(
        stem=stem_of(table.get(row, "FileName")),
        split=split_name(table.get(row, "Split")),
        ef_percent=number(table.get(row, "EF")),
        edv_ml=number(table.get(row, "EDV")),
        esv_ml=number(table.get(row, "ESV")),
        fps=number(table.get(row, "FPS")),
        n_frames=whole_number(table.get(row, "NumberOfFrames")),
        label_order=whole_number(table.get(row, "LabelOrder")),
    )


def usable_tracings(row: VideoRow, tracings: Mapping[int, Float64]) -> dict[int, Float64]:
    """The tracings of a video that lie inside it and enclose an area."""
    last = row.n_frames if row.n_frames else np.inf
    return {
        frame: tracing
        for frame, tracing in sorted(tracings.items())
        if 0 <= frame < last and np.isfinite(tracing).all() and outline_area_px2(tracing_outline(tracing)) > 0
    }


@dataclass(frozen=True)
class EchoNetRecord:
    """A case, its video and its tracings, none for an unlabelled case."""

    case: Case
    video: Path
    fps: float | None
    tracings: Mapping[int, Float64]


class EchoNetDataset(ListedDataset[EchoNetRecord]):
    """EchoNet-Dynamic in a folder. One video is one patient; all are apical four-chamber views."""

    name: ClassVar[str] = "echonet"

    @cached_property
    def tables(self) -> EchoNetTables:
        """Both tables, parsed once."""
        return read_echonet_tables(self.root)

    def _tables(self) -> Iterable[Path]:
        return (self.root / FILE_LIST, self.root / TRACINGS)

    def _files(self, record: EchoNetRecord) -> Iterable[Path]:
        return (record.video,)

    def videos(self) -> dict[str, Path]:
        """File name without extension -> video file."""
        folder = self.root / VIDEOS
        entries = sorted(folder.iterdir()) if folder.is_dir() else []
        return {stem_of(path.name): path for path in entries if path.suffix.lower() == ".avi" and path.is_file()}

    def _list(self) -> Listing[EchoNetRecord]:
        listing: Listing[EchoNetRecord] = Listing()
        present = self.videos()
        by_stem: dict[str, list[VideoRow]] = {}
        for row in self.tables.videos:
            by_stem.setdefault(row.stem, []).append(row)
        official = {stem: rows[0].split for stem, rows in by_stem.items() if len({row.split for row in rows}) == 1}
        splits = self._splits(by_stem, {stem: split for stem, split in official.items() if split})
        for stem, rows in by_stem.items():
            tracings = usable_tracings(rows[0], self.tables.tracings.get(stem, {}))
            if stem not in splits:
                listing.drop("no split, or two", stem)
            elif stem not in present:
                listing.drop("video missing", stem)
            elif len(tracings) < 2 and not (splits[stem] == "train" and self.tables.unlabelled(rows[0])):
                listing.drop("fewer than two usable tracings", stem)
            else:
                listing.add(self._make_record(rows[0], splits[stem], present[stem], tracings))
        return listing

    @staticmethod
    def _make_record(row: VideoRow, split: str, video: Path, tracings: Mapping[int, Float64]) -> EchoNetRecord:
        known = (row.ef_percent, row.edv_ml, row.esv_ml, row.label_order)
        case = Case(row.stem, row.stem, View.A4C, split, None, *known)
        return EchoNetRecord(case, video, row.fps if row.fps and row.fps > 0 else None, tracings)

    def _load(self, record: EchoNetRecord, labels: Labels) -> Cine:
        with io.open_cine(record.video) as stream:
            cine = stream.read()
        meta = replace(cine.meta, fps=record.fps or cine.fps, spacing=None, aspect=1.0, view=View.A4C)
        traced, instants = self._expert_masks(record, meta) if record.tracings else ({}, {})
        masks = {frame: traced[frame] for frame in instants.values()}
        if labels == "all":
            masks = {**traced, **self._exact_masks(record, cine.frames.shape)}
        return Cine(meta, cine.frames, masks, instants)

    @staticmethod
    def _expert_masks(record: EchoNetRecord, meta: CineMeta) -> tuple[dict[int, UInt8], dict[Instant, int]]:
        """Masks of all traced frames, and which of them are ED and ES."""
        last = max(record.tracings)
        if last >= meta.n_frames:
            raise InputError(
                f"{record.video}: frame {last} is traced, but there are {meta.n_frames}; copy the video again"
            )
        traced = {frame: tracing_mask(tracing, meta.shape) for frame, tracing in record.tracings.items()}
        areas = {frame: int(mask.sum()) for frame, mask in traced.items()}
        instants = {Instant.ED: max(areas, key=areas.__getitem__)}
        instants[Instant.ES] = min((frame for frame in areas if frame != instants[Instant.ED]), key=areas.__getitem__)
        if areas[instants[Instant.ES]] == 0:
            raise InputError(f"{record.video}: the tracing lies outside the frames; correct {TRACINGS}")
        return traced, instants

    def _exact_masks(self, record: EchoNetRecord, shape: tuple[int, ...]) -> dict[int, UInt8]:
        arrays = self._evaluation_arrays(record, "masks")
        if not arrays:
            return {}
        masks = arrays["masks"]
        if masks.shape != shape or masks.dtype != np.uint8:
            where = self._evaluation_path(record)
            raise InputError(
                f"{where}: masks of {masks.dtype} {masks.shape} for frames of {shape}; simulate the folder again"
            )
        return dict(enumerate(masks))

    def evaluation_extras(self, case: Case) -> Mapping[str, Float64]:
        """What is exactly known of a simulated case; empty for data that was not simulated.

        `volume_ml` (T,); `visibility` (T,) 0..1, part of the endocardium that can be seen; `clear_from`, a number: frames of
        at least this visibility count as clear.
        """
        arrays = self._evaluation_arrays(self._record(case), *_EXTRAS)
        return {name: np.asarray(array, np.float64) for name, array in arrays.items()}

    def _evaluation_path(self, record: EchoNetRecord) -> Path:
        return self.root / EVALUATION / f"{record.case.id}.npz"

    def _evaluation_arrays(self, record: EchoNetRecord, *names: str) -> dict[str, NDArray[np.generic]]:
        """Those of the arrays that the file holds."""
        path = self._evaluation_path(record)
        if not path.exists():
            return {}
        try:
            with np.load(path, allow_pickle=False) as archive:
                return {name: archive[name] for name in names if name in archive.files}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(f"{path}: cannot be read ({error}); simulate the folder again") from error
