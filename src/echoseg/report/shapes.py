"""Lines, areas and words of a chart, put into SVG or onto the page of a PDF file.

A shape has no colour. Its style is a name: a class in the style sheets of the pages, a line of the table in `pdf_paint.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

Anchor = Literal["start", "middle", "end"]
Point = tuple[float, float]


@dataclass(frozen=True)
class Stroke:
    """A polyline, or an area where it is closed. Points are (x, y), y grows downwards."""

    style: str
    points: Sequence[Point]
    closed: bool = False


@dataclass(frozen=True)
class Strokes:
    """Many areas of one style, such as the bars of a strip."""

    style: str
    areas: Sequence[Sequence[Point]]


@dataclass(frozen=True)
class Box:
    """A rectangle; (x, y) is its top left corner."""

    style: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Dot:
    """A disc; a reader sees `note` when the pointer rests on it, and goes to `link` where there is one.

    The key Tab passes it by: a plot may hold a thousand, and tables link the same places.
    """

    style: str
    x: float
    y: float
    radius: float
    note: str = ""
    link: str = ""


@dataclass(frozen=True)
class Words:
    """A line of text on the base line y."""

    style: str
    x: float
    y: float
    text: str
    anchor: Anchor = "start"


Shape = Stroke | Strokes | Box | Dot | Words


@dataclass(frozen=True)
class Drawing:
    """A picture made of shapes.

    Attributes:
        width, height: its extent.
        label: what it shows, for those who do not see it.
        shapes: from the back to the front.
    """

    width: float
    height: float
    label: str
    shapes: tuple[Shape, ...]

    def svg(self, css: str = "chart", more: str = "") -> str:
        """Inline SVG; `css` are its classes, `more` is markup that goes on top."""
        return (
            f'<svg class="{css}" viewBox="0 0 {self.width:.0f} {self.height:.0f}" role="img" '
            f'aria-label="{escape(self.label)}">' + "\n".join(map(svg_of, self.shapes)) + more + "</svg>"
        )


def svg_of(shape: Shape) -> str:
    """SVG element of a shape.

    >>> svg_of(Words("tick", 3, 4, "a < b", "end"))
    '<text class="tick" x="3.0" y="4.0" text-anchor="end">a &lt; b</text>'
    """
    match shape:
        case Stroke(style, points, closed):
            return f'<path class="{style}" d="{path_of(points, closed=closed)}"/>'
        case Strokes(style, areas):
            return f'<path class="{style}" d="{"".join(path_of(points, closed=True) for points in areas)}"/>'
        case Box(style, x, y, width, height):
            return f'<rect class="{style}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'
        case Words(style, x, y, text, anchor):
            return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
        case Dot(style, x, y, radius, note, link):
            title = f"<title>{escape(note)}</title>" if note else ""
            mark = f'<circle class="{style}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}">{title}</circle>'
            return f'<a href="{escape(link)}" tabindex="-1" aria-label="{escape(note)}">{mark}</a>' if link else mark


def path_of(points: Iterable[Point], *, closed: bool = False) -> str:
    """Path data through some points.

    >>> path_of([(0, 0), (1.25, 2)], closed=True)
    'M0 0L1.2 2z'
    """
    return "M" + "L".join(f"{_short(x)} {_short(y)}" for x, y in points) + ("z" if closed else "")


def _short(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
