"""What a run writes while it goes, and what a resumed run takes back."""

import json
from pathlib import Path

import pytest

from echoseg.train.logs import RunLog


def log_steps(run_dir: Path, first: int, last: int, **options) -> None:
    with RunLog(run_dir, total_steps=10, first_step=first, tensorboard=False, **options) as log:
        for step in range(first, last):
            log.write(step, {"loss": 1 / (step + 1)})
            log.show(step, {"loss": 0.0})


def steps(run_dir: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (run_dir / "metrics.jsonl").read_text().splitlines()]


def test_a_line_a_step_with_six_digits(tmp_path):
    log_steps(tmp_path, 0, 3)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert rows == [{"step": 0, "loss": 1.0}, {"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.333333}]


def test_lines_are_on_disk_while_the_run_goes(tmp_path):
    with RunLog(tmp_path, total_steps=2, first_step=0, tensorboard=False) as log:
        log.write(0, {"loss": 1.0})
        assert steps(tmp_path) == [0]


def test_lines_of_lost_steps_are_dropped_on_resume(tmp_path):
    log_steps(tmp_path, 0, 7)
    log_steps(tmp_path, 4, 6)
    assert steps(tmp_path) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("tail", ['{"step": 3, "lo', '{"step"', "{", "\x00\x00", "3", '["step"]', '{"loss": 1.0}'])
def test_a_half_written_last_line_is_dropped(tmp_path, tail):
    log_steps(tmp_path, 0, 3)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write(tail)
    log_steps(tmp_path, 3, 5)
    assert steps(tmp_path) == [0, 1, 2, 3, 4]


def test_a_run_from_the_start_keeps_nothing_of_an_earlier_one(tmp_path):
    log_steps(tmp_path, 0, 5)
    log_steps(tmp_path, 0, 2)
    assert steps(tmp_path) == [0, 1]


def test_what_is_not_finite_is_null_since_json_has_no_nan(tmp_path):
    with RunLog(tmp_path, total_steps=1, first_step=0, tensorboard=False) as log:
        log.write(0, {"grad_norm": float("inf"), "loss": float("nan")})
    assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 0, "grad_norm": null, "loss": null}\n'


def test_tensorboard_gets_the_same_numbers(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with RunLog(tmp_path, total_steps=2, first_step=0) as log:
        for step in range(2):
            log.write(step, {"loss": 0.5 * step})
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [(0, 0.0), (1, 0.5)]
