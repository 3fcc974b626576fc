"""`config.json` of a model folder: everything that turns frames into the network's input and its output into masks."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, TypeVar, cast, get_args

import numpy as np

from echoseg.cine import Float32, Structure
from echoseg.errors import ModelError

SCHEMA = 1
MODEL_FILE = "model.onnx"
CONFIG_FILE = "config.json"
CARD_FILE = "card.md"

Activation = Literal["sigmoid", "softmax"]
ResizeMode = Literal["letterbox", "stretch"]
TemporalKind = Literal["frame", "window", "stream"]
PostprocessStep = Literal["largest_component", "fill_holes"]


@dataclass(frozen=True)
class Temporal:
    """How a model sees time.

    Attributes:
        kind: `frame` sees one frame, `window` a clip of fixed length, `stream` one frame and a state.
        clip_length: frames of a window; 1 for the other kinds.
        step_s: time between two frames of a window, seconds; None = neighbouring frames at any frame rate. A `stream` is
            stepped on every frame, whatever the frame rate.
    """

    kind: TemporalKind = "frame"
    clip_length: int = 1
    step_s: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(TemporalKind):
            raise ModelError(f"temporal.kind={self.kind!r}: must be one of {', '.join(get_args(TemporalKind))}")
        if self.clip_length < 1 or (self.kind != "window" and self.clip_length != 1):
            raise ModelError(
                f"temporal.clip_length={self.clip_length}: at least 1, and exactly 1 unless kind is window"
            )
        if self.step_s is not None and not (math.isfinite(self.step_s) and self.step_s > 0):
            raise ModelError(f"temporal.step_s={self.step_s}: must be a positive number of seconds or null")

    def stride(self, fps: float | None) -> int:
        """Native frames between two frames of a window: `step_s` rounded to frames, 1 where either is unknown."""
        if self.step_s is None or fps is None:
            return 1
        return max(1, round(self.step_s * fps))


@dataclass(frozen=True)
class ModelConfig:
    """The content of `config.json`.

    Attributes:
        name: name of the model, as given to `--model`.
        version: version of the weights.
        structures: label value -> name (`{1: "LV"}`), labels 1, 2, ... without gaps.
        activation: `sigmoid` for one channel (the LV), `softmax` for one channel a label, background first.
        height: rows of the network's input.
        width: columns of the network's input.
        mean: subtracted from frame / 255.
        std: what the difference is divided by.
        resize: `letterbox` keeps the aspect ratio and pads with black, `stretch` does not.
        temporal: how the model sees time.
        postprocess: clean-up of the masks, in this order.
        licence: licence of the weights.
        sha256: file name -> checksum.
        min_fps: lowest frame rate of the training data; slower cines get a warning. None = no limit.
        details: anything else worth keeping (data, metrics), as JSON.
    """

    name: str
    version: str
    structures: Mapping[int, str]
    activation: Activation
    height: int
    width: int
    mean: float
    std: float
    resize: ResizeMode = "letterbox"
    temporal: Temporal = field(default_factory=Temporal)
    postprocess: tuple[PostprocessStep, ...] = ("largest_component", "fill_holes")
    licence: str = "unknown"
    sha256: Mapping[str, str] = field(default_factory=dict)
    min_fps: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("structures", "sha256", "details"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
        self._check_choices()
        self._check_structures()
        if min(self.height, self.width) < 8:
            raise ModelError(f"input of {self.height}x{self.width} pixels: a network needs at least 8 each way")
        if not (math.isfinite(self.mean) and math.isfinite(self.std) and self.std > 0):
            raise ModelError(f"normalisation mean={self.mean} std={self.std}: must be finite and std positive")
        if self.min_fps is not None and not (math.isfinite(self.min_fps) and self.min_fps > 0):
            raise ModelError(f"min_fps={self.min_fps}: must be positive or null")

    def _check_choices(self) -> None:
        for name, choices in (("activation", Activation), ("resize", ResizeMode)):
            if getattr(self, name) not in get_args(choices):
                raise ModelError(f"{name}={getattr(self, name)!r}: must be one of {', '.join(get_args(choices))}")
        for step in self.postprocess:
            if step not in get_args(PostprocessStep):
                raise ModelError(f"postprocess={step!r}: must be one of {', '.join(get_args(PostprocessStep))}")

    def _check_structures(self) -> None:
        if sorted(self.structures) != list(range(1, len(self.structures) + 1)) or not self.structures:
            raise ModelError(f"structures {dict(self.structures)}: labels must be 1, 2, ... without gaps")
        for label, name in self.structures.items():
            if label not in {int(s) for s in Structure} or Structure(label).name != name:
                known = ", ".join(f"{int(s)} = {s.name}" for s in Structure if s)
                raise ModelError(f"structure {label} = {name!r}: must be among {known}")
        if self.activation == "sigmoid" and len(self.structures) != 1:
            raise ModelError(
                f"sigmoid with structures {dict(self.structures)}: one structure only; use softmax for more"
            )

    @property
    def size(self) -> tuple[int, int]:
        """(rows, columns) of the network's input."""
        return self.height, self.width

    @property
    def n_channels(self) -> int:
        """Channels of the network's output."""
        return 1 if self.activation == "sigmoid" else len(self.structures) + 1

    @property
    def title(self) -> str:
        """Name and version in one string, as results carry it."""
        return f"{self.name} {self.version}"

    def lookup(self) -> Float32:
        """Normalised value of each of the 256 gray levels, float32 (256,)."""
        levels = np.arange(256, dtype=np.float64) / 255
        return ((levels - self.mean) / self.std).astype(np.float32)

    def to_json(self) -> str:
        """The text of `config.json`; the inverse of `from_json`."""
        document = {
            "schema": SCHEMA,
            "name": self.name,
            "version": self.version,
            "structures": {str(label): name for label, name in sorted(self.structures.items())},
            "activation": self.activation,
            "input": {"height": self.height, "width": self.width, "resize": self.resize},
            "normalisation": {"mean": self.mean, "std": self.std},
            "temporal": {
                "kind": self.temporal.kind,
                "clip_length": self.temporal.clip_length,
                "step_s": self.temporal.step_s,
            },
            "postprocess": list(self.postprocess),
            "sha256": dict(sorted(self.sha256.items())),
            "licence": self.licence,
            "min_fps": self.min_fps,
            "details": dict(self.details),
        }
        return json.dumps(document, indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> ModelConfig:
        """Read the text of a `config.json`; ModelError says which key is wrong."""
        try:
            document = json.loads(text)
        except json.JSONDecodeError as error:
            raise ModelError(f"not JSON ({error}); export the model again") from error
        if not isinstance(document, dict):
            raise ModelError(f"a {type(document).__name__} instead of an object of keys; export the model again")
        schema = document.get("schema")
        if schema != SCHEMA:
            raise ModelError(f"schema {schema!r}, this version reads {SCHEMA}; export the model with this version")
        return _Reader(document).config(cls)


_KEYS = {
    "schema",
    "name",
    "version",
    "structures",
    "activation",
    "input",
    "normalisation",
    "temporal",
    "postprocess",
    "sha256",
    "licence",
    "min_fps",
    "details",
}


_T = TypeVar("_T")


class _Reader:
    """Takes typed values out of the JSON document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        unknown = sorted(set(document) - _KEYS)
        if unknown:
            raise ModelError(f"unknown key {unknown[0]!r}; known are {', '.join(sorted(_KEYS))}")

    def get(self, path: str, convert: Callable[[object], _T], *default: _T) -> _T:
        """Value at a dotted path, converted; a missing key without default is an error."""
        value: Any = self.document
        for key in path.split("."):
            if not isinstance(value, dict) or value.get(key) is None:
                if default:
                    return default[0]
                raise ModelError(f"key {path!r} is missing; export the model again")
            value = value[key]
        try:
            return convert(value)
        except (TypeError, ValueError) as error:
            raise ModelError(f"{path}={value!r}: {error}; export the model again") from error

    def config(self, cls: type[ModelConfig]) -> ModelConfig:
        no_steps: tuple[str, ...] = ()
        return cls(
            name=self.get("name", _text),
            version=self.get("version", _text),
            structures=self.get("structures", lambda v: {int(k): _text(n) for k, n in _object(v).items()}),
            activation=cast(Activation, self.get("activation", _text)),
            height=self.get("input.height", _integer),
            width=self.get("input.width", _integer),
            resize=cast(ResizeMode, self.get("input.resize", _text)),
            mean=self.get("normalisation.mean", _number),
            std=self.get("normalisation.std", _number),
            temporal=Temporal(
                kind=cast(TemporalKind, self.get("temporal.kind", _text)),
                clip_length=self.get("temporal.clip_length", _integer, 1),
                step_s=self.get("temporal.step_s", _number, None),
            ),
            postprocess=cast(tuple[PostprocessStep, ...], self.get("postprocess", _texts, no_steps)),
            licence=self.get("licence", _text, "unknown"),
            sha256=self.get("sha256", lambda v: {k: _text(h) for k, h in _object(v).items()}),
            min_fps=self.get("min_fps", _number, None),
            details=self.get("details", _object, {}),
        )


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError("must be an object of keys")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError("must be a text")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError("must be a list of texts")
    return tuple(_text(item) for item in value)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError("must be a number")
    return float(value)


def _integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("must be a whole number")
    return value
