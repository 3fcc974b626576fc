"""What a recipe returns: one frozen dataclass that says everything about a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, is_dataclass, replace
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from echoseg.data import STEP_S, AugmentConfig
from echoseg.data.store import ResizeMode
from echoseg.errors import ModelError, UsageError
from echoseg.methods import config_class
from echoseg.train import TrainConfig

LabelSplit = Literal["seeded", "css"]
Run = TypeVar("Run")


@dataclass(frozen=True)
class DataConfig:
    """Which frames a run sees.

    Attributes:
        size: side of the network's input, pixels.
        stored_size: side of the frames kept in memory, from which augmentation samples; None = size.
        resize: how a frame that is not square becomes square.
        clip_length: frames a clip, ED to ES.
        batch: labelled clips a step.
        unlabelled_batch: unlabelled clips a step; 0 = the labelled stream alone: training cines outside the label budget then take no part at
            all, and the model's card counts them.
        unlabelled_clip_length: frames of an unlabelled clip, for methods that need a whole window of that length: cines that
            are too short for one are left out and counted. None = clip_length, short cines repeat their last frame.
        unlabelled_step_s: time between two frames of an unlabelled clip, seconds.
        unlabelled_source: cines that give unlabelled clips: those without labels, those with labels, or both.
        unlabelled_mirror: unlabelled clips run to and fro in their cine, for data without whole beats; none is too short then.
        labelled_cines: label budget; None = all training cines that have labels.
        unlabelled_cines: number of cines without labels; None = all others.
        label_split: how labelled cines are chosen: `seeded` by the seed of the run, `css` by the published protocol of CSS.
        augment: augmentation of training clips.
        also_share: share of the labelled clips that come from a second data folder (`--also`), all of whose training labels are used.
        animate: make the frames between two labelled stills, where a cine has no others; semi-synthetic, for training alone.
    """

    size: int = 128
    stored_size: int | None = None
    resize: ResizeMode = "letterbox"
    clip_length: int = 10
    batch: int = 2
    unlabelled_batch: int = 0
    unlabelled_clip_length: int | None = None
    unlabelled_step_s: float = STEP_S
    unlabelled_source: Literal["unlabelled", "labelled", "both"] = "unlabelled"
    unlabelled_mirror: bool = False
    labelled_cines: int | None = None
    unlabelled_cines: int | None = None
    label_split: LabelSplit = "seeded"
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    also_share: float = 0.0
    animate: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.also_share < 1:
            raise UsageError(f"data.also_share={self.also_share}: a share of clips lies between 0 and 1, 1 excluded")
        if self.clip_length < 2:
            raise UsageError(f"data.clip_length={self.clip_length}: a clip holds at least ED and ES")
        for name in ("labelled_cines", "unlabelled_cines", "unlabelled_clip_length"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsageError(f"data.{name}={value}: must be at least 1")
        if self.unlabelled_step_s <= 0:
            raise UsageError(f"data.unlabelled_step_s={self.unlabelled_step_s}: must be a positive number of seconds")
        if self.label_split == "css" and self.labelled_cines is None:
            raise UsageError(
                "data.label_split=css: say how many cines are labelled with data.labelled_cines (920 is 1/8)"
            )
        if self.animate and self.clip_length < 3:
            raise UsageError(f"data.clip_length={self.clip_length}: leaves nothing to animate; take 3 or more")


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


def config_from_json(document: Mapping[str, Any]) -> RunConfig:
    """A run's configuration from the JSON that was kept of it.

    Raises:
        ModelError: a value is missing, unknown or out of range, as in a file of another version.
    """
    return read_config(RunConfig, config_class, document)


def read_config(kind: type[Run], network_class: Callable[[str], type[Any]], document: Mapping[str, Any]) -> Run:
    """A run's configuration of some kind from JSON.

    Args:
        kind: dataclass with `method` and `network`.
        network_class: method -> dataclass of its network.
        document: what was kept.

    Raises:
        ModelError: a value is missing, unknown or out of range, as in a file of another version.
    """
    try:
        values = dict(document)
        network = built(network_class(values["method"]), values.pop("network"))
        rest: Any = built(kind, {**values, "network": None})
        found: Run = replace(rest, network=network)
        return found
    except (KeyError, TypeError, UsageError) as error:
        raise ModelError(
            f"the run's configuration cannot be read ({error}); it is of another version of echoseg"
        ) from error


def without_pretrained(network: Any) -> Any:  # noqa: ANN401
    """The same network built from random weights, for whoever loads trained ones next."""
    return replace(network, weights="none")


def built(kind: Any, value: Any) -> Any:  # noqa: ANN401
    """JSON value -> dataclass, tuple or plain value, as the annotation says."""
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        return kind(**{name: built(hints[name], item) for name, item in value.items()})
    if get_origin(kind) in (Union, UnionType) and value is not None:
        return built(next(k for k in get_args(kind) if k is not type(None)), value)
    if get_origin(kind) is tuple and isinstance(value, list):
        return tuple(value)
    return value
