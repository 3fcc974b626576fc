"""A trained model folder -> masks: preprocessing, windowing, resizing back, the runtime, live sessions. Needs no torch.

    segmenter = Segmenter.load("name-or-folder")
    segmentation = segmenter("cine.dcm")

A model folder holds `model.onnx`, `config.json` (`ModelConfig`) and `card.md`.
"""

from __future__ import annotations

from echoseg.engine.config import CARD_FILE, CONFIG_FILE, MODEL_FILE, ModelConfig, Temporal
from echoseg.engine.ef import EfInput, EfRegressor
from echoseg.engine.ef_clips import ClipPlan, mirrored
from echoseg.engine.ef_config import EfConfig
from echoseg.engine.preprocess import Geometry, mean_gray
from echoseg.engine.registry import ModelFolder, find_model, is_ef_folder, list_models, open_folder
from echoseg.engine.segmenter import FrameSource, Segmenter
from echoseg.engine.session import FrameResult, StreamSession

__all__ = [
    "CARD_FILE",
    "CONFIG_FILE",
    "MODEL_FILE",
    "ClipPlan",
    "EfConfig",
    "EfInput",
    "EfRegressor",
    "FrameResult",
    "FrameSource",
    "Geometry",
    "ModelConfig",
    "ModelFolder",
    "Segmenter",
    "StreamSession",
    "Temporal",
    "find_model",
    "is_ef_folder",
    "list_models",
    "mean_gray",
    "mirrored",
    "open_folder",
]
