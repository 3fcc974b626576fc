"""`config.json` of a model folder whose network regresses the ejection fraction from clips."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, cast, get_args

import numpy as np

from echoseg.cine import Float32, View
from echoseg.engine.config import ResizeMode
from echoseg.engine.config_text import (
    EF_TASK,
    SCHEMA,
    ConfigReader,
    as_integer,
    as_number,
    as_object,
    as_text,
    is_ef_config,
)
from echoseg.errors import ModelError

_KEYS = frozenset(
    {"schema", "task", "name", "version", "input", "normalisation", "clip", "view", "sha256", "licence", "details"}
)


@dataclass(frozen=True)
class EfConfig:
    """The content of `config.json`.

    Attributes:
        name: name of the model.
        version: version of the weights.
        height: rows of the network's input.
        width: columns of the network's input.
        mean: subtracted from frame / 255.
        std: what the difference is divided by.
        clip_length: frames of a clip.
        step_s: time between two frames of a clip, seconds.
        resize: `letterbox` keeps the aspect ratio and pads with black, `stretch` does not.
        view: the only view of the training data, UNKNOWN where there were several.
        licence: licence of the weights.
        sha256: file name -> checksum.
        details: anything else worth keeping, as JSON.
    """

    name: str
    version: str
    height: int
    width: int
    mean: float
    std: float
    clip_length: int
    step_s: float
    resize: ResizeMode = "letterbox"
    view: View = View.UNKNOWN
    licence: str = "unknown"
    sha256: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("sha256", "details"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
        if self.resize not in get_args(ResizeMode):
            raise ModelError(f"resize={self.resize!r}: must be one of {', '.join(get_args(ResizeMode))}")
        if min(self.height, self.width) < 8 or self.clip_length < 1:
            raise ModelError(f"clips of {self.clip_length} frames of {self.height}x{self.width} pixels: too small")
        if not (math.isfinite(self.mean) and math.isfinite(self.std) and self.std > 0):
            raise ModelError(f"normalisation mean={self.mean} std={self.std}: must be finite and std positive")
        if not (math.isfinite(self.step_s) and self.step_s > 0):
            raise ModelError(f"clip.step_s={self.step_s}: must be a positive number of seconds")

    @property
    def size(self) -> tuple[int, int]:
        """(rows, columns) of the network's input."""
        return self.height, self.width

    @property
    def title(self) -> str:
        """Name and version in one string, as results carry it."""
        return f"{self.name} {self.version}"

    def step(self, fps: float | None) -> int:
        """Native frames between two frames of a clip: `step_s` rounded to frames, 1 where the frame rate is unknown."""
        return 1 if fps is None else max(1, round(self.step_s * fps))

    def lookup(self) -> Float32:
        """Normalised value of each of the 256 gray levels, float32 (256,)."""
        return ((np.arange(256, dtype=np.float64) / 255 - self.mean) / self.std).astype(np.float32)

    def to_json(self) -> str:
        """The text of `config.json`; the inverse of `from_json`."""
        document = {
            "schema": SCHEMA,
            "task": EF_TASK,
            "name": self.name,
            "version": self.version,
            "input": {"height": self.height, "width": self.width, "resize": self.resize},
            "normalisation": {"mean": self.mean, "std": self.std},
            "clip": {"length": self.clip_length, "step_s": self.step_s},
            "view": self.view.value,
            "sha256": dict(sorted(self.sha256.items())),
            "licence": self.licence,
            "details": dict(self.details),
        }
        return json.dumps(document, indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> EfConfig:
        """Read the text of a `config.json`; ModelError says which key is wrong."""
        if not is_ef_config(text):
            raise ModelError("is no model that regresses the ejection fraction; models that draw masks go with --model")
        reader = ConfigReader(text, _KEYS)
        return cls(
            name=reader.get("name", as_text),
            version=reader.get("version", as_text),
            height=reader.get("input.height", as_integer),
            width=reader.get("input.width", as_integer),
            mean=reader.get("normalisation.mean", as_number),
            std=reader.get("normalisation.std", as_number),
            clip_length=reader.get("clip.length", as_integer),
            step_s=reader.get("clip.step_s", as_number),
            resize=cast(ResizeMode, reader.get("input.resize", as_text)),
            view=reader.get("view", lambda value: View(as_text(value)), View.UNKNOWN),
            licence=reader.get("licence", as_text, "unknown"),
            sha256=reader.get("sha256", lambda v: {k: as_text(h) for k, h in as_object(v).items()}),
            details=reader.get("details", as_object, {}),
        )
