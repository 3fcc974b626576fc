"""The table of verbs, and everything that holds for all of them: help, start-up time, exit codes, quiet imports."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import echoseg as package
from echoseg.cli import VERBS, info, main, output
from echoseg.errors import EchosegError, InputError, ModelError, OutputError, PartialFailureError, UsageError

COMMAND = [sys.executable, "-m", "echoseg"]
LIMIT_S = 0.5


def test_help_lists_every_verb(echoseg):
    answer = echoseg("--help")
    assert answer.code == 0
    assert answer.err == ""
    for verb, (_, line) in VERBS.items():
        assert verb in answer.out
        assert line in answer.out
    assert echoseg("-h").out == echoseg("help").out == answer.out


def test_no_arguments_is_a_usage_error_with_help(echoseg):
    answer = echoseg()
    assert answer.code == 2
    assert "usage: echoseg VERB" in answer.out


def test_version(echoseg):
    assert echoseg("--version").out == f"echoseg {package.__version__}\n"


def test_unknown_verb_names_the_near_one(echoseg):
    answer = echoseg("segmnt", "a.avi")
    assert (answer.code, answer.out) == (2, "")
    assert "did you mean `echoseg segment`?" in answer.err
    assert "choose one of demo, segment" in echoseg("xyz").err


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in ("data", "train")])
def test_every_verb_has_help_with_its_name(echoseg, verb):
    answer = echoseg(verb, "--help")
    assert (answer.code, answer.err) == (0, "")
    assert f"usage: echoseg {verb} " in answer.out


@pytest.mark.parametrize("verb", ["segment", "measure", "evaluate", "export", "simulate", "data"])
def test_every_verb_without_its_arguments_is_a_usage_error(echoseg, verb):
    answer = echoseg(verb)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err


@pytest.mark.parametrize("words", [["--help"], ["info"]])
def test_answers_within_half_a_second(words):
    """Fails when the table of verbs begins to import what only a verb needs."""
    best = min(_seconds([*COMMAND, *words]) for _ in range(5))
    assert best < LIMIT_S


def _seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True)
    return time.perf_counter() - start


@pytest.mark.parametrize("words", [["--help"], ["--version"], [], ["info", "--json"]])
def test_quick_answers_import_nothing_heavy(words):
    heavy = ("numpy", "scipy", "tyro", "rich", "torch", "av", "onnxruntime")
    code = (
        f"import sys; from echoseg.cli import main; main({words!r}); print([m for m in {heavy!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_package_imports_no_torch():
    code = "import sys, echoseg; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_installed_command_is_this_main():
    command = shutil.which("echoseg", path=str(Path(sys.executable).parent))
    assert command is not None
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"echoseg {package.__version__}\n")
    assert subprocess.run([command, "nothing"], capture_output=True, check=False).returncode == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("x: y"), 2),
        (InputError("x: y"), 3),
        (ModelError("x: y"), 4),
        (PartialFailureError("x: y"), 5),
        (OutputError("x: y"), 1),
        (EchosegError("x: y"), 1),
    ],
)
def test_errors_become_exit_codes_and_one_line(monkeypatch, echoseg, error, code):
    def fail(args):
        raise error

    monkeypatch.setattr(info, "run", fail)
    assert echoseg("info") == type(echoseg("info"))(code, "", "echoseg: x: y\n")
    assert json.loads(echoseg("info", "--json").out) == {"error": "x: y", "exit_code": code}


def test_interrupt_is_130(monkeypatch, echoseg):
    def fail(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(info, "run", fail)
    answer = echoseg("info")
    assert (answer.code, answer.err) == (130, "echoseg: interrupted\n")


def test_a_failing_disk_is_no_traceback(monkeypatch, echoseg):
    def fail(args):
        raise OSError(28, "No space left on device", "out/run.json")

    monkeypatch.setattr(info, "run", fail)
    answer = echoseg("info")
    assert answer.code == 1
    assert "out/run.json: No space left on device" in answer.err


def test_a_bug_shows_its_traceback(monkeypatch):
    def fail(args):
        raise ZeroDivisionError

    monkeypatch.setattr(info, "run", fail)
    with pytest.raises(ZeroDivisionError):
        main(["info"])


def test_reader_that_leaves_early_gets_no_traceback():
    with subprocess.Popen([*COMMAND, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as done:
        done.stdout.close()
        assert done.stderr.read() == b""
    assert done.returncode == 141


def test_info_says_what_is_installed(echoseg):
    answer = echoseg("info")
    assert answer.code == 0
    for word in (f"echoseg {package.__version__}", "python", "CPU", "train", "dicom", "models:"):
        assert word in answer.out


def test_info_json_is_one_line(echoseg):
    answer = echoseg("info", "--json")
    document = json.loads(answer.out)
    assert answer.out.count("\n") == 1
    assert set(document) == {"echoseg", "python", "platform", "cpus", "extras", "models"}
    assert document["extras"]["train"] is True
    assert document["cpus"] >= 1


def test_info_lists_models_that_ship(echoseg, monkeypatch, model):
    monkeypatch.setattr(info, "MODELS", model.parent)
    (shown,) = json.loads(echoseg("info", "--json").out)["models"]
    assert (shown["name"], shown["version"], shown["licence"]) == ("frame", "1.0", "CC0 of the tests")
    assert shown["structures"] == ["LV"]
    assert shown["bytes"] == sum(file.stat().st_size for file in model.iterdir())
    assert "licence CC0 of the tests" in echoseg("info").out


def test_info_survives_a_damaged_model(echoseg, monkeypatch, tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text('{"structures": 3}')
    monkeypatch.setattr(info, "MODELS", tmp_path)
    answer = echoseg("info")
    assert answer.code == 0
    assert "config.json is damaged" in answer.out


def test_info_names_the_command_for_what_is_missing(echoseg, monkeypatch):
    monkeypatch.setattr("echoseg.cli.optional.find_spec", lambda name: None if name == "torch" else object())
    assert "missing torch: pip install 'echoseg[train]'" in echoseg("info").out


def test_messages_cannot_drive_a_terminal(capsys):
    output.complain("a\x1b[2J\u202eb\udce4.avi: broken")
    assert capsys.readouterr().err == "echoseg: a\\x1b[2J\\u202eb\\udce4.avi: broken\n"
