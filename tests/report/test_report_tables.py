import csv
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from echoseg.report import CaseRecord, RunInfo, result_document, write_run, write_summary
from echoseg.report.text import volume_text


def records(make):
    _, segmentation, indices = make.case()
    _, empty, nothing = make.case(n_frames=3, empty=range(3))
    return [
        CaseRecord("a", "a.avi", "done", 1.23456, result=result_document(segmentation, indices)),
        CaseRecord("b", "b.avi", "skipped", result=result_document(empty, nothing)),
        CaseRecord("=cmd|'/c calc'!A1", "c.avi", "failed", 0.1, error="c.avi: broken; copy it again"),
    ]


def test_summary_has_a_row_for_every_case(make, tmp_path):
    cases = records(make)
    rows = list(csv.DictReader(write_summary(tmp_path, cases).read_text().splitlines()))
    assert [row["status"] for row in rows] == ["done", "skipped", "failed"]
    assert float(rows[0]["ef_percent"]) == cases[0].result["ef_percent"]
    assert float(rows[0]["ef_lowest_percent"]) <= float(rows[0]["ef_highest_percent"])
    assert (rows[0]["volume_unit"], rows[0]["quality"]) == ("mL", cases[0].result["quality"]["flag"])
    assert rows[1]["ef_percent"] == ""
    assert rows[1]["quality"] == "fail"
    assert rows[2]["error"] == "c.avi: broken; copy it again"


def test_a_spreadsheet_runs_no_file_name(make, tmp_path):
    rows = list(csv.DictReader(write_summary(tmp_path, records(make)).read_text().splitlines()))
    assert rows[2]["case"] == "'=cmd|'/c calc'!A1"


def test_run_record(make, tmp_path):
    start = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
    info = RunInfo(["echoseg", "segment", "a.avi"], "tiny 1.0", start, start + timedelta(seconds=2.5))
    document = json.loads(write_run(tmp_path, info, records(make)).read_text())
    assert document["schema"] == 1
    assert document["call"] == ["echoseg", "segment", "a.avi"]
    assert (document["started"], document["seconds"]) == ("2025-01-02T03:04:05+00:00", 2.5)
    assert document["counts"] == {"done": 1, "failed": 1, "skipped": 1}
    assert document["cases"][0] == {
        "case": "a",
        "source": "a.avi",
        "study": None,
        "status": "done",
        "seconds": 1.235,
        "error": None,
        "quality": records(make)[0].result["quality"]["flag"],
    }
    assert document["cases"][2]["quality"] is None


@pytest.mark.parametrize(
    ("value", "text"), [(118.4, "118"), (7.26, "7.3"), (0.0, "0"), (176633.0, "176\u202f633"), (float("nan"), "–")]
)
def test_volumes_as_text(value, text):
    assert volume_text(value) == text


def test_importing_the_room_is_cheap_and_torch_free():
    code = "import sys, echoseg.report, echoseg.engine; print({'torch', 'PIL', 'av', 'scipy', 'onnxruntime'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
