"""`run.json`: what was called, with what, and how each case ended."""

from __future__ import annotations

import json
import platform
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from echoseg.io import atomic_write_text
from echoseg.report.result import Document
from echoseg.version import __version__

SCHEMA = 1
RUN_FILE = "run.json"

Status = Literal["done", "skipped", "failed"]


@dataclass(frozen=True)
class CaseRecord:
    """How one case ended.

    Attributes:
        case: name of the case, that of its folder.
        source: the file it was made from.
        status: `done`, `skipped` (a result was there already) or `failed`.
        seconds: time it took.
        error: the message, for a failed case.
        result: content of its `result.json`, None for a failed case.
        confidence: median confidence of its frames, None where the masks did not come from a model.
        study: name of the study that it belongs to, None where none is known.
    """

    case: str
    source: str
    status: Status
    seconds: float = 0.0
    error: str | None = None
    result: Document | None = None
    confidence: float | None = None
    study: str | None = None


@dataclass(frozen=True)
class RunInfo:
    """What was called.

    Attributes:
        call: the command line, or the function and its arguments.
        model: name and version of the model, None where none was used.
        started: when the call began, with its time zone.
        finished: when it ended.
        left_alone: names of files and objects that were found and not worked on, each with a noun for what it is.
    """

    call: Sequence[str]
    model: str | None
    started: datetime
    finished: datetime
    left_alone: Sequence[tuple[str, str]] = ()


def run_document(info: RunInfo, cases: Sequence[CaseRecord]) -> Document:
    """Content of `run.json`."""
    return {
        "schema": SCHEMA,
        "echoseg": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "call": list(info.call),
        "model": info.model,
        "started": info.started.isoformat(timespec="seconds"),
        "finished": info.finished.isoformat(timespec="seconds"),
        "seconds": round((info.finished - info.started).total_seconds(), 3),
        "counts": {status: n for status, n in sorted(Counter(case.status for case in cases).items())},
        "cases": [
            {
                "case": case.case,
                "source": case.source,
                "study": case.study,
                "status": case.status,
                "seconds": round(case.seconds, 3),
                "error": case.error,
                "quality": case.result["quality"]["flag"] if case.result else None,
            }
            for case in cases
        ],
        "left_alone": [{"source": source, "is": noun} for source, noun in info.left_alone],
    }


def write_run(out_dir: Path, info: RunInfo, cases: Sequence[CaseRecord]) -> Path:
    """Write `run.json`; returns its path."""
    path = out_dir / RUN_FILE
    text = json.dumps(run_document(info, cases), indent=1, ensure_ascii=False, allow_nan=False)
    atomic_write_text(path, text + "\n")
    return path
