"""`echoseg segment`, stopped by the user: what was done is kept and recorded."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from tests.cli.conftest import write_calibrated
from tests.cli.test_cli_segment import names, rows

from echoseg.cli import batch, segment


def test_interrupt_keeps_the_record_of_what_is_done(echoseg, study, model, tmp_path, monkeypatch):
    measured = segment.measure_cine

    def measure(segmentation, **known):
        if "clip1" in segmentation.meta.source:
            raise KeyboardInterrupt
        return measured(segmentation, **known)

    monkeypatch.setattr(segment, "measure_cine", measure)
    answer = echoseg("segment", study, "-o", tmp_path / "out", "--model", model, "--formats", "csv")
    assert answer.code == 130
    assert "interrupted, 1 of 7 cases are done; repeat the call with --skip-existing" in answer.err
    assert [row["case"] for row in rows(tmp_path / "out")] == ["clip0"]
    assert names(tmp_path / "out") == {"clip0", "summary.csv", "run.json"}


def test_interrupt_between_writing_a_case_and_recording_it(echoseg, study, model, tmp_path, monkeypatch):
    """An earlier result of the next case is not taken for one of this call."""
    out = tmp_path / "out"
    assert echoseg("segment", study / "clip2.avi", "-o", out, "--model", model, "--formats", "csv").code == 0
    os.utime(out / "clip2" / "result.json", (1, 1))
    settle = batch._Run.settle

    def stop(run, one):
        if one.case == "clip1":
            raise KeyboardInterrupt
        return settle(run, one)

    monkeypatch.setattr(batch._Run, "settle", stop)
    answer = echoseg("segment", study, "-o", out, "--model", model, "--formats", "csv")
    assert answer.code == 130
    assert "interrupted, 2 of 7 cases are done" in answer.err
    assert [(row["case"], row["status"]) for row in rows(out)] == [("clip0", "done"), ("clip1", "done")]


def test_interrupt_of_a_real_process(tmp_path, model):
    for i in range(40):
        write_calibrated(tmp_path / f"c{i:02d}.npz", i)
    command = [
        sys.executable,
        "-m",
        "echoseg",
        "segment",
        str(tmp_path),
        "-o",
        str(tmp_path / "out"),
        "--model",
        str(model),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("out/c*/result.json")) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "cases are done; repeat the call with --skip-existing" in err
    done = {row["case"] for row in rows(tmp_path / "out")}
    assert done == {path.name for path in (tmp_path / "out").iterdir() if path.is_dir()}
