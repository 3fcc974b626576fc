"""Words of `echoseg benchmark`; what a suite does is tested in tests/test_benchmark.py."""

from __future__ import annotations

import json

import pytest

from echoseg import benchmark
from echoseg.benchmark import Finished
from echoseg.benchmark.cells import settings
from echoseg.benchmark.cost import StepCost
from echoseg.cli.benchmark import run
from echoseg.errors import UsageError
from echoseg.recipes.suites import suite
from echoseg.simulator import sets


@pytest.fixture
def started(monkeypatch):
    """What would have been run: the suite and the cells of every call."""
    calls = []

    def run_suite(task, cells, **options):
        calls.append((task, [cell.name for cell in cells], options))
        task.out.mkdir(parents=True, exist_ok=True)
        (task.out / "benchmark.md").write_text("# table\n")
        return Finished(done=[cell.name for cell in cells])

    monkeypatch.setattr(benchmark, "run_suite", run_suite)
    return calls


def test_the_words_reach_the_suite(started, tmp_path, capsys):
    words = ["lite", "-o", tmp_path / "out", "--data", tmp_path, "--steps", 7, "--seeds", 4, "5", "--workers", 2]
    assert run([*map(str, words), "--methods", "sscf"]) == 0
    task, cells, options = started[0]
    assert cells == ["sscf-s4", "sscf-supervised-s4", "sscf-s5", "sscf-supervised-s5"]
    assert (task.suite.steps, task.data, task.device, options["workers"]) == (7, tmp_path, "auto", 2)
    assert capsys.readouterr().out.startswith("# table")


def test_without_data_the_set_of_the_suite_is_simulated(started, tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr("echoseg.simulator.write_set", lambda *words, **_: made.append(words))
    assert "simecho-v1-mid" in sets.SETS
    assert run(["lite", "-o", str(tmp_path)]) == 0
    assert made == [(tmp_path / "data" / "simecho-v1-mid", "simecho-v1-mid")]
    assert started[0][0].data == tmp_path / "data" / "simecho-v1-mid"


def test_shares_divide_the_cells_and_only_names_one(started, tmp_path):
    shared = ["lite", "-o", str(tmp_path), "--data", str(tmp_path), "--seeds", "0"]
    for more in (["--shard", "1/2"], ["--shard", "2/2"], ["--only", "css-s0"]):
        assert run([*shared, *more]) == 0
    first, second, one = (cells for _, cells, _ in started)
    assert len(first) + len(second) == len(suite("lite").variants)
    assert not set(first) & set(second)
    assert one == ["css-s0"]


def test_a_failed_cell_gives_code_5_and_is_in_the_json(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "run_suite", lambda *_, **__: Finished(["a"], {"b": "the loss is nan"}, []))
    assert run(["lite", "-o", str(tmp_path), "--data", str(tmp_path), "--json"]) == 5
    assert json.loads(capsys.readouterr().out)["failed"] == {"b": "the loss is nan"}


def test_the_list_shows_cells_and_starts_nothing(started, tmp_path, capsys):
    assert run(["ablations", "-o", str(tmp_path / "out"), "--list", "--seeds", "0", "--methods", "sscf"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["sscf-s0", "sscf", "to", "do"]
    assert len(lines) == 4
    assert not started
    assert not (tmp_path / "out").exists()


def test_cells_that_were_run_elsewhere_are_listed_as_done(started, tmp_path, capsys):
    cell = suite("lite").only(["sscf-supervised"]).cells((0,))[0]
    (tmp_path / "sscf-s0.json").write_text("{}")  # of another variant, not asked for
    record = {"config": settings(cell), "data": {"fingerprint": "f"}}
    (tmp_path / f"{cell.name}.json").write_text(json.dumps(record))
    words = [
        "lite",
        "-o",
        str(tmp_path / "out"),
        "--have",
        str(tmp_path),
        "--methods",
        "sscf-supervised",
        "--seeds",
        "0",
        "1",
    ]
    assert run([*words, "--list"]) == 0
    assert [line.split()[2:] for line in capsys.readouterr().out.splitlines()] == [["done"], ["to", "do"]]
    assert not (tmp_path / "out").exists()
    assert run([*words, "--data", str(tmp_path)]) == 0
    assert started[0][0].have == tmp_path


def test_a_dry_run_says_how_long_it_would_take(started, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "estimate", lambda *_: {"sscf-supervised": (StepCost(0.5, 0.02), 1800.0)})
    words = ["lite", "-o", str(tmp_path), "--data", str(tmp_path), "--dry-run", "--methods", "sscf-supervised"]
    assert run(words) == 0
    assert "3 cells to do, 1.5 hours in one process" in capsys.readouterr().out
    assert not started


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--only", "css-s9"], "--only css-s9: no such cell; .*--list"),
        (["--methods", "unet"], "--methods unet: is not in suite lite"),
        (["--seeds", "1", "1"], "--seeds 1 1: give numbers from 0 on, each once"),
        (["--workers", "0"], "--workers 0: give at least 1"),
        (["--steps", "0"], "--steps 0: must be at least 1"),
    ],
)
def test_what_makes_no_sense_is_said(more, said, tmp_path):
    with pytest.raises(UsageError, match=said):
        run(["lite", "-o", str(tmp_path), "--data", str(tmp_path), *more])
