"""`report.pdf`: the report on a sheet of A4 for the file of the study, made by fpdf2 without a browser.

The same words, tables and curves as `report.html`. Curves are vectors. What does not fit onto the first sheet goes on to a second:
no warning is shortened or lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

from echoseg.cine import Segmentation
from echoseg.clinical import Indices, Quality
from echoseg.errors import UsageError
from echoseg.report.chart import TimeAxis, curve_chart
from echoseg.report.page_content import (
    RESEARCH_USE,
    Card,
    Table,
    beats_table,
    calibration,
    cards,
    facts,
    footnotes,
    further_table,
    ranges_text,
)
from echoseg.report.page_parts import FLAG_WORDS
from echoseg.report.page_strain import segment_drawing, segments_of, strain_chart, strain_key
from echoseg.report.pdf_paint import Sheet
from echoseg.report.pictures import InstantPicture
from echoseg.report.result import all_warnings
from echoseg.report.shapes import Drawing, Stroke
from echoseg.version import __version__

PDF_FILE = "report.pdf"
BEATS_ON_PAPER = 8
_MARGIN, _WIDTH = 12.0, 186.0
_GAP = 5.0
_MADE = datetime(2000, 1, 1, tzinfo=UTC)
"""Equal results give equal files: a clock has no place in them."""


def require_pdf() -> None:
    """Refuse the format where its package is not installed.

    Raises:
        UsageError: fpdf2 is missing.
    """
    if find_spec("fpdf") is None:
        raise UsageError("format 'pdf': needs the package fpdf2; install it with pip install 'echoseg[pdf]'")


def write_pdf(
    path: Path,
    title: str,
    segmentation: Segmentation,
    indices: Indices,
    pictures: Sequence[InstantPicture],
    *,
    licence: str | None = None,
) -> None:
    """Write the report.

    Args:
        path: where to.
        title: name of the case.
        segmentation: masks of every frame.
        indices: what was measured.
        pictures: ED and ES, none where the cine has no beat.
        licence: licence of the model.

    Raises:
        UsageError: fpdf2 is missing.
    """
    require_pdf()
    sheet = Sheet(_MARGIN, title, f"echoseg {__version__}", _MADE)
    _head(sheet, title, facts(segmentation), indices.quality)
    _cards(sheet, list(cards(indices)))
    _remarks(sheet, indices, all_warnings(segmentation, indices))
    _pictures(sheet, pictures, indices)
    _curves(sheet, segmentation, indices)
    _tables(sheet, beats_table(indices), further_table(indices))
    sheet.space(2)
    for note in footnotes(segmentation, indices, licence):
        sheet.paragraph(note, 6.3, colour="soft")
    sheet.paragraph(RESEARCH_USE, 7.0, bold=True)
    sheet.save(path)


def _head(sheet: Sheet, title: str, words: Iterable[str], quality: Quality) -> None:
    flag, top, width = quality.flag.value, sheet.y, 32.0
    sheet.fill(f"pale {flag}", _MARGIN + _WIDTH - width, top, width, 9, f"line {flag}")
    # The letters of every PDF reader have no check mark: the word is enough.
    sheet.words(_MARGIN + _WIDTH - width / 2, top + 6.3, FLAG_WORDS[flag][2:], 12, bold=True, anchor="middle")
    sheet.paragraph("LEFT-VENTRICLE REPORT", 7, colour="soft", width=_WIDTH - width - 4)
    sheet.paragraph(title, 15, bold=True, width=_WIDTH - width - 4)
    sheet.paragraph(" · ".join(words), 7.5, colour="soft", width=_WIDTH - width - 4)
    sheet.y = max(sheet.y, top + 10)
    sheet.space(2)


def _cards(sheet: Sheet, all_cards: Sequence[Card]) -> None:
    """The large numbers in a row, the first one twice as wide."""
    gap, top = 2.0, sheet.y
    unit = (_WIDTH - gap * (len(all_cards) - 1)) / (len(all_cards) + 0.8)
    x, lowest = _MARGIN, top
    for number, card in enumerate(all_cards):
        width = unit * (1.8 if number == 0 else 1)
        notes = [f"healthy {ranges_text(card.ranges)}"] if card.ranges else []
        bottom = sheet.card(x, top, width, card, "; ".join([*notes, *filter(None, [card.note])]), main=number == 0)
        lowest, x = max(lowest, bottom), x + width + gap
    x = _MARGIN
    for number in range(len(all_cards)):
        width = unit * (1.8 if number == 0 else 1)
        sheet.fill("", x, top, width, lowest - top + 1, "line")
        x += width + gap
    sheet.y = lowest + 3


def _remarks(sheet: Sheet, indices: Indices, warnings: Sequence[str]) -> None:
    """Why the flag is what it is, and every warning in full."""
    flag = indices.quality.flag.value
    sheet.listing(f"Quality: {FLAG_WORDS[flag][2:]}", indices.quality.reasons or ("no finding",), f"line {flag}")
    missing = calibration(indices)
    if missing:
        sheet.listing(missing.partition(":")[0], (missing.partition(":")[2].strip(),), "line")
    if warnings:
        sheet.listing("Warnings", warnings, "line")


def _pictures(sheet: Sheet, pictures: Sequence[InstantPicture], indices: Indices) -> None:
    """ED, ES and the segments of the wall, side by side."""
    segments = segments_of(indices)
    if not pictures and not segments:
        return
    height, width = 56.0, (_WIDTH - 2 * _GAP) / 3
    sheet.make_room(height + 14)
    top = sheet.heading("End-diastole and end-systole", _MARGIN, 2 * width + _GAP if segments else _WIDTH)
    for number, picture in enumerate(pictures):
        x = _MARGIN + number * (width + _GAP)
        sheet.picture(picture, x, top, width, height)
        words = f"{picture.name} ({picture.instant.value}) {picture.caption}"
        sheet.column(words, x, top + height + 1, width, 6.3, colour="soft")
    if segments:
        x = _MARGIN + 2 * (width + _GAP)
        sheet.heading("Segments at end-systole", x, width, back=True)
        overall = indices.extras.median.get("gcs_endo") if indices.extras is not None else None
        drawing = segment_drawing(segments, None if overall is None else overall.value)
        sheet.drawing(drawing, x, top, width, height)
    sheet.y = top + height + 8


def _curves(sheet: Sheet, segmentation: Segmentation, indices: Indices) -> None:
    """The volumes and, beside them, the strain."""
    extras = indices.extras
    strain = extras.strain if extras is not None else None
    wide = _WIDTH if strain is None else 107.0
    drawing = curve_chart(segmentation, indices).drawing
    height = min(wide * drawing.height / drawing.width, 52.0)
    sheet.make_room(height + 8)
    top = sheet.heading("Volume over time", _MARGIN, wide)
    sheet.drawing(drawing, _MARGIN, top, wide, height)
    if strain is not None:
        x, narrow = _MARGIN + wide + _GAP, _WIDTH - wide - _GAP
        sheet.heading("Contour strain", x, narrow, back=True)
        curves = strain_chart(strain, indices.beats, TimeAxis.of(indices.curve))
        tall = narrow * curves.height / curves.width
        sheet.drawing(curves, x, top, narrow, tall, letters=1.4)
        _key(sheet, list(strain_key(segments_of(indices))), x, top + tall + 2.5, narrow)
    sheet.y = top + height + 3


def _key(sheet: Sheet, entries: Sequence[tuple[str, str]], x: float, y: float, width: float) -> None:
    """What the lines of the strain are."""
    column = width / 3
    for number, (style, name) in enumerate(entries):
        left, line = x + number % 3 * column, y + number // 3 * 3.2
        sheet.drawing(Drawing(22, 10, "", (Stroke(style, ((0, 5), (22, 5))),)), left, line - 1.8, 5, 2.3)
        sheet.words(left + 6, line, name, 6.3, colour="soft")


def _tables(sheet: Sheet, beats: Table | None, further: Table | None) -> None:
    """Beats and, beside them, what else was measured; one below the other where they would not fit."""
    left = 107.0 if beats is not None and further is not None else _WIDTH
    rows = 0
    if beats is not None:
        shown = beats.rows[:BEATS_ON_PAPER]
        rows = 1 + len(shown) + len(beats.footers)
    rows = max(rows, 1 + len(further.rows) if further is not None else 0)
    if not rows:
        return
    sheet.make_room(rows * 4.0 + 8)
    top, bottom = sheet.y, sheet.y
    if beats is not None:
        bottom = _beats(sheet, beats, left)
    if further is not None:
        sheet.y = top
        x = _MARGIN if beats is None else _MARGIN + left + _GAP
        width = _MARGIN + _WIDTH - x
        start = sheet.heading("Further measurements", x, width)
        shares = (0.31, 0.14, 0.22, 0.33)
        bottom = max(bottom, sheet.table(x, start, width, [further.titles, *further.rows], shares))
    sheet.y = bottom + 1


def _beats(sheet: Sheet, table: Table, width: float) -> float:
    start = sheet.heading("Beats", _MARGIN, width)
    count = len(table.titles)
    shares = (0.19, 0.13, 0.13, *[0.55 / (count - 3)] * (count - 3))
    lines: list[tuple[str, ...]] = [table.titles, *table.rows[:BEATS_ON_PAPER], *table.footers]
    median = 1 + min(len(table.rows), BEATS_ON_PAPER)
    bottom = sheet.table(_MARGIN, start, width, lines, shares, numbers=True, strong=median)
    hidden = table.count - BEATS_ON_PAPER
    if hidden <= 0:
        return bottom
    return sheet.column(
        f"{hidden} more beats are listed in result.json.", _MARGIN, bottom + 0.5, width, 6.3, colour="soft"
    )
