"""Frame by frame, live: `session.step(frame)` answers before the next frame exists."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from echoseg.cine import CineMeta, Float32, Structure, UInt8
from echoseg.engine.backends import Backend
from echoseg.engine.config import ModelConfig
from echoseg.engine.postprocess import activate, expected_dice, labels_of, lv_channel, native_mask
from echoseg.engine.preprocess import Geometry
from echoseg.engine.temporal import StreamState, normaliser
from echoseg.errors import InputError, ModelError, UsageError


@dataclass(frozen=True, eq=False)
class FrameResult:
    """The segmentation of one frame.

    Attributes:
        mask: labels, uint8 (H, W), native size, cleaned as the model's config says.
        confidence: expected Dice of the LV mask, 0..1; 0 where there is no LV.
        network_probabilities: float32 (K, rows, cols) at the network's size.
        geometry: where the frame lies in the network's input.
    """

    mask: UInt8
    confidence: float
    network_probabilities: Float32
    geometry: Geometry

    @cached_property
    def probabilities(self) -> Float32:
        """Probabilities at native size, float32 (K, H, W); computed when first asked for."""
        return self.geometry.restore(self.network_probabilities)


def frame_result(logits: Float32, config: ModelConfig, geometry: Geometry, where: str) -> FrameResult:
    """Logits (K, rows, cols) of a frame to its result; `where` names the frame in messages."""
    if logits.shape != (config.n_channels, *config.size):
        raise ModelError(
            f"model {config.title}: logits of shape {logits.shape} where config.json says "
            f"{(config.n_channels, *config.size)}; export the model again"
        )
    if not np.isfinite(logits).all():
        raise ModelError(f"model {config.title}: values that are not finite on {where}; export or download it again")
    probabilities = activate(logits / np.float32(config.temperature), config.activation)
    labels = labels_of(probabilities)
    inside = geometry.content_box
    confidence = expected_dice(lv_channel(probabilities)[inside], labels[inside] == Structure.LV)
    mask = native_mask(probabilities, labels, geometry, config.postprocess)
    return FrameResult(mask, confidence, probabilities, geometry)


class StreamSession:
    """Segments frames as they come; for models of kind `frame` and `stream`."""

    def __init__(self, backend: Backend, config: ModelConfig, meta: CineMeta) -> None:
        """A session before its first frame; `meta` gives the frames' size (`n_frames` plays no part)."""
        if config.temporal.kind == "window":
            raise UsageError(
                f"model {config.title}: sees clips of {config.temporal.clip_length} frames and cannot answer frame by "
                "frame; use a model of kind frame or stream, or segment the whole cine"
            )
        self._backend = backend
        self._config = config
        self._source = meta.source
        self._geometry = Geometry.fit(meta.shape, config.size, config.resize)
        self._normalise = normaliser(config)
        self._stream = StreamState(backend, self._normalise) if config.temporal.kind == "stream" else None
        self.n_frames = 0

    def step(self, frame: UInt8) -> FrameResult:
        """Segment the next frame, uint8 (H, W)."""
        where = f"{self._source}, frame {self.n_frames}"
        try:
            image = self._geometry.apply(frame)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
        if self._stream is not None:
            logits = self._stream.step(image)
        else:
            logits = self._backend.run({"frames": self._normalise(image)[None, None]})["logits"][0]
        self.n_frames += 1
        return frame_result(logits, self._config, self._geometry, where)
