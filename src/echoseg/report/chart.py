"""The volume-time curve and the confidence of every frame."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from echoseg.cine import Float64, Segmentation
from echoseg.clinical import Beat, Indices, VolumeCurve, doubtful_below
from echoseg.report.shapes import Anchor, Box, Dot, Drawing, Point, Shape, Stroke, Strokes, Words
from echoseg.report.text import UNIT_LABELS, volume_text

WIDTH, LEFT, RIGHT = 1000.0, 66.0, 14.0
CURVE_TOP, CURVE_BOTTOM = 34.0, 250.0
STRIP_HEIGHT, STRIP_GAP, AXIS_HEIGHT = 40.0, 40.0, 40.0
MAX_POINTS = 1500  # longer curves are drawn as the envelope of bins, which no screen can tell apart

Scale = Callable[[float], float]


def nice_ticks(low: float, high: float, count: int) -> list[float]:
    """Round numbers from `low` to `high`, about `count` of them, at steps of 1, 2 or 5 times a power of ten.

    >>> nice_ticks(0, 118, 5)
    [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]
    """
    if not high > low:
        return [low]
    rough = (high - low) / max(1, count)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.8)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


@dataclass(frozen=True, eq=False)
class TimeAxis:
    """Where the frames of a cine land across a chart; charts of one page share it, so that one cursor fits all.

    Attributes:
        position: float64 (T,), seconds or frame numbers.
        in_seconds: whether they are seconds.
    """

    position: Float64
    in_seconds: bool

    @classmethod
    def of(cls, curve: VolumeCurve) -> TimeAxis:
        """The axis of a cine."""
        known = curve.times_s is not None
        return cls(np.arange(len(curve), dtype=np.float64) if curve.times_s is None else curve.times_s, known)

    def x(self, value: float) -> float:
        """Where a second or a frame number lands."""
        first, last = float(self.position[0]), float(self.position[-1])
        return LEFT + (value - first) / ((last - first) or 1.0) * (WIDTH - LEFT - RIGHT)

    def frame_x(self, frame: int) -> float:
        """Where a frame lands."""
        return self.x(float(self.position[frame]))

    def ticks(self, base: float, size: float = 13.0) -> Iterator[Shape]:
        """The axis at height `base` with its title, for letters of a size."""
        yield Stroke("axis", ((LEFT, base), (WIDTH - RIGHT, base)))
        for value in nice_ticks(float(self.position[0]), float(self.position[-1]), 10):
            if not self.in_seconds and value != round(value):
                continue
            x = self.x(value)
            yield Stroke("axis", ((x, base), (x, base + 5)))
            yield Words("tick", x, base + 5 + size, f"{value:g}", "middle")
        title = "Time, s" if self.in_seconds else "Frame (frame rate unknown)"
        yield Words("label", WIDTH - RIGHT, base + 9 + 2 * size, title, "end")


@dataclass(frozen=True, eq=False)
class CurveChart:
    """The chart of the volumes.

    Attributes:
        drawing: what is drawn.
        heights: y of the curve at every frame, None where it was not measured.
    """

    drawing: Drawing
    heights: tuple[float | None, ...]


def curve_chart(segmentation: Segmentation, indices: Indices) -> CurveChart:
    """Volume curve with beats, ED and ES, and below it the confidence of each frame where there is one."""
    curve, time = indices.curve, TimeAxis.of(indices.curve)
    largest = float(np.nanmax(curve.values)) if np.isfinite(curve.values).any() else 1.0
    top_value = largest * 1.08 or 1.0

    def y(value: float) -> float:
        return CURVE_BOTTOM - value / top_value * (CURVE_BOTTOM - CURVE_TOP)

    confidence = segmentation.confidence
    strip_top = CURVE_BOTTOM + STRIP_GAP
    bottom = CURVE_BOTTOM if confidence is None else strip_top + STRIP_HEIGHT
    shapes: list[Shape] = [
        *beat_bands(indices.beats, time, CURVE_TOP, bottom),
        *_volume_axis(curve, y, top_value),
        *time.ticks(bottom),
        *lines_of("volume", curve.values, time, y),
        *_marks(indices, time, y),
    ]
    if confidence is not None:
        shapes += _confidence(np.asarray(confidence, np.float64), doubtful_below(segmentation), strip_top)
    label = f"Volume of the left ventricle in {curve.unit} over time"
    heights = tuple(round(y(value), 1) if math.isfinite(value) else None for value in curve.values.tolist())
    return CurveChart(Drawing(WIDTH, bottom + AXIS_HEIGHT, label, tuple(shapes)), heights)


def _volume_axis(curve: VolumeCurve, y: Scale, top_value: float) -> Iterator[Shape]:
    for value in nice_ticks(0, top_value, 5):
        yield Stroke("grid", ((LEFT, y(value)), (WIDTH - RIGHT, y(value))))
        yield Words("tick", LEFT - 8, y(value) + 4, volume_text(value), "end")
    yield Words("label", 0, 15, f"LV volume, {UNIT_LABELS[curve.unit]}")


def beat_bands(beats: Sequence[Beat], time: TimeAxis, top: float, bottom: float) -> Iterator[Shape]:
    """Shaded beats, named where there is room."""
    for number, beat in enumerate(beats, start=1):
        end = beat.next_ed_frame if beat.next_ed_frame is not None else beat.es_frame
        left, right = sorted(time.frame_x(frame) for frame in (beat.ed_frame, end))
        kind = "even" if number % 2 == 0 else "odd"
        yield Box(f"beat {kind}", left, top, right - left, bottom - top)
        if right - left > 60:
            name = f"beat {number}" if beat.complete else "part of a beat"
            yield Words("beatname", (left + right) / 2, top - 5, name, "middle")


def _marks(indices: Indices, time: TimeAxis, y: Scale) -> Iterator[Shape]:
    values = indices.curve.values
    ends = {beat.next_ed_frame for beat in indices.beats if beat.next_ed_frame is not None}
    for frame in sorted({beat.ed_frame for beat in indices.beats} | ends):
        if math.isfinite(values[frame]):
            at = time.frame_x(frame), y(float(values[frame]))
            yield Dot("ed", *at, 5)
            yield Words("mark", at[0], at[1] - 10, "ED", _anchor(at[0]))
    for frame in sorted({beat.es_frame for beat in indices.beats}):
        if math.isfinite(values[frame]):
            x, height = time.frame_x(frame), y(float(values[frame]))
            yield Stroke("es", ((x - 6, height), (x, height - 6), (x + 6, height), (x, height + 6)), closed=True)
            yield Words("mark", x, height + 21, "ES", _anchor(x))


def _anchor(x: float) -> Anchor:
    """A label near an edge grows away from it."""
    return "start" if x < LEFT + 12 else "end" if x > WIDTH - RIGHT - 12 else "middle"


def lines_of(style: str, values: Float64, time: TimeAxis, y: Scale) -> Iterator[Shape]:
    """One line per run of frames that could be measured, and a point for a frame between two that could not.

    Args:
        style: style of the lines.
        values: float64 (T,), NaN where nothing was measured.
        time: axis of the frames.
        y: height of a value.
    """
    for run in _runs(np.isfinite(values)):
        points: list[Point] = [(time.frame_x(i), y(float(values[i]))) for i in _envelope(values, run).tolist()]
        if len(points) > 1:
            yield Stroke(style, points)
        else:
            yield Dot(f"{style} point", *points[0], 2.5)


def _runs(measured: NDArray[np.bool_]) -> list[NDArray[np.intp]]:
    frames = np.flatnonzero(measured)
    return [run for run in np.split(frames, np.flatnonzero(np.diff(frames) > 1) + 1) if len(run)]


def _envelope(values: Float64, run: NDArray[np.intp]) -> NDArray[np.intp]:
    """Frames of a run to draw: all, or the smallest and the largest of each bin."""
    if len(run) <= MAX_POINTS:
        return run
    bins = np.array_split(run, MAX_POINTS // 2)
    extremes = [(b[values[b].argmin()], b[values[b].argmax()]) for b in bins]
    return np.unique(np.array([run[0], *np.ravel(extremes), run[-1]]))


def _confidence(confidence: Float64, limit: float, top: float) -> Iterator[Shape]:
    bottom = top + STRIP_HEIGHT
    yield Words("label", 0, top - 13, f"Confidence of each frame (line: {limit:.2g})")
    for value in (0.0, 1.0):
        yield Words("tick", LEFT - 8, bottom - value * STRIP_HEIGHT + 4, f"{value:g}", "end")
    lowest = [float(part.min()) for part in np.array_split(confidence, min(len(confidence), MAX_POINTS // 3))]
    width = (WIDTH - LEFT - RIGHT) / len(lowest)
    gap = 0.15 * width if width > 4 else 0.0
    bars: dict[bool, list[Sequence[Point]]] = {True: [], False: []}
    for i, value in enumerate(lowest):
        left, right, height = LEFT + i * width, LEFT + (i + 1) * width - gap, max(1.0, value * STRIP_HEIGHT)
        bars[value >= limit].append(
            ((left, bottom), (left, bottom - height), (right, bottom - height), (right, bottom))
        )
    for good, areas in bars.items():
        if areas:
            yield Strokes("sure" if good else "unsure", areas)
    y = bottom - limit * STRIP_HEIGHT
    yield Stroke("limit", ((LEFT, y), (WIDTH - RIGHT, y)))
