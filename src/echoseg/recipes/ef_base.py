"""What a recipe of an ejection fraction network returns: one frozen dataclass that says everything about a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from echoseg.data.store import ResizeMode
from echoseg.errors import UsageError
from echoseg.methods.ef import ef_config_class
from echoseg.recipes.base import ModelInfo, read_config
from echoseg.train import TrainConfig


@dataclass(frozen=True)
class EfDataConfig:
    """Which clips a run sees, and the earlier stages that it builds on.

    Which cines are labelled is not said here: those of stage 1, so that no label is used that an earlier stage had not.

    Attributes:
        masks: stage 2: folder of the run of stage 1 (css, or another frame-wise method), which gives the masks.
        teacher: stage 3: folder of the run of stage 2, which gives teacher, masks and initial weights.
        size: side of the network's input, pixels; that of the earlier stages.
        resize: how a frame that is not square becomes square; as in the earlier stages.
        clip_length: frames of a clip.
        step_s: time between two frames of a clip, seconds.
        batch: labelled clips a step.
        unlabelled_batch: unlabelled clips a step, for stage 3.
        pad: border from which a random crop of the frame's own size is taken, pixels.
        traced: clips that must hold the ED or the ES frame: `none`; `labelled` ones; `code_compat`, unlabelled ones too, as in
            the published code, where the traced frames of unlabelled cines leak into their choice.
    """

    masks: str = ""
    teacher: str = ""
    size: int = 112
    resize: ResizeMode = "letterbox"
    clip_length: int = 32
    step_s: float = 0.04
    batch: int = 20
    unlabelled_batch: int = 0
    pad: int = 12
    traced: Literal["none", "labelled", "code_compat"] = "none"

    def __post_init__(self) -> None:
        for name in ("size", "clip_length", "batch"):
            if getattr(self, name) < 1:
                raise UsageError(f"data.{name}={getattr(self, name)}: must be at least 1")
        if self.step_s <= 0 or self.pad < 0 or self.unlabelled_batch < 0:
            raise UsageError(
                f"data.step_s={self.step_s}, data.pad={self.pad}, data.unlabelled_batch={self.unlabelled_batch}: "
                "step_s must be positive, the others not negative"
            )


@dataclass(frozen=True)
class EfRunConfig:
    """A run.

    Attributes:
        method: name in `echoseg.methods.ef.EF_METHODS`.
        network: the method's own configuration.
        data: clips and earlier stages.
        train: optimiser and schedule.
        model: name and card of the exported model.
    """

    method: str
    network: Any
    data: EfDataConfig = field(default_factory=EfDataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    model: ModelInfo = field(default_factory=ModelInfo)

    def __post_init__(self) -> None:
        if self.train.init is not None:
            raise UsageError(
                f"--init {self.train.init}: a regressor starts at what --network.weights, --data.masks and --data.teacher say"
            )


def ef_config_from_json(document: Mapping[str, Any]) -> EfRunConfig:
    """A run's configuration from the JSON that was kept of it.

    Raises:
        ModelError: a value is missing, unknown or out of range, as in a file of another version.
    """
    return read_config(EfRunConfig, ef_config_class, document)
