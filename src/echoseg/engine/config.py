"""`config.json` of a model folder: everything that turns frames into the network's input and its output into masks."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, cast, get_args

import numpy as np

from echoseg.cine import Float32, Structure
from echoseg.engine.config_text import (
    SCHEMA,
    ConfigReader,
    as_integer,
    as_number,
    as_object,
    as_range,
    as_text,
    as_texts,
    is_ef_config,
)
from echoseg.errors import ModelError

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
        temperature: logits are divided by it before they become probabilities; above 1 for a network that is surer than right.
        doubtful_below: confidence that all but a few frames of the validation data reach; a frame below it is doubtful. None = not known.
        min_fps: lowest frame rate of the training data; slower cines are flagged. None = no limit.
        gray_range: darkest and brightest image of the training, as the mean gray value (0..1) of its pixels that are not black; a cine
            outside is flagged. None = no limit.
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
    temperature: float = 1.0
    doubtful_below: float | None = None
    min_fps: float | None = None
    gray_range: tuple[float, float] | None = None
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
        if not (math.isfinite(self.temperature) and self.temperature > 0):
            raise ModelError(f"temperature={self.temperature}: must be a positive number")
        if self.doubtful_below is not None and not 0 <= self.doubtful_below <= 1:
            raise ModelError(f"doubtful_below={self.doubtful_below}: must be from 0 to 1, or null")
        if self.min_fps is not None and not (math.isfinite(self.min_fps) and self.min_fps > 0):
            raise ModelError(f"min_fps={self.min_fps}: must be positive or null")
        if self.gray_range is not None and not 0 <= self.gray_range[0] < self.gray_range[1] <= 1:
            raise ModelError(f"gray_range={self.gray_range}: need two numbers from 0 to 1, the smaller first, or null")

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
            "temperature": self.temperature,
            "doubtful_below": self.doubtful_below,
            "min_fps": self.min_fps,
            "gray_range": None if self.gray_range is None else list(self.gray_range),
            "details": dict(self.details),
        }
        return json.dumps(document, indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> ModelConfig:
        """Read the text of a `config.json`; ModelError says which key is wrong."""
        if is_ef_config(text):
            raise ModelError("regresses the ejection fraction and draws no masks; give it with --ef-model")
        return _model_config(cls, ConfigReader(text, _KEYS))


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
    "temperature",
    "doubtful_below",
    "min_fps",
    "gray_range",
    "details",
}


def _model_config(cls: type[ModelConfig], reader: ConfigReader) -> ModelConfig:
    no_steps: tuple[str, ...] = ()
    return cls(
        name=reader.get("name", as_text),
        version=reader.get("version", as_text),
        structures=reader.get("structures", lambda v: {int(k): as_text(n) for k, n in as_object(v).items()}),
        activation=cast(Activation, reader.get("activation", as_text)),
        height=reader.get("input.height", as_integer),
        width=reader.get("input.width", as_integer),
        resize=cast(ResizeMode, reader.get("input.resize", as_text)),
        mean=reader.get("normalisation.mean", as_number),
        std=reader.get("normalisation.std", as_number),
        temporal=Temporal(
            kind=cast(TemporalKind, reader.get("temporal.kind", as_text)),
            clip_length=reader.get("temporal.clip_length", as_integer, 1),
            step_s=reader.get("temporal.step_s", as_number, None),
        ),
        postprocess=cast(tuple[PostprocessStep, ...], reader.get("postprocess", as_texts, no_steps)),
        licence=reader.get("licence", as_text, "unknown"),
        sha256=reader.get("sha256", lambda v: {k: as_text(h) for k, h in as_object(v).items()}),
        temperature=reader.get("temperature", as_number, 1.0),
        doubtful_below=reader.get("doubtful_below", as_number, None),
        min_fps=reader.get("min_fps", as_number, None),
        gray_range=reader.get("gray_range", as_range, None),
        details=reader.get("details", as_object, {}),
    )
