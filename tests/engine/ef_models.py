"""A model folder that regresses the ejection fraction by arithmetic: 100 x the mean gray of the frames that are there."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from echoseg.engine import CONFIG_FILE, MODEL_FILE, EfConfig

CONFIG = EfConfig("tiny-ef", "2", 16, 16, 0.0, 1.0, clip_length=4, step_s=0.08)


def mean_gray(length: int, size: int) -> bytes:
    """`ef_percent` = 100 x sum of gray on present frames / their number of pixels."""
    nodes = [
        helper.make_node("ReduceSum", ["clip", "axes"], ["sums"], keepdims=0),
        helper.make_node("Mul", ["sums", "present"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "time"], ["total"], keepdims=0),
        helper.make_node("ReduceSum", ["present", "time"], ["count"], keepdims=0),
        helper.make_node("Div", ["total", "count"], ["mean"]),
        helper.make_node("Mul", ["mean", "hundred"], ["ef_percent"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [
            helper.make_tensor_value_info("clip", TensorProto.FLOAT, [1, length, 1, size, size]),
            helper.make_tensor_value_info("present", TensorProto.FLOAT, [1, length]),
        ],
        [helper.make_tensor_value_info("ef_percent", TensorProto.FLOAT, [1])],
        [
            numpy_helper.from_array(np.array([100.0 / size**2], np.float32), "hundred"),
            numpy_helper.from_array(np.array([2, 3, 4], np.int64), "axes"),
            numpy_helper.from_array(np.array([1], np.int64), "time"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def write_ef_model(folder: Path, **changes: object) -> Path:
    """The model folder, its configuration changed as told."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = mean_gray(CONFIG.clip_length, CONFIG.height)
    (folder / MODEL_FILE).write_bytes(weights)
    digest = hashlib.sha256(weights).hexdigest()
    config = replace(CONFIG, sha256={MODEL_FILE: digest}, **changes)
    (folder / CONFIG_FILE).write_text(config.to_json(), encoding="utf-8")
    return folder
