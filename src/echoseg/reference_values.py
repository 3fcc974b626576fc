"""Results of a call of `segment` or `measure` against a table of reference values: ejection fraction, EDV and ESV.

The table is a CSV file. One of its columns names the cine (`case`, `file`, `filename`) or the study (`study`, `patient`); others hold
the values: `ef` in percent, `edv` and `esv` in mL. `FileList.csv` of EchoNet-Dynamic is such a table. A column `patient` tells the
bootstrap which cines belong together; without it the studies of the results do, else every cine is taken for a patient.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from echoseg.datasets.tables import Table, number, read_table
from echoseg.errors import InputError
from echoseg.evaluation import asdict_agreement, finite
from echoseg.metrics import ef_agreement
from echoseg.version import __version__

Level = Literal["case", "study"]
UNITS = {"ef": "%", "edv": "mL", "esv": "mL"}
ICC = "ICC(2,1): two-way random effects, absolute agreement, single measurements"
_TABLES: Mapping[Level, str] = {"case": "summary.csv", "study": "studies.csv"}
_NAMES = {
    "case": ("case", "file", "filename", "file_name", "video", "cine", "source"),
    "study": ("study", "study_uid", "studyinstanceuid", "patient", "patient_id", "patientid"),
    "patient": ("patient", "patient_id", "patientid"),
    "ef": ("ef", "ef_percent", "lvef"),
    "edv": ("edv", "edv_ml", "lvedv"),
    "esv": ("esv", "esv_ml", "lvesv"),
}
_SUFFIX = re.compile(r"(\.nii)?\.[A-Za-z0-9]{1,6}$")
_SHOWN = 5  # how many names a message lists


@dataclass(frozen=True)
class Reference:
    """A row of the table of reference values.

    Attributes:
        line: its line in the file.
        name: cine or study that it names.
        patient: patient that it names, empty where it names none.
        values: "ef" in percent, "edv" and "esv" in mL, as far as they are there.
    """

    line: int
    name: str
    patient: str
    values: Mapping[str, float]


@dataclass(frozen=True)
class Result:
    """A row of the table of results.

    Attributes:
        name: case or study.
        aliases: other names that a table of reference values may know it by, the most exact first.
        patient: what tells its patient, empty where nothing does.
        flag: quality flag, empty for a failed one.
        error: why it failed, empty where it did not.
        values: as in `Reference`.
    """

    name: str
    aliases: tuple[str, ...]
    patient: str
    flag: str
    error: str
    values: Mapping[str, float]


@dataclass(frozen=True)
class Pair:
    """A result and its reference."""

    result: Result
    reference: Reference

    @property
    def patient(self) -> str:
        """What the bootstrap draws."""
        return self.reference.patient or self.result.patient or self.result.name


@dataclass(frozen=True)
class Matching:
    """Which result belongs to which reference.

    Attributes:
        level: whether cines or studies are compared.
        pairs: in the order of the references.
        without_result: references of which there is no result.
        without_reference: results of which there is no reference.
        ambiguous: references that several results answer to, with their names.
    """

    level: Level
    pairs: tuple[Pair, ...]
    without_result: tuple[str, ...] = ()
    without_reference: tuple[str, ...] = ()
    ambiguous: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def failed(self) -> dict[str, str]:
        """Results that have a reference, but no ejection fraction: name -> why."""
        return {
            pair.result.name: pair.result.error or "no beat could be measured"
            for pair in self.pairs
            if "ef" not in pair.result.values
        }

    def values(self, key: str) -> list[tuple[Pair, float, float]]:
        """Pairs that have a value on both sides, with the result's and the reference's."""
        return [
            (pair, pair.result.values[key], pair.reference.values[key])
            for pair in self.pairs
            if key in pair.result.values and key in pair.reference.values
        ]


def read_references(path: Path) -> tuple[Level, list[Reference]]:
    """Read a table of reference values, and whether it names cines or studies.

    Raises:
        InputError: the file cannot be read, names nothing or holds no EF, or its EF are no percentages.
    """
    table = read_table(path, ())
    level: Level = "case" if _column(table, "case") else "study"
    names, ef = _column(table, level), _column(table, "ef")
    if names is None or ef is None:
        missing = "names cines or studies (case, file, study or patient)" if names is None else "holds EF (ef)"
        raise InputError(f"{path}: no column {missing}; the first line must name the columns")
    columns = {key: _column(table, key) for key in UNITS}
    patient = _column(table, "patient") or ""
    found = []
    for line, row in enumerate(table.rows, start=2):
        cells = {key: number(table.get(row, column)) for key, column in columns.items() if column}
        values = {key: value for key, value in cells.items() if value is not None}
        if values and table.get(row, names):
            found.append(Reference(line, table.get(row, names), table.get(row, patient), values))
    _check(path, found)
    return level, found


def _column(table: Table, key: str) -> str | None:
    return next((name for name in _NAMES[key] if name in table.columns), None)


def _check(path: Path, references: Sequence[Reference]) -> None:
    first: dict[str, int] = {}
    for one in references:
        if one.name in first:
            raise InputError(f"{path}: {one.name} in lines {first[one.name]} and {one.line}; leave one of them out")
        first[one.name] = one.line
    efs = [one.values["ef"] for one in references if "ef" in one.values]
    if not efs:
        raise InputError(f"{path}: no row with a name and an EF; fill the table")
    if max(efs) <= 1:
        raise InputError(f"{path}: EF of {min(efs):g} to {max(efs):g}; give percent, not fractions")
    wrong = next((one for one in references if not -100 <= one.values.get("ef", 0) <= 100), None)
    if wrong is not None:
        raise InputError(f"{path}: line {wrong.line}: EF of {wrong.values['ef']:g}; give percent, at most 100")


def read_results(place: Path, level: Level) -> list[Result]:
    """Read `summary.csv` or `studies.csv`, given itself or by its folder."""
    path = place / _TABLES[level] if place.is_dir() else place
    if not path.is_file():
        cure = "segment or measure into that folder first"
        if level == "study":
            cure += "; a table of reference values that names cines (column file) is compared with summary.csv"
        raise InputError(f"{path}: not there; {cure}")
    table = read_table(path, (level, "status", "ef_percent", "volume_unit"))
    return [_result(table, row, level) for row in table.rows]


def _result(table: Table, row: list[str], level: Level) -> Result:
    def text(column: str) -> str:
        cell = table.get(row, column)
        # A cell that a spreadsheet would run as a formula was written with an apostrophe before it.
        return cell[1:] if re.match("'[=+@-]", cell) else cell

    in_ml = text("volume_unit") == "mL"
    cells = {"ef": number(text("ef_percent"))} | {key: number(text(key)) for key in ("edv", "esv") if in_ml}
    if level == "case":
        aliases = tuple(_trails(text("source")))
    else:
        aliases = tuple(filter(None, (text("study_uid"), text("patient_id"))))
    return Result(
        name=text(level),
        aliases=aliases,
        patient=text("study") if level == "case" else text("patient_id"),
        flag=text("quality"),
        error=text("error") or ("failed" if text("status") == "failed" else ""),
        values={key: value for key, value in cells.items() if value is not None},
    )


def _trails(source: str) -> Iterator[str]:
    """A path from ever nearer folders, and the file's name without its suffix.

    >>> list(_trails("/data/p1/cine.nii.gz"))
    ['/data/p1/cine.nii.gz', 'data/p1/cine.nii.gz', 'p1/cine.nii.gz', 'cine.nii.gz', 'cine']
    """
    parts = source.replace("\\", "/").split("/")
    for start in range(len(parts)):
        yield "/".join(parts[start:])
    yield _SUFFIX.sub("", parts[-1])


def match(level: Level, references: Sequence[Reference], results: Sequence[Result]) -> Matching:
    """Find the result of each reference: by its full name, then by the name of its file, then by that without suffix."""
    index: dict[str, list[int]] = {}
    for i, result in enumerate(results):
        for alias in dict.fromkeys((result.name, *result.aliases)):
            index.setdefault(alias, []).append(i)
    pairs: list[Pair] = []
    missing: list[str] = []
    ambiguous: dict[str, tuple[str, ...]] = {}
    used: dict[int, Reference] = {}
    for one in references:
        wanted = one.name.replace("\\", "/")
        short = wanted.rsplit("/", 1)[-1]
        found = next((index[name] for name in (wanted, short, _SUFFIX.sub("", short)) if name in index), [])
        if not found:
            missing.append(one.name)
        elif len(found) > 1:
            ambiguous[one.name] = tuple(results[i].name for i in found)
        elif found[0] in used:
            raise InputError(
                f"{one.name} and {used[found[0]].name} (lines {one.line} and {used[found[0]].line}) both mean {results[found[0]].name}; "
                "leave one of them out"
            )
        else:
            used[found[0]] = one
            pairs.append(Pair(results[found[0]], one))
    shared = {name for names in ambiguous.values() for name in names}
    others = [one.name for i, one in enumerate(results) if i not in used and one.name not in shared]
    return Matching(level, tuple(pairs), tuple(missing), tuple(others), ambiguous)


def shown(names: Iterable[str]) -> str:
    """The first few of a list of names.

    >>> shown(["a", "b", "c", "d", "e", "f", "g"])
    'a, b, c, d, e and 2 more'
    """
    every = list(names)
    more = len(every) - _SHOWN
    return ", ".join(every[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def agreement_document(matching: Matching, references: Path, results: Path) -> dict[str, Any]:
    """Content of `agreement.json`."""
    flags = sorted({pair.result.flag for pair in matching.pairs} - {""})
    ef = matching.values("ef")
    by_flag = {flag: [(ours, theirs) for pair, ours, theirs in ef if pair.result.flag == flag] for flag in flags}
    return {
        "schema": 1,
        "echoseg": __version__,
        "references": str(references),
        "results": str(results),
        "level": matching.level,
        "icc": ICC,
        "interval": "bootstrap over patients, 95 %",
        "agreement": {key: found for key in UNITS if (found := _agreement(matching, key)) is not None},
        "ef_by_quality": {
            flag: {
                "n": len(pairs),
                "bias": _mean([a - b for a, b in pairs]),
                "mae": _mean([abs(a - b) for a, b in pairs]),
            }
            for flag, pairs in by_flag.items()
        },
        "failed": matching.failed,
        "without_result": list(matching.without_result),
        "without_reference": list(matching.without_reference),
        "ambiguous": {name: list(names) for name, names in matching.ambiguous.items()},
    }


def _agreement(matching: Matching, key: str) -> dict[str, Any] | None:
    """Statistics of one value, None for fewer than two pairs."""
    values = matching.values(key)
    if len(values) < 2:
        return None
    patients = [pair.patient for pair, _, _ in values]
    found = ef_agreement(
        [ours for _, ours, _ in values],
        [theirs for _, _, theirs in values],
        np.random.default_rng(0),
        patients=patients,
    )
    measured: dict[str, Any] = finite(asdict_agreement(found))
    if len(set(patients)) < 2:  # drawing one patient again and again says nothing about others
        measured["intervals"] = {name: [None, None] for name in measured["intervals"]}
    return {"unit": UNITS[key], "patients": len(set(patients)), **measured}


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def pairs_csv(matching: Matching) -> str:
    """Text of `pairs.csv`: one row for each reference that has a result."""
    header = [matching.level, "reference", "patient", "quality"]
    header += [f"{key}{suffix}" for key in UNITS for suffix in ("", "_reference", "_difference")] + ["error"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for pair in matching.pairs:
        cells: list[str] = []
        for key in UNITS:
            ours, theirs = pair.result.values.get(key), pair.reference.values.get(key)
            difference = None if ours is None or theirs is None else ours - theirs
            cells += ["" if value is None else f"{value:.4f}" for value in (ours, theirs, difference)]
        names = (pair.result.name, pair.reference.name, pair.patient, pair.result.flag)
        writer.writerow([*map(_safe, names), *cells, _safe(pair.result.error)])
    return text.getvalue()


def _safe(cell: str) -> str:
    """A text that a spreadsheet would run as a formula gets an apostrophe before it."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
