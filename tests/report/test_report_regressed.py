"""A regressed ejection fraction stands beside the one from volumes, each named for what it is."""

import csv

from tests.report.test_report_page import Balance, page_of

from echoseg.clinical import RegressedEf, with_regressed
from echoseg.report import CaseRecord, result_document, write_summary

FOUND = RegressedEf((54.0, 56.0, 61.0), "css-ef-e 1", ("view A2C, but css-ef-e 1 learned on A4C alone",))


def made_with(make, found: RegressedEf = FOUND):
    cine, segmentation, indices = make.case()
    return cine, segmentation, with_regressed(indices, found)


def test_result_holds_both(make):
    _, segmentation, indices = made_with(make)
    document = result_document(segmentation, indices)
    assert document["ef_regressed"] == {
        "ef_percent": 57.0, "sd_percent": 3.6056, "clips_percent": [54.0, 56.0, 61.0], "model": "css-ef-e 1",
    }  # fmt: skip
    assert document["ef_percent"] == round(indices.summary.ef_percent, 4) != 57.0
    assert FOUND.warnings[0] in document["warnings"]


def test_nothing_was_asked_for_and_nothing_is_said(make):
    _, segmentation, indices = made = make.case()
    assert result_document(segmentation, indices)["ef_regressed"] is None
    assert "regressed" not in Balance(page_of(made)).text


def test_the_page_names_both(make):
    text = Balance(page_of(made_with(make))).text
    assert "EF, regressed 57 %" in text
    assert "mean of 3 clips, SD 3.6; by a network from the frames, without masks or volumes (css-ef-e 1)" in text
    assert "method of discs (Simpson)" in text


def test_a_single_clip_has_no_spread_and_names_are_escaped(make):
    page = page_of(made_with(make, RegressedEf((50.0,), "<b>evil</b>")))
    assert "one clip; by a network" in page
    assert "<b>evil</b>" not in page


def test_the_summary_has_columns_for_it(make, tmp_path):
    _, segmentation, indices = made_with(make)
    _, plain, other = make.case()
    records = [
        CaseRecord("a", "a.avi", "done", result=result_document(segmentation, indices)),
        CaseRecord("b", "b.avi", "done", result=result_document(plain, other)),
        CaseRecord(
            "c",
            "c.avi",
            "skipped",
            result={k: v for k, v in result_document(plain, other).items() if k != "ef_regressed"},
        ),
    ]
    rows = list(csv.DictReader(write_summary(tmp_path, records).read_text().splitlines()))
    assert [row["ef_regressed_percent"] for row in rows] == ["57.0", "", ""]
    assert [row["ef_regressed_model"] for row in rows] == ["css-ef-e 1", "", ""]
    assert rows[0]["ef_percent"] == rows[1]["ef_percent"]
