"""What a recipe returns: one frozen dataclass that says everything about a run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from echoseg.data import AugmentConfig
from echoseg.data.store import ResizeMode
from echoseg.errors import UsageError
from echoseg.train import TrainConfig


@dataclass(frozen=True)
class DataConfig:
    """Which frames a run sees.

    Attributes:
        size: side of the network's input, pixels.
        stored_size: side of the frames kept in memory, from which augmentation samples; None = size.
        resize: how a frame that is not square becomes square.
        clip_length: frames a clip, ED to ES.
        batch: labelled clips a step.
        unlabelled_batch: unlabelled clips a step; 0 = the labelled stream alone.
        labelled_cines: label budget; None = all training cines that have labels.
        augment: augmentation of training clips.
    """

    size: int = 128
    stored_size: int | None = None
    resize: ResizeMode = "letterbox"
    clip_length: int = 10
    batch: int = 2
    unlabelled_batch: int = 0
    labelled_cines: int | None = None
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        if self.clip_length < 2:
            raise UsageError(f"data.clip_length={self.clip_length}: a clip holds at least ED and ES")
        if self.labelled_cines is not None and self.labelled_cines < 1:
            raise UsageError(f"data.labelled_cines={self.labelled_cines}: must be at least 1")


@dataclass(frozen=True)
class ModelInfo:
    """What is written on the exported model.

    Attributes:
        name: name of the model folder.
        version: of the weights.
        summary: one paragraph for the card.
        data: what the data are, and their licence; None = the data folder's layout and fingerprint.
        licence: of the weights.
        limits: known failure modes.
        half: store the weights in 16 bits (half the file; computed in fp32).
    """

    name: str = "model"
    version: str = "1"
    summary: str = "Trained by a user of echoseg."
    data: str | None = None
    licence: str = "that of the training data"
    limits: tuple[str, ...] = ()
    half: bool = False


@dataclass(frozen=True)
class RunConfig:
    """A run.

    Attributes:
        method: name in `echoseg.methods.METHODS`.
        network: the method's own configuration.
        data: frames, clips, augmentation.
        train: optimiser and schedule.
        model: name and card of the exported model.
    """

    method: str
    network: Any
    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    model: ModelInfo = field(default_factory=ModelInfo)
