"""What a call over many cases says at its end: warnings, tables, the line of `--json`, the exit code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from echoseg.cli.output import complain, say, write_json
from echoseg.cli.sources import counted, listed
from echoseg.cli.table import show_cases, show_studies
from echoseg.errors import EchosegError, PartialFailureError
from echoseg.report import CaseRecord
from echoseg.report.result import Document
from echoseg.report.studies import StudyRecord

_CASE_KEYS = (
    "view",
    "ef_percent",
    "ef_range",
    "ef_regressed",
    "edv",
    "esv",
    "unit",
    "method",
    "n_beats",
    "heart_rate_bpm",
    "quality",
    "warnings",
)
_STUDY_KEYS = ("ef_percent", "edv", "esv", "unit", "method", "n_beats", "quality", "chosen", "warnings")


@dataclass(frozen=True)
class Outcome:
    """How a call ended.

    Attributes:
        out: folder of the results.
        record_dir: folder of the tables.
        model: name and version of the model, None where none was loaded.
        shard: the share of the cases, as the user wrote it; None for all.
        ignored: number of files that were left alone.
        records: how each case ended.
        studies: what came of each study.
        stored: UIDs of the objects that a server took; None where none were to be sent.
    """

    out: Path
    record_dir: Path
    model: str | None
    shard: str | None
    ignored: int
    records: Sequence[CaseRecord]
    studies: Sequence[StudyRecord]
    stored: Sequence[str] | None = None


def show_outcome(outcome: Outcome, *, as_json: bool) -> None:
    """Say what came of a call: on stderr what went wrong, on stdout the tables or one line for another program."""
    records = outcome.records
    _show_warnings(records)
    failed = sum(one.status == "failed" for one in records)
    if failed and len(records) > 1:
        complain(f"{failed} of {len(records)} cases failed; see {outcome.record_dir / 'summary.csv'}")
    if as_json:
        write_json(_document(outcome))
    elif any(one.result is not None for one in records):
        show_cases(outcome.out, outcome.record_dir, records)
        if any(study.has_results for study in outcome.studies) and len(records) > 1:
            show_studies(outcome.record_dir, outcome.studies)
        if outcome.stored is not None:
            say(f"stored   {counted(len(outcome.stored), 'DICOM object')} on the server")


def exit_code(records: Sequence[CaseRecord], failures: Sequence[EchosegError]) -> int:
    """0, 5 if some cases failed, or the exit code of the first error if all did."""
    if not failures:
        return 0
    written = any(one.result is not None for one in records)
    return PartialFailureError.exit_code if written else failures[0].exit_code


def _show_warnings(records: Sequence[CaseRecord]) -> None:
    """Every warning once, with the cases that it is about; those of kept cases were shown when they were made."""
    cases: dict[str, list[str]] = {}
    for one in records:
        if one.result is not None and one.status == "done":
            for warning in one.result["warnings"]:
                cases.setdefault(str(warning).removeprefix(f"{one.result['source']}: "), []).append(one.case)
    for warning, names in cases.items():
        about = names[0] if len(names) == 1 else f"{len(names)} cases ({listed(names)})"
        complain(f"warning: {about}: {warning}")


def _document(outcome: Outcome) -> Document:
    """The line that `--json` writes."""
    return {
        "out": str(outcome.out),
        "model": outcome.model,
        "shard": outcome.shard,
        "counts": dict(sorted(Counter(one.status for one in outcome.records).items())),
        "ignored": outcome.ignored,
        "summary": str(outcome.record_dir / "summary.csv"),
        "run": str(outcome.record_dir / "run.json"),
        "stored": None if outcome.stored is None else list(outcome.stored),
        "cases": [
            {"case": one.case, "source": one.source, "study": one.study, "status": one.status, "error": one.error}
            | ({key: one.result.get(key) for key in _CASE_KEYS} if one.result is not None else {})
            for one in outcome.records
        ],
        "studies": [
            {"study": one.place.name, "status": one.status} | {key: one.document.get(key) for key in _STUDY_KEYS}
            for one in outcome.studies
        ],
    }
