"""The demonstration from end to end, made small."""

import json
from dataclasses import replace

import pytest

from echoseg.cli import main
from echoseg.recipes import demo
from echoseg.simulator import ClipOptions

pytestmark = pytest.mark.slow


def test_demo_runs_and_goes_on_where_it_stopped(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(demo, "CINES", {"TRAIN": 2, "VAL": 1, "TEST": 2})
    monkeypatch.setattr(demo, "CLIP", ClipOptions(fps=25.0, duration_s=1.2))
    monkeypatch.setattr(demo, "SCHEDULE", replace(demo.SCHEDULE, steps=2, steps_per_epoch=1, validate_every=1))
    out = tmp_path / "demo"
    assert main(["demo", "-o", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "EchoForge lite" in shown and "frame-wise U-Net" in shown
    report = out / "segmented" / "real_a4c" / "report.html"
    assert str(report) in shown and report.is_file()
    first = json.loads((out / demo.RESULT_FILE).read_text())
    assert [name for name, *_ in first["segmented"]] == ["real_a4c", "simulated_0", "simulated_1"]
    weights = (out / "train-echoforge" / "model" / "model.onnx").read_bytes()
    assert main(["demo", "-o", str(out)]) == 0
    assert json.loads((out / demo.RESULT_FILE).read_text()) == first
    assert (out / "train-echoforge" / "model" / "model.onnx").read_bytes() == weights
