"""Tiny networks, written with onnx.helper, so that the engine is tested without torch."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from echoseg.engine import CONFIG_FILE, MODEL_FILE, ModelConfig, Temporal

SIZE = 32
GAIN = 40.0  # logits = (gray / 255 - 0.5) * GAIN


def _constant(name: str, value: object) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(value, np.float32), name)


def _info(name: str, shape: list[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _model(nodes: list, inputs: list, outputs: list, constants: list) -> bytes:
    graph = helper.make_graph(nodes, "tiny", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def threshold_frame(size: int = SIZE) -> bytes:
    """Logits (x - 0.5) * GAIN of each pixel on its own."""
    nodes = [
        helper.make_node("Sub", ["frames", "half"], ["centred"]),
        helper.make_node("Mul", ["centred", "gain"], ["logits"]),
    ]
    shape = ["n", 1, size, size]
    return _model(
        nodes, [_info("frames", shape)], [_info("logits", shape)], [_constant("half", 0.5), _constant("gain", GAIN)]
    )


def bands_frame(size: int = SIZE) -> bytes:
    """Four channels; channel k wins where gray is near k / 3."""
    nodes = [helper.make_node("Conv", ["frames", "weight", "bias"], ["logits"])]
    centres = np.arange(4) / 3
    weight, bias = (2 * GAIN * centres).reshape(4, 1, 1, 1), -GAIN * centres**2
    return _model(
        nodes,
        [_info("frames", ["n", 1, size, size])],
        [_info("logits", ["n", 4, size, size])],
        [_constant("weight", weight), _constant("bias", bias)],
    )


def threshold_window(length: int, size: int = SIZE) -> bytes:
    """The frame threshold over a clip of `length` frames."""
    nodes = [
        helper.make_node("Sub", ["clip", "half"], ["centred"]),
        helper.make_node("Mul", ["centred", "gain"], ["logits"]),
    ]
    shape = [1, length, 1, size, size]
    return _model(
        nodes, [_info("clip", shape)], [_info("logits", shape)], [_constant("half", 0.5), _constant("gain", GAIN)]
    )


def peak_hold_stream(size: int = SIZE) -> bytes:
    """State = brightest value so far of each pixel (zeroed when `first`); logits threshold it."""
    shape = [1, 1, size, size]
    nodes = [
        helper.make_node("Sub", ["one", "first"], ["keep"]),
        helper.make_node("Mul", ["state_0", "keep"], ["kept"]),
        helper.make_node("Max", ["kept", "frame"], ["next_state_0"]),
        helper.make_node("Sub", ["next_state_0", "half"], ["centred"]),
        helper.make_node("Mul", ["centred", "gain"], ["logits"]),
    ]
    return _model(
        nodes,
        [_info("frame", shape), _info("first", [1]), _info("state_0", shape)],
        [_info("logits", shape), _info("next_state_0", shape)],
        [_constant("one", [1.0]), _constant("half", 0.5), _constant("gain", GAIN)],
    )


def tiny_config(**changes: object) -> ModelConfig:
    config = ModelConfig(
        name="tiny",
        version="1.0",
        structures={1: "LV"},
        activation="sigmoid",
        height=SIZE,
        width=SIZE,
        mean=0.0,
        std=1.0,
        postprocess=(),
        licence="CC0",
    )
    return replace(config, **changes)


def write_folder(folder: Path, model: bytes, config: ModelConfig) -> Path:
    folder.mkdir(parents=True)
    (folder / MODEL_FILE).write_bytes(model)
    config = replace(config, sha256={MODEL_FILE: hashlib.sha256(model).hexdigest()})
    (folder / CONFIG_FILE).write_text(config.to_json(), encoding="utf-8")
    (folder / "card.md").write_text("# tiny\n", encoding="utf-8")
    return folder


class Tiny:
    """Builders of the module, handed to tests as one fixture."""

    size = SIZE
    gain = GAIN
    config = staticmethod(tiny_config)
    threshold_frame = staticmethod(threshold_frame)
    bands_frame = staticmethod(bands_frame)
    threshold_window = staticmethod(threshold_window)
    peak_hold_stream = staticmethod(peak_hold_stream)
    write = staticmethod(write_folder)

    @staticmethod
    def folder(root: Path, kind: str, **changes: object) -> Path:
        """A ready model folder of a temporal kind."""
        if kind == "frame":
            return write_folder(root / "frame", threshold_frame(), tiny_config(**changes))
        if kind == "window":
            config = tiny_config(temporal=Temporal("window", 4, 0.04), **changes)
            return write_folder(root / "window", threshold_window(4), config)
        return write_folder(root / "stream", peak_hold_stream(), tiny_config(temporal=Temporal("stream"), **changes))


@pytest.fixture(scope="session")
def tiny() -> type[Tiny]:
    return Tiny


def disc_cine(n_frames: int, shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Bright disc that moves and beats, on a dark noisy ground; uint8 (T, H, W)."""
    rng = np.random.default_rng(seed)
    rows, cols = np.ogrid[: shape[0], : shape[1]]
    frames = rng.integers(0, 60, (n_frames, *shape), dtype=np.uint8)
    for t in range(n_frames):
        radius = min(shape) * (0.25 + 0.08 * np.cos(0.7 * t))
        inside = (rows - shape[0] / 2) ** 2 + (cols - shape[1] / 2 - 0.3 * (t % 5)) ** 2 < radius**2
        frames[t][inside] = rng.integers(190, 256, int(inside.sum()), dtype=np.uint8)
    return frames


@pytest.fixture(scope="session")
def discs():
    return disc_cine
