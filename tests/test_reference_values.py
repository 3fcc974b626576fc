"""Results against tables of reference values: matching by name, statistics against closed forms, refusals."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from echoseg.errors import InputError
from echoseg.reference_comparison import AGREEMENT_FILE, PAIRS_FILE, compare_with_references
from echoseg.reference_values import read_references

SUMMARY = ("case", "source", "study", "status", "ef_percent", "edv", "esv", "volume_unit", "quality", "error")
STUDIES = ("study", "patient_id", "study_uid", "status", "ef_percent", "edv", "esv", "volume_unit", "quality")
EFS = (60.0, 50.0, 40.0, 30.0)
TRUE_EFS = (58.0, 51.0, 41.0, 26.0)


def _write(path: Path, header: tuple[str, ...], rows: list[dict[str, object]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, header, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def _row(name: str, ef: object, **known: object) -> dict[str, object]:
    row = {"case": name, "source": f"/data/{name}.avi", "status": "done", "ef_percent": ef, "edv": 100, "esv": 40}
    return row | {"volume_unit": "mL", "quality": "pass"} | known


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A folder of results: four cines, one that failed, one without a reference."""
    out = tmp_path / "out"
    out.mkdir()
    rows = [_row(name, ef) for name, ef in zip("abcd", EFS, strict=True)]
    rows[3] |= {"quality": "review", "volume_unit": "px3"}
    rows += [_row("broken", "", status="failed", quality="", error="broken.avi: cut"), _row("extra", 55)]
    _write(out / "summary.csv", SUMMARY, rows)
    return out


def _references(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "references.csv"
    path.write_text(text)
    return path


@pytest.fixture
def references(tmp_path: Path) -> Path:
    lines = [f"{name},{ef},{edv},P1" for name, ef, edv in zip("abcd", TRUE_EFS, (90, 110, 100, 95), strict=True)]
    return _references(tmp_path, "\n".join(["FileName,EF,EDV,Patient", *lines, "broken,50,,", "gone,61,,", ",,,"]))


def test_statistics_of_the_pairs(results, references, tmp_path):
    document = compare_with_references(references, results, tmp_path / "compared")
    found = document["agreement"]["ef"]
    differences = np.subtract(EFS, TRUE_EFS)
    assert (found["n"], found["unit"], found["patients"]) == (4, "%", 1)
    assert found["bias"] == pytest.approx(differences.mean())
    assert found["sd"] == pytest.approx(differences.std(ddof=1))
    assert found["mae"] == pytest.approx(np.abs(differences).mean())
    assert found["limits"] == pytest.approx([differences.mean() + k * 1.96 * differences.std(ddof=1) for k in (-1, 1)])
    assert found["r"] == pytest.approx(np.corrcoef(EFS, TRUE_EFS)[0, 1])
    assert 0.9 < found["icc"] < 1
    assert "ICC(2,1)" in document["icc"]
    assert found["intervals"]["bias"] == [None, None]  # of one patient there is no interval
    assert document["ef_by_quality"]["review"] == {"n": 1, "bias": 4.0, "mae": 4.0}
    assert document["agreement"]["edv"]["n"] == 3  # d is in cubic pixels
    assert "esv" not in document["agreement"]


def test_what_has_no_partner_is_named(results, references):
    document = compare_with_references(references, results)
    assert document["without_result"] == ["gone"]
    assert document["without_reference"] == ["extra"]
    assert document["failed"] == {"broken": "broken.avi: cut"}
    assert document["ambiguous"] == {}


def test_the_files(results, references, tmp_path):
    document = compare_with_references(references, results, tmp_path / "compared")
    assert json.loads((tmp_path / "compared" / AGREEMENT_FILE).read_text()) == document
    rows = list(csv.DictReader((tmp_path / "compared" / PAIRS_FILE).read_text().splitlines()))
    assert [row["case"] for row in rows] == ["a", "b", "c", "d", "broken"]
    assert (rows[0]["ef"], rows[0]["ef_reference"], rows[0]["ef_difference"]) == ("60.0000", "58.0000", "2.0000")
    assert (rows[3]["edv"], rows[3]["edv_reference"]) == ("", "95.0000")
    assert rows[4]["error"] == "broken.avi: cut"


def test_intervals_are_drawn_by_patient(results, tmp_path):
    """Two patients of whom each has two cines: four times the same two answers leave the interval wide."""
    lines = [f"{name},{ef},P{i // 2}" for i, (name, ef) in enumerate(zip("abcd", (58, 48, 44, 34), strict=True))]
    by_patient = compare_with_references(_references(tmp_path, "\n".join(["case,ef,patient", *lines])), results)
    lines = [line.rpartition(",")[0] for line in lines]
    by_cine = compare_with_references(_references(tmp_path, "\n".join(["case,ef", *lines])), results)
    wide, narrow = (one["agreement"]["ef"]["intervals"]["bias"] for one in (by_patient, by_cine))
    assert wide == [-4.0, 2.0]
    assert (by_patient["agreement"]["ef"]["patients"], by_cine["agreement"]["ef"]["patients"]) == (2, 4)
    assert narrow[1] - narrow[0] <= wide[1] - wide[0]


@pytest.mark.parametrize("name", ["/data/{}.avi", "data/{}.avi", "{}.avi", "{}", "elsewhere/{}.dcm"])
def test_a_cine_is_known_by_path_file_or_name(results, tmp_path, name):
    lines = [f"{name.format(case)},{ef}" for case, ef in zip("abcd", TRUE_EFS, strict=True)]
    document = compare_with_references(_references(tmp_path, "\n".join(["file,ef", *lines])), results)
    assert document["agreement"]["ef"]["n"] == 4


def test_names_that_several_results_bear_are_ambiguous_without_their_folder(tmp_path):
    rows = [_row(f"p{i}-cine", 50 + i, source=f"/data/p{i}/cine.avi") for i in range(3)]
    summary = _write(tmp_path / "summary.csv", SUMMARY, rows)
    by_path = _references(tmp_path, "file,ef\np0/cine.avi,50\np1/cine.avi,50\np2/cine.avi,51\n")
    assert compare_with_references(by_path, summary)["agreement"]["ef"]["n"] == 3
    mixed = _references(tmp_path, "file,ef\np0/cine.avi,50\np1/cine.avi,50\ncine.avi,51\n")
    document = compare_with_references(mixed, summary)
    assert document["ambiguous"] == {"cine.avi": ["p0-cine", "p1-cine", "p2-cine"]}
    assert document["without_reference"] == []


def test_studies_are_compared_by_study_or_patient(tmp_path):
    rows = [
        {"study": f"s{i}", "patient_id": f"P{i}", "study_uid": f"1.2.{i}", "status": "done", "ef_percent": 50 + i}
        | {"edv": 100, "esv": 50, "volume_unit": "mL", "quality": "pass"}
        for i in range(3)
    ]
    _write(tmp_path / "studies.csv", STUDIES, rows)
    for header, name in (("study", "s{}"), ("study_uid", "1.2.{}"), ("patient_id", "P{}")):
        lines = [f"{name.format(i)},{50 + i}" for i in range(3)]
        document = compare_with_references(_references(tmp_path, "\n".join([f"{header},ef", *lines])), tmp_path)
        assert (document["level"], document["agreement"]["ef"]["n"], document["agreement"]["ef"]["mae"]) == (
            "study",
            3,
            0,
        )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,ef\na,50\n", "no column names cines or studies"),
        ("case,edv\na,50\n", r"no column holds EF"),
        ("case,ef\na,0.5\nb,0.6\n", "give percent, not fractions"),
        ("case,ef\na,50\na,51\n", "a in lines 2 and 3"),
        ("case,ef\na,500\n", "line 2: EF of 500"),
        ("case,ef\n", "no row with a name and an EF"),
        ("case,ef\na,50\nnobody,51\n", "1 of its 2 rows can be compared, at least two"),
        ("case,ef\na,50\na.avi,51\n", "both mean a"),
    ],
)
def test_tables_that_cannot_be_compared_are_refused(results, tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        compare_with_references(_references(tmp_path, text), results)


def test_results_that_are_not_there(tmp_path):
    with pytest.raises(InputError, match=r"summary\.csv: not there; segment or measure"):
        compare_with_references(_references(tmp_path, "case,ef\na,50\n"), tmp_path)
    with pytest.raises(InputError, match=r"studies\.csv: not there.*names cines \(column file\)"):
        compare_with_references(_references(tmp_path, "study,ef\na,50\n"), tmp_path)


def test_a_name_like_a_formula_is_found_again(tmp_path):
    rows = [_row("'=a", 50, source="/data/x.avi"), _row("b", 51)]
    _write(tmp_path / "summary.csv", SUMMARY, rows)
    document = compare_with_references(_references(tmp_path, "case,ef\n=a,50\nb,50\n"), tmp_path, tmp_path / "out")
    assert document["agreement"]["ef"]["n"] == 2
    assert "'=a" in (tmp_path / "out" / PAIRS_FILE).read_text()


def test_a_table_of_echonet_dynamic_is_one_of_reference_values(tmp_path):
    path = _references(tmp_path, "FileName,EF,ESV,EDV,Split\n0X1,55.5,40.1,90.2,TEST\n")
    level, (row,) = read_references(path)
    assert (level, row.name, row.values) == ("case", "0X1", {"ef": 55.5, "edv": 90.2, "esv": 40.1})
