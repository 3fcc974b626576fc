"""Simulated data sets in the layouts of EchoNet-Dynamic and CAMUS."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from echoseg.cine import Spacing, Structure, UInt8, View
from echoseg.errors import UsageError
from echoseg.io import atomic_path, atomic_write_text, write_nifti, write_video
from echoseg.simulator.folder import (
    CaseStamp,
    FileStamp,
    begin_folder,
    case_seed,
    content_digest,
    sign_folder,
    truth_digest,
)
from echoseg.simulator.parallel import check_workers, in_order
from echoseg.simulator.presets import Preset, get_preset
from echoseg.simulator.render import simulate
from echoseg.simulator.simulated import CLEAR_FROM, SimulatedCine
from echoseg.simulator.tracing import trace_discs

Progress = Callable[[int, int], None]
"""Called with the number of finished and of all cases."""

ECHONET_SPLITS = ("TRAIN", "VAL", "TEST")
CAMUS_SPLITS = ("training", "validation", "testing")
CAMUS_VIEWS = ((View.A2C, "2CH"), (View.A4C, "4CH"))
_FILE_LIST = ("FileName", "EF", "ESV", "EDV", "FrameHeight", "FrameWidth", "FPS", "NumberOfFrames", "Split")
_LABEL_ORDER = "LabelOrder"
_TRACINGS = ("FileName", "X1", "Y1", "X2", "Y2", "Frame")
_GOOD, _MEDIUM = 0.9, 0.6
"""Visibility of the endocardium from which an image counts as good, and as medium."""


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
class EchoNetCase:
    """A cine to simulate and to write; one job of a worker process.

    Attributes:
        root: the data folder.
        name: file name without extension.
        seed: the patient.
        split: TRAIN, VAL or TEST.
        preset: how hard it is.
        clip: timing.
        labelled: whether the tables hold ED, ES and the volumes.
        label_order: place in the order in which a label budget takes the labelled cines; None leaves the order open.
    """

    root: Path
    name: str
    seed: int
    split: str
    preset: Preset
    clip: ClipOptions
    labelled: bool = True
    label_order: int | None = None


@dataclass(frozen=True)
class _Case:
    """One patient of CAMUS; one job of a worker process."""

    root: Path
    number: int
    seed: int
    split: str
    preset: Preset
    clip: ClipOptions


Row = tuple[str | float | int, ...]


@dataclass(frozen=True)
class _Listing:
    """Rows of the two tables of EchoNet-Dynamic that belong to one cine, and what came out of its simulation."""

    entry: Row
    tracings: tuple[Row, ...]
    stamp: CaseStamp


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


def _write_echonet_case(case: EchoNetCase) -> _Listing:
    """Video and evaluation masks of one cine; returns its rows of the tables and its stamp."""
    cine = simulate(case.seed, preset=case.preset, fps=case.clip.fps, duration_s=case.clip.duration_s)
    n_frames, height, width = cine.frames.shape
    files = (f"Videos/{case.name}.avi", f"EvaluationMasks/{case.name}.npz")
    write_video(case.root / files[0], cine.frames, cine.fps, (height, width))
    with atomic_path(case.root / files[1]) as path:
        np.savez_compressed(
            path,
            masks=(cine.labels == Structure.LV).astype(np.uint8),
            volume_ml=cine.volume_ml,
            visibility=cine.visibility,
            clear_from=np.float64(CLEAR_FROM),
        )
    volumes: Row = ("", "", "")
    if case.labelled:
        volumes = tuple(round(value, 4) for value in (cine.ef_percent, cine.esv_ml, cine.edv_ml))
    entry = (case.name, *volumes, height, width, f"{cine.fps:g}", n_frames, case.split)
    truth = truth_digest(cine, case.name, case.split, labelled=case.labelled)
    stamps = {file: FileStamp.of((case.root / file).read_bytes()) for file in files}
    stamp = CaseStamp(case.name, case.split, content_digest(truth, cine.frames), truth, stamps)
    return _Listing(entry, _tracing_rows(cine, f"{case.name}.avi") if case.labelled else (), stamp)


def write_cases(
    root: Path,
    record: Mapping[str, object],
    cases: Sequence[EchoNetCase],
    *,
    workers: int = 1,
    progress: Progress | None = None,
) -> str:
    """Write the cases of a folder that was begun, then sign it, then list them: a run that was stopped lists nothing.

    Args:
        root: the folder.
        record: what `begin_folder` returned.
        cases: in the order in which they are listed.
        workers: processes.
        progress: called after every cine.

    Returns:
        SHA-256 of the content of all cases.
    """
    listings: list[_Listing] = []
    for listing in in_order(_write_echonet_case, cases, workers):
        listings.append(listing)
        if progress is not None:
            progress(len(listings), len(cases))
    tables = {
        "VolumeTracings.csv": _table(_TRACINGS, [row for listing in listings for row in listing.tracings]),
        "FileList.csv": _file_list(cases, [listing.entry for listing in listings]),
    }
    stamps = {name: FileStamp.of(text.encode()) for name, text in tables.items()}
    sha256 = sign_folder(root, record, [listing.stamp for listing in listings], stamps)
    for name, text in tables.items():
        atomic_write_text(root / name, text)
    return sha256


def _file_list(cases: Sequence[EchoNetCase], entries: list[Row]) -> str:
    """FileList.csv, with a column that the original does not have where label budgets have an order."""
    if all(case.label_order is None for case in cases):
        return _table(_FILE_LIST, entries)
    orders = ["" if case.label_order is None else case.label_order for case in cases]
    rows: list[Row] = [(*entry, order) for entry, order in zip(entries, orders, strict=True)]
    return _table((*_FILE_LIST, _LABEL_ORDER), rows)


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
    masks (T, H, W), volumes and visibility of all frames, which no training may read, and
    `simulation.json`. The tables are written last: a run that was stopped leaves none. The same seed gives the same bytes,
    whatever `workers`.

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
    check_workers(workers)
    record = begin_folder(folder, "echonet", seed, chosen, {"cines": counts, **asdict(timing)})
    cases = [
        EchoNetCase(folder, f"0X{patient:016X}", patient, split, chosen, timing)
        for split, count in counts.items()
        for patient in (case_seed(seed, ECHONET_SPLITS.index(split), number) for number in range(count))
    ]
    write_cases(folder, record, cases, workers=workers, progress=progress)


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
    visibility = min(cine.visibility[cine.ed_frame], cine.visibility[cine.es_frame])
    if visibility >= _GOOD:
        return "Good"
    return "Medium" if visibility >= _MEDIUM else "Poor"


def _camus_info(cine: SimulatedCine) -> dict[str, object]:
    """Contents of `Info_*.cfg`, with the true volumes under the names of the older release; frames count from 1 in the half sequence."""
    return {
        "ED": cine.ed_frame + 1,
        "ES": cine.es_frame + 1,
        "NbFrame": len(cine.frames),
        "Sex": cine.patient.sex,
        "Age": cine.patient.age_years,
        "ImageQuality": _image_quality(cine),
        "EF": f"{cine.ef_percent:.2f}",
        "LVedv": f"{cine.edv_ml:.2f}",
        "LVesv": f"{cine.esv_ml:.2f}",
        "FrameRate": f"{cine.fps:g}",
    }


class LabelledClip(Protocol):
    """What `write_camus_view` writes: frames and labels uint8 (T, H, W), and what is known of them."""

    @property
    def frames(self) -> UInt8: ...  # noqa: D102
    @property
    def labels(self) -> UInt8: ...  # noqa: D102
    @property
    def ed_frame(self) -> int: ...  # noqa: D102
    @property
    def es_frame(self) -> int: ...  # noqa: D102
    @property
    def fps(self) -> float: ...  # noqa: D102
    @property
    def spacing(self) -> Spacing | None: ...  # noqa: D102


def _write_part(stem: str, clip: LabelledClip, frames: slice) -> None:
    """Image and labels of some frames as `<stem>.nii.gz` and `<stem>_gt.nii.gz`."""
    _, height, width = clip.frames.shape
    for suffix, array in (("", clip.frames[frames]), ("_gt", clip.labels[frames])):
        fps = clip.fps if len(array) > 1 else None
        write_nifti(f"{stem}{suffix}.nii.gz", array, len(array), (height, width), clip.spacing, fps)


def write_camus_view(folder: Path, tag: str, clip: LabelledClip, info: Mapping[str, object]) -> None:
    """All files of one view: both stills, the half sequence, the labels of all of its frames, `Info_<tag>.cfg`.

    Args:
        folder: of the patient; its name is the patient's.
        tag: 2CH or 4CH.
        clip: the half sequence.
        info: lines of the cfg file.
    """
    stem = str(folder / f"{folder.name}_{tag}")
    _write_part(f"{stem}_ED", clip, slice(clip.ed_frame, clip.ed_frame + 1))
    _write_part(f"{stem}_ES", clip, slice(clip.es_frame, clip.es_frame + 1))
    _write_part(f"{stem}_half_sequence", clip, slice(None))
    atomic_write_text(folder / f"Info_{tag}.cfg", "".join(f"{key}: {value}\n" for key, value in info.items()))


def write_patient_lists(root: Path, patients: Mapping[str, Sequence[str]]) -> None:
    """`database_split/subgroup_*.txt` of every split of CAMUS."""
    for split in CAMUS_SPLITS:
        names = "".join(f"{name}\n" for name in patients.get(split, ()))
        atomic_write_text(root / "database_split" / f"subgroup_{split}.txt", names)


def camus_name(number: int) -> str:
    """Name of a patient."""
    return f"patient{number:04d}"


def _write_camus_case(case: _Case) -> None:
    """All files of one patient."""
    folder = case.root / "database_nifti" / camus_name(case.number)
    for view, tag in CAMUS_VIEWS:
        cine = simulate(case.seed, preset=case.preset, view=view, layout="camus", fps=case.clip.fps, span="half_beat")
        write_camus_view(folder, tag, cine, _camus_info(cine))


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
    `Info_{2CH,4CH}.cfg`, whose volumes are the biplane ones of the masks, as in the original, where the preset is
    `through_the_apex`; `database_split/subgroup_*.txt`; in addition `simulation.json`. Some half sequences run from
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
    check_workers(workers)
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
    lists = {split: [camus_name(case.number) for case in cases if case.split == split] for split in CAMUS_SPLITS}
    write_patient_lists(folder, lists)
