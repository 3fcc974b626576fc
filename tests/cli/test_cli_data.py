"""`echoseg simulate` and `echoseg data check`."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter

import pytest

from echoseg.cli import simulate
from echoseg.datasets import open_dataset
from echoseg.simulator import SETS, BenchmarkSet

SHORT = ("--fps", "10", "--duration", "0.5", "--preset", "easy", "--workers", "1")


@pytest.fixture(scope="module")
def echonet(tmp_path_factory):
    """Three short cines."""
    from echoseg.cli import main

    out = tmp_path_factory.mktemp("simulated") / "my data"
    assert main(["simulate", str(out), "--cines", "3", *SHORT]) == 0
    return out


@pytest.mark.parametrize(
    ("cines", "counts"),
    [(1, (1, 0, 0)), (2, (2, 0, 0)), (3, (1, 1, 1)), (4, (2, 1, 1)), (20, (14, 2, 4)), (100, (70, 10, 20))],
)
def test_cines_are_divided(cines, counts):
    assert simulate.divide(cines) == counts
    assert sum(counts) == cines


def test_echonet_layout(echonet):
    with (echonet / "FileList.csv").open(newline="") as file:
        splits = Counter(row["Split"] for row in csv.DictReader(file))
    assert splits == {"TRAIN": 1, "VAL": 1, "TEST": 1}
    assert open_dataset(echonet).name == "echonet"


def test_camus_layout_and_counts_of_the_user(echoseg, tmp_path):
    out = tmp_path / "camus"
    words = ("--format", "camus", "--splits", "1", "0", "1", "--fps", "10", "--preset", "easy", "--workers", "1")
    answer = echoseg("simulate", out, *words)
    assert (answer.code, answer.err) == (0, "")
    assert open_dataset(out).splits() == ("train", "test")
    assert "2 patients" in answer.out


@pytest.mark.parametrize("layout", ["echonet", "camus"])
def test_both_layouts_are_divided_by_one_rule(monkeypatch, echoseg, tmp_path, layout):
    given = []
    monkeypatch.setattr(simulate, f"write_{layout}", lambda root, counts, **options: given.append(counts))
    assert echoseg("simulate", tmp_path / "out", "--format", layout, "--cines", "10").code == 0
    assert [tuple(counts.values()) for counts in given] == [(7, 1, 2)]


def test_says_how_to_go_on(echoseg, tmp_path):
    out = tmp_path / "my data"
    answer = echoseg("simulate", out, "--cines", "1", *SHORT)
    for command in (
        "echoseg data check",
        "echoseg segment",
        "echoseg train echoforge-lite --data",
        "echoseg evaluate run",
    ):
        assert command in answer.out
    assert f"'{out}/Videos'" in answer.out, "a folder with a blank is quoted, so that the line can be pasted"


def test_same_seed_same_files_and_json(echoseg, tmp_path):
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        answer = echoseg("simulate", tmp_path / name, "--cines", "1", "--seed", str(seed), *SHORT, "--json")
        assert json.loads(answer.out)["counts"] == {"TRAIN": 1, "VAL": 0, "TEST": 0}
    a, b, c = (open_dataset(tmp_path / name).fingerprint() for name in "abc")
    assert a == b != c


def test_real_data_are_never_overwritten(echoseg, tmp_path):
    (tmp_path / "FileList.csv").write_text("FileName\n")
    answer = echoseg("simulate", tmp_path, "--cines", "1")
    assert answer.code == 3
    assert "choose another folder" in answer.err
    assert (tmp_path / "FileList.csv").read_text() == "FileName\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--cines", "0"], "--cines 0"),
        (["--cines", "2", "--splits", "1", "1", "1"], "contradict"),
        (["--splits", "0", "0", "0"], "--splits 0 0 0"),
        (["--fps", "0"], "--fps 0"),
        (["--duration", "-1"], "--duration -1"),
        (["--format", "camus", "--duration", "1"], "half beats"),
        (["--seed", "-1"], "--seed -1"),
        (["--workers", "0"], "0 workers"),
        (["--preset", "awful"], "invalid choice 'awful'"),
        (["--set", "simecho-v0"], "invalid choice 'simecho-v0'"),
    ],
)
def test_usage_errors_of_simulate(echoseg, tmp_path, words, message):
    answer = echoseg("simulate", tmp_path / "out", *words)
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err


NAME = "simecho-v1-mid"


@pytest.fixture
def small_set(monkeypatch):
    """The set of that name, for once a small one."""
    monkeypatch.setitem(SETS, NAME, BenchmarkSet(NAME, "easy", 1, 1, 1, 1, 1, fps=10, duration_s=0.2))


def test_a_benchmark_set_is_made_and_known_again(echoseg, small_set, model, tmp_path):
    answer = echoseg("simulate", tmp_path / "set", "--set", NAME, "--workers", "1")
    assert (answer.code, answer.err) == (0, "")
    sha256 = json.loads((tmp_path / "set" / "simulation.json").read_text())["sha256"]
    first = answer.out.splitlines()[0]
    assert first == (
        f"{tmp_path / 'set'}: {NAME} {sha256[:12]}, 4 cines (1 labelled, 1 unlabelled, 1 validation, 1 test)"
    )
    assert "echoseg train echoforge-lite --data" in answer.out
    words = ("evaluate", model, "--data", tmp_path / "set", "-o", tmp_path / "scores", "--frames", "all")
    answer = echoseg(*words)
    assert (answer.code, answer.err) == (0, "")
    assert f"set      {NAME} {sha256[:12]}\n" in answer.out
    assert "clear frames" in answer.out
    result = json.loads((tmp_path / "scores" / "evaluation.json").read_text())
    assert (result["data"]["simulation"]["set"], result["data"]["simulation"]["sha256"]) == (NAME, sha256)
    (tmp_path / "set" / "Videos" / "easy-train-001.avi").unlink()
    answer = echoseg(*words)
    assert answer.code == 0
    assert f"set      {NAME} {sha256[:12]} (FILES CHANGED: 1)\n" in answer.out
    assert "files changed or missing: 1, the first is Videos/easy-train-001.avi" in answer.err


def test_a_benchmark_set_as_json(echoseg, small_set, tmp_path):
    document = json.loads(echoseg("simulate", tmp_path / "set", "--set", NAME, "--workers", "1", "--json").out)
    assert document["set"] == NAME
    assert document["sha256"] == json.loads((tmp_path / "set" / "simulation.json").read_text())["sha256"]
    assert document["counts"] == {"labelled": 1, "unlabelled": 1, "validation": 1, "test": 1}


def test_help_names_the_sets(echoseg):
    words = echoseg("simulate", "--help").out
    assert all(name in words for name in SETS)


@pytest.mark.parametrize(
    "words",
    ["--format camus", "--cines 4", "--splits 1 1 1", "--preset mid", "--seed=0", "--fps 50", "--duration 2"],
)
def test_a_set_decides_for_itself(echoseg, tmp_path, words):
    """Also a value that is the default, or the set's own, is refused rather than passed over."""
    answer = echoseg("simulate", tmp_path / "out", "--set", NAME, *words.split())
    assert (answer.code, answer.out) == (2, "")
    assert f"{re.split('[ =]', words)[0]} and --set contradict each other" in answer.err
    assert not (tmp_path / "out").exists()


def test_check_of_good_data(echoseg, echonet):
    answer = echoseg("data", "check", echonet)
    assert (answer.code, answer.err) == (0, "")
    assert "0 errors" in answer.out


def test_check_of_damaged_data(echoseg, echonet, tmp_path):
    import shutil

    damaged = tmp_path / "damaged"
    shutil.copytree(echonet, damaged)
    video = min((damaged / "Videos").iterdir())
    video.unlink()
    answer = echoseg("data", "check", damaged)
    assert answer.code == 3
    assert "1 error," in answer.out
    assert video.stem in answer.out
    document = json.loads(echoseg("data", "check", damaged, "--json").out)
    assert document["counts"]["error"] == 1
    (error,) = [finding for finding in document["findings"] if finding["severity"] == "error"]
    assert video.stem in error["where"] + error["what"]
    assert error["cure"]


def test_check_of_what_is_no_data(echoseg, tmp_path):
    answer = echoseg("data", "check", tmp_path)
    assert answer.code == 3
    assert "1 error" in answer.out


def test_long_lists_are_cut(echoseg, tmp_path, monkeypatch):
    from echoseg.cli import data
    from echoseg.datasets import Finding

    many = tuple(Finding("warning", f"case{i}", "odd", "look at it") for i in range(150))
    monkeypatch.setattr(data, "check_dataset", lambda *args, **options: many)
    answer = echoseg("data", "check", tmp_path)
    assert answer.code == 0
    assert "50 more findings; --json lists them all" in answer.out
    assert len(json.loads(echoseg("data", "check", tmp_path, "--json").out)["findings"]) == 150


def test_usage_of_data(echoseg):
    assert echoseg("data", "--help").code == 0
    assert "echoseg data check DIR" in echoseg("data", "--help").out
    answer = echoseg("data", "mend", "x")
    assert answer.code == 2
    assert "mend" in answer.err
    assert echoseg("data", "check").code == 2
