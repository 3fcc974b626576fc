"""Contour strain: curves over time, and the six segments of the view as a picture of its wall."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from echoseg.clinical import Beat, ContourStrain, Indices
from echoseg.report.chart import LEFT, RIGHT, WIDTH, TimeAxis, beat_bands, lines_of, nice_ticks
from echoseg.report.shapes import Anchor, Box, Drawing, Point, Shape, Stroke, Words

_TOP, _BOTTOM, _SIZE = 48.0, 260.0, 20.0
_AXIS = 14 + 2 * _SIZE
_LIMITS = (-10.0, -14.0, -18.0)
"""Colour steps of the segments, percent; they only make a picture, no guideline has limits of contour strain."""
_ROW = 12.0  # height of a range of healthy adults
_SIDES: dict[bool, tuple[Anchor, float]] = {True: ("end", -8.0), False: ("start", 8.0)}
"""Whether a segment lies on the left -> where its name goes."""


def strain_chart(strain: ContourStrain, beats: Sequence[Beat], time: TimeAxis) -> Drawing:
    """Strain of the contour (bold) and of its six segments over time; the last also of the wall's middle where it is known."""
    rows = [strain.global_percent, *strain.segments_percent]
    finite = np.concatenate([row[np.isfinite(row)] for row in rows] or [np.zeros(1)])
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (-1.0, 0.0)
    low, high = min(low, -5.0) * 1.05, max(high, 2.0) * 1.1

    def y(value: float) -> float:
        return _BOTTOM - (value - low) / (high - low) * (_BOTTOM - _TOP)

    shapes: list[Shape] = [*beat_bands(beats, time, _TOP, _BOTTOM)]
    for value in nice_ticks(low, high, 5):
        shapes.append(Stroke("axis" if value == 0 else "grid", ((LEFT, y(value)), (WIDTH - RIGHT, y(value)))))
        shapes.append(Words("tick", LEFT - 8, y(value) + 6, f"{value:g}".replace("-", "−"), "end"))
    shapes.append(Words("label", 0, 18, "Contour strain, %"))
    shapes += time.ticks(_BOTTOM, _SIZE)
    for number, row in enumerate(strain.segments_percent):
        shapes += lines_of(f"seg seg{number}", row, time, y)
    if strain.mid_percent is not None:
        shapes += lines_of("seg midwall", strain.mid_percent, time, y)
    shapes += lines_of("seg global", strain.global_percent, time, y)
    return Drawing(WIDTH, _BOTTOM + _AXIS, "Contour strain over time, global and of six segments", tuple(shapes))


@dataclass(frozen=True)
class Segment:
    """A segment of the wall.

    Attributes:
        name: as a reader has it, e.g. "basal septal".
        value: end-systolic strain in percent, median over the beats; None where it was not measured.
    """

    name: str
    value: float | None

    @property
    def style(self) -> str:
        """Style of its area."""
        if self.value is None:
            return "wall none"
        return f"wall step{sum(self.value <= limit for limit in _LIMITS)}"

    @property
    def text(self) -> str:
        """Its value."""
        return "–" if self.value is None else f"{self.value:.0f}".replace("-", "−")


def segments_of(indices: Indices) -> tuple[Segment, ...]:
    """The six segments in the order of `ContourStrain.names`; empty without strain."""
    extras = indices.extras
    if extras is None or extras.strain is None:
        return ()
    found = (extras.median.get(f"strain_{name}") for name in extras.strain.names)
    return tuple(
        Segment(name.replace("_", " "), None if one is None else one.value)
        for name, one in zip(extras.strain.names, found, strict=True)
    )


def segment_drawing(segments: Sequence[Segment], global_percent: float | None) -> Drawing:
    """The wall of the view, apex at the top, cut into its six segments with their strain.

    Args:
        segments: from the base of the left-hand wall over the apex to the base of the right-hand one.
        global_percent: global strain, written into the cavity.
    """
    shapes: list[Shape] = []
    for number, segment in enumerate(segments):
        outer, inner = _run(number, 1.0), _run(number, 0.64)
        shapes.append(Stroke(segment.style, [*outer, *reversed(inner)], closed=True))
    for number, segment in enumerate(segments):
        x, y = _run(number, 0.82, 3)[1]
        shapes.append(Words(f"strain {segment.style}", x, y + 5, segment.text, "middle"))
    shapes += _names(segments)
    if global_percent is not None:
        shapes.append(Words("cavity", 200, 170, f"{global_percent:.1f} %".replace("-", "−"), "middle"))
        shapes.append(Words("tick", 200, 190, "global", "middle"))
    said = ", ".join(f"{one.name} {one.text} %" for one in segments)
    return Drawing(400, 318, f"End-systolic strain of six segments: {said}", tuple(shapes))


def _names(segments: Sequence[Segment]) -> Iterator[Shape]:
    for number, segment in enumerate(segments):
        x, y = _run(number, 1.05, 3)[1]
        level, _, wall = segment.name.partition(" ")
        is_left = number < len(segments) / 2
        anchor, shift = _SIDES[is_left]
        yield Words("segname", x + shift, y - 6, level, anchor)
        yield Words("segname", x + shift, y + 8, wall, anchor)


def _run(number: int, share: float, count: int = 13) -> list[Point]:
    """Points along segment `number` of six; `share` of 1 is the outside of the wall."""
    return [_at((number + i / (count - 1)) / 6, share) for i in range(count)]


def _at(along: float, share: float) -> Point:
    """A point of a bullet-shaped wall: `along` from 0 (left base) over 0.5 (apex) to 1 (right base)."""
    across, tall, base = 104.0 * share, 262.0 - 104.0 * (1 - share), 300.0
    angle = math.pi * (1 - along)
    # A superellipse is blunter at the base than an ellipse, as a ventricle is.
    x = math.copysign(abs(math.cos(angle)) ** 0.8, math.cos(angle))
    return 200 + across * x, base - tall * math.sin(angle) ** 0.9


def strain_key(segments: Sequence[Segment]) -> Iterator[tuple[str, str]]:
    """(style, name) of the lines of `strain_chart`."""
    yield "seg global", "global"
    for number, one in enumerate(segments):
        yield f"seg seg{number}", one.name


def range_bar(value: float, ranges: Sequence[tuple[str, float, float]]) -> Drawing:
    """A measured value among the ranges of healthy adults, each a bar on a common scale.

    Args:
        value: what was measured.
        ranges: who, lowest and highest.
    """
    first_of_all, last_of_all = min(one[1] for one in ranges), max(one[2] for one in ranges)
    span = last_of_all - first_of_all
    # A value far away stands at the end of the scale, so that the ranges stay wide enough to be seen.
    value_shown = min(max(value, first_of_all - span), last_of_all + span)
    low, high = min(value_shown, first_of_all - 0.1 * span), max(value_shown, last_of_all + 0.1 * span)

    def x(at: float) -> float:
        return 14 + (at - low) / (high - low) * 182

    rows = _ROW * len(ranges)
    shapes: list[Shape] = []
    for row, (who, first, last) in enumerate(ranges):
        shapes.append(Words("who", 0, 9 + _ROW * row, who[:1].upper()))
        shapes.append(Box("range", x(first), 2 + _ROW * row, x(last) - x(first), 7))
    shapes.append(Stroke("marker", ((x(value_shown), 0), (x(value_shown), rows + 1))))
    said = ", ".join(f"{who} {first:g} to {last:g}" for who, first, last in ranges)
    return Drawing(200, rows + 1, f"{value:.0f} on a scale with the ranges of healthy adults: {said}", tuple(shapes))
