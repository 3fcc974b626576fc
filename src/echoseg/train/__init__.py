"""Configuration, loop, checkpoints, logs and validation; knows no method."""

from echoseg.train.checkpoint import load_checkpoint, save_checkpoint
from echoseg.train.config import TrainConfig
from echoseg.train.loop import BEST, LAST, Training
from echoseg.train.validate import Validator, predicted_lv

__all__ = [
    "BEST",
    "LAST",
    "TrainConfig",
    "Training",
    "Validator",
    "load_checkpoint",
    "predicted_lv",
    "save_checkpoint",
]
