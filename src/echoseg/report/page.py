"""`report.html`: one self-contained page, for the screen and for one sheet of paper. It needs no network and no player of its own.

The script plays the cine and links it to the curves; without it ED and ES, the curves and the tables are all there.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from echoseg.cine import Segmentation, Structure
from echoseg.clinical import Indices, Quality
from echoseg.report.chart import LEFT, RIGHT, WIDTH, TimeAxis, curve_chart
from echoseg.report.gallery import Gallery
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
from echoseg.report.page_parts import FLAG_WORDS, data_island, page_of
from echoseg.report.page_reel import Reel
from echoseg.report.page_strain import range_bar, segment_drawing, segments_of, strain_chart, strain_key
from echoseg.report.paint import NAMES
from echoseg.report.pictures import InstantPicture, caption
from echoseg.report.result import all_warnings
from echoseg.report.shapes import Stroke, svg_of

BEATS_ON_PAPER = 6
_CONTOURS = {"lv": Structure.LV, "myo": Structure.MYOCARDIUM, "la": Structure.LA}


def report_page(
    title: str, segmentation: Segmentation, indices: Indices, gallery: Gallery, *, licence: str | None = None
) -> str:
    """The page.

    Args:
        title: name of the case.
        segmentation: masks of every frame.
        indices: what was measured.
        gallery: its pictures, with a player, filled.
        licence: licence of the model.
    """
    chart = curve_chart(segmentation, indices)
    reel = gallery.reel or Reel.of(segmentation, indices)
    return page_of(
        "page",
        title=escape(title),
        facts=" · ".join(escape(word) for word in facts(segmentation)),
        flag=_flag(indices.quality),
        player=_player(reel, indices),
        cards="\n".join(_card(card, main=number == 0) for number, card in enumerate(cards(indices))),
        quality=_quality(indices.quality),
        calibration=_calibration(indices),
        warnings=_warnings(all_warnings(segmentation, indices)),
        chart=chart.drawing.svg("chart linked", _cursor(with_point=True)),
        beats=_beats(beats_table(indices)),
        strain=_strain(indices),
        instants=_instants(gallery.instants()),
        further=_further(further_table(indices)),
        footer="".join(f"<p>{escape(note)}</p>\n" for note in footnotes(segmentation, indices, licence))
        + f"<p><strong>{RESEARCH_USE}</strong></p>",
        data=_data(reel, indices, chart.heights),
    )


def _data(reel: Reel, indices: Indices, heights: tuple[float | None, ...]) -> str:
    """What the script needs."""
    if not reel.is_full:
        return ""
    beats = indices.beats
    ends = {beat.next_ed_frame for beat in beats if beat.next_ed_frame is not None}
    marks = (
        {beat.ed_frame: "ED" for beat in beats} | dict.fromkeys(ends, "ED") | {beat.es_frame: "ES" for beat in beats}
    )
    return data_island(
        "cine",
        reel.data()
        | {
            "fps": reel.segmentation.meta.fps,
            "frames": len(heights),
            "start": reel.poster(indices),
            "plot": [LEFT, WIDTH - RIGHT],
            "heights": [heights[number] for number in reel.numbers],
            "captions": [caption(number, indices) for number in reel.numbers],
            "marks": [marks.get(number, "") for number in reel.numbers],
        },
    )


def _player(reel: Reel, indices: Indices) -> str:
    """The first picture with its contours, and the controls, which the script shows."""
    if not reel.is_full:
        return ""
    place = reel.poster(indices)
    cols, rows = reel.size[1], reel.size[0]
    shown = {name for paths in reel.contours for name in paths}
    paths = reel.contours[place]
    contours = "".join(
        f'<path class="contour {name}" id="contour-{name}" d="{paths.get(name, "")}"/>'
        for name in ("myo", "la", "lv")
        if name in shown
    )
    legend = "".join(
        f'<span><i class="swatch {name}"></i>{NAMES[structure]}</span>'
        for name, structure in _CONTOURS.items()
        if name in shown
    )
    number = reel.numbers[place]
    return (
        f'<section class="player" id="player" aria-label="Cine with contours"><div class="stage" id="stage">'
        f'<img id="poster" src="{reel.address(place)}" width="{cols}" height="{rows}" alt="Frame {number} of the cine">'
        f'<svg viewBox="{reel.view_box}" role="img" aria-label="Contours of the model">{contours}</svg>'
        f'<p class="readout" id="readout">{escape(caption(number, indices))}</p></div>{_CONTROLS}'
        f'<p class="legend">{legend}<span>cut to the surroundings of the heart</span></p></section>'
    )


_CONTROLS = """
<div class="controls scripted" hidden>
<input type="range" id="scrub" min="0" max="0" value="0" step="1" aria-label="Frame">
<div class="buttons">
<button type="button" id="play" class="wide" aria-keyshortcuts="Space">▶ Play</button>
<button type="button" id="back" aria-label="Previous frame" aria-keyshortcuts="ArrowLeft">◀</button>
<button type="button" id="ahead" aria-label="Next frame" aria-keyshortcuts="ArrowRight">▶</button>
<button type="button" id="ed" aria-keyshortcuts="d">ED</button>
<button type="button" id="es" aria-keyshortcuts="s">ES</button>
<label>Speed <select id="speed"><option value="0.25">¼</option><option value="0.5">½</option><option value="1" selected>1</option></select></label>
<label><input type="checkbox" id="outlines" checked aria-keyshortcuts="c"> Contours</label>
</div>
</div>
"""


def _cursor(*, with_point: bool = False) -> str:
    point = '<circle class="cursorpoint" r="5" cx="-50" cy="-50"/>' if with_point else ""
    return f'<line class="cursor" x1="-50" x2="-50" y1="0" y2="1000"/>{point}'


def _flag(quality: Quality) -> str:
    flag = quality.flag.value
    return f'<p class="flag badge {flag}"><span class="unseen">Quality: </span>{FLAG_WORDS[flag]}</p>'


def _quality(quality: Quality) -> str:
    reasons = quality.reasons or ("no finding",)
    return (
        f'<section class="quality {quality.flag.value}"><h2>Quality: {FLAG_WORDS[quality.flag.value]}</h2>'
        f"<ul>{''.join(f'<li>{escape(reason)}</li>' for reason in reasons)}</ul></section>"
    )


def _calibration(indices: Indices) -> str:
    text = calibration(indices)
    if not text:
        return ""
    head, _, rest = text.partition(":")
    return f'<p class="notice"><b>{escape(head)}:</b>{escape(rest)}</p>'


def _warnings(warnings: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(warning)}</li>" for warning in warnings)
    return f'<section class="warnings"><h2>Warnings</h2><ul>{items}</ul></section>' if items else ""


def _card(card: Card, *, main: bool) -> str:
    bar = ""
    if card.ranges and card.number is not None:
        ranges = [(one.who, one.low, one.high) for one in card.ranges]
        bar = range_bar(card.number, ranges).svg("chart rangebar")
        bar += f'<p class="note healthy">healthy {escape(ranges_text(card.ranges))}</p>'
    return (
        f'<div class="card{" main" if main else ""}"><div class="name">{escape(card.name)}</div>'
        f'<div class="value">{escape(card.value)}<span class="unit">{escape(card.unit)}</span></div>'
        f'{bar}<p class="note">{escape(card.note)}</p></div>'
    )


def _beats(table: Table | None) -> str:
    if table is None:
        return ""
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in table.titles)
    body = "".join(_row(cells, late=number >= BEATS_ON_PAPER) for number, cells in enumerate(table.rows))
    foot = "".join(_row(cells) for cells in table.footers)
    left_out, hidden = table.count - len(table.rows), table.count - BEATS_ON_PAPER
    notes = f'<p class="legend onscreen">{left_out} more beats are listed in result.json.</p>' if left_out > 0 else ""
    if hidden > 0:
        notes += f'<p class="legend onpaper">{hidden} more beats are listed in result.json.</p>'
    return (
        f'<section class="beats"><h2>Beats</h2><div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody>'
        f"<tfoot>{foot}</tfoot></table></div>{notes}</section>"
    )


def _row(cells: Iterable[str], *, late: bool = False) -> str:
    first, *others = (_timed(escape(cell)) for cell in cells)
    css = ' class="late"' if late else ""
    return f'<tr{css}><th scope="row">{first}</th>' + "".join(f"<td>{cell}</td>" for cell in others) + "</tr>"


def _timed(cell: str) -> str:
    """A cell whose time of a frame is left out on paper, where columns are narrow."""
    frame, dot, time = cell.partition(" · ")
    return f'{frame}<span class="onscreen"> · {time}</span>' if dot else cell


def _further(table: Table | None) -> str:
    if table is None:
        return ""
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in table.titles)
    return (
        f'<section class="further"><h2>Further measurements</h2><div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(map(_row, table.rows))}</tbody></table></div></section>"
    )


def _strain(indices: Indices) -> str:
    extras, segments = indices.extras, segments_of(indices)
    if extras is None or extras.strain is None:
        return ""
    overall = extras.median.get("gcs_endo")
    wall = segment_drawing(segments, None if overall is None else overall.value).svg("chart wallplot")
    curves = strain_chart(extras.strain, indices.beats, TimeAxis.of(indices.curve)).svg("chart linked", _cursor())
    key = "".join(_key_entry(style, name) for style, name in strain_key(segments))
    return (
        f'<section class="strainwall"><h2>Segments at end-systole</h2>{wall}</section>'
        f'<section class="straincurves"><h2>Contour strain</h2>{curves}<p class="legend">{key}</p></section>'
    )


def _key_entry(style: str, name: str) -> str:
    line = svg_of(Stroke(style, ((0, 5), (22, 5))))
    return f'<span><svg class="chart linekey" viewBox="0 0 22 10" aria-hidden="true">{line}</svg>{escape(name)}</span>'


def _instants(pictures: Iterable[InstantPicture]) -> str:
    figures = "\n".join(picture.figure() for picture in pictures)
    if not figures:
        return ""
    return f'<section class="instants"><h2>End-diastole and end-systole</h2><div class="pair">{figures}</div></section>'
