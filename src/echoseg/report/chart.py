"""The volume-time curve and the confidence of every frame, as one inline SVG without a script."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from echoseg.cine import Float64, Segmentation
from echoseg.clinical import Indices, QualityLimits, VolumeCurve
from echoseg.report.text import UNIT_LABELS, volume_text

WIDTH, LEFT, RIGHT = 1000.0, 66.0, 14.0
CURVE_TOP, CURVE_BOTTOM = 34.0, 270.0
STRIP_HEIGHT, STRIP_GAP, AXIS_HEIGHT = 54.0, 36.0, 44.0
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
class _Axes:
    """Where data land in the picture."""

    position: Float64  # (T,) seconds or frame numbers
    in_seconds: bool
    x: Scale
    y: Scale
    top_value: float
    strip_top: float | None

    @property
    def bottom(self) -> float:
        return CURVE_BOTTOM if self.strip_top is None else self.strip_top + STRIP_HEIGHT


def curve_chart(segmentation: Segmentation, indices: Indices) -> str:
    """SVG of the volume curve with beats, ED and ES, and below it the confidence of each frame where there is one."""
    curve = indices.curve
    axes = _axes(curve, segmentation.confidence is not None)
    parts = [
        *_beats(indices, axes),
        *_volume_axis(curve, axes),
        *_position_axis(axes),
        *(f'<path class="volume" d="{path}"/>' for path in _curve_paths(curve.values, axes)),
        *_lonely_points(curve.values, axes),
        *_marks(indices, axes),
    ]
    if segmentation.confidence is not None and axes.strip_top is not None:
        parts += _confidence(np.asarray(segmentation.confidence, np.float64), axes, axes.strip_top)
    height = axes.bottom + AXIS_HEIGHT
    label = f"Volume of the left ventricle in {curve.unit} over time"
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH:.0f} {height:.0f}" role="img" aria-label="{label}">'
        + "\n".join(parts)
        + "</svg>"
    )


def _axes(curve: VolumeCurve, has_confidence: bool) -> _Axes:
    in_seconds = curve.times_s is not None
    position = np.arange(len(curve), dtype=np.float64) if curve.times_s is None else curve.times_s
    span = float(position[-1] - position[0]) or 1.0
    largest = float(np.nanmax(curve.values)) if np.isfinite(curve.values).any() else 1.0
    top_value = largest * 1.08 or 1.0
    return _Axes(
        position=position,
        in_seconds=in_seconds,
        x=lambda value: LEFT + (value - float(position[0])) / span * (WIDTH - LEFT - RIGHT),
        y=lambda value: CURVE_BOTTOM - value / top_value * (CURVE_BOTTOM - CURVE_TOP),
        top_value=top_value,
        strip_top=CURVE_BOTTOM + STRIP_GAP if has_confidence else None,
    )


def _volume_axis(curve: VolumeCurve, axes: _Axes) -> Iterator[str]:
    for value in nice_ticks(0, axes.top_value, 5):
        y = axes.y(value)
        yield f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{volume_text(value)}</text>'
    yield f'<text class="label" x="0" y="15">LV volume, {UNIT_LABELS[curve.unit]}</text>'


def _position_axis(axes: _Axes) -> Iterator[str]:
    base = axes.bottom
    yield f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{base}" y2="{base}"/>'
    for value in nice_ticks(float(axes.position[0]), float(axes.position[-1]), 10):
        if not axes.in_seconds and value != round(value):
            continue
        x = axes.x(value)
        yield f'<line class="axis" x1="{x:.1f}" x2="{x:.1f}" y1="{base}" y2="{base + 5}"/>'
        yield f'<text class="tick" x="{x:.1f}" y="{base + 19}" text-anchor="middle">{value:g}</text>'
    title = "Time, s" if axes.in_seconds else "Frame (frame rate unknown)"
    yield f'<text class="label" x="{WIDTH - RIGHT}" y="{base + 38}" text-anchor="end">{title}</text>'


def _beats(indices: Indices, axes: _Axes) -> Iterator[str]:
    for number, beat in enumerate(indices.beats, start=1):
        end = beat.next_ed_frame if beat.next_ed_frame is not None else beat.es_frame
        left, right = sorted(axes.x(float(axes.position[frame])) for frame in (beat.ed_frame, end))
        kind = "even" if number % 2 == 0 else "odd"
        yield (
            f'<rect class="beat {kind}" x="{left:.1f}" y="{CURVE_TOP}" width="{right - left:.1f}" '
            f'height="{axes.bottom - CURVE_TOP:.1f}"/>'
        )
        if right - left > 60:
            name = f"beat {number}" if beat.complete else "part of a beat"
            yield f'<text class="beatname" x="{(left + right) / 2:.1f}" y="{CURVE_TOP - 5}" text-anchor="middle">{name}</text>'


def _marks(indices: Indices, axes: _Axes) -> Iterator[str]:
    values = indices.curve.values
    ends = {beat.next_ed_frame for beat in indices.beats if beat.next_ed_frame is not None}
    for frame in sorted({beat.ed_frame for beat in indices.beats} | ends):
        if math.isfinite(values[frame]):
            x, y = axes.x(float(axes.position[frame])), axes.y(float(values[frame]))
            yield f'<circle class="ed" cx="{x:.1f}" cy="{y:.1f}" r="5"/>'
            yield f'<text class="mark" x="{x:.1f}" y="{y - 10:.1f}" text-anchor="{_anchor(x)}">ED</text>'
    for frame in sorted({beat.es_frame for beat in indices.beats}):
        if math.isfinite(values[frame]):
            x, y = axes.x(float(axes.position[frame])), axes.y(float(values[frame]))
            yield f'<path class="es" d="M{x - 6:.1f} {y:.1f}l6 -6l6 6l-6 6z"/>'
            yield f'<text class="mark" x="{x:.1f}" y="{y + 21:.1f}" text-anchor="{_anchor(x)}">ES</text>'


def _anchor(x: float) -> str:
    """A label near an edge grows away from it."""
    return "start" if x < LEFT + 12 else "end" if x > WIDTH - RIGHT - 12 else "middle"


def _curve_paths(values: Float64, axes: _Axes) -> Iterator[str]:
    """One path per run of frames that could be measured."""
    for run in _runs(np.isfinite(values)):
        if len(run) > 1:
            shown = _envelope(values, run)
            yield "M" + "L".join(f"{axes.x(float(axes.position[i])):.1f} {axes.y(float(values[i])):.1f}" for i in shown)


def _lonely_points(values: Float64, axes: _Axes) -> Iterator[str]:
    """Measured frames between two that were not; a path would not show them."""
    for run in _runs(np.isfinite(values)):
        if len(run) == 1:
            x, y = axes.x(float(axes.position[run[0]])), axes.y(float(values[run[0]]))
            yield f'<circle class="point" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>'


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


def _confidence(confidence: Float64, axes: _Axes, top: float) -> Iterator[str]:
    bottom, limit = top + STRIP_HEIGHT, QualityLimits().confidence
    yield f'<text class="label" x="0" y="{top - 11:.1f}">Confidence of each frame (line: {limit:g})</text>'
    for value in (0.0, 1.0):
        y = bottom - value * STRIP_HEIGHT
        yield f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
    lowest = [float(part.min()) for part in np.array_split(confidence, min(len(confidence), int(MAX_POINTS) // 3))]
    width = (WIDTH - LEFT - RIGHT) / len(lowest)
    bars = {True: "", False: ""}
    for i, value in enumerate(lowest):
        height = max(1.0, value * STRIP_HEIGHT)
        gap = 0.15 * width if width > 4 else 0.0
        bars[value >= limit] += f"M{LEFT + i * width:.2f} {bottom}v{-height:.1f}h{width - gap:.2f}V{bottom}z"
    for good, path in bars.items():
        if path:
            yield f'<path class="{"sure" if good else "unsure"}" d="{path}"/>'
    y = bottom - limit * STRIP_HEIGHT
    yield f'<line class="limit" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
