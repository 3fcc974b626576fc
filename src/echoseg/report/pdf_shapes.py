"""Shapes of a drawing on the page of a PDF file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from echoseg.report.pdf_letters import Letters
from echoseg.report.shapes import Box, Dot, Drawing, Point, Shape, Stroke, Strokes, Words

Colour = tuple[int, int, int]

MM_PER_PT = 0.3528
ANCHORS = {"start": 0.0, "middle": 0.5, "end": 1.0}
"""Share of a text's width that lies left of its place."""


@dataclass(frozen=True)
class _Style:
    """How a shape is drawn; widths and sizes in units of the drawing."""

    stroke: Colour | None = None
    width: float = 1.0
    fill: Colour | None = None
    dash: tuple[float, float] | None = None
    size: float = 13.0
    bold: bool = False


_INK, _SOFT, _BLUE, _WHITE = (22, 32, 42), (82, 96, 109), (11, 90, 148), (255, 255, 255)
_STYLES = {
    "grid": _Style((227, 232, 236)),
    "axis": _Style((125, 138, 150)),
    "tick": _Style(fill=_SOFT, size=14),
    "label": _Style(fill=_INK, size=14, bold=True),
    "beat odd": _Style(fill=(228, 239, 248)),
    "beat even": _Style(fill=(243, 247, 250)),
    "beatname": _Style(fill=_BLUE, size=14),
    "volume": _Style(_INK, 2.2),
    "volume point": _Style(fill=_INK),
    "ed": _Style(_WHITE, 1.2, _BLUE),
    "es": _Style((179, 74, 0), 2.5, _WHITE),
    "mark": _Style(fill=_INK, size=14, bold=True),
    "sure": _Style(fill=(127, 147, 165)),
    "unsure": _Style(fill=(217, 131, 0)),
    "limit": _Style(_INK, 1, dash=(4, 4)),
    "seg seg0": _Style((11, 90, 148), 2.4),
    "seg seg1": _Style((61, 147, 214), 2.4),
    "seg seg2": _Style((86, 180, 233), 2.4, dash=(9, 4)),
    "seg seg3": _Style((224, 138, 30), 2.4, dash=(9, 4)),
    "seg seg4": _Style((213, 94, 0), 2.4),
    "seg seg5": _Style((143, 61, 0), 2.4),
    "seg midwall": _Style(_SOFT, 2.4, dash=(4, 4)),
    "seg global": _Style(_INK, 4.5),
    "wall none": _Style(_WHITE, 2.5, (199, 206, 213)),
    "wall step0": _Style(_WHITE, 2.5, (242, 217, 196)),
    "wall step1": _Style(_WHITE, 2.5, (201, 222, 238)),
    "wall step2": _Style(_WHITE, 2.5, (143, 191, 227)),
    "wall step3": _Style(_WHITE, 2.5, (74, 144, 200)),
    "strain": _Style(fill=_INK, size=15, bold=True),
    "segname": _Style(fill=_SOFT, size=13),
    "cavity": _Style(fill=_INK, size=24, bold=True),
}


@dataclass(frozen=True)
class Place:
    """Where a drawing goes.

    Attributes:
        x, y: its top left corner, mm.
        scale: mm per unit of the drawing.
        letters: how much larger than usual its words are.
    """

    x: float
    y: float
    scale: float
    letters: float = 1.0

    def at(self, points: Iterable[Point]) -> list[Point]:
        """Points of the drawing on the page, mm."""
        return [(self.x + x * self.scale, self.y + y * self.scale) for x, y in points]


def draw(pdf: Any, letters: Letters, drawing: Drawing, place: Place) -> None:  # noqa: ANN401 - fpdf2 is untyped
    """Draw all shapes from the back to the front."""
    for shape in drawing.shapes:
        style = _STYLES.get(shape.style) or _STYLES[shape.style.partition(" ")[0]]
        if isinstance(shape, Words):
            _words(pdf, letters, shape, style, place)
        else:
            _set_pen(pdf, style, place.scale)
            _shape(pdf, shape, ("D" if style.stroke else "") + ("F" if style.fill else ""), place)
            pdf.set_dash_pattern()


def _words(pdf: Any, letters: Letters, shape: Words, style: _Style, place: Place) -> None:  # noqa: ANN401
    text = letters.set(shape.text, style.size * place.letters * place.scale / MM_PER_PT, bold=style.bold)
    pdf.set_text_color(*(style.fill or _INK))
    ((x, y),) = place.at([(shape.x, shape.y)])
    pdf.text(x - ANCHORS[shape.anchor] * pdf.get_string_width(text), y, text)


def _shape(pdf: Any, shape: Shape, how: str, place: Place) -> None:  # noqa: ANN401
    match shape:
        case Stroke(_, points, closed):
            if closed:
                pdf.polygon(place.at(points), style=how)
            else:
                pdf.polyline(place.at(points))
        case Strokes(_, areas):
            for points in areas:
                pdf.polygon(place.at(points), style=how)
        case Box(_, left, top, width, height):
            ((x, y),) = place.at([(left, top)])
            pdf.rect(x, y, width * place.scale, height * place.scale, how)
        case Dot(_, left, top, radius):
            ((x, y),) = place.at([(left, top)])
            pdf.circle(x, y, radius * place.scale, how)


def _set_pen(pdf: Any, style: _Style, scale: float) -> None:  # noqa: ANN401
    if style.stroke:
        pdf.set_draw_color(*style.stroke)
        pdf.set_line_width(style.width * scale)
    if style.fill:
        pdf.set_fill_color(*style.fill)
    if style.dash:
        pdf.set_dash_pattern(style.dash[0] * scale, style.dash[1] * scale)
