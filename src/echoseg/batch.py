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
