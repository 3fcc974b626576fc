"""What a training step receives: a batch of clips with the masks of their labelled frames."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

IGNORE = 255
"""Mask value of a pixel that no loss may look at: all pixels of unlabelled frames."""


@dataclass(frozen=True, eq=False)
class ClipBatch:
    """Clips of one stream (labelled or unlabelled cines).

    Attributes:
        clip: normalised gray frames after strong photometric augmentation; what the student sees.
        weak: the same geometric view with little or no photometric change; what a teacher sees.
        masks: labels 0..3, `IGNORE` wherever there is no label.
        labelled: which frames carry a label.
        cases: names of the cines, for messages.
    """

    clip: Float[Tensor, "B T 1 H W"]
    weak: Float[Tensor, "B T 1 H W"]
    masks: UInt8[Tensor, "B T H W"]
    labelled: Bool[Tensor, "B T"]
    cases: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.clip.shape[:2] != self.masks.shape[:2] or self.clip.shape[-2:] != self.masks.shape[-2:]:
            raise ValueError(f"masks {tuple(self.masks.shape)} do not belong to clips {tuple(self.clip.shape)}")
        if self.clip.shape != self.weak.shape:
            raise ValueError(f"weak view {tuple(self.weak.shape)} differs from the clip {tuple(self.clip.shape)}")

    def to(self, device: torch.device | str) -> ClipBatch:
        """The same batch on another device."""
        moved = {name: getattr(self, name).to(device) for name in ("clip", "weak", "masks", "labelled")}
        return replace(self, **moved)


@dataclass(frozen=True, eq=False)
class FrameBatch:
    """Single frames that a frame-wise step looks at, of one or both streams.

    Attributes:
        strong: what the student sees.
        weak: what a teacher sees.
        masks: labels 0..3, `IGNORE` wherever there is no label.
        labelled: frames that carry a label.
        drawn: frames drawn for a loss that needs no label; a labelled frame may be drawn, too.
    """

    strong: Float[Tensor, "N 1 H W"]
    weak: Float[Tensor, "N 1 H W"]
    masks: UInt8[Tensor, "N H W"]
    labelled: Bool[Tensor, " N"]
    drawn: Bool[Tensor, " N"]


def frames_of_step(labelled: ClipBatch, unlabelled: ClipBatch | None, count: int, step: int) -> FrameBatch:
    """All labelled frames and some of every clip, each frame once.

    Args:
        labelled: clips of the labelled stream.
        unlabelled: clips of the unlabelled stream, if there is one.
        count: frames drawn of each clip, without repetition; all of them where a clip has no more.
        step: decides which, so that a resumed run draws what an uninterrupted one does.
    """
    parts = []
    for batch in (labelled,) if unlabelled is None else (labelled, unlabelled):
        rng = torch.Generator().manual_seed(step)
        drawn = (torch.rand(batch.labelled.shape, generator=rng).argsort(1) < count).to(batch.labelled.device)
        seen = batch.labelled | drawn
        parts.append([x[seen] for x in (batch.clip, batch.weak, batch.masks, batch.labelled, drawn)])
    return FrameBatch(*(torch.cat(column) for column in zip(*parts, strict=True)))


@dataclass(frozen=True, eq=False)
class EfBatch:
    """Clips with the ejection fraction of their cine.

    Attributes:
        clip: normalised gray frames in channel 0, absent frames of a short cine 0. Where the run has masks, channel 1 holds 2 p - 1 of the LV's
            probability p, -1 on absent frames and outside the image.
        ef_percent: NaN where the cine has no label.
        cases: names of the cines, for messages.
    """

    clip: Float[Tensor, "B T C H W"]
    ef_percent: Float[Tensor, " B"]
    cases: tuple[str, ...]

    def to(self, device: torch.device | str) -> EfBatch:
        """The same batch on another device."""
        return replace(self, clip=self.clip.to(device), ef_percent=self.ef_percent.to(device))
