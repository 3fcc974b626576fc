"""Tables for people, on stdout."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from echoseg.cli.output import printable, say
from echoseg.report import STUDIES_FILE, CaseRecord
from echoseg.report.case import REPORT_FILE
from echoseg.report.result import Document
from echoseg.report.studies import StudyRecord
from echoseg.report.text import NOT_KNOWN, UNIT_LABELS, volume_text

COHORT_FILE = "cohort.html"  # as in `report/cohort.py`, which loads statistics that a call without news can do without
_FILE_WIDTH = 120  # columns where stdout is no terminal
_COLOURS = {"pass": "green", "review": "yellow", "fail": "red", "failed": "red", "error": "red", "warning": "yellow"}


def console() -> Console:
    """Where tables go."""
    return Console(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else _FILE_WIDTH)


def show_table(header: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[int] = ()) -> None:
    """Show rows of text; words such as `fail` and `error` are coloured on a terminal.

    Args:
        header: names of the columns.
        rows: cells, taken as they are and not as markup.
        right: columns of numbers.
    """
    numbers = set(right)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for i, name in enumerate(header):
        table.add_column(name, justify="right" if i in numbers else "left", no_wrap=i in numbers, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell), style=_COLOURS.get(cell, "")) for cell in row))
    console().print(table)


def show_cases(out: Path, record_dir: Path, records: Sequence[CaseRecord]) -> None:
    """The numbers of every case, and where the rest is."""
    header = ["case", "EF", "EDV", "ESV", "beats", "quality", "because"]
    rows = [list(_case_row(one)) for one in records]
    regressed = [_regressed(one) for one in records]
    if any(regressed):
        header[1:2] = ["EF, volumes", "EF, regressed"]
        for row, cell in zip(rows, regressed, strict=True):
            row.insert(2, cell or NOT_KNOWN)
    show_table(header, rows, right=range(1, len(header) - 2))
    done = [one for one in records if one.result is not None]
    folder = out / (done[0].case if len(done) == 1 else "CASE")
    has_report = (out / done[0].case / REPORT_FILE).is_file()
    where = f"report   {folder / REPORT_FILE}" if has_report else f"results  {folder}"
    counts = Counter(one.status for one in records)
    words = ", ".join(f"{counts[status]} {status}" for status in ("done", "skipped", "failed") if counts[status])
    page = record_dir / COHORT_FILE
    several = f"\nall      {printable(str(page))}" if len(records) > 1 and page.is_file() else ""
    say(f"{words}\n{printable(where)}{several}\nsummary  {printable(str(record_dir / 'summary.csv'))}")


def show_studies(record_dir: Path, studies: Sequence[StudyRecord]) -> None:
    """The numbers of every study, and which cines they come from."""
    say("")
    show_table(["study", "EF", "EDV", "ESV", "from", "quality", "because"], map(_study_row, studies), right=range(1, 4))
    say(f"studies  {printable(str(record_dir / STUDIES_FILE))}")


def _study_row(study: StudyRecord) -> tuple[str, ...]:
    document = study.document
    origin = " + ".join(f"{view} {choice['case']}" for view, choice in document["chosen"].items())
    if document["ef_percent"] is None:
        return (
            study.place.name,
            NOT_KNOWN,
            NOT_KNOWN,
            NOT_KNOWN,
            origin or NOT_KNOWN,
            "failed",
            "nothing could be measured",
        )
    quality = document["quality"]
    because = document["warnings"] or ([] if quality["flag"] == "pass" else quality["reasons"])
    volumes = _volume(document, "edv"), _volume(document, "esv")
    return (
        study.place.name,
        f"{document['ef_percent']:.0f} %",
        *volumes,
        origin,
        quality["flag"],
        "".join(because[:1]),
    )


def _case_row(one: CaseRecord) -> tuple[str, ...]:
    result = one.result
    if result is None:
        return one.case, NOT_KNOWN, NOT_KNOWN, NOT_KNOWN, NOT_KNOWN, one.status, one.error or ""
    ef = NOT_KNOWN if result["ef_percent"] is None else f"{result['ef_percent']:.0f} %"
    flag, reasons = result["quality"]["flag"], result["quality"]["reasons"]
    because = "" if flag == "pass" or not reasons else reasons[0]
    return one.case, ef, _volume(result, "edv"), _volume(result, "esv"), str(result["n_beats"]), flag, because


def _regressed(one: CaseRecord) -> str | None:
    """What a network read off the frames, None where none was asked."""
    found = None if one.result is None else one.result.get("ef_regressed")
    return None if found is None else f"{found['ef_percent']:.0f} %"


def _volume(result: Document, key: str) -> str:
    value = result[key]
    return NOT_KNOWN if value is None else f"{volume_text(value)} {UNIT_LABELS[result['unit']]}"
