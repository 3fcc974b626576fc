"""A run that is killed and resumed ends in the same weights, bit for bit, as one that was left alone."""

import dataclasses
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.train.conftest import Unplugged, difference
from tests.train.killable import CONFIG

from echoseg.datasets import open_dataset
from echoseg.recipes.run import build_training
from echoseg.train import BEST, LAST, load_checkpoint

STEPS = CONFIG.train.steps
PATIENCE_S = 120.0


@pytest.fixture
def start() -> Iterator[Callable[[Path, Path], subprocess.Popen[bytes]]]:
    """Starts a run in a process of its own; none outlives the test."""
    started = []

    def run(data: Path, run_dir: Path) -> subprocess.Popen[bytes]:
        script = Path(__file__).with_name("killable.py")
        with run_dir.with_suffix(".log").open("ab") as log:
            started.append(
                subprocess.Popen([sys.executable, str(script), str(data), str(run_dir)], stdout=log, stderr=log)
            )
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.wait()


def output(run_dir: Path) -> str:
    return run_dir.with_suffix(".log").read_text(errors="replace")[-2000:]


def steps_done(run_dir: Path) -> int:
    path = run_dir / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return sum('"loss"' in line for line in lines)


def kill_after(process: subprocess.Popen[bytes], run_dir: Path, steps: int, delay_s: float) -> None:
    """Kill without warning once so many steps are done, and a moment later: in a step, a validation or a write."""
    deadline = time.monotonic() + PATIENCE_S
    while steps_done(run_dir) < steps:
        assert process.poll() is None, f"the run ended by itself: {output(run_dir)}"
        assert time.monotonic() < deadline, f"no step {steps} within {PATIENCE_S} s"
        time.sleep(0.01)
    time.sleep(delay_s)
    process.kill()
    assert process.wait(PATIENCE_S) == -signal.SIGKILL, "the run was over before it could be killed"


@pytest.mark.slow
def test_a_run_killed_three_times_ends_like_one_that_was_left_alone(start, simulated_echonet, tmp_path):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    left_alone = start(simulated_echonet, whole)
    rng = random.Random(5)
    for steps in sorted(rng.sample(range(1, STEPS - 1), 3)):
        kill_after(start(simulated_echonet, broken), broken, steps, rng.uniform(0, 0.2))
        assert not (broken / "model").exists()
    for process, run_dir in ((start(simulated_echonet, broken), broken), (left_alone, whole)):
        assert process.wait(PATIENCE_S) == 0, output(run_dir)
    for name in (LAST, BEST):
        assert difference(load_checkpoint(whole / name), load_checkpoint(broken / name)) is None
    assert load_checkpoint(broken / LAST)["step"] == STEPS
    for name in ("metrics.jsonl", "model/config.json", "model/model.onnx", "model/card.md"):
        assert (whole / name).read_bytes() == (broken / name).read_bytes(), name
    last_losses = json.loads((broken / "metrics.jsonl").read_text().splitlines()[-2])
    assert last_losses["pseudo"] > 0, "the teacher had no say: this run would not notice a lost one"


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_echoforge_resumes_its_teacher_and_curriculum(simulated_echonet, tmp_path, precision):
    """In the middle of an epoch, in one process; bf16 too."""
    short = dataclasses.replace(CONFIG.train, steps=6, precision=precision)
    config = dataclasses.replace(CONFIG, train=short)

    def fit(run_dir: Path, fatal_step: int = -1, resume: bool = False) -> None:
        training = build_training(config, open_dataset(simulated_echonet), run_dir, device="cpu")
        training.labelled = Unplugged(training.labelled.store, training.labelled.config, fatal_step)
        training.fit(resume=resume, tensorboard=False)

    fit(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "broken", fatal_step=5)
    fit(tmp_path / "broken", resume=True)
    ends = [load_checkpoint(tmp_path / name / LAST) for name in ("whole", "broken")]
    assert difference(*ends) is None
