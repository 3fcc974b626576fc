"""`segment --ef-model`, `evaluate` and `train` of ejection fraction models."""

from __future__ import annotations

import json

import pytest
from tests.engine.ef_models import write_ef_model

from echoseg.recipes import EF_RECIPES


@pytest.fixture
def ef_model(tmp_path):
    return write_ef_model(tmp_path / "tiny-ef")


def test_segment_reports_both_ejection_fractions(echoseg, cine, model, ef_model, tmp_path):
    out = tmp_path / "out"
    answer = echoseg("segment", cine, "-o", out, "--model", model, "--ef-model", ef_model, "--formats", "html")
    assert answer.code == 0
    result = json.loads((out / "heart" / "result.json").read_text())
    regressed = result["ef_regressed"]
    assert regressed["model"] == "tiny-ef 2"
    assert "EF, volumes" in answer.out and "EF, regressed" in answer.out
    assert f"{regressed['ef_percent']:.0f} %" in answer.out and f"{result['ef_percent']:.0f} %" in answer.out
    assert "EF, regressed" in (out / "heart" / "report.html").read_text()
    assert f"{regressed['ef_percent']}" in (out / "summary.csv").read_text()


def test_without_the_flag_nothing_changes(echoseg, cine, model, tmp_path):
    answer = echoseg("segment", cine, "-o", tmp_path / "out", "--model", model, "--formats", "csv")
    assert "regressed" not in answer.out
    assert json.loads((tmp_path / "out" / "heart" / "result.json").read_text())["ef_regressed"] is None


def test_json_has_it(echoseg, cine, model, ef_model, tmp_path):
    words = ("segment", cine, "-o", tmp_path / "out", "--model", model, "--formats", "csv", "--json")
    (case,) = json.loads(echoseg(*words, "--ef-model", ef_model).out)["cases"]
    assert case["ef_regressed"]["model"] == "tiny-ef 2"


def test_models_given_to_the_wrong_flag_are_answered_with_the_right_one(echoseg, cine, model, ef_model, tmp_path):
    words = ("segment", cine, "-o", tmp_path / "out")
    answer = echoseg(*words, "--model", ef_model)
    assert answer.code == 4 and "--ef-model" in answer.err
    answer = echoseg(*words, "--model", model, "--ef-model", model)
    assert answer.code == 4 and "go with --model" in answer.err


def test_evaluate_tells_the_kind_of_model(echoseg, simulated_echonet, ef_model, tmp_path):
    words = ("evaluate", ef_model, "--data", simulated_echonet, "-o", tmp_path / "scores", "--seeds", "2")
    answer = echoseg(*words)
    assert answer.code == 0
    assert "EF MAE, one clip, 2 seeds" in answer.out and "evaluation.json, cases.csv\n" in answer.out
    document = json.loads(echoseg(*words, "--json").out)
    assert document["task"] == "ejection_fraction" and len(document["seeds"]) == 2


def test_the_model_of_a_run_is_found(echoseg, simulated_echonet, tmp_path):
    write_ef_model(tmp_path / "run" / "model")
    answer = echoseg("evaluate", tmp_path / "run", "--data", simulated_echonet, "-o", tmp_path / "scores")
    assert answer.code == 0


def test_help_lists_the_recipes(echoseg):
    answer = echoseg("train", "--help")
    assert all(name in answer.out for name in EF_RECIPES)


@pytest.mark.parametrize("name", sorted(EF_RECIPES))
def test_every_recipe_lists_its_flags(echoseg, name):
    answer = echoseg("train", name, "--help")
    assert (answer.code, answer.err) == (0, "")
    for flag in ("--data DIR", "-o RUN", "--data.masks", "--data.teacher", "--network.width", "--train.drop-epochs"):
        assert flag in answer.out
