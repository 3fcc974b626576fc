"""An ejection fraction that a network read off the frames, without masks, volumes or beats."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

from echoseg.errors import InputError


@dataclass(frozen=True)
class RegressedEf:
    """Predictions of the clips of one cine.

    Attributes:
        clips: ejection fraction of each clip, percent, as predicted: not clamped to 0..100.
        model: name and version of the network.
        warnings: sentences that a user must see.
    """

    clips: tuple[float, ...]
    model: str
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.clips or not all(map(math.isfinite, self.clips)):
            raise InputError(f"{self.model}: predictions {self.clips}; need at least one, all finite")

    @property
    def ef_percent(self) -> float:
        """Mean over the clips."""
        return statistics.fmean(self.clips)

    @property
    def sd_percent(self) -> float | None:
        """Standard deviation (n - 1) over the clips, None for one: how steady the network is, not how right."""
        return statistics.stdev(self.clips) if len(self.clips) > 1 else None
