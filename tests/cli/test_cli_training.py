"""Words and usage errors of `train`, `evaluate`, `export` and `demo`; what they do is tested with what they call."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from echoseg.cli import optional, train
from echoseg.engine import Segmenter
from echoseg.recipes import RECIPES, recipe


@pytest.fixture
def trained(monkeypatch):
    """Calls of `train_run`, which is replaced."""
    calls = []

    def train_run(config, data, run_dir, **options):
        calls.append((config, data, run_dir, options))
        return run_dir / "model"

    fake = ModuleType("echoseg.recipes.run")
    fake.train_run = train_run
    monkeypatch.setitem(sys.modules, "echoseg.recipes.run", fake)
    return calls


def test_help_lists_the_recipes(echoseg):
    answer = echoseg("train", "--help")
    assert (answer.code, answer.err) == (0, "")
    for name in RECIPES:
        assert name in answer.out
    assert recipe.__module__ == "echoseg.recipes"


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_lists_its_flags(echoseg, name):
    answer = echoseg("train", name, "--help")
    assert (answer.code, answer.err) == (0, "")
    for flag in ("--data DIR", "-o RUN", "--seed", "--resume", "--train.steps", "--data.size", "--network.backbone"):
        assert flag in answer.out


def test_first_weights_are_named_in_short_or_in_full(echoseg, trained):
    for flag in ("--init", "--train.init"):
        assert echoseg("train", "framewise", "--data", "d", "-o", "r", flag, "other/run").code == 0
    assert [config.train.init for config, *_ in trained] == ["other/run"] * 2


def test_defaults_are_the_recipe(echoseg, trained):
    answer = echoseg("train", "echoforge-lite", "--data", "d", "-o", "r")
    assert answer.code == 0
    ((config, data, run_dir, options),) = trained
    assert config == recipe("echoforge-lite")
    assert (data, run_dir) == (Path("d"), Path("r"))
    assert (options["device"], options["resume"]) == ("auto", False)
    assert "echoseg evaluate r/model --data d" in answer.out


def test_flags_change_the_recipe(echoseg, trained):
    words = (
        "--data d -o r --seed 3 --device cpu --resume --train.steps 100 --network.width 64 --data.augment.zoom 0.5 1.5"
    )
    assert echoseg("train", "echoforge-lite", *words.split(), "--network.no-arc").code == 0
    ((config, _, _, options),) = trained
    default = recipe("echoforge-lite")
    assert type(config.network) is type(default.network)
    assert (config.train.seed, config.train.steps, config.network.width) == (3, 100, 64)
    assert (config.network.arc, config.network.tsf, config.data.augment.zoom) == (False, True, (0.5, 1.5))
    assert (config.train.lr, config.method) == (default.train.lr, default.method)
    assert (options["device"], options["resume"]) == ("cpu", True)


def test_the_network_has_the_flags_of_its_own_method():
    assert train.parse_recipe("framewise", recipe("framewise"), ["--data", "d", "-o", "r", "--network.stages", "4"])
    with pytest.raises(SystemExit):
        train.parse_recipe("framewise", recipe("framewise"), ["--data", "d", "-o", "r", "--network.width", "64"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no recipe is given; choose one of"),
        (["nothing", "--data", "d", "-o", "r"], "recipe 'nothing' is not known"),
        (["--data", "d", "-o", "r"], "the name of a recipe comes first"),
        (["framewise", "-o", "r"], "--data"),
        (["framewise", "--data", "d"], "--out"),
        (["framewise", "--data", "d", "-o", "r", "--train.steps", "0"], "train.steps=0"),
        (["framewise", "--data", "d", "-o", "r", "--train.steps", "many"], "--train.steps"),
    ],
)
def test_usage_errors_of_train(echoseg, trained, words, message):
    answer = echoseg("train", *words)
    assert (answer.code, answer.out, trained) == (2, "", [])
    assert message in answer.err


@pytest.mark.parametrize("words", [["train", "framewise", "--data", "d", "-o", "r"], ["export", "r", "-o", "m"]])
def test_without_torch_the_cure_is_named(echoseg, monkeypatch, words):
    monkeypatch.setattr(optional, "find_spec", lambda name: None if name == "torch" else object())
    answer = echoseg(*words)
    assert (answer.code, answer.out) == (2, "")
    assert "(torch)" in answer.err
    assert "pip install 'echoseg[train]'" in answer.err


def test_data_that_is_none(echoseg, tmp_path):
    answer = echoseg("train", "framewise", "--data", tmp_path / "none", "-o", tmp_path / "run", "--device", "cpu")
    assert answer.code == 3
    assert f"{tmp_path / 'none'}: not a folder" in answer.err
    assert not (tmp_path / "run").exists()


def test_errors_of_evaluate(echoseg, tmp_path, model):
    answer = echoseg("evaluate", model, "--data", tmp_path / "none", "-o", tmp_path / "out")
    assert answer.code == 3
    assert not (tmp_path / "out").exists()
    (tmp_path / "data" / "images").mkdir(parents=True)
    assert echoseg("evaluate", model, "-o", tmp_path / "out").code == 2
    words = ("--data", tmp_path / "data", "-o", tmp_path / "out")
    assert "invalid choice" in echoseg("evaluate", model, *words, "--split", "all").err
    assert "invalid choice" in echoseg("evaluate", model, *words, "--frames", "some").err


def test_export_hands_over_its_folders(echoseg, monkeypatch):
    fake = ModuleType("echoseg.recipes.run")
    fake.export_run = lambda run, out: out if run == Path("run") else None
    monkeypatch.setitem(sys.modules, "echoseg.recipes.run", fake)
    assert echoseg("export", "run", "-o", "folder").out == "model  folder\n"
    assert echoseg("export", "run").code == 2


def test_export_fits_how_sure_a_model_is_to_other_data(echoseg, simulated_echonet, tmp_path):
    run = tmp_path / "run"
    small = (
        "--network.backbone",
        "resnet10t",
        "--data.size",
        "64",
        "--train.steps",
        "2",
        "--train.precision",
        "32-true",
    )
    assert echoseg("train", "framewise", "--data", simulated_echonet, "-o", run, "--device", "cpu", *small).code == 0
    (run / "calibration.json").write_text('{"temperature": 2.5, "doubtful_below": 0.7}')
    assert "temperature" not in echoseg("export", run, "-o", tmp_path / "as-it-was").out
    before = Segmenter.load(tmp_path / "as-it-was").config
    assert (before.temperature, before.doubtful_below) == (2.5, 0.7)
    answer = echoseg("export", run, "-o", tmp_path / "fitted", "--calibrate", simulated_echonet)
    fitted, after_training = Segmenter.load(tmp_path / "fitted").config, Segmenter.load(run / "model").config
    assert answer.out.startswith(f"temperature  {fitted.temperature:.2f}\n")
    assert fitted.temperature == after_training.temperature != 2.5
    assert fitted.doubtful_below == after_training.doubtful_below != 0.7


def test_demo_writes_into_a_folder_of_its_own_by_default(echoseg, monkeypatch):
    fake = ModuleType("echoseg.recipes.demo")
    rows = (("method", "Dice"), ("EchoForge lite", "81.0"))
    fake.run_demo = lambda out, _progress: SimpleNamespace(
        rows=rows, cases=(("real_a4c", "58 %", "pass"),), report=out / "report.html"
    )
    monkeypatch.setitem(sys.modules, "echoseg.recipes.demo", fake)
    shown = echoseg("demo").out
    assert "echoseg-demo/report.html" in shown
    assert "81.0" in shown and "58 %" in shown
    assert "elsewhere/report.html" in echoseg("demo", "-o", "elsewhere").out
