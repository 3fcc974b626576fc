"""Clips of a cine: which frames, in which order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from echoseg.data.store import StoredCine


def beat_indices(ed_frame: int, es_frame: int, length: int) -> NDArray[np.int64]:
    """`length` frames from ED to ES, both included, rounded to the nearest frame; in reverse time where ES comes first.

    >>> beat_indices(0, 19, 10).tolist()
    [0, 2, 4, 6, 8, 11, 13, 15, 17, 19]
    >>> beat_indices(4, 0, 3).tolist()
    [4, 2, 0]
    """
    return np.rint(np.linspace(ed_frame, es_frame, length)).astype(np.int64)


def window_indices(n_frames: int, length: int, step: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """`length` frames at a step, from a random start; the last frame is repeated where the cine is too short."""
    span = (length - 1) * step
    start = int(rng.integers(0, max(1, n_frames - span)))
    return np.minimum(start + step * np.arange(length), n_frames - 1)


def clip_indices(
    cine: StoredCine, length: int, rng: np.random.Generator, *, step_s: float = 0.033
) -> NDArray[np.int64]:
    """ED..ES where they are known, else a random window whose frames lie about `step_s` apart."""
    if cine.ed_frame is not None and cine.es_frame is not None:
        return beat_indices(cine.ed_frame, cine.es_frame, length)
    step = 1 if cine.fps is None else max(1, round(step_s * cine.fps))
    return window_indices(len(cine.frames), length, step, rng)
