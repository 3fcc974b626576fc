"""A model against a labelled data set: overlap, distances, ejection fraction, steadiness in time, each with its interval."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from echoseg.cine import Cine, Float64, Instant, Segmentation, Spacing, Structure
from echoseg.clinical import ef_percent, measure_cine, measure_frame, simpson_single_plane
from echoseg.datasets import Case, Dataset, Simulation, read_simulation
from echoseg.engine import Segmenter
from echoseg.errors import InputError, UsageError
from echoseg.io import atomic_write_text
from echoseg.metrics import Agreement, SegmentationScores, ef_agreement, temporal_consistency

Frames = Literal["edes", "all"]
Progress = Callable[[int, int], None]

RESULT_FILE, CASES_FILE, FRAMES_FILE = "evaluation.json", "cases.csv", "frames.csv"
SAMPLED = 10
"""Frames ED..ES that papers average over when they say "all frames"."""
CLEAR, DROPOUT = "clear", "dropout"


@dataclass(frozen=True)
class CaseEjection:
    """Ejection fractions of a case, percent; None where one could not be measured.

    Attributes:
        case: the case.
        predicted: from the predicted masks of the labelled ED and ES frames.
        reference: from the expert masks of the same frames.
        published: as the data set's own table says.
        found: from the predicted masks alone, median over the beats that were found.
    """

    case: str
    predicted: float | None
    reference: float | None
    published: float | None
    found: float | None


@dataclass(frozen=True, eq=False)
class BorderVisibility:
    """How much of the endocardium can be seen on every frame of a cine, as a simulation knows it.

    Attributes:
        visibility: (T,) from 0 (nothing) to 1 (all).
        clear_from: frames of at least this visibility are clear, the others are dropout frames.
    """

    visibility: Float64
    clear_from: float

    def tags(self, frame: int) -> dict[str, str]:
        """Group and visibility of a frame."""
        seen = float(self.visibility[frame])
        return {"border": CLEAR if seen >= self.clear_from else DROPOUT, "visibility": f"{seen:.4f}"}


@dataclass
class Evaluation:
    """Scores of all cases so far.

    Attributes:
        frames: which frames are scored.
        structures: what the model draws; nothing else can be held against it.
        scores: by structure.
        ejections: by case.
        roughness: of the LV's area, by case.
        clear_from: visibility from which frames count as clear; None where the data do not say what can be seen.
        failed: case -> what went wrong.
    """

    frames: Frames
    structures: tuple[Structure, ...] = (Structure.LV, Structure.MYOCARDIUM, Structure.LA)
    scores: dict[Structure, SegmentationScores] = field(default_factory=dict)
    ejections: list[CaseEjection] = field(default_factory=list)
    roughness: dict[str, float] = field(default_factory=dict)
    clear_from: float | None = None
    failed: dict[str, str] = field(default_factory=dict)

    def add(self, case: Case, cine: Cine, segmentation: Segmentation, border: BorderVisibility | None = None) -> None:
        """Score one case."""
        present = {int(v) for mask in cine.masks.values() for v in np.unique(mask)}
        sampled = sampled_frames(cine)
        for frame, reference in cine.masks.items():
            predicted = segmentation.masks[frame]
            tags = {**frame_tags(case, cine, frame, sampled), **(border.tags(frame) if border else {})}
            for structure in self.structures:
                if structure in present:
                    scores = self.scores.setdefault(structure, SegmentationScores())
                    scores.add(case.id, frame, predicted == structure, reference == structure, cine.spacing, tags)
        self.clear_from = border.clear_from if border else self.clear_from
        self.ejections.append(case_ejection(case, cine, segmentation))
        if len(segmentation.masks) >= 3:
            masks = (mask == Structure.LV for mask in segmentation.masks)
            self.roughness[case.id] = temporal_consistency(masks).area_roughness


def evaluate_model(
    segmenter: Segmenter,
    dataset: Dataset,
    *,
    split: str = "test",
    frames: Frames = "edes",
    out: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Segment every case of a split and compare.

    Args:
        segmenter: loaded model.
        dataset: labelled cines.
        split: train, val or test.
        frames: `edes` scores the labelled ED and ES frames, `all` every frame that has a mask.
        out: folder for `evaluation.json`, `cases.csv` and `frames.csv`; None writes nothing.
        progress: called with (done, total).

    Returns:
        The content of `evaluation.json`; `table` holds its main numbers as [name, value] rows.
    """
    if frames not in ("edes", "all"):
        raise UsageError(f"frames={frames!r}: choose edes or all")
    cases = dataset.cases(split)
    if not cases:
        raise InputError(f"{dataset.root}: split {split!r} is empty; it has {', '.join(dataset.splits()) or 'none'}")
    simulation = read_simulation(dataset.root)
    evaluation = Evaluation(frames, tuple(Structure(label) for label in segmenter.config.structures))
    for i, case in enumerate(cases):
        try:
            cine = dataset.load(case, frames)
            evaluation.add(case, cine, segmenter(cine), border_visibility(dataset, case, cine))
        except InputError as error:
            evaluation.failed[case.id] = str(error)
        if progress is not None:
            progress(i + 1, len(cases))
    if Structure.LV not in evaluation.scores:
        raise InputError(f"{dataset.root}: no LV of split {split!r} could be scored; run `echoseg data check` on it")
    document = summarise(evaluation, segmenter.config.title, dataset, split, simulation)
    if out is not None:
        write_evaluation(out, evaluation, document)
    return document


def border_visibility(dataset: Dataset, case: Case, cine: Cine) -> BorderVisibility | None:
    """What a simulated case says of its frames; None where it says nothing."""
    extras = dataset.evaluation_extras(case)
    if "visibility" not in extras or "clear_from" not in extras:
        return None
    visibility, clear_from = extras["visibility"], extras["clear_from"]
    if visibility.shape != (len(cine),) or clear_from.shape:
        raise InputError(
            f"{cine.source}: visibility {visibility.shape} of {len(cine)} frames, clear from {clear_from.shape}; "
            "simulate the folder again"
        )
    return BorderVisibility(visibility, float(clear_from))


def sampled_frames(cine: Cine) -> set[int]:
    """The ten frames from ED to ES that published tables average over."""
    if Instant.ED not in cine.instants or Instant.ES not in cine.instants:
        return set()
    ends = cine.instants[Instant.ED], cine.instants[Instant.ES]
    return {int(i) for i in np.rint(np.linspace(*ends, SAMPLED))}


def frame_tags(case: Case, cine: Cine, frame: int, sampled: set[int]) -> Mapping[str, str]:
    """Groups of a frame: instant, part of the ten sampled frames, image quality."""
    instants = {frame_: instant.value for instant, frame_ in cine.instants.items()}
    return {
        "instant": instants.get(frame, "between"),
        "sampled": str(frame in sampled),
        "quality": case.quality or "unknown",
    }


def case_ejection(case: Case, cine: Cine, segmentation: Segmentation) -> CaseEjection:
    """EF of a case in every way that can be compared."""
    predicted = masks_ef(cine, {frame: segmentation.masks[frame] for frame in cine.instants.values()})
    found = None
    if len(cine) > 2:
        try:
            summary = measure_cine(segmentation).summary
            found = None if summary is None else summary.ef_percent
        except InputError:
            found = None
    return CaseEjection(case.id, predicted, masks_ef(cine, cine.masks), case.ef_percent, found)


def masks_ef(cine: Cine, masks: Mapping[int, np.ndarray[Any, np.dtype[np.uint8]]]) -> float | None:
    """Single-plane EF, percent, of the masks at ED and ES; None where a volume cannot be measured."""
    spacing = cine.spacing or Spacing(1.0, 1.0)
    volumes = []
    for instant in (Instant.ED, Instant.ES):
        frame = cine.instants.get(instant)
        if frame is None or frame not in masks:
            return None
        discs = measure_frame(masks[frame], spacing).discs
        if discs is None:
            return None
        volumes.append(simpson_single_plane(discs))
    return ef_percent(volumes[0], volumes[1])


def summarise(
    evaluation: Evaluation, model: str, dataset: Dataset, split: str, simulation: Simulation | None = None
) -> dict[str, Any]:
    """Content of `evaluation.json`."""
    lv = evaluation.scores[Structure.LV]
    groups = {
        "all": lv,
        "ED": lv.where(instant="ED"),
        "ES": lv.where(instant="ES"),
        "sampled": lv.where(sampled="True"),
    }
    if evaluation.clear_from is not None:
        groups |= {border: lv.where(border=border) for border in (CLEAR, DROPOUT)}
    qualities = sorted({score.tags["quality"] for score in lv.frames} - {"unknown"})
    groups |= {f"quality {quality}": lv.where(quality=quality) for quality in qualities}
    document: dict[str, Any] = {
        "schema": 1,
        "model": model,
        "data": {
            "layout": dataset.name,
            "split": split,
            "fingerprint": dataset.fingerprint(),
            "cases": len(lv.per_case()),
            "failed": evaluation.failed,
            **({} if simulation is None else {"simulation": _signature(simulation)}),
        },
        "frames": evaluation.frames,
        "LV": {name: _summary(scores) for name, scores in groups.items() if scores.frames},
        "structures": {s.name: _summary(v) for s, v in evaluation.scores.items() if s is not Structure.LV},
        "ef": dict(_agreements(evaluation.ejections)),
        "area_roughness": _mean(list(evaluation.roughness.values())),
    }
    if evaluation.clear_from is not None:
        counts = {border: len(groups[border].frames) for border in (CLEAR, DROPOUT)}
        document["visibility"] = {"clear_from": evaluation.clear_from, "frames": counts}
    document["table"] = list(_rows(document))
    return document


def write_evaluation(out: Path, evaluation: Evaluation, document: Mapping[str, Any]) -> None:
    """Write the three files."""
    out.mkdir(parents=True, exist_ok=True)
    lv, borders = evaluation.scores[Structure.LV], () if evaluation.clear_from is None else (CLEAR, DROPOUT)
    dice, by_border = lv.per_case(), [lv.where(border=border).per_case() for border in borders]
    header = [
        "case",
        "lv_dice",
        "ef_predicted_percent",
        "ef_reference_percent",
        "ef_published_percent",
        "ef_found_percent",
        *(f"lv_dice_{border}" for border in borders),
    ]
    rows = [
        [
            e.case,
            *(_cell(v) for v in (dice.get(e.case), e.predicted, e.reference, e.published, e.found)),
            *(_cell(found.get(e.case)) for found in by_border),
        ]
        for e in evaluation.ejections
    ]
    atomic_write_text(out / CASES_FILE, _csv(header, rows))
    seen = ["border", "visibility"] if borders else []
    header = ["case", "frame", "structure", "instant", "dice", "hd95", "assd", *seen]
    frame_rows = [
        [
            *(s.case, s.frame, structure.name, s.tags["instant"]),
            *(_cell(v) for v in (s.dice, s.hd95_pooled, s.assd)),
            *(s.tags.get(name, "") for name in seen),
        ]
        for structure, scores in evaluation.scores.items()
        for s in scores.frames
    ]
    atomic_write_text(out / FRAMES_FILE, _csv(header, frame_rows))
    atomic_write_text(out / RESULT_FILE, json.dumps(document, indent=1, allow_nan=False) + "\n")


def _signature(simulation: Simulation) -> dict[str, Any]:
    return {
        "set": simulation.set_name,
        "sha256": simulation.sha256,
        "truth_sha256": simulation.truth_sha256,
        "title": simulation.title,
        "changed": list(simulation.changed),
    }


def _summary(scores: SegmentationScores) -> dict[str, Any]:
    found: dict[str, Any] = finite(asdict(scores.summary(np.random.default_rng(0))))
    return found


def _agreements(ejections: list[CaseEjection]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Predicted against expert masks, against the published value, and the found beats against both."""
    pairs = (
        ("labelled frames against expert masks", "predicted", "reference"),
        ("labelled frames against published", "predicted", "published"),
        ("found beats against expert masks", "found", "reference"),
        ("found beats against published", "found", "published"),
    )
    for name, ours, theirs in pairs:
        both = [(getattr(e, ours), getattr(e, theirs)) for e in ejections]
        measured = [(a, b) for a, b in both if a is not None and b is not None]
        if len(measured) >= 2:
            agreement = ef_agreement([a for a, _ in measured], [b for _, b in measured], np.random.default_rng(0))
            yield name, finite({**asdict_agreement(agreement), "unmeasured": len(both) - len(measured)})


def asdict_agreement(agreement: Agreement) -> dict[str, Any]:
    """Agreement as JSON values."""
    names = ("n", "bias", "sd", "mae", "r", "icc", "limits")
    return {name: getattr(agreement, name) for name in names} | {"intervals": dict(agreement.intervals)}


def finite(value: Any) -> Any:  # noqa: ANN401
    """A copy fit for JSON: NaN becomes null, tuples become lists."""
    if isinstance(value, Mapping):
        return {str(k): finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(v) for v in value]
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return value


def _rows(document: Mapping[str, Any]) -> Iterator[list[str]]:
    names = {"all": "LV Dice, scored frames", "sampled": "LV Dice, ten frames ED..ES"}
    for group, found in document["LV"].items():
        if group not in (CLEAR, DROPOUT):
            yield [names.get(group, f"LV Dice, {group}"), _with_interval(found["dice"], 100, "%")]
    everything = document["LV"]["all"]
    unit = everything["distance_unit"]
    yield ["LV HD95 (pooled distances)", _with_interval(everything["distances"]["hd95_pooled"], 1, unit)]
    yield ["LV ASSD", _with_interval(everything["distances"]["assd"], 1, unit)]
    for border, count in document.get("visibility", {"frames": {}})["frames"].items():
        frames = f"{count} {border} frames"
        if count:
            found = document["LV"][border]
            yield [f"LV Dice, {frames}", _with_interval(found["dice"], 100, "%")]
            yield [f"LV HD95, {frames}", _with_interval(found["distances"]["hd95_pooled"], 1, unit)]
        else:
            yield [f"LV Dice, {frames}", "none to score"]
    for name, found in document["structures"].items():
        yield [f"{name} Dice", _with_interval(found["dice"], 100, "%")]
    for name, found in document["ef"].items():
        r = "undefined" if found["r"] is None else f"{found['r']:.3f}"
        text = (
            f"bias {found['bias']:+.1f}, SD {found['sd']:.1f}, MAE {found['mae']:.1f} points, r {r} (n = {found['n']})"
        )
        yield [f"EF, {name}", text]
    if document["area_roughness"] is not None:
        yield ["LV area roughness", f"{document['area_roughness']:.4f}"]


def _with_interval(found: Mapping[str, Any], scale: float, unit: str) -> str:
    if found["mean"] is None:
        return "undefined"
    low, high = found["interval"]
    span = "" if low is None else f" ({scale * low:.2f} to {scale * high:.2f})"
    return f"{scale * found['mean']:.2f}{span} {unit}"


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _cell(value: float | None) -> str:
    return "" if value is None or not math.isfinite(value) else f"{value:.4f}"


def _csv(header: list[str], rows: list[list[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


__all__ = ["CaseEjection", "Evaluation", "evaluate_model"]
