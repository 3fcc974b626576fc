"""An endless stream of batches that is a pure function of (seed, step): what makes a resumed run equal an uninterrupted one."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from echoseg.batch import IGNORE, ClipBatch
from echoseg.data.animated import AnimatedStills
from echoseg.data.augment import AugmentConfig, augment_clip
from echoseg.data.clips import STEP_S, clip_indices
from echoseg.data.store import CineStore, StoredCine
from echoseg.errors import InputError, UsageError


@dataclass(frozen=True)
class StreamConfig:
    """How clips are drawn from a store.

    Attributes:
        clip_length: frames a clip.
        size: side of a clip's frames, pixels.
        batch: clips a batch.
        seed: of the order and of the augmentation.
        augment: ranges of the augmentation.
        mean: gray mean of the training data, 0..1.
        std: gray standard deviation of the training data, 0..1.
        step_s: time between two frames of a clip without labels, seconds.
        mirror: clips without labels run to and fro in the cine instead of stopping at its end.
        animate: make the frames between two labelled stills.
    """

    clip_length: int = 10
    size: int = 128
    batch: int = 2
    seed: int = 0
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    mean: float = 0.0
    std: float = 1.0
    step_s: float = STEP_S
    mirror: bool = False
    animate: bool = False

    def __post_init__(self) -> None:
        if self.clip_length < 1 or self.size < 16 or self.batch < 1:
            raise UsageError(f"clip_length={self.clip_length}, size={self.size}, batch={self.batch}: too small")


Clip = tuple[Tensor, Tensor, Tensor, Tensor, str]
"""Strong view, weak view, masks and labelled frames of one clip, and the name of its cine."""


def batch_of(clips: list[Clip]) -> ClipBatch:
    """Clips of one length as a batch."""
    clip, weak, masks, labelled, cases = zip(*clips, strict=True)
    return ClipBatch(torch.stack(clip), torch.stack(weak), torch.stack(masks), torch.stack(labelled), tuple(cases))


def turn_order(position: int, count: int, seed: int) -> int:
    """Which of `count` items comes at a position of an endless stream: each once in every turn, in an order of its own."""
    turn, place = divmod(position, count)
    return int(np.random.default_rng([seed, 1, turn]).permutation(count)[place])


class ClipStream:
    """Batches drawn from a store, each cine once before any comes again."""

    def __init__(self, store: CineStore, config: StreamConfig) -> None:
        """Stream over all cines of `store`."""
        if not len(store):
            raise InputError("a stream needs at least one cine; is the split empty?")
        self.store, self.config = store, config
        self._stills = AnimatedStills(config.clip_length) if config.animate else None

    def batch(self, step: int) -> ClipBatch:
        """The batch of a step, the same whenever and wherever it is asked for."""
        return batch_of([self.clip(step * self.config.batch + i) for i in range(self.config.batch)])

    def _cine(self, position: int) -> StoredCine:
        return self.store[turn_order(position, len(self.store), self.config.seed)]

    def clip(self, position: int) -> Clip:
        """The clip at a position of the endless stream."""
        cine, rng = self._cine(position), np.random.default_rng([self.config.seed, 2, position])
        if self._stills is not None:
            cine = self._stills(cine)
        config = self.config
        index = clip_indices(cine, config.clip_length, rng, step_s=config.step_s, mirror=config.mirror)
        frames = torch.from_numpy(cine.frames[index])
        masks, labelled = clip_masks(cine, index.tolist())
        views = augment_clip(frames, masks, config.size, config.augment, rng)
        return self._normalised(views.strong), self._normalised(views.weak), views.masks, labelled, cine.case.id

    def _normalised(self, gray: Tensor) -> Tensor:
        return (gray - self.config.mean) / self.config.std


class MixedStream:
    """Two streams in one, a fixed share of the clips from the second, evenly spread."""

    def __init__(self, first: ClipStream, second: ClipStream, share: float) -> None:
        """Mix.

        Args:
            first: gives the batch's size, too.
            second: clips of the same length and size.
            share: of the clips that come from `second`, between 0 and 1.
        """
        if not 0 < share < 1:
            raise UsageError(f"share={share}: the part of the second stream lies between 0 and 1")
        self.first, self.second, self.share = first, second, share

    def batch(self, step: int) -> ClipBatch:
        """The batch of a step, the same whenever and wherever it is asked for."""
        size = self.first.config.batch
        return batch_of([self._clip(step * size + i) for i in range(size)])

    def _clip(self, position: int) -> Clip:
        before, after = math.floor(position * self.share), math.floor((position + 1) * self.share)
        return self.second.clip(before) if after > before else self.first.clip(position - before)


def clip_masks(cine: StoredCine, index: list[int]) -> tuple[Tensor, Tensor]:
    """Masks (T, S, S) of a clip's frames, `IGNORE` where there is no label, and which frames are labelled.

    A short cine repeats frames; only the first and the last place of a clip count as labelled, as the methods expect.
    """
    side = cine.frames.shape[-1]
    masks = torch.full((len(index), side, side), IGNORE, dtype=torch.uint8)
    labelled = torch.zeros(len(index), dtype=torch.bool)
    for place in {0, len(index) - 1}:
        if index[place] in cine.masks:
            masks[place] = torch.from_numpy(cine.masks[index[place]].copy())
            labelled[place] = True
    return masks, labelled
