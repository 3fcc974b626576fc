"""Simulated data sets in the layouts of EchoNet-Dynamic and CAMUS."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from echoseg.cine import Structure, View
from echoseg.errors import UsageError
from echoseg.io import atomic_path, atomic_write_text, write_nifti, write_video
from echoseg.simulator.folder import begin_folder, case_seed
from echoseg.simulator.parallel import in_order
from echoseg.simulator.presets import Preset, get_preset
from echoseg.simulator.render import simulate
from echoseg.simulator.simulated import SimulatedCine
from echoseg.simulator.tracing import trace_discs

Progress = Callable[[int, int], None]
"""Called with the number of finished and of all cases."""

ECHONET_SPLITS = ("TRAIN", "VAL", "TEST")
CAMUS_SPLITS = ("training", "validation", "testing")
CAMUS_VIEWS = ((View.A2C, "2CH"), (View.A4C, "4CH"))
_FILE_LIST = ("FileName", "EF", "ESV", "EDV", "FrameHeight", "FrameWidth", "FPS", "NumberOfFrames", "Split")
_TRACINGS = ("FileName", "X1", "Y1", "X2", "Y2", "Frame")
_GOOD_DB, _MEDIUM_DB = 6.0, 15.0


@dataclass(frozen=True)
class ClipOptions:
    """Timing of the cines of a data set.

    Attributes:
        fps: frames per second.
        duration_s: length of every cine; two beats if None.
    """

    fps: float = 50.0
    duration_s: float | None = None


@dataclass(frozen=True)
class _Case:
    """One job of a worker process."""

    root: Path
    number: int
    seed: int
    split: str
    preset: Preset
    clip: ClipOptions


Row = tuple[str | float | int, ...]


@dataclass(frozen=True)
class _Listing:
    """Rows of the two tables of EchoNet-Dynamic that belong to one cine."""

    entry: Row
    tracings: tuple[Row, ...]


def _table(header: tuple[str, ...], rows: list[Row]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def _tracing_rows(cine: SimulatedCine, file_name: str) -> tuple[Row, ...]:
    """Two traced frames in the order of time, 1 + 20 rows each; pixel centres are whole numbers."""
    spacing = cine.spacing.row_mm
    rows: list[Row] = []
    for frame in sorted((cine.ed_frame, cine.es_frame)):
        for (y1, x1), (y2, x2) in trace_discs(cine.contours_mm[frame]) / spacing:
            rows.append((file_name, *(round(float(value), 4) for value in (x1, y1, x2, y2)), frame))
    return tuple(rows)


def _write_echonet_case(case: _Case) -> _Listing:
    """Video and evaluation masks of one cine; returns its rows of the tables."""
    cine = simulate(case.seed, preset=case.preset, fps=case.clip.fps, duration_s=case.clip.duration_s)
    name = f"0X{case.seed:016X}"
    n_frames, height, width = cine.frames.shape
    write_video(case.root / "Videos" / f"{name}.avi", cine.frames, cine.fps, (height, width))
    with atomic_path(case.root / "EvaluationMasks" / f"{name}.npz") as path:
        np.savez_compressed(
            path,
            masks=(cine.labels == Structure.LV).astype(np.uint8),
            volume_ml=cine.volume_ml,
            dropout_db=cine.dropout_db,
        )
    volumes = (round(value, 4) for value in (cine.ef_percent, cine.esv_ml, cine.edv_ml))
    entry = (name, *volumes, height, width, f"{cine.fps:g}", n_frames, case.split)
    return _Listing(entry, _tracing_rows(cine, f"{name}.avi"))


def write_echonet(
    root: Path | str,
    n_by_split: Mapping[str, int],
    *,
    seed: int = 0,
    preset: str | Preset = "standard",
    workers: int = 1,
    progress: Progress | None = None,
    clip: ClipOptions | None = None,
) -> None:
    """Write A4C cines in the layout of EchoNet-Dynamic.

    `Videos/*.avi`, `FileList.csv` and `VolumeTracings.csv` as in the original; in addition `EvaluationMasks/<FileName>.npz` with the
    masks (T, H, W), volumes and acoustic losses of all frames, which no training may read, and `simulation.json`. The
    tables are written last: a run that was stopped leaves none. The same seed gives the same bytes, whatever `workers`.

    Args:
        root: folder; an earlier simulation in it is replaced, anything else is refused.
        n_by_split: number of cines of TRAIN, VAL and TEST; a cine does not depend on these numbers.
        seed: seed of the data set.
        preset: how hard it is.
        workers: processes.
        progress: called after every cine.
        clip: timing.
    """
    folder, chosen, timing = Path(root), get_preset(preset), clip or ClipOptions()
    counts = _checked_counts(n_by_split, ECHONET_SPLITS)
    begin_folder(folder, "echonet", seed, chosen, {"cines": counts, **asdict(timing)})
    cases = [
        _Case(folder, number, case_seed(seed, ECHONET_SPLITS.index(split), number), split, chosen, timing)
        for split, count in counts.items()
        for number in range(count)
    ]
    listings: list[_Listing] = []
    for listing in in_order(_write_echonet_case, cases, workers):
        listings.append(listing)
        if progress is not None:
            progress(len(listings), len(cases))
    tracings = [row for listing in listings for row in listing.tracings]
    atomic_write_text(folder / "VolumeTracings.csv", _table(_TRACINGS, tracings))
    atomic_write_text(folder / "FileList.csv", _table(_FILE_LIST, [listing.entry for listing in listings]))


def _checked_counts(counts: Mapping[str, int], splits: tuple[str, ...]) -> dict[str, int]:
    """Counts in the order of the splits; refuses unknown names, negative numbers and nothing at all."""
    for split, count in counts.items():
        if split not in splits or count < 0:
            raise UsageError(f"{split}: {count} cases; give a number for {', '.join(splits)}")
    ordered = {split: counts.get(split, 0) for split in splits}
    if not any(ordered.values()):
        raise UsageError("0 cases: give at least one")
    return ordered


def _image_quality(cine: SimulatedCine) -> str:
    """CAMUS's word for how well the labelled frames can be read."""
    loss_db = max(cine.dropout_db[cine.ed_frame], cine.dropout_db[cine.es_frame])
    if loss_db < _GOOD_DB:
        return "Good"
    return "Medium" if loss_db < _MEDIUM_DB else "Poor"


def _camus_info(cine: SimulatedCine) -> str:
    """Contents of `Info_*.cfg`; frame numbers count from 1 within the half sequence."""
    entries = {
        "ED": cine.ed_frame + 1,
        "ES": cine.es_frame + 1,
        "NbFrame": len(cine.frames),
        "Sex": cine.patient.sex,
        "Age": cine.patient.age_years,
        "ImageQuality": _image_quality(cine),
        "EF": f"{cine.ef_percent:.2f}",
        "FrameRate": f"{cine.fps:g}",
    }
    return "".join(f"{key}: {value}\n" for key, value in entries.items())


def _write_part(stem: str, cine: SimulatedCine, frames: slice) -> None:
    """Image and labels of some frames as `<stem>.nii.gz` and `<stem>_gt.nii.gz`."""
    _, height, width = cine.frames.shape
    for suffix, array in (("", cine.frames[frames]), ("_gt", cine.labels[frames])):
        fps = cine.fps if len(array) > 1 else None
        write_nifti(f"{stem}{suffix}.nii.gz", array, len(array), (height, width), cine.spacing, fps)


def _write_camus_case(case: _Case) -> None:
    """All files of one patient."""
    name = _camus_name(case.number)
    folder = case.root / "database_nifti" / name
    for view, tag in CAMUS_VIEWS:
        cine = simulate(case.seed, preset=case.preset, view=view, layout="camus", fps=case.clip.fps, span="half_beat")
        stem = str(folder / f"{name}_{tag}")
        _write_part(f"{stem}_ED", cine, slice(cine.ed_frame, cine.ed_frame + 1))
        _write_part(f"{stem}_ES", cine, slice(cine.es_frame, cine.es_frame + 1))
        _write_part(f"{stem}_half_sequence", cine, slice(None))
        atomic_write_text(folder / f"Info_{tag}.cfg", _camus_info(cine))


def _camus_name(number: int) -> str:
    return f"patient{number:04d}"


def write_camus(
    root: Path | str,
    patients: Mapping[str, int],
    *,
    seed: int = 0,
    preset: str | Preset = "standard",
    workers: int = 1,
    progress: Progress | None = None,
    fps: float = 50.0,
) -> None:
    """Write patients with both apical views in the layout of CAMUS.

    `database_nifti/patient0001/...` with the stills, the half sequence between them, the labels of all of its frames and
    `Info_{2CH,4CH}.cfg`; `database_split/subgroup_*.txt`; in addition `simulation.json`. Some half sequences run from
    end-systole to end-diastole, as in the original. The lists of patients are written last: a run that was stopped leaves
    none. The same seed gives the same bytes, whatever `workers`.

    Args:
        root: folder; an earlier simulation in it is replaced, anything else is refused.
        patients: number of patients for `training`, `validation` and `testing`.
        seed: seed of the data set.
        preset: how hard it is.
        workers: processes.
        progress: called after every patient.
        fps: frames per second.
    """
    folder, chosen = Path(root), get_preset(preset)
    counts = _checked_counts(patients, CAMUS_SPLITS)
    begin_folder(folder, "camus", seed, chosen, {"patients": counts, "fps": fps})
    total = sum(counts.values())
    splits = [split for split, count in counts.items() for _ in range(count)]
    cases = [
        _Case(folder, number, case_seed(seed, number), split, chosen, ClipOptions(fps))
        for number, split in enumerate(splits, start=1)
    ]
    for done, _ in enumerate(in_order(_write_camus_case, cases, workers), start=1):
        if progress is not None:
            progress(done, total)
    for split in CAMUS_SPLITS:
        names = "".join(f"{_camus_name(case.number)}\n" for case in cases if case.split == split)
        atomic_write_text(folder / "database_split" / f"subgroup_{split}.txt", names)
