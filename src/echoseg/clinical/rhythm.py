"""The lengths of beats: how regular they are, and which of them a premature contraction spoiled.

A premature beat shows as a short interval, a compensatory pause after it, and two beats out of line: the one that began too early fills
little, the one after the pause fills and ejects more than usual. Both are left out of medians. Where beats of all lengths follow
each other (atrial fibrillation) none is left out: the median and the range over all beats are reported, with the beat that comes
closest to the mean length.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from echoseg.clinical.beats import Beat
from echoseg.clinical.ejection import beat_lengths
from echoseg.clinical.measures import Rhythm

RHYTHM_LIMIT = 0.2  # relative deviation of a beat's length from the median that counts as irregular
PREMATURE = 0.8  # of the median length: a shorter interval ended too early
PAUSE = 1.1  # of the median length: a longer one after it is a compensatory pause
COMPENSATED = 0.2  # relative difference of both together from two median intervals
MIN_BEATS_TO_JUDGE = 4  # fewer do not tell what is usual
MIN_USUAL = 2
USUAL_LIMIT = 0.1  # the same for the other beats of a heart that only beats too early now and then


def rhythm_of(beats: Sequence[Beat], fps: float | None, limit: float = RHYTHM_LIMIT) -> Rhythm | None:
    """Lengths of the full beats; None without one or without a frame rate.

    Example:
        >>> beats = [Beat(0, 20, 55, complete=True), Beat(55, 70, 90, complete=True), Beat(90, 110, 132, complete=True)]
        >>> found = rhythm_of(beats, fps=50.0)
        >>> found.shortest_s, found.longest_s, found.irregular, found.typical_beat
        (0.7, 1.1, True, 2)
    """
    frames = beat_lengths(beats)
    if not frames or fps is None:
        return None
    lengths = np.array(frames) / fps
    full = [number for number, beat in enumerate(beats) if beat.complete]
    return Rhythm(
        shortest_s=float(lengths.min()),
        mean_s=float(lengths.mean()),
        longest_s=float(lengths.max()),
        irregular=is_irregular(frames, limit),
        typical_beat=full[int(np.abs(lengths - lengths.mean()).argmin())],
        ectopic_beats=ectopic_beats(beats),
    )


def is_irregular(lengths: Sequence[int], limit: float = RHYTHM_LIMIT) -> bool:
    """Whether a beat departs from the median length by more than `limit` of it.

    Example:
        >>> is_irregular([40, 41, 39]), is_irregular([40, 52, 39])
        (False, True)
    """
    return len(lengths) > 1 and float(np.abs(np.array(lengths) / np.median(lengths) - 1).max()) > limit


def ectopic_beats(beats: Sequence[Beat]) -> tuple[int, ...]:
    """Numbers of the beats that began with a premature contraction or followed its pause.

    Beat i is as long as the interval to the next one: a short beat i says that beat i + 1 came too early.

    Example:
        >>> starts = [0, 40, 80, 104, 160, 200, 240]
        >>> beats = [Beat(a, a + 10, b, complete=True) for a, b in zip(starts, starts[1:])]
        >>> ectopic_beats(beats)
        (3, 4)
    """
    if len(beats) < MIN_BEATS_TO_JUDGE or not all(_follow(beats)):
        return ()
    lengths = np.array(beat_lengths(beats), np.float64)
    relative = lengths / np.median(lengths)
    is_odd = np.zeros(len(lengths), bool)
    found: set[int] = set()
    for i in np.flatnonzero(relative[:-1] < PREMATURE).tolist():
        if relative[i + 1] > PAUSE and abs(relative[i : i + 2].mean() - 1) <= COMPENSATED / 2:
            is_odd[i : i + 2] = True
            found |= {i + 1, i + 2} & set(range(len(beats)))
    others = lengths[~is_odd].tolist()
    # Where the others are no more regular, the rhythm itself is irregular and there is nothing to leave out.
    return tuple(sorted(found)) if len(others) >= MIN_USUAL and not is_irregular(others, USUAL_LIMIT) else ()


def usual_beats(beats: Sequence[Beat]) -> tuple[Beat, ...]:
    """The beats without ectopic ones: those that medians are taken over."""
    left_out = set(ectopic_beats(beats))
    return tuple(beat for number, beat in enumerate(beats) if number not in left_out)


def _follow(beats: Sequence[Beat]) -> list[bool]:
    """For each beat whether it is full and the next one begins where it ends."""
    ends = [beat.next_ed_frame for beat in beats]
    starts = [beat.ed_frame for beat in beats[1:]] + ends[-1:]
    return [end is not None and end == start for end, start in zip(ends, starts, strict=True)]
