"""Clips for networks that regress the ejection fraction: gray frames and, with masks, a channel of LV probabilities."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from echoseg.batch import EfBatch
from echoseg.cine import UInt8
from echoseg.data.clips import frame_step
from echoseg.data.store import StoredCine
from echoseg.data.stream import turn_order
from echoseg.engine import ClipPlan
from echoseg.errors import InputError, UsageError


@dataclass(frozen=True, eq=False)
class EfCine:
    """A cine at the network's size, with what a regression may know of it.

    Attributes:
        name: of the case.
        frames: uint8 (T, S, S).
        fps: frames per second if known.
        ef_percent: ejection fraction; None for a cine of the unlabelled stream.
        probability: of the LV on every frame in steps of 1/255, uint8 (T, S, S); None where the run needs no masks.
        traced: frames one of which a clip has to hold; empty = clips start anywhere.
    """

    name: str
    frames: UInt8
    fps: float | None
    ef_percent: float | None = None
    probability: UInt8 | None = None
    traced: tuple[int, ...] = ()

    @property
    def target(self) -> float:
        """Ejection fraction, percent, NaN where it is not known."""
        return math.nan if self.ef_percent is None else self.ef_percent


def ef_cines(
    cines: Iterable[StoredCine],
    probabilities: Sequence[UInt8] | None = None,
    *,
    labelled: bool,
    traced: bool = False,
) -> tuple[EfCine, ...]:
    """Cines of a stream.

    Args:
        cines: from the store; those of a labelled stream without an ejection fraction in their table are left out.
        probabilities: of each cine, as `EfCine` holds them.
        labelled: whether the ejection fraction may be known; False forgets it here, so that it cannot reach a loss.
        traced: whether clips must hold the ED or the ES frame.
    """
    found = []
    for i, cine in enumerate(cines):
        ef = cine.case.ef_percent if labelled else None
        if labelled and ef is None:
            continue
        ends = tuple(f for f in (cine.ed_frame, cine.es_frame) if traced and f is not None)
        masks = None if probabilities is None else probabilities[i]
        found.append(EfCine(cine.case.id, cine.frames, cine.fps, ef, masks, ends))
    return tuple(found)


@dataclass(frozen=True)
class EfClips:
    """How clips are cut and normalised.

    Attributes:
        length: frames of a clip.
        step_s: time between two frames, seconds.
        mean: gray mean of the training data, 0..1.
        std: gray standard deviation of the training data, 0..1.
        pad: border around the frames, pixels, from which a random crop of the frames' own size is taken; 0 = no crop.
    """

    length: int
    step_s: float
    mean: float
    std: float
    pad: int = 0

    def __post_init__(self) -> None:
        if self.length < 1 or self.step_s <= 0 or self.pad < 0:
            raise UsageError(f"clips of {self.length} frames {self.step_s} s apart, pad={self.pad}: must be positive")

    def cut(self, cine: EfCine, rng: np.random.Generator) -> Float[Tensor, "T C S S"]:
        """A random clip of a cine, gray and mask channel under the same crop."""
        plan = ClipPlan(len(cine.frames), self.length, frame_step(cine.fps, self.step_s))
        numbers = plan.frames(plan.random(rng, cine.traced))
        present = torch.from_numpy(numbers < plan.n_frames)
        inside = numbers[numbers < plan.n_frames]
        gray = (torch.from_numpy(cine.frames[inside]).float() / 255 - self.mean) / self.std
        channels = [_placed(gray, present, 0.0)]
        if cine.probability is not None:
            channels.append(_placed(mask_channel(torch.from_numpy(cine.probability[inside])), present, -1.0))
        top, left = rng.integers(0, 2 * self.pad, 2).tolist() if self.pad else (0, 0)
        # outside the image: the mean gray, and certainly no LV
        moved = [_crop(x, self.pad, top, left, fill) for x, fill in zip(channels, (0.0, -1.0), strict=False)]
        return torch.stack(moved, 1)


def mask_channel(probability: Tensor) -> Tensor:
    """2 p - 1 of probabilities in steps of 1/255: -1 certainly outside, 1 certainly inside the LV."""
    return probability.float() * (2 / 255) - 1


def _placed(frames: Tensor, present: Tensor, fill: float) -> Tensor:
    """Frames in their places of the clip, `fill` where the cine has ended."""
    out = torch.full((len(present), *frames.shape[1:]), fill)
    out[present] = frames
    return out


def _crop(frames: Tensor, pad: int, top: int, left: int, fill: float) -> Tensor:
    if not pad:
        return frames
    height, width = frames.shape[-2:]
    padded = torch.nn.functional.pad(frames, (pad, pad, pad, pad), value=fill)
    return padded[..., top : top + height, left : left + width]


class EfStream:
    """Batches that are a pure function of (seed, step); each cine comes once before any comes again."""

    def __init__(self, cines: Sequence[EfCine], clips: EfClips, batch: int, seed: int) -> None:
        """Stream over `cines`, `batch` clips a step."""
        if not cines:
            raise InputError("a stream needs at least one cine; has any an ejection fraction in its table?")
        self.cines, self.clips, self.size, self.seed = tuple(cines), clips, batch, seed

    def batch(self, step: int) -> EfBatch:
        """The batch of a step, the same whenever and wherever it is asked for."""
        places = range(step * self.size, (step + 1) * self.size)
        chosen = [self.cines[turn_order(place, len(self.cines), self.seed)] for place in places]
        clips = [
            self.clips.cut(cine, np.random.default_rng([self.seed, 2, place]))
            for cine, place in zip(chosen, places, strict=True)
        ]
        targets = torch.tensor([cine.target for cine in chosen])
        return EfBatch(torch.stack(clips), targets, tuple(cine.name for cine in chosen))
