"""cohort.html: every case and study with its flag and report, and agreement with references that hides nothing."""

import csv
import re

import numpy as np
import pytest
from tests.report.test_report_page import Balance

from echoseg.errors import InputError, OutputError
from echoseg.metrics import ef_agreement
from echoseg.report import CaseRecord, RunInfo, read_records, result_document, write_case, write_cohort, write_run
from echoseg.report.cohort_agreement import Pairs, bland_altman, scatter
from echoseg.report.cohort_rows import case_rows, study_rows
from echoseg.report.studies import StudyPlace, StudyRecord, write_study

EVIL = "<script>alert(1)</script>\"'&$title"


def result(ef: float = 60.0, flag: str = "pass", **more) -> dict:
    """What a cohort needs of a `result.json`."""
    return {
        "view": "A4C",
        "ef_percent": ef,
        "edv": 120.0,
        "esv": 120.0 * (1 - ef / 100),
        "unit": "mL",
        "heart_rate_bpm": 70.0,
        "n_beats": 2,
        "quality": {"flag": flag, "reasons": [] if flag == "pass" else ["area jumps"]},
        "measures": {"median": {"co": {"value": 4870.0, "unit": "mL/min"}, "sv": {"value": 72.0, "unit": "mL"}}},
    } | more


def study(name: str, ef: float | None = 58.0, case: str = "a") -> StudyRecord:
    document = {
        "schema": 1,
        "patient_id": f"P-{name}",
        "study_date": None,
        "study_uid": None,
        "edv": 110.0,
        "esv": 46.0,
        "ef_percent": ef,
        "unit": "mL",
        "n_beats": 2,
        "quality": None if ef is None else {"flag": "review", "reasons": ["the views differ"]},
        "biplane": {"median": {"sv": {"value": 64.0, "unit": "mL"}}},
        "chosen": {"A4C": {"case": case, "because": None}, "A2C": None},
        "cases": [],
        "warnings": [],
    }
    return StudyRecord(StudyPlace(name, f"P-{name}"), "failed" if ef is None else "done", document)


def cohort(n: int = 30):
    """Records and references with known differences."""
    rng = np.random.default_rng(0)
    efs, errors = rng.normal(55, 10, n), rng.normal(1.5, 4, n)
    flags = ["pass", "review", "fail"]
    cases = [CaseRecord(f"c{i}", f"c{i}.dcm", "done", result=result(ef, flags[i % 3])) for i, ef in enumerate(efs)]
    return cases, {f"c{i}": {"ef": ef - error} for i, (ef, error) in enumerate(zip(efs, errors, strict=True))}, errors


def page_of(tmp_path, *arguments, **options) -> str:
    return write_cohort(tmp_path / "cohort.html", *arguments, **options).read_text(encoding="utf-8")


def rows_of(page: str, table: str) -> list[list[str]]:
    part = page[page.index(f'id="{table}"') :]
    body = part[part.index("<tbody>") : part.index("</tbody>")]
    return [
        [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row)]
        for row in re.findall(r"<tr.*?</tr>", body, re.DOTALL)
    ]


def test_every_case_has_a_row_failed_ones_too(tmp_path):
    cases = [
        CaseRecord("a", "a.dcm", "done", result=result(61.4)),
        CaseRecord("b", "b.dcm", "skipped", result=result(44.0, "fail", unit="px3")),
        CaseRecord("c", "c.dcm", "failed", error="c.dcm: damaged; copy it again"),
    ]
    page = page_of(tmp_path, cases)
    rows = rows_of(page, "cines")
    assert [row[:4] for row in rows] == [
        ["a", "✓ Pass", "A4C", "61"],
        ["b", "✕ Fail", "A4C", "44"],
        ["c", "– No result", "", "–"],
    ]
    assert rows[0][4:6] == ["120", "46"]
    assert rows[1][4:6] == ["–", "–"], "cubic pixels are no mL"
    assert rows[2][-1] == "c.dcm: damaged; copy it again"
    assert "4.9" in rows[0]
    parsed = Balance(page)
    assert "3 cines" in parsed.text
    assert "median of 2, 44 to 61 %" in parsed.text
    assert "agreement" not in parsed.text


def test_studies_come_first_and_lead_to_the_report_that_speaks_for_them(make, tmp_path):
    cine, segmentation, indices = make.case(n_frames=4)
    write_case(tmp_path / "a b", segmentation, indices, cine, frozenset({"html"}))
    document = result_document(segmentation, indices)
    cases = [
        CaseRecord("a b", "a.dcm", "done", result=document, study="s1"),
        CaseRecord("x", "x.dcm", "failed", study="s1"),
    ]
    page = page_of(tmp_path, cases, [study("s1", case="a b"), study("s2", ef=None)])
    assert page.index('id="studies"') < page.index('id="cines"')
    assert [row[:4] for row in rows_of(page, "studies")] == [
        ["s1", "! Review", "A4C", "58"],
        ["s2", "– No result", "A4C", "–"],
    ]
    assert page.count('href="a%20b/report.html"') == 2
    assert [row[1] for row in rows_of(page, "cines")] == ["s1", "s1"]


def test_links_from_another_folder(make, tmp_path):
    cine, segmentation, indices = make.case(n_frames=2)
    write_case(tmp_path / "out/a", segmentation, indices, cine, frozenset({"html"}))
    record = CaseRecord("a", "a.dcm", "done", result=result_document(segmentation, indices))
    (tmp_path / "evaluation").mkdir()
    page = write_cohort(tmp_path / "evaluation/cohort.html", [record], folder=tmp_path / "out").read_text()
    assert 'href="../out/a/report.html"' in page


def test_statistics_are_those_of_the_metrics(tmp_path):
    cases, references, errors = cohort()
    page = page_of(tmp_path, cases, references=references)
    text = Balance(page).text.replace("−", "-")
    expected = ef_agreement(
        [one.result["ef_percent"] for one in cases],
        [references[one.case]["ef"] for one in cases],
        np.random.default_rng(0),
    )
    assert expected.bias == pytest.approx(errors.mean())
    low, high = expected.intervals["bias"]
    for words in (
        f"{expected.bias:+.1f} ({low:+.1f} to {high:+.1f})",
        f"{expected.limits[0]:+.1f} to {expected.limits[1]:+.1f}",
        f"{expected.mae:.1f}",
        f"{expected.icc:.3f}",
        f"{expected.r:.3f}",
    ):
        assert words in text, words
    by_flag = page[page.index("by quality flag") :]
    by_flag = Balance(by_flag[by_flag.index("<tbody>") : by_flag.index("</tbody>") + 8]).text
    assert f"{errors[::3].mean():+.1f}".replace("-", "−") in by_flag


def test_the_bootstrap_draws_patients(tmp_path):
    """Two cines of each patient with the same difference: the interval is that of half as many cases."""
    cases, references, _ = cohort(20)
    twice = [CaseRecord(f"{one.case}{k}", "x", "done", result=one.result) for one in cases for k in "ab"]
    both = {f"{name}{k}": values for name, values in references.items() for k in "ab"}
    patients = {one.case: one.case[:-1] for one in twice}
    pairs = Pairs.of("ef", case_rows(twice, {}), both, patients)
    assert len(set(pairs.patients)) == 20
    drawn, alone = (
        pairs.agreement().intervals["bias"],
        Pairs.of("ef", case_rows(twice, {}), both, {}).agreement().intervals["bias"],
    )
    assert drawn[1] - drawn[0] > 1.2 * (alone[1] - alone[0])


def test_a_case_that_could_not_be_measured_is_not_hidden(tmp_path):
    cases, references, _ = cohort()
    cases[3] = CaseRecord("c3", "c3.dcm", "failed", error="c3.dcm: no frames")
    text = Balance(page_of(tmp_path, cases, references=references)).text
    assert "Left out of the statistics: 1 with a reference, but without an ejection fraction of their own: c3." in text


def test_plots_show_every_pair_where_it_belongs():
    cases, references, errors = cohort()
    pairs = Pairs.of("ef", case_rows(cases, {}), references, {})
    plot = bland_altman("ef", pairs, pairs.agreement())
    assert plot.svg().count("<circle") == len(scatter("ef", pairs).svg().split("<circle")) - 1 == 30
    dots = [shape for shape in plot.shapes if type(shape).__name__ == "Dot"]
    order = np.argsort([dot.y for dot in dots])
    assert (order == np.argsort(-errors)).all(), "the larger the difference, the higher"
    lines = {
        shape.style: shape.points[0][1] for shape in plot.shapes if getattr(shape, "style", "") in ("bias", "limit")
    }
    assert min(dot.y for dot in dots) < lines["bias"] < max(dot.y for dot in dots)


def test_overlap_with_reference_masks(tmp_path):
    cases, _, _ = cohort(5)
    references = {f"c{i}": {"dice": 0.9 + i / 100} for i in range(5)}
    text = Balance(page_of(tmp_path, cases, references=references)).text
    assert re.search(r"Dice 5 0\.920 \(0\.9\d\d to 0\.9\d\d\) 0\.920 0\.900", text)


@pytest.mark.parametrize("references", [{}, {"other": {"ef": 50.0}}, {"c1": {"ef": 50.0}}])
def test_too_few_pairs_give_a_table_without_statistics(tmp_path, references):
    cases, _, _ = cohort(4)
    page = page_of(tmp_path, cases, references=references)
    assert "agreement with the reference" not in page
    assert len(rows_of(page, "cines")) == 4


def test_constant_values_have_no_correlation(tmp_path):
    cases = [CaseRecord(f"c{i}", "x", "done", result=result(50.0)) for i in range(3)]
    page = page_of(tmp_path, cases, references={f"c{i}": {"ef": 50.0} for i in range(3)})
    assert "undefined" in page
    assert "nan" not in Balance(page).text.lower().split()


def test_untrusted_text_is_escaped(tmp_path):
    cases = [
        CaseRecord(EVIL, EVIL, "failed", error=EVIL, study=EVIL),
        CaseRecord("b", "b", "done", result=result(quality={"flag": "fail", "reasons": [EVIL]}, view=EVIL)),
    ]
    page = page_of(tmp_path, cases, [study(EVIL)], title=EVIL, references={EVIL: {"ef": 50.0}})
    assert page.count("<script") == 1
    assert Balance(page).text.count("alert(1)") >= 5
    assert not re.search(r"<[^>]+ (style|on[a-z]+)=", page)


def test_an_empty_call_and_a_place_that_cannot_be_written(tmp_path):
    assert "0 cines" in page_of(tmp_path, [])
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        write_cohort(tmp_path / "file/cohort.html", [])


def test_a_thousand_rows_are_written_at_once(tmp_path):
    cases, references, _ = cohort(1000)
    page = page_of(tmp_path, cases, references=references)
    assert len(page) < 2_500_000
    assert len(rows_of(page, "cines")) == 1000


def test_records_of_an_earlier_call_are_read_back(make, tmp_path):
    from datetime import datetime

    cine, segmentation, indices = make.case(n_frames=20)
    document = write_case(tmp_path / "a", segmentation, indices, cine, frozenset())
    cases = [
        CaseRecord("a", "a.dcm", "done", result=document, study="s1"),
        CaseRecord("b", "b.dcm", "failed", error="b: bad"),
    ]
    now = datetime.now().astimezone()
    write_run(tmp_path, RunInfo(("segment",), None, now, now), cases)
    write_study(tmp_path, StudyPlace("s1"), study("s1").document)
    read, studies = read_records(tmp_path)
    assert case_rows(read, {}) == case_rows(cases, {})
    assert study_rows(studies, {})[0].values["ef"] == 58.0
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(InputError, match="segment or measure into that folder first"):
        read_records(tmp_path)


def test_numbers_agree_with_the_summary(make, tmp_path):
    from echoseg.report import write_summary

    _, segmentation, indices = make.case()
    record = CaseRecord("a", "a.dcm", "done", result=result_document(segmentation, indices))
    (row,) = case_rows([record], {})
    (line,) = csv.DictReader(write_summary(tmp_path, [record]).read_text().splitlines())
    for key, column in {
        "ef": "ef_percent",
        "edv": "edv",
        "sv": "sv_ml",
        "hr": "heart_rate_bpm",
        "gcs_endo": "gcs_endo_percent",
    }.items():
        assert row.values[key] == pytest.approx(float(line[column])), key
