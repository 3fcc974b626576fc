"""Which cine speaks for a view, and what is written of a study."""

from __future__ import annotations

import csv
import json

import pytest

from echoseg.cine import View
from echoseg.errors import OutputError
from echoseg.report import CaseRecord, write_studies
from echoseg.report.studies import (
    StudyPlace,
    StudyRecord,
    better,
    choose,
    read_study,
    single_plane,
    study_document,
    study_quality,
    write_study,
)

PLACE = StudyPlace("disk", "P1", "20240102", "1.2.3")


def record(case, flag="pass", beats=2, confidence=0.9, view="A4C", ef=55.0, reasons=()):
    result = {
        "view": view, "ef_percent": ef, "ef_range": [ef, ef], "edv": 100.0, "esv": 45.0, "unit": "mL", "model": "tiny 1.0",
        "method": "simpson_single_plane", "n_beats": beats, "quality": {"flag": flag, "reasons": list(reasons)},
        "beats": [{"complete": True}] * beats + [{"complete": False}],
    }  # fmt: skip
    return CaseRecord(case, f"/disk/{case}", "done", result=result, confidence=confidence)


FAILED = CaseRecord("broken", "/disk/broken", "failed", error="broken: cut; copy it again")


@pytest.mark.parametrize(
    ("others", "because"),
    [
        ([record("a", "review", 9, 0.99)], "the better quality flag (pass; a: review)"),
        ([record("a", "pass", 1, 0.99)], "equal flags, more full beats (2; a: 1)"),
        ([record("a", "pass", 2, 0.8)], "equal flags and beats, the higher confidence (0.900; a: 0.800)"),
        ([record("c", "pass", 2, 0.9)], "equal to c in flag, beats and confidence, the first by name"),
    ],
)
def test_the_rule_of_choice(others, because):
    chosen = choose([*others, record("b")], View.A4C)
    assert chosen.record.case == "b"
    assert chosen.because == f"of 2 A4C cines, {because}"
    assert better(record("b"), others[0])
    assert not better(others[0], record("b"))


def test_what_cannot_speak():
    records = [FAILED, record("a", ef=None), record("b", view="A2C")]
    assert choose(records, View.A4C) is None
    only = choose(records, View.A2C)
    assert (only.record.case, only.because) == ("b", "")
    assert better(record("b"), FAILED)


def test_the_gravest_flag_and_whose_it_is():
    choices = [
        choose([record("a")], View.A4C),
        choose([record("b", "fail", reasons=["no beat"], view="A2C")], View.A2C),
    ]
    assert study_quality(choices) == {"flag": "fail", "reasons": ["b: no beat"]}
    assert study_quality(choices[:1]) == {"flag": "pass", "reasons": []}
    warned = study_quality(choices[:1], ["long axes differ"])
    assert warned == {"flag": "review", "reasons": ["long axes differ"]}, "what was warned of does not pass"


def document(records, choice):
    return study_document(
        PLACE, records, {View.A4C: choice} if choice else {}, single_plane(choice), ["beware", "beware"]
    )


def test_a_record_and_its_row(tmp_path):
    records = [record("a"), FAILED]
    made = document(records, choose(records, View.A4C))
    assert made["cases"][1] == {"case": "broken", "source": "/disk/broken", "view": None, "status": "failed"}
    assert (made["model"], made["warnings"], made["study_uid"]) == (
        "tiny 1.0",
        ["beware", "1 of 2 cines failed (broken)"],
        "1.2.3",
    )
    write_study(tmp_path, PLACE, made)
    assert read_study(tmp_path, "disk") == made
    (row,) = csv.DictReader(write_studies(tmp_path, [StudyRecord(PLACE, "done", made)]).read_text().splitlines())
    assert (row["study"], row["ef_percent"], row["a4c_case"], row["n_failed"]) == ("disk", "55.0", "a", "1")
    assert row["sv_ml"] == "", "biplane only"


def test_biplane_numbers_in_the_row(tmp_path):
    made = document([record("a")], choose([record("a")], View.A4C))
    number = {"unit": "mL", "method": "simpson_biplane", "frames": {}}
    made["biplane"] = {
        "beats": [],
        "median": {"sv": {"value": 60.5, **number}, "la_volume_max": {"value": 9, **number, "unit": "px3"}},
    }
    (row,) = csv.DictReader(write_studies(tmp_path, [StudyRecord(PLACE, "done", made)]).read_text().splitlines())
    assert (row["sv_ml"], row["la_volume_max_ml"]) == ("60.5", ""), "another unit is not passed off as mL"


def test_a_study_of_which_nothing_could_be_measured(tmp_path):
    made = document([FAILED], None)
    assert (made["ef_percent"], made["quality"], made["chosen"], made["n_beats"]) == (None, None, {}, 0)
    (row,) = csv.DictReader(write_studies(tmp_path, [StudyRecord(PLACE, "failed", made)]).read_text().splitlines())
    assert (row["status"], row["quality"], row["ef_percent"]) == ("failed", "", "")


def test_the_record_is_there_only_when_the_rest_is(tmp_path):
    made = document([record("a")], choose([record("a")], View.A4C))
    write_study(tmp_path, PLACE, made)

    def fail(path):
        raise OutputError(f"{path}: cannot be written; free space")

    with pytest.raises(OutputError):
        write_study(tmp_path, PLACE, made, {"report.sr.dcm": fail})
    assert read_study(tmp_path, "disk") is None


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"schema": 99})])
def test_a_damaged_record_is_none(tmp_path, text):
    folder = tmp_path / "studies" / "disk"
    folder.mkdir(parents=True)
    (folder / "study.json").write_text(text)
    assert read_study(tmp_path, "disk") is None
