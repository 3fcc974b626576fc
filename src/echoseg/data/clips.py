"""Clips of a cine: which frames, in which order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from echoseg.data.store import CineStore, StoredCine

STEP_S = 0.033
"""Time between two frames of an unlabelled clip unless a recipe says otherwise."""


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


def mirrored_indices(n_frames: int, length: int, step: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """`length` frames at a step of a cine that is played forwards and backwards without end, from a random place.

    Half a beat becomes a whole one: 0, 1, ..., n - 1, n - 2, ..., 1, 0, 1, ... (W. Dai et al., IEEE TMI 2022, section IV-G).
    """
    period = max(1, 2 * (n_frames - 1))
    place = (int(rng.integers(0, period)) + step * np.arange(length)) % period
    return np.minimum(place, period - place)


def frame_step(fps: float | None, step_s: float) -> int:
    """Native frames between two frames of a clip: `step_s` rounded to frames, 1 where the frame rate is unknown."""
    return 1 if fps is None else max(1, round(step_s * fps))


def long_enough(store: CineStore, length: int, step_s: float) -> CineStore:
    """The cines in which a window of `length` frames, `step_s` seconds apart, fits without repeating a frame."""
    return CineStore([cine for cine in store if len(cine.frames) > (length - 1) * frame_step(cine.fps, step_s)])


def beat_step_s(store: CineStore, length: int) -> float | None:
    """Median time between two frames of the clips of `length` frames from ED to ES, seconds; None where no frame rate is known."""
    steps = [
        abs(cine.es_frame - cine.ed_frame) / (length - 1) / cine.fps
        for cine in store
        if cine.fps and cine.ed_frame is not None and cine.es_frame is not None
    ]
    return (float(np.median(steps)) or None) if steps else None


def clip_indices(
    cine: StoredCine, length: int, rng: np.random.Generator, *, step_s: float = STEP_S, mirror: bool = False
) -> NDArray[np.int64]:
    """ED..ES where they are known, else a random window whose frames lie about `step_s` apart.

    Args:
        cine: the cine.
        length: frames of the clip.
        rng: where a window starts.
        step_s: time between two frames of a window, seconds.
        mirror: windows run to and fro in the cine instead of stopping at its end.
    """
    if cine.ed_frame is not None and cine.es_frame is not None:
        return beat_indices(cine.ed_frame, cine.es_frame, length)
    window = mirrored_indices if mirror else window_indices
    return window(len(cine.frames), length, frame_step(cine.fps, step_s), rng)
