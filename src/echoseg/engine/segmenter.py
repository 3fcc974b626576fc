"""A trained model, loaded once, that turns cines into masks at their native size."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

from echoseg.cine import CineMeta, MaskStack, Segmentation, UInt8
from echoseg.engine.backends import Backend, load_backend
from echoseg.engine.config import MODEL_FILE, ModelConfig
from echoseg.engine.preprocess import Geometry, mean_gray, without_graphics
from echoseg.engine.registry import find_model
from echoseg.engine.session import StreamSession, frame_result
from echoseg.engine.signature import check_signature
from echoseg.engine.temporal import predict
from echoseg.errors import InputError
from echoseg.io.sector import Box

COARSEST = 0.4
"""Resolution, relative to the network's input, under which a frame is flagged; augmentation leaves as much (`AugmentConfig.coarse`)."""

CHUNK = 8  # more is no faster, and the memory of the activations grows with it


class FrameSource(Protocol):
    """Frames with a header: a `Cine`, a `CineStream`, or anything else that has both."""

    @property
    def meta(self) -> CineMeta:
        """What is known before the first frame."""
        ...

    def __iter__(self) -> Iterator[UInt8]:
        """Frames, uint8 (H, W), in order."""
        ...


class Segmenter:
    """A loaded model: `segmenter(source)` for a whole cine, `segmenter.session(meta)` for live frames.

    The result for a frame depends on nothing but what the model itself sees of the cine: not on the chunk size, not on
    frames that share a batch. Text and an ECG around the ultrasound sector are blanked first, where the sector is found for sure
    (`preprocess.without_graphics`); live frames are taken as they come. Memory is bounded by a second of frames, a chunk or a
    window, plus the compressed masks.
    """

    def __init__(self, config: ModelConfig, backend: Backend, *, chunk: int = CHUNK) -> None:
        """A segmenter of parts that are loaded already; `load` is what most callers want."""
        self.config = config
        self._backend = backend
        self._chunk = chunk

    @classmethod
    def load(cls, name_or_folder: Path | str, *, backend: str = "onnx", threads: int | None = None) -> Segmenter:
        """Load a model.

        Args:
            name_or_folder: name of a shipped model, or path of a model folder.
            backend: what runs it; see `echoseg.engine.backends`.
            threads: CPU threads, None = as many as the machine has.
        """
        folder = find_model(name_or_folder)
        file = str(folder.path / MODEL_FILE)
        loaded = load_backend(backend, folder.read_weights(), file, threads)
        check_signature(loaded, folder.config, file)
        return cls(folder.config, loaded)

    def __call__(self, source: FrameSource | Path | str) -> Segmentation:
        """Segment every frame of a cine, given as such or as a path."""
        with _opened(source) as cine:
            return self._segment(cine)

    def session(self, meta: CineMeta) -> StreamSession:
        """Start on live frames of the size that `meta` says."""
        return StreamSession(self._backend, self.config, meta)

    def _segment(self, source: FrameSource) -> Segmentation:
        meta = source.meta
        geometry = Geometry.fit(meta.shape, self.config.size, self.config.resize)
        masks = MaskStack(meta.height, meta.width)
        confidence: list[float] = []
        grays: list[float] = []
        images = _watched(_inputs(source, geometry, meta.region), grays)
        for logits in predict(self._backend, self.config, images, meta.fps, self._chunk):
            result = frame_result(logits, self.config, geometry, f"{meta.source}, frame {len(masks)}")
            masks.append(result.mask)
            confidence.append(result.confidence)
        meta = source.meta  # a decoder may know more after the last frame than before the first
        meta = replace(meta, warnings=(*meta.warnings, *self._warnings(meta)))
        beyond = tuple(self._beyond_training(meta, float(np.median(grays))))
        confidences = np.array(confidence, np.float32)
        return Segmentation(meta, masks, confidences, self.config.title, beyond, self.config.doubtful_below)

    def _warnings(self, meta: CineMeta) -> Iterator[str]:
        temporal = self.config.temporal
        if meta.fps is None and temporal.kind == "window" and temporal.step_s is not None:
            yield (
                f"frame rate unknown: {self.config.title} was given neighbouring frames, but learned on frames "
                f"{temporal.step_s * 1000:.0f} ms apart; give the rate with --fps"
            )

    def _beyond_training(self, meta: CineMeta, gray: float) -> Iterator[str]:
        """In what a cine, whose images have the median gray value `gray`, differs from what the model learned on."""
        slowest, title = self.config.min_fps, self.config.title
        if meta.fps is not None and slowest is not None and meta.fps < slowest:
            yield f"{meta.fps:.3g} frames per second, {title} learned on {slowest:.3g} or more"
        if self.config.gray_range is not None:
            darkest, brightest = self.config.gray_range
            if not darkest <= gray <= brightest:
                yield (
                    f"images of a mean gray value of {100 * gray:.0f} %, {title} learned on {100 * darkest:.0f} to "
                    f"{100 * brightest:.0f} %"
                )
        if max(meta.shape) < COARSEST * max(self.config.size):
            yield (
                f"frames of {meta.height} x {meta.width} pixels, less than {COARSEST:.0%} of the {self.config.height} x "
                f"{self.config.width} that {title} sees"
            )


def _inputs(source: FrameSource, geometry: Geometry, region: Box | None) -> Iterator[UInt8]:
    for number, frame in enumerate(without_graphics(source, region)):
        try:
            yield geometry.apply(frame)
        except InputError as error:
            raise InputError(f"{source.meta.source}, frame {number}: {error}") from error


def _watched(images: Iterator[UInt8], grays: list[float]) -> Iterator[UInt8]:
    """The same images; `grays` grows by the mean gray value of each."""
    for image in images:
        grays.append(mean_gray(image))
        yield image


def _opened(source: FrameSource | Path | str) -> AbstractContextManager[FrameSource]:
    if isinstance(source, (str, Path)):
        from echoseg.io import open_cine

        opened: AbstractContextManager[FrameSource] = open_cine(source)
        return opened
    return nullcontext(source)
