"""The cohort page of results that have reference values: `report/cohort.py`, fed from a folder of results."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from echoseg.errors import InputError
from echoseg.reference_values import Matching, Result
from echoseg.report import CaseRecord, read_result
from echoseg.report.cohort import write_cohort
from echoseg.report.studies import read_study_record

PAGE_FILE = "cohort.html"


def write_reference_page(out: Path, folder: Path, found: list[Result], matching: Matching) -> Path:
    """Write `cohort.html` with the agreement that `matching` allows.

    Args:
        out: folder for the page.
        folder: folder that `segment` or `measure` wrote.
        found: all its results, of the level that was compared.
        matching: which of them belongs to which reference.

    Raises:
        OutputError: the page cannot be written.
    """
    studies = [study for one in found if (study := read_study_record(folder, one.name)) is not None]
    return write_cohort(
        out / PAGE_FILE,
        list(_cases(folder, found)) if matching.level == "case" else [],
        studies if matching.level == "study" else [],
        {pair.result.name: dict(pair.reference.values) for pair in matching.pairs},
        folder=folder,
        patients={pair.result.name: pair.patient for pair in matching.pairs},
        title="Agreement with reference values",
    )


def _cases(folder: Path, found: list[Result]) -> Iterator[CaseRecord]:
    for one in found:
        try:
            result = None if one.error else read_result(folder / one.name)
        except InputError:  # named in the table of the call; the page shows the others
            result = None
        source = one.aliases[0] if one.aliases else one.name
        error = one.error or (None if result is not None else "its result.json is missing or damaged")
        yield CaseRecord(one.name, source, "failed" if result is None else "done", error=error, result=result)
