"""Beats of a cine: end-diastole (ED) where the volume peaks, end-systole (ES) where it is smallest in between.

All times are in seconds, so that 12 and 100 frames per second give the same beats. Only where the frame rate is unknown
are frames counted instead. Turning points are found by hysteresis: a peak counts once the smoothed curve has fallen from
it by a share of the curve's range. That is prominence with the alternation of peaks and troughs built in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from echoseg.cine import Float64
from echoseg.clinical.curve import VolumeCurve
from echoseg.errors import InputError

SMOOTHING_S = 0.04  # standard deviation of the Gaussian; ejection takes 0.2-0.35 s
SMOOTHING_FRAMES = 1.0  # the same where the frame rate is unknown
MIN_BEAT_S = 0.27  # 220 beats a minute
MIN_BEAT_FRAMES = 4
HYSTERESIS = 0.3  # of the curve's range
EDGE_TOLERANCE = 0.06  # of the range: a curve that starts or ends this close to a peak's height starts or ends at ED
EDGE_FLANK = 0.1  # of the range: a first or last peak that rises this much above both ends is a peak
MIN_RANGE = 0.05  # of the largest volume; flatter curves hold no beat
MAX_ROUGHNESS = 1.4  # of the ranks; white noise has 2, a beat of eight frames 0.6
MIN_FRAMES_TO_JUDGE_ROUGHNESS = 12
MEDIAN_FILTER_S = 0.1  # three frames take out single spikes, unless they span so much that they take out a peak
SPIKE = 0.4  # of the range: a frame that differs this much from its neighbours is a failed mask, and neither ED nor ES
R_WAVE_WINDOW_S = 0.1  # the volume peaks within this distance of the R-wave


@dataclass(frozen=True)
class Beat:
    """One beat; frame numbers of the cine.

    Attributes:
        ed_frame: end-diastole, the largest volume.
        es_frame: end-systole, the smallest volume.
        next_ed_frame: end-diastole that ends the beat; None where the cine does not reach it.
        complete: whether the cine shows the beat from ED to ED. Otherwise it shows ED and ES only, in either order.
    """

    ed_frame: int
    es_frame: int
    next_ed_frame: int | None
    complete: bool

    def __post_init__(self) -> None:
        if min(self.ed_frame, self.es_frame) < 0 or self.ed_frame == self.es_frame:
            raise InputError(f"beat with ED {self.ed_frame} and ES {self.es_frame}; they are two frames of the cine")
        if self.complete != (self.next_ed_frame is not None):
            raise InputError("a beat is complete exactly when its next ED is known")
        if self.next_ed_frame is not None and not self.ed_frame < self.es_frame < self.next_ed_frame:
            raise InputError(
                f"frames {self.ed_frame}, {self.es_frame}, {self.next_ed_frame}; a full beat runs ED, ES, next ED"
            )


def find_beats(curve: VolumeCurve, fps: float | None, r_waves_s: Sequence[float] = ()) -> tuple[Beat, ...]:
    """Full beats of a volume curve, or the one pair of ED and ES that a shorter cine shows.

    Args:
        curve: volumes; frames that could not be measured (NaN) are bridged and never chosen, nor are single frames whose volume leaps away
            from that of both neighbours.
        fps: frames per second; None counts frames instead of seconds.
        r_waves_s: times of the R-waves, seconds from the first frame. Two or more inside the cine decide where beats begin.

    Returns:
        The full beats in their order, partial ones at either end dropped. Without a full beat: one incomplete beat of the
        largest and the smallest volume. Nothing for a flat curve.

    Example:
        >>> t = np.arange(100) / 50
        >>> values = 80 + 35 * np.cos(2 * np.pi * t / 0.8)
        >>> flat = np.zeros(100)
        >>> curve = VolumeCurve(values, "mL", "simpson_single_plane", flat, flat, "mm2", t)
        >>> [(b.ed_frame, b.es_frame, b.next_ed_frame) for b in find_beats(curve, 50.0)]
        [(0, 20, 40), (40, 60, 80)]
    """
    measured = np.flatnonzero(np.isfinite(curve.values))
    if len(measured) < 2:
        return ()
    trace = _Trace.of(curve.values, measured, fps)
    if trace.is_flat:
        return ()
    peaks = _r_wave_peaks(trace, fps, r_waves_s)
    if len(peaks) < 2:
        peaks = _volume_peaks(trace, MIN_BEAT_FRAMES if fps is None else MIN_BEAT_S * fps)
    beats = [beat for start, end in pairwise(peaks) if (beat := _full_beat(trace, start, end))]
    return tuple(beats) if beats else (_half_beat(trace),)


@dataclass(frozen=True, eq=False)
class _Trace:
    """Volume over time without gaps and spikes, and which of its frames were really measured and are none."""

    smooth: Float64
    measured: NDArray[np.intp]
    is_flat: bool

    @classmethod
    def of(cls, values: Float64, measured: NDArray[np.intp], fps: float | None) -> _Trace:
        filled = np.interp(np.arange(len(values)), measured, values[measured])
        despiked = filled if fps is not None and 2 / fps > MEDIAN_FILTER_S else _median_of_three(filled)
        steady = measured[np.abs(filled - despiked)[measured] <= SPIKE * np.ptp(despiked)]
        measured = steady if len(steady) > 1 else measured
        smooth = _gaussian(despiked, SMOOTHING_FRAMES if fps is None else SMOOTHING_S * fps)
        is_flat = np.ptp(smooth) <= MIN_RANGE * smooth.max() or _is_noise(values[np.isfinite(values)])
        return cls(smooth, measured, bool(is_flat))

    @property
    def range(self) -> float:
        return float(np.ptp(self.smooth))

    def extreme(self, start: int, end: int, sign: int) -> int | None:
        """Measured frame in [start, end) with the largest (sign 1) or smallest (sign -1) smooth volume."""
        frames = self.measured[(self.measured >= start) & (self.measured < end)]
        return int(frames[(sign * self.smooth[frames]).argmax()]) if frames.size else None


def _median_of_three(values: Float64) -> Float64:
    """Each frame's and its neighbours' median; the first and the last frame stay unless they leap away from two neighbours that do not."""
    if len(values) < 5:
        return values
    found = values.copy()
    found[1:-1] = np.median(np.stack([values[:-2], values[1:-1], values[2:]]), axis=0)
    leap = SPIKE * np.ptp(found[1:-1])
    for end, near, next_but_one in ((0, 1, 2), (-1, -2, -3)):
        if abs(values[end] - values[near]) > leap and abs(values[near] - values[next_but_one]) < leap:
            found[end] = values[near]
    return np.asarray(found, np.float64)


def _gaussian(values: Float64, sigma: float) -> Float64:
    """Gaussian smoothing that keeps a straight line straight up to both ends (odd reflection)."""
    reach = min(math.ceil(3 * sigma), len(values) - 1)
    if reach < 1 or len(values) < 4:
        return values
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    before = 2 * values[0] - values[reach:0:-1]
    after = 2 * values[-1] - values[-2 : -reach - 2 : -1]
    return np.convolve(np.concatenate([before, values, after]), kernel / kernel.sum(), "valid")


def _is_noise(values: Float64) -> bool:
    """Whether neighbours are as different as any two frames: von Neumann's ratio on ranks, which spikes do not sway."""
    if len(values) < MIN_FRAMES_TO_JUDGE_ROUGHNESS:
        return False
    ranks = np.argsort(np.argsort(values)).astype(np.float64)
    return float(np.mean(np.diff(ranks) ** 2) / ranks.var()) > MAX_ROUGHNESS


def _turning_points(smooth: Float64, hysteresis: float) -> list[tuple[int, int]]:
    """(frame, 1) for peaks and (frame, -1) for troughs, alternating; the first and the last may be cut off by the cine."""
    points: list[tuple[int, int]] = []
    high = low = rising = 0  # rising: 1 after a trough, -1 after a peak, 0 before the first turn
    for frame, value in enumerate(smooth.tolist()):
        if value > smooth[high]:
            high = frame
        if value < smooth[low]:
            low = frame
        if rising >= 0 and smooth[high] - value >= hysteresis:
            points.append((high, 1))
            low, rising = frame, -1
        elif rising <= 0 and value - smooth[low] >= hysteresis:
            points.append((low, -1))
            high, rising = frame, 1
    if rising:
        points.append((high, 1) if rising > 0 else (low, -1))
    return points


def _volume_peaks(trace: _Trace, min_distance: float) -> list[int]:
    """Frames of end-diastole, without the ends of the curve that only look like one."""
    turns = _turning_points(trace.smooth, HYSTERESIS * trace.range)
    peaks = [frame for frame, kind in turns if kind > 0]
    at_ends = {frame for frame, kind in (*turns[:1], *turns[-1:]) if kind > 0}
    inner = [float(trace.smooth[frame]) for frame in peaks if frame not in at_ends]
    height = float(np.median(inner)) if inner else max((float(trace.smooth[frame]) for frame in peaks), default=0.0)
    kept: list[int] = []
    for frame in peaks:
        if frame in at_ends and not _is_end_diastole(trace, frame, height):
            continue
        if kept and frame - kept[-1] < min_distance:
            kept[-1] = max(kept[-1], frame, key=lambda f: float(trace.smooth[f]))
        else:
            kept.append(frame)
    return _on_measured_frames(trace, kept)


def _is_end_diastole(trace: _Trace, frame: int, height: float) -> bool:
    """Whether the first or last peak is one: as high as the others, or with both its flanks inside the cine."""
    smooth = trace.smooth
    flanks = float(smooth[frame] - max(smooth[: frame + 1].min(), smooth[frame:].min()))
    return float(smooth[frame]) >= height - EDGE_TOLERANCE * trace.range or flanks >= EDGE_FLANK * trace.range


def _on_measured_frames(trace: _Trace, frames: list[int]) -> list[int]:
    nearest = [int(trace.measured[np.abs(trace.measured - frame).argmin()]) for frame in frames]
    return sorted(set(nearest))


def _r_wave_peaks(trace: _Trace, fps: float | None, r_waves_s: Sequence[float]) -> list[int]:
    """Frame of the largest volume around each R-wave."""
    if fps is None:
        return []
    window, last = R_WAVE_WINDOW_S * fps, len(trace.smooth) - 1
    peaks: list[int] = []
    for frame in sorted(r_wave * fps for r_wave in r_waves_s if 0 <= round(r_wave * fps) <= last):
        start, end = max(0, math.ceil(frame - window)), math.floor(frame + window) + 1
        peak = trace.extreme(start, max(end, start + 1), 1)
        if peak is not None and (not peaks or peak - peaks[-1] >= MIN_BEAT_S * fps):
            peaks.append(peak)
    return peaks


def _full_beat(trace: _Trace, ed_frame: int, next_ed_frame: int) -> Beat | None:
    es_frame = trace.extreme(ed_frame + 1, next_ed_frame, -1)
    if es_frame is None or trace.smooth[ed_frame] - trace.smooth[es_frame] < HYSTERESIS / 2 * trace.range:
        return None
    return Beat(ed_frame, es_frame, next_ed_frame, complete=True)


def _half_beat(trace: _Trace) -> Beat:
    """Largest and smallest volume; of two nearly equal troughs the one after the peak."""
    n_frames = len(trace.smooth)
    ed_frame = trace.extreme(0, n_frames, 1)
    es_frame = trace.extreme(0, n_frames, -1)
    if ed_frame is None or es_frame is None:
        raise InputError("curve without a measured frame; segment the cine again")
    after = trace.extreme(ed_frame + 1, n_frames, -1)
    if after is not None and trace.smooth[after] <= trace.smooth[es_frame] + EDGE_TOLERANCE * trace.range:
        es_frame = after
    return Beat(ed_frame, es_frame, None, complete=False)
