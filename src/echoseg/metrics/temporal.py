"""How calmly the masks of a cine change from frame to frame."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from echoseg.errors import InputError
from echoseg.metrics.overlap import Mask, as_object, dice


@dataclass(frozen=True)
class TemporalConsistency:
    """Change of the masks of consecutive frames. Values depend on the frame rate: compare at equal rates only.

    Attributes:
        area_roughness: mean over t of |A[t-1] - 2 A[t] + A[t+1]|, divided by the mean area; 0 for steady growth.
        mean_frame_dice: mean Dice of each frame with the next.
        min_frame_dice: smallest Dice of a frame with the next.
        n_frames: number of frames.
        n_empty: number of frames without a mask; they count with area 0.
    """

    area_roughness: float
    mean_frame_dice: float
    min_frame_dice: float
    n_frames: int
    n_empty: int


def temporal_consistency(masks: Iterable[Mask]) -> TemporalConsistency:
    """Temporal consistency of the masks of consecutive frames.

    Args:
        masks: at least three masks of one structure, in the order of the frames.

    Example:
        >>> masks = np.zeros((3, 10, 10), bool)
        >>> for t, side in enumerate((4, 5, 4)):
        ...     masks[t, :side, :side] = True
        >>> found = temporal_consistency(masks)
        >>> round(found.area_roughness, 3), round(found.mean_frame_dice, 3)
        (0.947, 0.78)
    """
    areas: list[int] = []
    overlaps: list[float] = []
    last: Mask | None = None
    for mask in masks:
        areas.append(int(np.count_nonzero(as_object(mask))))
        if last is not None:
            overlaps.append(dice(last, mask))
        last = mask
    if len(areas) < 3:
        raise InputError(f"{len(areas)} masks; temporal consistency needs three frames in a row")
    mean_area = float(np.mean(areas))
    roughness = float(np.abs(np.diff(areas, 2)).mean()) / mean_area if mean_area else 0.0
    return TemporalConsistency(
        area_roughness=roughness,
        mean_frame_dice=float(np.mean(overlaps)),
        min_frame_dice=min(overlaps),
        n_frames=len(areas),
        n_empty=areas.count(0),
    )
