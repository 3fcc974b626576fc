"""Suites of trainings: their statistics against closed forms, their pages, and what happens to a suite that is stopped."""

import dataclasses
import json
import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from echoseg.benchmark import SuiteRun, estimate, run_suite, suite, summarise
from echoseg.benchmark.cells import finished, folder_of, record_of, rounded, same_data
from echoseg.benchmark.cost import StepCost
from echoseg.benchmark.figure import figure_svg, label_heights, points
from echoseg.benchmark.statistics import averaged, comparison, variant_summary
from echoseg.benchmark.tables import csv_text, gains_table, markdown_page, results_table
from echoseg.errors import EchosegError, InputError, UsageError
from echoseg.io.locks import claimed
from echoseg.methods.css import Cycle
from echoseg.recipes.suites import Suite, Variant
from echoseg.recipes.suites import suite as named_suite

CASES = [f"case{i}" for i in range(12)]


def record(variant: str, seed: int, dice: dict[str, float], **changes: object) -> dict:
    return {
        "cell": f"{variant}-s{seed}",
        "variant": variant,
        "method": variant.removesuffix("-supervised"),
        "seed": seed,
        "labelled": 20,
        "unit": "px",
        "val_dice": 0.9,
        "train_s": 10.0,
        "empty": 0,
        "cost": {"parameters": 1_000_000, "gmac": 0.5, "cpu_ms": 10.0, "wall_ms": 11.0},
        "ef": {case: (50.0 + 2 * i, 52.0 + 2 * i) for i, case in enumerate(dice)},
        "cases": {"dice_all": dice, "dice_clear": {}},
        **changes,
    }


def spread(base: float) -> dict[str, float]:
    return {case: base + 0.001 * i for i, case in enumerate(CASES)}


def test_a_case_is_averaged_over_its_seeds_and_left_out_where_one_has_none():
    one, two = record("a", 0, {"x": 0.8, "y": 0.6}), record("a", 1, {"x": 0.6})
    assert averaged([one, two], "dice_all") == {"x": pytest.approx(0.7)}
    assert averaged([one], "hd95") == {}


def test_a_variant_has_means_intervals_and_the_range_of_its_seeds():
    found = variant_summary([record("a", seed, spread(0.8 + 0.1 * seed)) for seed in (0, 1)])
    dice = found["metrics"]["dice_all"]
    assert dice["mean"] == pytest.approx(0.85 + 0.0055)
    assert dice["seeds"] == pytest.approx([0.8055, 0.9055])
    low, high = dice["interval"]
    # the seeds' distance of 0.1 is not in it, the cases' spread of 0.0035 is: standard error 0.001
    assert 0.001 < dice["mean"] - low < 0.003
    assert 0.001 < high - dice["mean"] < 0.003
    assert "dice_clear" not in found["metrics"]
    assert found["ef"] == {"bias": pytest.approx(-2), "mae": pytest.approx(2), "r": pytest.approx(1), "n": [12, 12]}


def test_a_comparison_is_paired_by_case():
    """A gain that is the same for every case has an interval of no width, however far the cases lie apart."""
    far = {case: 0.05 * i for i, case in enumerate(CASES)}
    ours, theirs = record("a", 0, {c: v + 0.01 for c, v in far.items()}), record("b", 0, far)
    found = comparison([ours], [theirs])["metrics"]["dice_all"]
    assert (found["difference"], *found["interval"]) == pytest.approx((0.01, 0.01, 0.01))
    assert found["wilcoxon_signed_rank_p"] < 0.001
    assert found["wilcoxon_rank_sum_p"] > 0.5, "the rank-sum test must not know of the pairs"


def test_a_comparison_uses_the_seeds_that_both_have():
    ours = [record("a", 0, spread(0.5)), record("a", 1, spread(0.9))]
    found = comparison(ours, [record("b", 1, spread(0.8)), record("b", 2, spread(0.1))])
    assert found["seeds"] == [1]
    assert found["metrics"]["dice_all"]["difference"] == pytest.approx(0.1)
    assert found["metrics"]["dice_all"]["seeds"] == pytest.approx([0.1])
    assert comparison(ours, [record("b", 7, spread(0.8))]) == {"seeds": [], "metrics": {}}


@pytest.fixture
def document() -> dict:
    ours = [record("sscf", seed, spread(0.8 + 0.01 * seed)) for seed in (0, 1)]
    control = [record("sscf-supervised", seed, spread(0.7)) for seed in (0, 1)]
    against = {"control": "sscf-supervised", **comparison(ours, control)}
    return {
        "suite": "lite",
        "steps": 500,
        "data": {"set": "simecho-v1-mid", "sha256": "0123456789abcdef", "fingerprint": "f" * 64, "layout": "echonet"},
        "machines": [{"processor": "P", "torch": "2", "gpu": "none"}],
        "cells": ["a", "b", "c", "d"],
        "missing": ["css-s0"],
        "variants": {
            "sscf": {**variant_summary(ours), "says": "", "against": against},
            "sscf-supervised": {**variant_summary(control), "says": ""},
        },
    }


def test_the_page_says_what_was_run_and_what_is_missing(document):
    page = markdown_page(document)
    for text in ("simecho-v1-mid (0123456789ab), 500 steps, 4 of 5 cells", "Not finished: css-s0.", "rank-sum"):
        assert text in page
    assert "| sscf | 2 |" in results_table(document)
    assert "81.1 (80.5 to 81.6)" in results_table(document)
    assert "| sscf | sscf-supervised | +10.0, +11.0 |" in gains_table(document)
    assert "+10.5 (+10.5 to +10.5), p 0.00049 / " in gains_table(document)


def test_the_csv_has_a_line_for_each_variant_and_metric(document):
    header, *lines = csv_text(document).splitlines()
    assert len(lines) == 2
    assert all(len(line.split(",")) == len(header.split(",")) for line in lines)
    assert lines[0].startswith("sscf,sscf,20,2,dice_all,0.8105,")
    assert lines[1].endswith(",,,,,,")


def test_the_figure_puts_better_higher_and_dearer_to_the_right(document):
    document["variants"]["sscf"]["cost"]["gmac"] = 5.0
    root = ET.fromstring(figure_svg(document))
    space = "{http://www.w3.org/2000/svg}"
    marks = {g.find(f"{space}text").text: g.find(f"{space}circle") for g in root.iter(f"{space}g")}
    ours, control = marks["sscf"], marks["sscf-supervised"]
    assert float(ours.get("cx")) > float(control.get("cx"))
    assert float(ours.get("cy")) < float(control.get("cy"))
    assert control.get("fill") == "white" != ours.get("fill")
    assert [p.labels_alone for p in points(document)] == [False, True]


def test_names_in_the_figure_do_not_cover_each_other():
    marks = [(100.0, 200.0, "one"), (104.0, 199.0, "another"), (110.0, 195.0, "third"), (400.0, 199.0, "far away")]
    assert label_heights(marks) == [200.0, 188.0, 176.0, 199.0]


def test_a_figure_without_any_cell_says_so(document):
    assert "no finished cell" in figure_svg({**document, "variants": {}})


def test_a_claim_ends_with_its_process(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from echoseg.io.locks import claimed\n"
        "with claimed(Path(sys.argv[1])) as ours: print(ours, flush=True); time.sleep(60)"
    )
    path = tmp_path / "locks" / "a.lock"
    other = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline() == "True\n"
        with claimed(path) as ours:
            assert not ours
    finally:
        other.kill()
        other.communicate()
    with claimed(path) as ours:
        assert ours


def small(steps: int = 2) -> Suite:
    """Two variants of the lite suite, small enough for a test."""
    variants = []
    for variant in named_suite("lite", steps).only(["meanteacher"]).variants:
        network = dataclasses.replace(variant.config.network, backbone="resnet10t")
        data = dataclasses.replace(variant.config.data, size=64, batch=1, unlabelled_batch=1, labelled_cines=2)
        train = dataclasses.replace(variant.config.train, precision="32-true", lr=1e-2)
        config = dataclasses.replace(variant.config, network=network, data=data, train=train)
        variants.append(Variant(variant.name, config, variant.control, variant.says))
    return Suite("lite", tuple(variants), "none", steps)


@pytest.fixture
def task(simulated_echonet, tmp_path) -> SuiteRun:
    return SuiteRun(small(), (0,), simulated_echonet, tmp_path / "out", "cpu")


@pytest.fixture(scope="module")
def done(simulated_echonet, tmp_path_factory) -> SuiteRun:
    task = SuiteRun(small(), (0,), simulated_echonet, tmp_path_factory.mktemp("suite"), "cpu")
    assert run_suite(task, task.cells).done == ["meanteacher-s0", "meanteacher-supervised-s0"]
    return task


def test_a_suite_leaves_run_folders_and_a_summary(done):
    document = json.loads((done.out / "benchmark.json").read_text())
    assert document["missing"] == []
    assert document["variants"]["meanteacher"]["against"]["seeds"] == [0]
    for file in ("benchmark.md", "benchmark.csv", "benchmark.svg"):
        assert (done.out / file).stat().st_size > 100
    for cell in done.cells:
        folder = folder_of(done.out, cell)
        assert {"run.json", "metrics.jsonl", "model", "scores", "checkpoints"} <= {p.name for p in folder.iterdir()}
        found = json.loads(record_of(done.out, cell).read_text())
        assert len(found["cases"]["dice_all"]) == 2
        assert found["frames"] == 60
        assert found["cost"]["gmac"] > 0.01
        assert not (folder / "checkpoints" / "last.ckpt").exists()


def test_a_records_numbers_are_those_of_its_evaluation(done):
    folder = folder_of(done.out, done.cells[0])
    found = json.loads(record_of(done.out, done.cells[0]).read_text())["cases"]
    evaluation = json.loads((folder / "scores" / "evaluation.json").read_text())
    # all cines have as many frames, so that the mean over cases is that over frames; records have six digits
    for metric, expected in (
        ("dice_all", evaluation["LV"]["all"]["dice"]["mean"]),
        ("dice_ed", evaluation["LV"]["ED"]["dice"]["mean"]),
        ("jitter", evaluation["area_roughness"]),
    ):
        assert np.mean(list(found[metric].values())) == pytest.approx(expected, rel=1e-5)


def test_what_is_finished_is_not_run_again(done, monkeypatch):
    monkeypatch.setattr(suite, "run_cell", lambda *_: pytest.fail("ran again"))
    assert len(run_suite(done, done.cells).done) == 2


def test_a_changed_setting_is_named(done):
    other = dataclasses.replace(done, suite=small(steps=3))
    with pytest.raises(
        UsageError, match=r"meanteacher-s0.json: config\..* \(.* before, .* now\) was changed since; give ano"
    ):
        run_suite(other, other.cells)


def test_other_data_are_refused(done):
    other = {"fingerprint": "0" * 64, "truth_sha256": None, "changed": 0}
    with pytest.raises(UsageError, match=r"meanteacher-s0.json: was trained on other data .* give another -o"):
        finished(done.out, done.cells[0], other)


@pytest.mark.parametrize(
    ("change", "same"),
    [({}, True), ({"changed": 1}, False), ({"truth_sha256": "u"}, False), ({"truth_sha256": None}, False)],
)
def test_a_simulated_set_is_the_same_on_a_processor_that_rounds_otherwise(change, same):
    here = {"fingerprint": "a", "truth_sha256": "t", "changed": 0}
    assert same_data(here, {**here, "fingerprint": "b", **change}) is same


def test_a_record_is_rounded_to_six_digits():
    assert rounded({"a": (0.123456789, 12), "b": [1e-9 / 3], "c": None}) == {
        "a": [0.123457, 12],
        "b": [3.33333e-10],
        "c": None,
    }


@pytest.fixture
def kept(done, tmp_path) -> SuiteRun:
    """A suite elsewhere that has been given the records of `done`, and nothing else."""
    folder = tmp_path / "records"
    folder.mkdir()
    for cell in done.cells:
        path = record_of(done.out, cell)
        assert path.stat().st_size < 150_000
        (folder / path.name).write_text(path.read_text())
    return dataclasses.replace(done, out=tmp_path / "elsewhere", have=folder)


def test_records_without_their_runs_are_enough(kept, done, monkeypatch):
    """Nothing is trained, the pages are those of the first machine, and the records are there for the next call."""
    monkeypatch.setattr(suite, "run_cell", lambda *_: pytest.fail("ran again"))
    told: list[str] = []
    assert run_suite(kept, kept.cells, tell=told.append).done == ["meanteacher-s0", "meanteacher-supervised-s0"]
    assert told == [f"2 finished cells taken from {kept.have}"]
    for file in ("benchmark.md", "benchmark.csv", "benchmark.svg"):
        assert (kept.out / file).read_text() == (done.out / file).read_text()
    again = dataclasses.replace(kept, have=None)
    assert len(run_suite(again, again.cells).done) == 2
    assert not folder_of(kept.out, kept.cells[0]).exists()


def test_records_of_another_suite_are_refused_before_anything_runs(kept, tmp_path):
    with pytest.raises(
        UsageError, match=r"records/meanteacher-s0.json: config\..* was changed since; leave --have out"
    ):
        run_suite(dataclasses.replace(kept, suite=small(steps=3)), kept.cells)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"--have .*empty: holds no record .* such as meanteacher-s0.json"):
        run_suite(dataclasses.replace(kept, have=tmp_path / "empty"), kept.cells)
    assert not (kept.out / "cells").exists()


def test_a_record_that_cannot_be_read_is_named(kept):
    (kept.have / "meanteacher-s0.json").write_text('{"config": ')
    with pytest.raises(InputError, match=r"meanteacher-s0.json: cannot be read .* leave --have out"):
        run_suite(kept, kept.cells)


def test_a_cell_that_was_stopped_before_its_scores_is_only_scored(task, monkeypatch):
    from echoseg.benchmark import cells

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(cells, "score", stop)
        run_suite(task, task.cells[:1])
    assert finished(task.out, task.cells[0]) is None
    monkeypatch.setattr(cells, "train_run", lambda *_, **__: pytest.fail("trained again"))
    told: list[str] = []
    assert run_suite(task, task.cells[:1], tell=told.append).done == ["meanteacher-s0"]
    assert told[0] == "[1/1] meanteacher-s0: trained already"
    assert json.loads((task.out / "benchmark.json").read_text())["missing"] == ["meanteacher-supervised-s0"]


def test_a_cell_that_fails_is_told_and_the_others_are_run(task, monkeypatch):
    run_cell = suite.run_cell

    def failing(cell, place, tell):
        if cell.name == "meanteacher-s0":
            raise EchosegError("the loss is nan")
        return run_cell(cell, place, tell)

    monkeypatch.setattr(suite, "run_cell", failing)
    found = run_suite(task, task.cells)
    assert found.failed == {"meanteacher-s0": "the loss is nan"}
    assert found.done == ["meanteacher-supervised-s0"]


def test_a_cell_of_another_process_is_left_to_it(task, monkeypatch):
    monkeypatch.setattr(suite, "run_cell", lambda *_: pytest.fail("was taken from it"))
    with claimed(task.out / ".locks" / "meanteacher-s0.lock"):
        assert run_suite(task, task.cells[:1]).elsewhere == ["meanteacher-s0"]


@pytest.mark.slow
def test_two_processes_share_a_folder(task):
    found = run_suite(task, task.cells, workers=2)
    assert sorted(found.done) == ["meanteacher-s0", "meanteacher-supervised-s0"]
    assert not found.failed
    assert not found.elsewhere
    assert summarise(task)["missing"] == []


def test_the_time_of_a_cell_is_that_of_its_steps_validations_and_scores():
    config = named_suite("lite", 500).variants[0].config
    assert config.train.validate_every == 10  # of 50 epochs: five validations
    assert StepCost(2.0, 0.01).cell_s(config, validated=40, tested=9000) == pytest.approx(1000 + 2 + 90)


def test_an_estimate_times_every_variant_and_writes_nothing(task):
    found = estimate(task)
    assert set(found) == {"meanteacher", "meanteacher-supervised"}
    for cost, seconds in found.values():
        assert 0 < cost.step_s < seconds
    assert not task.out.exists()


@pytest.mark.slow
def test_the_stages_of_css_are_built_on_each_other(simulated_echonet, tmp_path):
    """Stage 1, EF from its masks, EF from frames alone; the suite may be moved when it is over."""
    variants = []
    for variant in named_suite("ablations", 2).only(["css-ef-dist"]).variants:
        config = variant.config
        if config.method == "css":
            cycle = Cycle(template=3, search=1, phase=1, shift=1)
            network = dataclasses.replace(config.network, backbone="resnet10t", pooling=16, cycle=cycle)
            data = dataclasses.replace(config.data, size=64, unlabelled_clip_length=cycle.length, labelled_cines=2)
        else:
            network = dataclasses.replace(config.network, width=4)
            data = dataclasses.replace(config.data, size=64, clip_length=4, batch=1, pad=2)
        variants.append(dataclasses.replace(variant, config=dataclasses.replace(config, network=network, data=data)))
    assert [v.name for v in variants] == ["css", "css-ef-css", "css-ef-dist", "css-ef-alone"]
    task = SuiteRun(Suite("ablations", tuple(variants), "none", 2), (0,), simulated_echonet, tmp_path / "out", "cpu")
    early = run_suite(task, task.cells[1:2])
    assert "is built on css-s0, which is not finished; repeat the call" in early.failed["css-ef-css-s0"]
    assert len(run_suite(task, task.cells).done) == 4
    moved = dataclasses.replace(task, out=task.out.rename(tmp_path / "moved"))
    without = tmp_path / "without"
    (without / "cells").mkdir(parents=True)
    (without / "cells" / "css-s0.json").write_text(record_of(moved.out, task.cells[0]).read_text())
    weightless = run_suite(dataclasses.replace(task, out=without), task.cells[1:2])
    assert "weights of css-s0, of which only the record is here; delete " in weightless.failed["css-ef-css-s0"]
    document = summarise(moved)
    assert document["missing"] == []
    assert document["variants"]["css-ef-dist"]["against"]["metrics"]["ef_error"]["n"] == 2
    assert "| css-ef-dist | 1 |  |" in (moved.out / "benchmark.md").read_text()
