"""`cohort.html`: the studies and cines of a call on one page, and how they agree with reference values where those are given.

    write_cohort(out / "cohort.html", records, studies)
    write_cohort(out / "cohort.html", *read_records(results), references={"patient1": {"ef": 55.0, "edv": 120.0}}, folder=results)

Self-contained like `report.html`; the tables can be read without the script, which sorts and filters them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from statistics import median

from echoseg.io import atomic_write_text
from echoseg.report.cohort_agreement import References, agreement_section
from echoseg.report.cohort_rows import (
    FAILED,
    GRAVITY,
    VALUES,
    CohortRow,
    case_rows,
    report_links,
    study_rows,
)
from echoseg.report.page_content import signed
from echoseg.report.page_parts import FLAG_WORDS, RESEARCH_USE, page_of
from echoseg.report.run import CaseRecord
from echoseg.report.studies import StudyRecord
from echoseg.report.text import NOT_KNOWN, volume_text
from echoseg.version import __version__

COHORT_FILE = "cohort.html"

_COLUMNS = {
    "ef": "EF, %",
    "edv": "EDV, mL",
    "esv": "ESV, mL",
    "sv": "SV, mL",
    "hr": "HR, /min",
    "co": "CO, L/min",
    "gcs_endo": "GCS, %",
}
"""Column -> its title; a column of which no row has a value is left out."""


def write_cohort(
    path: Path | str,
    cases: Sequence[CaseRecord],
    studies: Sequence[StudyRecord] = (),
    references: References | None = None,
    *,
    folder: Path | None = None,
    patients: Mapping[str, str] | None = None,
    title: str = "Cohort",
) -> Path:
    """Write the page, whole or not at all.

    Args:
        path: where to.
        cases: how each cine ended; of `result`, the block "frames" is not needed.
        studies: what came of the studies, where studies are known.
        references: name of a study or a case -> reference values: "ef" in percent, "edv" and "esv" in mL, and
            "dice", "dice_ed", "dice_es" (0 to 1), overlap with reference masks. Studies and cines are compared apart.
        folder: folder that holds a folder for each case, whose reports are linked; by default that of the page.
        patients: name of a study or a case -> patient, whom the bootstrap draws whole; by default a study is its patient ID and
            a cine its study, else itself.
        title: heading of the page.

    Returns:
        The path.

    Raises:
        OutputError: the file cannot be written.
    """
    path = Path(path)
    links = report_links(cases, folder or path.parent, path.parent, "report.html")
    of_studies, of_cases = study_rows(studies, links), case_rows(cases, links)
    atomic_write_text(path, cohort_page(title, of_studies, of_cases, references or {}, patients or {}))
    return path


def cohort_page(
    title: str,
    studies: Sequence[CohortRow],
    cases: Sequence[CohortRow],
    references: References,
    patients: Mapping[str, str],
) -> str:
    """The page."""
    tables = [("studies", "Studies", studies)] if studies else []
    tables.append(("cines", "Cines", cases))
    return page_of(
        "cohort",
        title=escape(title),
        facts=_facts(studies, cases),
        cards=_cards(studies or cases, "studies" if studies else "cines"),
        agreement="\n".join(
            agreement_section(what, rows, references, patients) for _, what, rows in tables if references
        ),
        tables="\n".join(_table(name, what, rows) for name, what, rows in tables),
        footer=f"<p>Written by echoseg {escape(__version__)}. Numbers are medians over the beats of a cine, or over the pairs of "
        f"beats of a study.</p>{RESEARCH_USE}",
    )


def _facts(studies: Sequence[CohortRow], cases: Sequence[CohortRow]) -> str:
    words = [f"{len(studies)} {'study' if len(studies) == 1 else 'studies'}"] if studies else []
    words.append(f"{len(cases)} cine{'' if len(cases) == 1 else 's'}")
    return " · ".join(words)


def _cards(rows: Sequence[CohortRow], what: str) -> str:
    counts = Counter(row.flag for row in rows)
    cards = [
        f'<div class="card flagcard {flag}"><div class="name">{escape(FLAG_WORDS[flag])}</div>'
        f'<div class="value">{counts[flag]}</div><p class="note">{counts[flag] / max(1, len(rows)):.0%} of {what}</p></div>'
        for flag in GRAVITY
        if counts[flag] or flag != FAILED
    ]
    efs = [row.values["ef"] for row in rows if "ef" in row.values]
    value = f"{median(efs):.0f}" if efs else NOT_KNOWN
    note = f"median of {len(efs)}, {min(efs):.0f} to {max(efs):.0f} %" if efs else "none could be measured"
    cards.append(
        f'<div class="card"><div class="name">Ejection fraction</div><div class="value">{value}<span class="unit">%</span></div>'
        f'<p class="note">{note}</p></div>'
    )
    return "\n".join(cards)


def _table(name: str, what: str, rows: Sequence[CohortRow]) -> str:
    columns = [key for key in _COLUMNS if any(key in row.values for row in rows)]
    has_group = name == "cines" and any(row.group for row in rows)
    titles = [
        ("Cine" if name == "cines" else "Study", "text"),
        *([("Study", "text")] if has_group else []),
        ("Flag", "flag"),
        ("View", "text"),
        *((_COLUMNS[key], "number") for key in columns),
        ("Beats", "number"),
        ("Why", "text"),
    ]
    head = "".join(
        f'<th scope="col" data-kind="{kind}"><button type="button">{title}</button></th>' for title, kind in titles
    )
    body = "\n".join(_row(row, columns, has_group=has_group) for row in rows)
    return (
        f'<section class="listing" id="{name}"><h2>{what} <span class="shown" role="status"></span></h2><div class="scroll">'
        f'<table class="sortable"><caption class="unseen">{what}; the titles of the columns sort</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div></section>"
    )


def _row(row: CohortRow, columns: Iterable[str], *, has_group: bool) -> str:
    name = escape(row.name)
    cells = [f'<th scope="row" title="{escape(row.source)}">{_link(name, row.link)}</th>']
    if has_group:
        cells.append(f"<td>{escape(row.group)}</td>")
    cells.append(
        f'<td data-v="{GRAVITY[row.flag]}"><span class="badge {row.flag}">{escape(FLAG_WORDS[row.flag])}</span></td>'
    )
    cells.append(f"<td>{escape(row.view)}</td>")
    cells += [_number(key, row.values.get(key)) for key in columns]
    cells.append(f'<td class="num" data-v="{row.n_beats}">{row.n_beats or NOT_KNOWN}</td>')
    cells.append(f'<td class="why">{escape("; ".join(row.reasons))}</td>')
    return f'<tr data-flag="{row.flag}">{"".join(cells)}</tr>'


def _link(name: str, address: str) -> str:
    return f'<a href="{escape(address)}">{name}</a>' if address else name


def _number(key: str, value: float | None) -> str:
    if value is None:
        return f'<td class="num">{NOT_KNOWN}</td>'
    if key == "co":
        shown = f"{value / 1000:.1f}"
    else:
        shown = volume_text(value) if VALUES[key] == "mL" else signed(value, 1 if key == "gcs_endo" else 0)
    return f'<td class="num" data-v="{value:.6g}">{shown}</td>'
