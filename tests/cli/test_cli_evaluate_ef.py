"""`echoseg evaluate --ef`: what `measure` wrote against a table of reference values."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.clinical.hearts import ED, ES, beating

from echoseg.cine import Spacing
from echoseg.io import write_nifti


@pytest.fixture
def results(echoseg, tmp_path):
    """Three measured cines whose ejection fractions are known, one of them broken."""
    files = []
    for name, depth in (("one", 1.0), ("two", 0.7), ("three", 0.5)):
        masks = beating(lengths=(12, 12), depths=(depth, depth))
        files.append(tmp_path / f"{name}.nii.gz")
        write_nifti(files[-1], masks, len(masks), masks.shape[1:], Spacing(1.0, 1.0), 25.0)
    (tmp_path / "cut.nii.gz").write_bytes(files[0].read_bytes()[:300])
    echoseg("measure", *files, tmp_path / "cut.nii.gz", "-o", tmp_path / "out", "--formats", "csv")
    return tmp_path / "out"


def _truth(depth: float) -> float:
    names = ("length", "radius")
    length, radius = ((1 - depth) * getattr(ED, name) + depth * getattr(ES, name) for name in names)
    return 100 * (1 - length * radius**2 / (ED.length * ED.radius**2))


@pytest.fixture
def table(tmp_path):
    rows = [f"{name},{_truth(depth):.2f}" for name, depth in (("one", 1.0), ("two", 0.7), ("three", 0.5))]
    path = tmp_path / "reference.csv"
    path.write_text("\n".join(["case,ef", *rows, "unknown,55"]) + "\n")
    return path


def test_agreement_of_measured_masks(echoseg, results, table, tmp_path):
    answer = echoseg("evaluate", "--ef", table, results, "-o", tmp_path / "compared")
    assert answer.code == 0
    assert "1 rows without a result: unknown" in answer.err
    assert "1 results without a row: cut" in answer.err
    assert "EF, %" in answer.out
    found = json.loads((tmp_path / "compared" / "agreement.json").read_text())["agreement"]["ef"]
    assert found["n"] == 3
    assert found["mae"] < 1
    assert np.abs(found["bias"]) < 1
    assert (tmp_path / "compared" / "pairs.csv").is_file()
    page = (tmp_path / "compared" / "cohort.html").read_text()
    assert all(name in page for name in ("one", "two", "three", "cut"))


def test_json_and_a_result_that_failed(echoseg, results, table, tmp_path):
    with table.open("a") as file:
        file.write("cut,50\n")
    answer = echoseg("evaluate", f"--ef={table}", results / "summary.csv", "-o", tmp_path / "compared", "--json")
    assert answer.code == 5
    document = json.loads(answer.out)
    assert list(document["failed"]) == ["cut"]
    assert document["level"] == "case"
    assert "cut: has a reference, but no ejection fraction" in answer.err


def test_a_table_of_other_cines_is_bad_input(echoseg, results, tmp_path):
    table = tmp_path / "other.csv"
    table.write_text("case,ef\nx,50\ny,60\n")
    answer = echoseg("evaluate", "--ef", table, results, "-o", tmp_path / "compared")
    assert answer.code == 3
    assert "it names x, y, the results are one, two, three" in answer.err


def test_help_says_how(echoseg):
    answer = echoseg("evaluate", "--ef", "--help")
    assert answer.code == 0
    assert "REFERENCE.csv" in answer.out
    assert "evaluate --ef" in echoseg("evaluate", "--help").out
