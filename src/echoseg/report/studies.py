"""Studies: which cine of a view speaks for a study and why, `study.json`, and a row of `studies.csv` for each.

    {"schema": 1, "echoseg": "0.1.0", "study": "IM_1", "patient_id", "study_date", "study_uid", "model",
     "edv", "esv", "ef_percent", "ef_range", "unit", "method", "n_beats", "quality": {"flag", "reasons"},
     "biplane": {"beats": [{"A4C", "A2C", "length_difference", "numbers"}], "median": {...}},
     "chosen": {"A4C": {"case", "because"} | null, "A2C": ...},
     "cases": [{"case", "source", "view", "status"}], "warnings": [...]}

The rule of choice: among the cines of a view of which an ejection fraction was measured, the one with the better quality flag; among
equals the one with more full beats; then with the higher median confidence; then the first by name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from echoseg.cine import View
from echoseg.errors import InputError
from echoseg.io import atomic_write_text
from echoseg.report.result import Document
from echoseg.report.run import CaseRecord, Status
from echoseg.version import __version__

SCHEMA = 1
STUDIES_DIR = "studies"
STUDY_FILE = "study.json"
FLAGS = ("pass", "review", "fail")
MEASURED_VIEWS = (View.A4C, View.A2C)


@dataclass(frozen=True)
class StudyPlace:
    """Which study it is.

    Attributes:
        name: name of its folder in the results.
        patient_id: PatientID, empty where unknown.
        date: StudyDate, empty where unknown.
        uid: StudyInstanceUID, empty where a user named the study.
    """

    name: str
    patient_id: str = ""
    date: str = ""
    uid: str = ""


@dataclass(frozen=True)
class StudyRecord:
    """What came of a study.

    Attributes:
        place: which study it is.
        status: `done`, `skipped` (a result was there already) or `failed` (nothing could be measured).
        document: content of `study.json`.
    """

    place: StudyPlace
    status: Status
    document: Document

    @property
    def has_results(self) -> bool:
        """Whether any of its cines has a result."""
        return any(one["status"] == "done" for one in self.document["cases"])


@dataclass(frozen=True)
class Choice:
    """The cine that speaks for a view.

    Attributes:
        record: how that case ended.
        because: why this one where there were several; empty where there was no choice.
    """

    record: CaseRecord
    because: str = ""

    @property
    def result(self) -> Document:
        """Content of its `result.json`."""
        if self.record.result is None:
            raise InputError(f"{self.record.case}: has no result; segment it first")
        return self.record.result


@dataclass(frozen=True)
class _Rank:
    """What is compared, best first."""

    flag: int
    full_beats: int
    confidence: float
    case: str

    @property
    def key(self) -> tuple[int, int, float, str]:
        return self.flag, -self.full_beats, -self.confidence, self.case


def choose(records: Sequence[CaseRecord], view: View) -> Choice | None:
    """The cine that speaks for a view, None where none was measured."""
    ranked = sorted(
        ((_rank(one, one.result), one) for one in records if one.result is not None and _measured(one.result, view)),
        key=lambda pair: pair[0].key,
    )
    if not ranked:
        return None
    (best, record), *others = ranked
    if not others:
        return Choice(record)
    return Choice(record, f"of {len(ranked)} {_of_view(view)}, {_because(best, others[0][0])}")


def better(first: CaseRecord, second: CaseRecord) -> bool:
    """Whether the first of two measured cines of a view is to be chosen."""
    if first.result is None or second.result is None:
        return second.result is None
    return _rank(first, first.result).key < _rank(second, second.result).key


def _measured(result: Document, view: View) -> bool:
    return result["view"] == view.value and result["ef_percent"] is not None


def _of_view(view: View) -> str:
    return "cines of unknown view" if view is View.UNKNOWN else f"{view.value} cines"


def _rank(record: CaseRecord, result: Document) -> _Rank:
    full = sum(bool(beat["complete"]) for beat in result["beats"])
    return _Rank(FLAGS.index(result["quality"]["flag"]), full, record.confidence or 0.0, record.case)


def _because(best: _Rank, second: _Rank) -> str:
    """Why one cine was preferred to the next best."""
    if best.flag != second.flag:
        return f"the better quality flag ({FLAGS[best.flag]}; {second.case}: {FLAGS[second.flag]})"
    if best.full_beats != second.full_beats:
        return f"equal flags, more full beats ({best.full_beats}; {second.case}: {second.full_beats})"
    if best.confidence != second.confidence:
        return f"equal flags and beats, the higher confidence ({best.confidence:.3f}; {second.case}: {second.confidence:.3f})"
    return f"equal to {second.case} in flag, beats and confidence, the first by name"


def study_document(
    place: StudyPlace,
    records: Sequence[CaseRecord],
    chosen: Mapping[View, Choice],
    numbers: Document,
    warnings: Sequence[str] = (),
) -> Document:
    """Content of `study.json`.

    Args:
        place: which study it is.
        records: how each of its cases ended.
        chosen: the cine of each view that speaks for it.
        numbers: what was measured, see `single_plane`; other keys are kept as they are.
        warnings: sentences that a user must see; that cines failed is added.
    """
    failed = [one.case for one in records if one.result is None]
    if failed and len(failed) < len(records):
        warnings = [*warnings, f"{len(failed)} of {len(records)} cines failed ({', '.join(failed[:3])})"]
    return {
        "schema": SCHEMA,
        "echoseg": __version__,
        "study": place.name,
        "patient_id": place.patient_id or None,
        "study_date": place.date or None,
        "study_uid": place.uid or None,
        "model": ", ".join(dict.fromkeys(str(choice.result["model"]) for choice in chosen.values())) or None,
        **numbers,
        "chosen": {
            view.value: {"case": choice.record.case, "because": choice.because or None}
            for view, choice in chosen.items()
        },
        "cases": [
            {
                "case": one.case,
                "source": one.source,
                "view": one.result["view"] if one.result else None,
                "status": "failed" if one.result is None else "done",
            }
            for one in records
        ],
        "warnings": list(dict.fromkeys(warnings)),
    }


def single_plane(choice: Choice | None) -> Document:
    """Numbers of a study of which one view was measured, or none."""
    keys = ("edv", "esv", "ef_percent", "ef_range", "unit", "method", "n_beats")
    if choice is None:
        return dict.fromkeys(keys) | {"n_beats": 0, "quality": None}
    return {key: choice.result[key] for key in keys} | {"quality": choice.result["quality"]}


def study_quality(choices: Sequence[Choice], warnings: Sequence[str] = ()) -> Document:
    """The gravest flag of several cines, each reason with the name of its case; warnings ask for a review at least.

    Args:
        choices: the cines that were measured together.
        warnings: what was found when they were.
    """
    found = [choice.result["quality"] for choice in choices]
    reasons = [
        f"{choice.record.case}: {reason}" for choice in choices for reason in choice.result["quality"]["reasons"]
    ]
    flags = [FLAGS.index(one["flag"]) for one in found] + [FLAGS.index("review")] * bool(warnings)
    return {"flag": FLAGS[max(flags)], "reasons": [*reasons, *warnings]}


def write_study(
    out: Path, place: StudyPlace, document: Document, extras: Mapping[str, Callable[[Path], None]] | None = None
) -> None:
    """Write `studies/<name>/study.json`, after the other files of the study; the earlier record goes first.

    Args:
        out: folder of the results.
        place: which study it is.
        document: what `study_document` gave.
        extras: more files: name -> function that writes it to the path that it is given, whole or not at all.
    """
    folder = out / STUDIES_DIR / place.name
    (folder / STUDY_FILE).unlink(missing_ok=True)
    for name, write in (extras or {}).items():
        write(folder / name)
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    atomic_write_text(folder / STUDY_FILE, text + "\n")


def read_study(out: Path, name: str) -> Document | None:
    """The record of an earlier call; None where there is none, or a damaged one that is made anew."""
    try:
        document = json.loads((out / STUDIES_DIR / name / STUDY_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) and document.get("schema") == SCHEMA else None


def read_study_record(out: Path, name: str) -> StudyRecord | None:
    """What came of a study in an earlier call; None where `read_study` finds nothing."""
    document = read_study(out, name)
    if document is None:
        return None
    place = StudyPlace(name, document["patient_id"] or "", document["study_date"] or "", document["study_uid"] or "")
    return StudyRecord(place, "failed" if document["ef_percent"] is None else "done", document)
