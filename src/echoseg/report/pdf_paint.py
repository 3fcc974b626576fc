"""A sheet of A4 in a PDF file: words, tables, pictures and drawings in millimetres from its top left corner."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from echoseg.report.page_content import Card
from echoseg.report.pdf_letters import CODING, Letters, plain
from echoseg.report.pdf_shapes import ANCHORS, MM_PER_PT, Colour, Place, draw
from echoseg.report.pictures import InstantPicture
from echoseg.report.shapes import Anchor, Drawing

_PAGE_BOTTOM = 287.0
_COLOURS: dict[str, Colour] = {
    "ink": (22, 32, 42),
    "soft": (82, 96, 109),
    "line": (213, 219, 225),
    "blue": (11, 90, 148),
}
_FILLS: dict[str, Colour] = {
    "pale": (243, 246, 248),
    "pale pass": (237, 247, 241),
    "pale review": (253, 246, 227),
    "pale fail": (252, 240, 239),
    "line pass": (26, 127, 75),
    "line review": (201, 133, 0),
    "line fail": (179, 38, 30),
    "line": (213, 219, 225),
}


class Sheet:
    """Sheets that fill from the top; `y` is where the next thing goes."""

    def __init__(self, margin: float, title: str, producer: str, made: datetime) -> None:
        """A first, empty sheet."""
        from fpdf import FPDF

        self._pdf: Any = FPDF("portrait", "mm", "A4")
        self._pdf.core_fonts_encoding = CODING
        self._pdf.set_auto_page_break(auto=False)
        self._pdf.set_margins(margin, 10, margin)
        self._pdf.set_creation_date(made)
        self._pdf.set_title(title)
        self._pdf.set_producer(producer)
        self._pdf.set_lang("en")
        self._pdf.add_page()
        self._letters = Letters(self._pdf)
        self.margin, self.width, self.y = margin, 210 - 2 * margin, 10.0

    def save(self, path: Path) -> None:
        """Write the file."""
        path.write_bytes(bytes(self._pdf.output()))

    def space(self, height: float) -> None:
        """Leave a gap."""
        self.y += height

    def make_room(self, height: float) -> None:
        """Begin another sheet if so much does not fit onto this one."""
        if self.y + height > _PAGE_BOTTOM:
            self._pdf.add_page()
            self.y = 10.0

    # Words

    def words(
        self,
        x: float,
        y: float,
        text: str,
        size: float,
        *,
        bold: bool = False,
        colour: str = "ink",
        anchor: Anchor = "start",
    ) -> None:
        """A line of text on the base line y."""
        text = self._letters.set(text, size, bold=bold)
        self._pdf.set_text_color(*_COLOURS[colour])
        self._pdf.text(x - ANCHORS[anchor] * self._pdf.get_string_width(text), y, text)

    def paragraph(
        self, text: str, size: float, *, bold: bool = False, colour: str = "ink", width: float | None = None
    ) -> None:
        """Text over the width of the sheet, on as many lines and sheets as it takes."""
        for line in self._lines(text, size, width or self.width, bold=bold):
            self.make_room(size * 0.46)
            self.y += size * 0.46
            self.words(self.margin, self.y - size * 0.1, line, size, bold=bold, colour=colour)

    def column(self, text: str, x: float, y: float, width: float, size: float, *, colour: str = "ink") -> float:
        """Text in a column; returns where it ends."""
        for line in self._lines(text, size, width):
            y += size * 0.44
            self.words(x, y - size * 0.08, line, size, colour=colour)
        return y

    def heading(self, text: str, x: float, width: float, *, back: bool = False) -> float:
        """A heading at `y`, which moves below it; with `back` beside the one before. Returns where its content begins."""
        top = self.y - 6.5 if back else self.y
        self.words(x, top + 4, text, 9, bold=True)
        self._pdf.set_draw_color(*_COLOURS["line"])
        self._pdf.set_line_width(0.2)
        self._pdf.line(x, top + 5.2, x + width, top + 5.2)
        if not back:
            self.y = top + 6.5
        return top + 6.5

    def listing(self, title: str, items: Sequence[str], mark: str) -> None:
        """A titled list with a coloured mark at its left, in full, over as many sheets as it takes."""
        self.make_room(8)
        start, indent = self.y, 4.0
        self.words(self.margin + indent, self.y + 3.2, title, 8, bold=True)
        self.y += 4.2
        for item in items:
            for number, line in enumerate(self._lines(item, 7.3, self.width - indent - 4)):
                if self.y + 3.4 > _PAGE_BOTTOM:
                    self._mark(mark, start)
                    self.make_room(8)
                    start = self.y
                self.y += 3.4
                self.words(self.margin + indent, self.y - 0.7, ("• " if number == 0 else "   ") + line, 7.3)
        self._mark(mark, start)
        self.space(2)

    def _mark(self, style: str, start: float) -> None:
        self.fill(style, self.margin, start, 1.6, self.y - start + 0.5)

    def card(self, x: float, y: float, width: float, card: Card, note: str, *, main: bool) -> float:
        """One of the large numbers; returns where it ends."""
        size = 24.0 if main else 14.0
        self.words(x + 1.5, y + 3.6, card.name, 6.8, colour="soft")
        base = y + 5 + size * MM_PER_PT * 0.85
        self.words(x + 1.5, base, card.value, size, bold=True)
        shift = self._letters.width(card.value, size, bold=True)
        self.words(x + 2.2 + shift, base, card.unit, size * 0.5, colour="soft")
        return self.column(note, x + 1.5, base + 1, width - 2.5, 5.8, colour="soft") if note else base + 1

    def table(
        self,
        x: float,
        y: float,
        width: float,
        lines: Sequence[Sequence[str]],
        shares: Sequence[float],
        *,
        numbers: bool = False,
        strong: int = -1,
    ) -> float:
        """A table whose first line holds the titles; returns where it ends.

        Args:
            x: left edge.
            y: upper edge.
            width: of the table.
            lines: cells.
            shares: width of each column as a share of the whole.
            numbers: whether all columns but the first hold numbers.
            strong: a line to print bold.
        """
        widths = [share * width for share in shares]
        size = self._fitting(lines, widths, 6.6)
        for number, line in enumerate(lines):
            left, colour = x, "soft" if number == 0 else "ink"
            for column, (cell, room) in enumerate(zip(line, widths, strict=True)):
                bold = number in (0, strong) or column == 0
                at_end = numbers and column > 0
                at = left + room if at_end else left
                self.words(at, y + 2.8, cell, size, bold=bold, colour=colour, anchor="end" if at_end else "start")
                left += room
            y += 3.9
            self._pdf.set_draw_color(*_COLOURS["line"])
            self._pdf.set_line_width(0.15)
            self._pdf.line(x, y, x + width, y)
        return y

    def _fitting(self, lines: Sequence[Sequence[str]], widths: Sequence[float], size: float) -> float:
        """The size at which every cell fits: letters get smaller, but nothing is cut."""
        needed = (
            self._letters.width(cell, size, bold=True) / (width - 0.8)
            for line in lines
            for cell, width in zip(line, widths, strict=True)
        )
        return max(3.5, size / max(1.0, *needed))

    def _lines(self, text: str, size: float, width: float, *, bold: bool = False) -> Iterator[str]:
        """Lines that fit a width; a word that is longer than a line is broken."""
        line = ""
        for word in text.split():
            for part in self._parts(word, size, width, bold=bold):
                longer = f"{line} {part}" if line else part
                if line and self._letters.width(longer, size, bold=bold) > width:
                    yield line
                    longer = part
                line = longer
        if line:
            yield line

    def _parts(self, word: str, size: float, width: float, *, bold: bool) -> Iterator[str]:
        while self._letters.width(word, size, bold=bold) > width and len(word) > 1:
            fits = next(
                n
                for n in range(len(word) - 1, 0, -1)
                if n == 1 or self._letters.width(word[:n], size, bold=bold) <= width
            )
            yield word[:fits]
            word = word[fits:]
        yield word

    # Pictures

    def fill(self, style: str, x: float, y: float, width: float, height: float, border: str = "") -> None:
        """A rectangle, filled, bordered or both."""
        if style:
            self._pdf.set_fill_color(*_FILLS[style])
        if border:
            self._pdf.set_draw_color(*_FILLS[border])
            self._pdf.set_line_width(0.25)
        self._pdf.rect(x, y, width, height, ("D" if border else "") + ("F" if style else ""))

    def picture(self, picture: InstantPicture, x: float, y: float, width: float, height: float) -> None:
        """A frame with its discs, as large as fits the place."""
        rows, cols = picture.size
        scale = min(width / cols, height / rows)
        left = x + (width - cols * scale) / 2
        self._pdf.set_fill_color(0, 0, 0)
        self._pdf.rect(x, y, width, height, "F")
        said = plain(f"{picture.name}: {picture.caption}")
        self._pdf.image(io.BytesIO(picture.jpeg), left, y, cols * scale, rows * scale, alt_text=said)
        if picture.chords is None or picture.axis is None:
            return
        for ends, colour, line in ((picture.chords, (255, 255, 255), 0.1), (picture.axis[None], (255, 157, 92), 0.35)):
            self._pdf.set_draw_color(*colour)
            self._pdf.set_line_width(line)
            for (y0, x0), (y1, x1) in ends.tolist():
                self._pdf.line(left + x0 * scale, y + y0 * scale, left + x1 * scale, y + y1 * scale)

    def drawing(
        self, drawing: Drawing, x: float, y: float, width: float, height: float, *, letters: float = 1.0
    ) -> None:
        """A drawing, as large as fits the place; `letters` is how much larger than usual its words are."""
        scale = min(width / drawing.width, height / drawing.height)
        draw(self._pdf, self._letters, drawing, Place(x + (width - drawing.width * scale) / 2, y, scale, letters))
