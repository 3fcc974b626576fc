"""Dice against cost, as an SVG that any browser shows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

WIDTH, HEIGHT = 760, 460
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 40, 56
LINE, LETTER = 12, 7
"""Height of a name and width of one of its letters, at most."""
COLOURS = ("#4c78a8", "#f58518", "#54a24b", "#b279a2", "#e45756", "#72b7b2", "#9d755d", "#bab0ac")


@dataclass(frozen=True)
class Point:
    """A variant: cost in GMAC a frame, Dice in percent with its interval, and whether it learns from labels alone."""

    name: str
    method: str
    gmac: float
    dice: float
    low: float
    high: float
    labels_alone: bool


def points(document: Mapping[str, Any]) -> list[Point]:
    """All variants that have a Dice."""
    controls = {found["against"]["control"] for found in document["variants"].values() if found.get("against")}
    found = []
    for name, variant in document["variants"].items():
        value = variant["metrics"].get("dice_all")
        if value is not None:
            dice, (low, high) = 100 * value["mean"], (100 * edge for edge in value["interval"])
            # the frame-wise network has no other way to learn
            alone = name in controls or variant["method"] == "framewise"
            found.append(Point(name, variant["method"], variant["cost"]["gmac"], dice, low, high, alone))
    return found


class Axes:
    """Where a cost (logarithmic) and a Dice lie in the picture, pixels."""

    def __init__(self, shown: Sequence[Point]) -> None:
        """Axes that hold all points."""
        costs = [p.gmac for p in shown]
        self.left, self.right = math.log10(min(costs)) - 0.1, math.log10(max(costs)) + 0.25
        low, high = min(p.low for p in shown), max(p.high for p in shown)
        margin = max(0.5, 0.06 * (high - low))
        self.low, self.high = low - margin, high + margin

    def x(self, gmac: float) -> float:
        """Across."""
        share = (math.log10(gmac) - self.left) / (self.right - self.left)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, dice: float) -> float:
        """Down."""
        return TOP + (self.high - dice) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)

    def cost_ticks(self) -> list[float]:
        """1, 2 and 5 of every decade that is shown."""
        decades = range(math.floor(self.left), math.ceil(self.right) + 1)
        values = [digit * 10.0**decade for decade in decades for digit in (1, 2, 5)]
        return [v for v in values if self.left <= math.log10(v) <= self.right]

    def dice_ticks(self) -> list[float]:
        """Round numbers, about five."""
        raw = (self.high - self.low) / 5
        step = next(s for s in (0.5, 1, 2, 5, 10, 20, 50) if s >= raw or s == 50)
        first = math.ceil(self.low / step)
        return [step * i for i in range(first, math.floor(self.high / step) + 1)]


def figure_svg(document: Mapping[str, Any]) -> str:
    """The figure; says so where there is nothing to show yet."""
    shown = points(document)
    title = f"{document['suite']}: LV Dice of all test frames against cost, {document['steps']} steps"
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="white"/>\n'
        f'<text x="{LEFT}" y="22" font-size="14">{escape(title)}</text>\n'
    )
    if not shown:
        return head + f'<text x="{LEFT}" y="{HEIGHT / 2}">no finished cell</text>\n</svg>\n'
    axes = Axes(shown)
    methods = list(dict.fromkeys(p.method for p in shown))
    colours = {method: COLOURS[i % len(COLOURS)] for i, method in enumerate(methods)}
    lowest_first = sorted(shown, key=lambda p: p.dice)
    heights = label_heights([(axes.x(p.gmac), axes.y(p.dice), p.name) for p in lowest_first])
    marks = [_mark(p, axes, colours[p.method], y) for p, y in zip(lowest_first, heights, strict=True)]
    return head + _frame(axes) + "".join(marks) + "</svg>\n"


def _frame(axes: Axes) -> str:
    bottom, lines = HEIGHT - BOTTOM, []
    for dice in axes.dice_ticks():
        y = axes.y(dice)
        lines.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        lines.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{dice:g}</text>')
    for gmac in axes.cost_ticks():
        x = axes.x(gmac)
        lines.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}" stroke="#eee"/>')
        lines.append(f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{gmac:g}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    lines.append(f'<text x="{middle}" y="{HEIGHT - 12}" text-anchor="middle">GMAC a frame</text>')
    lines.append(
        f'<text x="{WIDTH - RIGHT}" y="22" text-anchor="end" fill="#555">hollow: labels alone; bars: 95 % over cines</text>'
    )
    return "\n".join(lines) + "\n"


def label_heights(marks: Sequence[tuple[float, float, str]]) -> list[float]:
    """Heights of the names of marks (x, y, name), lowest mark first: that of the mark, or as much higher as keeps names apart."""
    placed: list[tuple[float, float, float]] = []
    for x, y, name in marks:
        end = x + LETTER * len(name)
        for left, right, taken in sorted(placed, key=lambda label: -label[2]):
            if left < end and x < right and abs(y - taken) < LINE:
                y = taken - LINE
        placed.append((x, end, y))
    return [y for _, _, y in placed]


def _mark(point: Point, axes: Axes, colour: str, label_y: float) -> str:
    x, y = axes.x(point.gmac), axes.y(point.dice)
    fill = "white" if point.labels_alone else colour
    bar = f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{axes.y(point.low):.1f}" y2="{axes.y(point.high):.1f}" stroke="{colour}"/>'
    circle = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{fill}" stroke="{colour}" stroke-width="2"/>'
    return f'<g>{bar}{circle}<text x="{x + 8:.1f}" y="{label_y + 4:.1f}">{escape(point.name)}</text></g>\n'
