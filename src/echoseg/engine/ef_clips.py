"""Clips from which an ejection fraction is regressed: where they may start, which frames they hold."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from echoseg.cine import UInt8


@dataclass(frozen=True)
class ClipPlan:
    """How clips lie in one cine.

    A cine that is shorter than length * step frames is continued with absent frames up to that length.

    Attributes:
        n_frames: frames of the cine.
        length: frames of a clip.
        step: native frames between two frames of a clip.
    """

    n_frames: int
    length: int
    step: int

    @property
    def starts(self) -> int:
        """Number of places where a clip may start: 0 .. starts - 1."""
        return max(self.n_frames, self.length * self.step) - (self.length - 1) * self.step

    def frames(self, start: int) -> NDArray[np.int64]:
        """Native frames of the clip from `start` on, int64 (length,); numbers from `n_frames` on are absent frames."""
        return start + self.step * np.arange(self.length)

    def evenly(self, clips: int) -> tuple[int, ...]:
        """Up to `clips` different starts, evenly over the cine; a single clip lies in its middle."""
        if clips == 1:
            return ((self.starts - 1) // 2,)
        return tuple(dict.fromkeys(np.rint(np.linspace(0, self.starts - 1, clips)).astype(int).tolist()))

    def random(self, rng: np.random.Generator, containing: Collection[int] = ()) -> int:
        """A random start; the clip holds one of the frames `containing`, drawn at random, if there are any."""
        if not containing:
            return int(rng.integers(0, self.starts))
        wanted = int(rng.choice(sorted(containing)))
        able = [s for s in range(self.starts) if wanted in range(s, s + self.length * self.step, self.step)]
        return int(rng.choice(able))


def mirrored(frames: UInt8) -> UInt8:
    """A cine of twice the length: half of it mirrored in time before its start, half after its end.

    Half a beat becomes a whole one (W. Dai et al., IEEE TMI 2022, external validation on CAMUS).
    """
    half = len(frames) // 2
    before, after = frames[:half][::-1], frames[len(frames) - half :][::-1]
    return np.concatenate([before, frames, after])
