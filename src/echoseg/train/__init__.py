"""Configuration, loop, checkpoints, logs and validation; knows no method."""

from echoseg.train.calibration import Calibration
from echoseg.train.checkpoint import load_checkpoint, save_checkpoint
from echoseg.train.config import TrainConfig
from echoseg.train.loop import BEST, LAST, Goal, Training
from echoseg.train.validate import Validator, predicted_lv
from echoseg.train.validate_ef import EfValidator

__all__ = [
    "BEST",
    "LAST",
    "Calibration",
    "EfValidator",
    "Goal",
    "TrainConfig",
    "Training",
    "Validator",
    "load_checkpoint",
    "predicted_lv",
    "save_checkpoint",
]
