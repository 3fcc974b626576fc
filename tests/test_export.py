"""Export: parity is asserted, a folder appears whole or not at all, 16-bit weights halve the file."""

import dataclasses
import hashlib
import logging
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from echoseg import export
from echoseg.batch import ClipBatch
from echoseg.engine import CARD_FILE, CONFIG_FILE, MODEL_FILE, ModelConfig, Segmenter, Temporal
from echoseg.errors import ModelError, OutputError
from echoseg.export import PARITY, Card, export_method
from echoseg.methods import ExportGraph, Method, StepResult
from echoseg.methods.base import frame_graph

CARD = Card(
    "Finds the LV.", "Drawn by a test, CC0.", {"LV Dice": "0.91 (0.89 to 0.93)"}, ("Knows one disc.",), "test, seed 0"
)
SIDE = 64


class Small(Method):
    """Three convolutions, quick to trace, with batch statistics as training leaves them: far from 0 and 1."""

    def __init__(self) -> None:
        super().__init__()
        width = 64
        self.net = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, 1, 1),
        )  # fmt: skip
        for layer in self.net:
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.normal_(0, 0.5)
                layer.running_var.uniform_(0.3, 3)

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        return self.net(clip.flatten(0, 1)).unflatten(0, clip.shape[:2])

    def training_step(self, labelled: ClipBatch, unlabelled: ClipBatch | None, step: int) -> StepResult:
        raise NotImplementedError

    def export_graph(self, height: int, width: int) -> ExportGraph:
        return frame_graph(self, height, width)


@pytest.fixture(scope="module")
def method() -> Method:
    torch.manual_seed(0)
    return Small()


def config(method: Method, **changes: object) -> ModelConfig:
    plain = ModelConfig(
        name="disc", version="7", structures={1: "LV"}, activation=method.activation, height=SIDE, width=SIDE,
        mean=0.5, std=0.25, temporal=Temporal(method.temporal), licence="CC BY-NC-SA 4.0", details={"made": "here"},
    )  # fmt: skip
    return dataclasses.replace(plain, **changes)


@pytest.fixture(scope="module")
def folder(method, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("models") / "disc"
    export_method(method, config(method), CARD, out)
    return out


def edit(path: Path, change) -> None:
    """Change the first convolution's weights in an ONNX file."""
    model = onnx.load(str(path))
    tensor = next(t for t in model.graph.initializer if len(t.dims) == 4)
    tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor)), tensor.name))
    onnx.save(model, str(path))


def test_a_model_folder_holds_three_files_and_loads(folder):
    assert sorted(path.name for path in folder.iterdir()) == sorted([MODEL_FILE, CONFIG_FILE, CARD_FILE])
    assert [path.name for path in folder.parent.iterdir()] == ["disc"]
    assert Segmenter.load(folder).config.title == "disc 7"


def test_the_configuration_carries_checksum_and_parity(folder):
    written = Segmenter.load(folder).config
    assert written.sha256 == {MODEL_FILE: hashlib.sha256((folder / MODEL_FILE).read_bytes()).hexdigest()}
    assert 0 <= written.details["parity_max_abs_probability"] <= PARITY
    assert written.details["made"] == "here"


def test_the_card_says_licence_data_numbers_and_limits(folder):
    card = (folder / CARD_FILE).read_text()
    for part in (
        "# disc 7",
        "Licence of the weights: CC BY-NC-SA 4.0",
        "Drawn by a test, CC0.",
        "| LV Dice | 0.91 (0.89 to 0.93) |",
        "* Knows one disc.",
        "not a medical device",
        "Made by: test, seed 0",
    ):
        assert part in card


def test_a_card_without_numbers_has_no_table_but_the_standing_limit(method):
    card = Card("s", "d").text(config(method))
    assert "Measured" not in card
    assert "not a medical device" in card


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_the_runtime_gives_the_logits_of_torch_for_any_number_of_frames(method, folder, frames):
    gray = torch.randn(frames, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(frames))
    session = onnxruntime.InferenceSession(str(folder / MODEL_FILE), providers=["CPUExecutionProvider"])
    (theirs,) = session.run(["logits"], {"frames": gray.numpy()})
    with torch.no_grad():
        ours = method.eval()(gray.unsqueeze(1)).squeeze(1).numpy()
    np.testing.assert_allclose(theirs, ours, atol=1e-3)


@pytest.mark.parametrize("damage", [lambda w: w * 1.5, lambda w: np.full_like(w, np.nan)], ids=["wrong", "nan"])
def test_an_export_that_differs_from_torch_is_refused_and_leaves_nothing(method, tmp_path, monkeypatch, damage):
    """NaN too: max(0.0, nan) is 0.0, and once passed as perfect parity."""
    write = export.write_onnx

    def wrong(graph, path):
        write(graph, path)
        edit(path, damage)

    monkeypatch.setattr(export, "write_onnx", wrong)
    with pytest.raises(ModelError, match=r"disc: ONNX and torch differ by .* nothing was exported"):
        export_method(method, config(method), CARD, tmp_path / "disc")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_export_leaves_the_model_that_was_there(method, folder, tmp_path, monkeypatch):
    out = tmp_path / "disc"
    export_method(method, config(method), CARD, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    monkeypatch.setattr(export, "measure_parity", lambda *_args: 1.0)
    with pytest.raises(ModelError):
        export_method(method, config(method, version="8"), CARD, out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_an_older_model_is_replaced_but_nothing_else(method, tmp_path, monkeypatch):
    out = tmp_path / "disc"
    export_method(method, config(method), CARD, out)
    export_method(method, config(method, version="8"), CARD, out)
    assert Segmenter.load(out).config.version == "8"
    (out / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=r"disc: holds notes\.txt, which is no part of a model"):
        export_method(method, config(method, version="9"), CARD, out)
    assert Segmenter.load(out).config.version == "8"


def test_a_file_is_not_replaced_by_a_folder(method, tmp_path):
    (tmp_path / "disc").write_text("a file")
    with pytest.raises(OutputError, match="no part of a model"):
        export_method(method, config(method), CARD, tmp_path / "disc")
    assert (tmp_path / "disc").read_text() == "a file"


def test_16_bit_weights_halve_the_file_and_hardly_move_a_probability(method, folder, tmp_path):
    """Rounding the method's own weights first was not enough: batch normalisation is folded in afterwards."""
    written = export_method(method, config(method), CARD, tmp_path / "half", half=True)
    sizes = [(place / MODEL_FILE).stat().st_size for place in (tmp_path / "half", folder)]
    assert sizes[0] < 0.6 * sizes[1]
    assert written.details["parity_max_abs_probability"] <= PARITY
    assert (
        written.details["parity_max_abs_probability"]
        < written.details["rounding_max_abs_probability"]
        <= export.ROUNDING
    )
    assert Segmenter.load(tmp_path / "half").config == written


def test_16_bit_weights_that_cost_too_much_are_refused(method, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "ROUNDING", 1e-9)
    with pytest.raises(ModelError, match="more than 1e-09; nothing was exported"):
        export_method(method, config(method), CARD, tmp_path / "half", half=True)
    assert list(tmp_path.iterdir()) == []


def test_export_is_deterministic(method, folder, tmp_path):
    export_method(method, config(method), CARD, tmp_path / "again")
    for name in (MODEL_FILE, CONFIG_FILE, CARD_FILE):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_export_says_nothing(method, tmp_path, capfd, caplog):
    export_method(method, config(method), CARD, tmp_path / "quiet")
    assert capfd.readouterr() == ("", "")
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_what_the_exporter_says_of_its_own_internals_is_kept_from_users(caplog):
    """Its optimiser warns of each LayerNormalization of EchoForge."""
    logger = logging.getLogger("onnxscript.optimizer._constant_folding")
    with export._quiet():
        logger.warning("Skipping constant folding for op LayerNormalization with multiple outputs.")
    assert caplog.records == []
    logger.warning("said before and after as ever")
    assert len(caplog.records) == 1
