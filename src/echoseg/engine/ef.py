"""A network that reads the ejection fraction off the frames, loaded once; masks play no part in what it takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from echoseg.cine import CineMeta, UInt8, View
from echoseg.clinical import RegressedEf
from echoseg.engine.backends import Backend, load_backend
from echoseg.engine.config import CONFIG_FILE, MODEL_FILE
from echoseg.engine.ef_clips import ClipPlan
from echoseg.engine.ef_config import EfConfig
from echoseg.engine.preprocess import Geometry
from echoseg.engine.registry import find_folder, require_files, verified_weights
from echoseg.engine.segmenter import FrameSource
from echoseg.errors import InputError, ModelError

CLIPS = 5
"""Clips of a cine, evenly over its length, whose predictions are averaged."""


@dataclass(frozen=True)
class EfInput:
    """Frames of a cine at the network's size, those that its clips need.

    Attributes:
        plan: how clips lie in the cine.
        images: frame -> uint8 (rows, cols).
    """

    plan: ClipPlan
    images: Mapping[int, UInt8]

    def clip(self, start: int) -> tuple[UInt8, UInt8]:
        """Frames of a clip, uint8 (T, rows, cols), and which of them are present, uint8 (T,); absent ones are black."""
        black = np.zeros_like(next(iter(self.images.values())))
        numbers = self.plan.frames(start)
        present = numbers < self.plan.n_frames
        frames = [self.images[int(i)] if there else black for i, there in zip(numbers, present, strict=True)]
        return np.stack(frames), present.astype(np.uint8)


class EfRegressor:
    """A loaded model: `regressor(cine)` gives the ejection fraction of a cine."""

    def __init__(self, config: EfConfig, backend: Backend) -> None:
        """A regressor of parts that are loaded already; `load` is what most callers want."""
        self.config = config
        self._backend = backend
        self._lookup = config.lookup()

    @classmethod
    def load(cls, name_or_folder: Path | str, *, backend: str = "onnx", threads: int | None = None) -> EfRegressor:
        """Load a model.

        Args:
            name_or_folder: name of a shipped model, or path of a model folder.
            backend: what runs it; see `echoseg.engine.backends`.
            threads: CPU threads, None = as many as the machine has.
        """
        path = find_folder(name_or_folder)
        require_files(path)
        file = str(path / MODEL_FILE)
        try:
            config = EfConfig.from_json((path / CONFIG_FILE).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, ModelError) as error:
            raise ModelError(f"{path / CONFIG_FILE}: {error}") from error
        loaded = load_backend(backend, verified_weights(path, config.sha256), file, threads)
        _check_names(loaded, config, file)
        return cls(config, loaded)

    def __call__(self, source: FrameSource, *, clips: int = CLIPS) -> RegressedEf:
        """Ejection fraction of a cine, from clips evenly over its length.

        Args:
            source: the cine; iterated once. Its header must hold the true number of frames.
            clips: number of clips; fewer where the cine is too short for as many different ones.
        """
        meta = source.meta
        plan = self.plan(meta.n_frames, meta.fps)
        starts = plan.evenly(clips)
        found = self.input(source, plan, starts)
        predicted = tuple(self.predict(found, start) for start in starts)
        return RegressedEf(predicted, self.config.title, tuple(self._warnings(meta)))

    def plan(self, n_frames: int, fps: float | None) -> ClipPlan:
        """How clips lie in a cine of `n_frames` frames."""
        return ClipPlan(n_frames, self.config.clip_length, self.config.step(fps))

    def input(self, source: FrameSource, plan: ClipPlan, starts: Sequence[int]) -> EfInput:
        """The frames of the clips that begin at `starts`, resized; the others are passed over.

        Raises:
            InputError: the cine ends before its last frame.
        """
        geometry = Geometry.fit(source.meta.shape, self.config.size, self.config.resize)
        wanted = {int(i) for start in starts for i in plan.frames(start) if i < plan.n_frames}
        images: dict[int, UInt8] = {}
        for number, frame in enumerate(source):
            if number in wanted:
                images[number] = geometry.apply(frame)
            if len(images) == len(wanted):
                return EfInput(plan, images)
        raise InputError(
            f"{source.meta.source}: {plan.n_frames} frames were announced, but frame {max(wanted - set(images))} cannot be "
            "read; copy the file again"
        )

    def predict(self, frames: EfInput, start: int) -> float:
        """Ejection fraction of one clip, percent, as the network says it."""
        images, present = frames.clip(start)
        feeds = {"clip": self._lookup[images][None, :, None], "present": present[None].astype(np.float32)}
        value = float(self._backend.run(feeds)["ef_percent"][0])
        if not np.isfinite(value):
            raise ModelError(f"model {self.config.title}: a prediction that is not finite; export or download it again")
        return value

    def _warnings(self, meta: CineMeta) -> Iterator[str]:
        config = self.config
        if meta.fps is None:
            yield (
                f"frame rate unknown: {config.title} was given neighbouring frames, but learned on frames "
                f"{config.step_s * 1000:.0f} ms apart; give the rate with --fps"
            )
        if View.UNKNOWN not in (config.view, meta.view) and config.view is not meta.view:
            yield f"view {meta.view.value}, but {config.title} learned on {config.view.value} alone"


def _check_names(backend: Backend, config: EfConfig, source: str) -> None:
    height, width = config.size
    wanted = {"clip": (1, config.clip_length, 1, height, width), "present": (1, config.clip_length)}
    if dict(backend.inputs) != wanted or set(backend.outputs) != {"ef_percent"}:
        raise ModelError(
            f"{source}: takes {dict(backend.inputs)} and gives {', '.join(backend.outputs)}, but config.json asks for "
            f"{wanted} and ef_percent; export the model again"
        )
