"""Rows of the cohort's page: what a reader compares of many studies and cines."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from echoseg.errors import InputError
from echoseg.report.result import Document, read_result
from echoseg.report.run import RUN_FILE, CaseRecord
from echoseg.report.studies import FLAGS, StudyRecord, read_study_record

FAILED = "failed"
GRAVITY = {flag: rank for rank, flag in enumerate((*FLAGS, FAILED))}
"""Flag -> how grave it is; `failed` has no result at all."""
VALUES = {
    "edv": "mL",
    "esv": "mL",
    "sv": "mL",
    "ef": "%",
    "hr": "1/min",
    "co": "mL/min",
    "gcs_endo": "%",
}
"""Number of `clinical/measures.py` that has a column -> the unit of that column."""
_OF_RESULT = {"edv": "edv", "esv": "esv", "ef": "ef_percent", "hr": "heart_rate_bpm"}


@dataclass(frozen=True)
class CohortRow:
    """One study or one cine.

    Attributes:
        name: its name.
        flag: "pass", "review", "fail", or "failed" where there is no result.
        view: "A4C", "A2C", "A4C + A2C" or "unknown".
        values: key of `VALUES` -> number in its unit; what was not measured, or in another unit, is absent.
        reasons: why the flag is what it is, or why it failed.
        link: address of its report, empty where there is none.
        group: study of a cine; what the bootstrap of its statistics draws, empty where it is unknown.
        n_beats: number of beats measured.
        source: file that it was made of.
    """

    name: str
    flag: str
    view: str = ""
    values: Mapping[str, float] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    link: str = ""
    group: str = ""
    n_beats: int = 0
    source: str = ""


def case_rows(cases: Iterable[CaseRecord], reports: Mapping[str, str]) -> list[CohortRow]:
    """Rows of cines; `reports` has the address of a case's report."""
    return [_case_row(one, reports.get(one.case, "")) for one in cases]


def study_rows(studies: Iterable[StudyRecord], reports: Mapping[str, str]) -> list[CohortRow]:
    """Rows of studies; the report of a study is that of the cine that speaks for it."""
    return [_study_row(one, reports) for one in studies]


def report_links(cases: Iterable[CaseRecord], folder: Path, page_dir: Path, file: str) -> dict[str, str]:
    """Case -> address of its report, relative to the folder of the page; cases without a report are left out.

    Args:
        cases: the cases.
        folder: folder that holds a folder for each case.
        page_dir: folder of the page.
        file: name of a report.
    """
    up = os.path.relpath(folder.absolute(), page_dir.absolute()).replace(os.sep, "/")
    before = "" if up == "." else quote(up) + "/"
    return {one.case: before + quote(f"{one.case}/{file}") for one in cases if (folder / one.case / file).is_file()}


def read_records(folder: Path) -> tuple[list[CaseRecord], list[StudyRecord]]:
    """Records of an earlier call of `segment` or `measure`, from the `run.json` of its folder and the results beside it.

    Raises:
        InputError: there is no `run.json`, or it is damaged.
    """
    path = folder / RUN_FILE
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))["cases"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: not readable ({error}); segment or measure into that folder first") from error
    cases = [
        CaseRecord(
            case=one["case"],
            source=one["source"],
            status=one["status"],
            error=one.get("error"),
            result=None if one["status"] == FAILED else read_result(folder / one["case"]),
            study=one.get("study"),
        )
        for one in listed
    ]
    names = dict.fromkeys(one.study for one in cases if one.study)
    return cases, [study for name in names if (study := read_study_record(folder, name)) is not None]


def _case_row(one: CaseRecord, link: str) -> CohortRow:
    if one.result is None:
        return CohortRow(
            one.case, FAILED, reasons=(one.error or "no result",), group=one.study or "", source=one.source
        )
    result = one.result
    median = (result.get("measures") or {}).get("median") or {}
    return CohortRow(
        name=one.case,
        flag=result["quality"]["flag"],
        view=result["view"],
        values=_values(result, median),
        reasons=tuple(result["quality"]["reasons"]),
        link=link,
        group=one.study or "",
        n_beats=result["n_beats"],
        source=one.source,
    )


def _study_row(one: StudyRecord, reports: Mapping[str, str]) -> CohortRow:
    document = one.document
    quality = document["quality"] or {"flag": FAILED, "reasons": ["no cine of it could be measured"]}
    chosen = {view: found["case"] for view, found in document["chosen"].items() if found}
    median = (document.get("biplane") or {}).get("median") or {}
    return CohortRow(
        name=one.place.name,
        flag=quality["flag"],
        view=" + ".join(view for view in ("A4C", "A2C", "unknown") if view in chosen),
        values=_values(document, median),
        reasons=tuple(quality["reasons"]),
        link=next((reports[case] for case in chosen.values() if case in reports), ""),
        group=one.place.patient_id,
        n_beats=document["n_beats"] or 0,
        source=document["study_uid"] or "",
    )


def _values(document: Document, median: Document) -> dict[str, float]:
    """Numbers in the units of their columns: what was measured in pixels is left out."""
    found: dict[str, float] = {}
    for key, unit in VALUES.items():
        number = median.get(key)
        if number is not None and number["unit"] == unit:
            found[key] = number["value"]
    for key, name in _OF_RESULT.items():
        value = document.get(name)
        if value is not None and (VALUES[key] != "mL" or document["unit"] == "mL"):
            found[key] = value
    return found
