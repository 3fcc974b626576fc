"""`report.html`: one self-contained page, without script or network, for the screen and for paper.

File names and DICOM tags are not to be trusted: every text goes through `html.escape`, and the page's own content policy
forbids anything but inline styles and data images.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from importlib.resources import files
from string import Template

import numpy as np

from echoseg.cine import Segmentation, Structure, UInt8, View
from echoseg.clinical import Ejection, EjectionSummary, Indices, Quality, QualityFlag, RegressedEf
from echoseg.report.chart import curve_chart
from echoseg.report.paint import NAMES, PALETTE
from echoseg.report.pictures import Album, beat_shown, frames_shown
from echoseg.report.result import all_warnings, ejection_of
from echoseg.report.text import NOT_KNOWN, UNIT_LABELS, method_text, volume_text
from echoseg.version import __version__

MAX_BEATS_LISTED = 24

_FLAGS = {
    QualityFlag.PASS: ("✓ Pass", "pass"),
    QualityFlag.REVIEW: ("! Review", "review"),
    QualityFlag.FAIL: ("✕ Fail", "fail"),
}


def frames_needed(segmentation: Segmentation, indices: Indices) -> tuple[int, ...]:
    """Numbers of the frames that the page shows."""
    return frames_shown(segmentation.meta.n_frames, beat_shown(indices))


def report_page(
    title: str,
    segmentation: Segmentation,
    indices: Indices,
    frames: Mapping[int, UInt8],
    *,
    licence: str | None = None,
) -> str:
    """The page.

    Args:
        title: name of the case.
        segmentation: masks of every frame.
        indices: what was measured.
        frames: the frames that `frames_needed` names.
        licence: licence of the model.
    """
    package = files("echoseg.report")
    beat = beat_shown(indices)
    album = Album.of(frames, segmentation, indices)
    return Template(package.joinpath("page.html").read_text(encoding="utf-8")).substitute(
        title=escape(title),
        style=package.joinpath("page.css").read_text(encoding="utf-8").strip(),
        facts=_facts(segmentation),
        numbers="\n".join(_numbers(indices)),
        calibration=_calibration(indices),
        quality=_quality(indices.quality),
        warnings=_warnings(all_warnings(segmentation, indices)),
        chart=curve_chart(segmentation, indices),
        beats=_beats(indices),
        instants=_instants(album.instants()),
        sheet_title="One beat" if beat is not None and beat.complete else "The cine",
        legend=_legend(segmentation, frames),
        sheet=album.contact_sheet(),
        footer=_footer(segmentation, indices, licence),
    )


def _facts(segmentation: Segmentation) -> str:
    meta = segmentation.meta
    words = [meta.source]
    words.append("view unknown" if meta.view is View.UNKNOWN else f"apical view {meta.view.value}")
    words.append(f"{meta.n_frames} frame{'s' if meta.n_frames > 1 else ''} of {meta.width} × {meta.height} px")
    words.append("frame rate unknown" if meta.fps is None else f"{meta.fps:.4g} frames/s")
    if meta.spacing is None:
        words.append("pixel size unknown")
    elif meta.spacing.square:
        words.append(f"pixel {meta.spacing.row_mm:.3g} mm")
    else:
        words.append(f"pixel {meta.spacing.row_mm:.3g} mm down, {meta.spacing.col_mm:.3g} mm across")
    return " · ".join(escape(word) for word in words)


def _numbers(indices: Indices) -> Iterable[str]:
    summary = indices.summary
    if summary is None:
        yield _card("Ejection fraction", NOT_KNOWN, "", "no beat could be measured; see the quality below", main=True)
    else:
        yield _card("Ejection fraction", f"{summary.ef_percent:.0f}", "%", _ef_note(summary, indices), main=True)
    if indices.regressed is not None:
        yield _card("EF, regressed", f"{indices.regressed.ef_percent:.0f}", "%", _regressed_note(indices.regressed))
    yield _volume_card("EDV", summary.edv if summary else None, indices)
    yield _volume_card("ESV", summary.esv if summary else None, indices)
    rate = summary.heart_rate_bpm if summary else None
    if rate is not None:
        yield _card("Heart rate", f"{rate:.0f}", "/min", "from the volume curve")
    else:
        yield _card("Heart rate", NOT_KNOWN, "", "needs a full beat and the frame rate")


def _volume_card(name: str, value: float | None, indices: Indices) -> str:
    if value is None:
        return _card(name, NOT_KNOWN, "", "")
    if indices.curve.unit != "mL":
        return _card(name, NOT_KNOWN, "mL", f"pixel size unknown · {volume_text(value)} px³")
    return _card(name, volume_text(value), "mL", "median" if len(indices.ejections) > 1 else "")


def _card(name: str, value: str, unit: str, note: str, *, main: bool = False) -> str:
    return (
        f'<div class="card{" main" if main else ""}"><div class="name">{escape(name)}</div>'
        f'<div class="value">{escape(value)}<span class="unit">{escape(unit)}</span></div>'
        f'<p class="note">{escape(note)}</p></div>'
    )


def _ef_note(summary: EjectionSummary, indices: Indices) -> str:
    if not any(ejection.complete for ejection in indices.ejections):
        spread = "from part of a beat"
    elif summary.n_beats == 1:
        spread = "one beat"
    else:
        low, high = summary.ef_range
        spread = f"median of {summary.n_beats} beats, {low:.0f} to {high:.0f} %"
    return f"{spread}; {method_text(summary.method)}"


def _regressed_note(found: RegressedEf) -> str:
    n, sd = len(found.clips), found.sd_percent
    spread = "one clip" if sd is None else f"mean of {n} clips, SD {sd:.1f}"
    return f"{spread}; by a network from the frames, without masks or volumes ({found.model})"


def _quality(quality: Quality) -> str:
    label, css = _FLAGS[quality.flag]
    reasons = quality.reasons or ("no finding",)
    return (
        f'<section class="quality {css}"><div class="flag">{label}</div>'
        f"<ul>{''.join(f'<li>{escape(reason)}</li>' for reason in reasons)}</ul></section>"
    )


def _warnings(warnings: Iterable[str]) -> str:
    items = "".join(f"<li>{escape(warning)}</li>" for warning in warnings)
    return f'<section class="warnings"><b>Warnings</b><ul>{items}</ul></section>' if items else ""


def _calibration(indices: Indices) -> str:
    if indices.curve.unit == "mL":
        return ""
    return (
        '<p class="notice"><b>No volume in mL:</b> the file carries no pixel size that can be trusted. Give it with '
        "<code>--spacing-mm</code> to get EDV and ESV in mL. The ejection fraction is a ratio and does not need it.</p>"
    )


def _beats(indices: Indices) -> str:
    if not indices.beats:
        return ""
    unit = UNIT_LABELS[indices.curve.unit]
    rows = []
    for number, beat in enumerate(indices.beats[:MAX_BEATS_LISTED], start=1):
        name = f"{number}" if beat.complete else f"{number} (incomplete)"
        cells = (
            name,
            _when(beat.ed_frame, indices),
            _when(beat.es_frame, indices),
            *_volumes(ejection_of(beat, indices)),
        )
        rows.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
    more = len(indices.beats) - MAX_BEATS_LISTED
    rest = f"<p class='legend'>{more} more beats are listed in result.json.</p>" if more > 0 else ""
    return (
        f"<h2>Beats</h2><table><thead><tr><th>Beat</th><th>ED</th><th>ES</th><th>EDV, {unit}</th><th>ESV, {unit}</th>"
        f"<th>EF, %</th></tr></thead><tbody>{''.join(rows)}</tbody></table>{rest}"
    )


def _when(frame: int, indices: Indices) -> str:
    times = indices.curve.times_s
    return f"frame {frame}" if times is None else f"frame {frame} · {times[frame]:.2f} s"


def _volumes(ejection: Ejection | None) -> tuple[str, str, str]:
    if ejection is None:
        return NOT_KNOWN, NOT_KNOWN, NOT_KNOWN
    return volume_text(ejection.edv), volume_text(ejection.esv), f"{ejection.ef_percent:.1f}"


def _instants(pictures: str) -> str:
    return f'<h2>End-diastole and end-systole</h2><div class="pair">{pictures}</div>' if pictures else ""


def _legend(segmentation: Segmentation, frames: Iterable[int]) -> str:
    labels = {int(label) for number in frames for label in np.unique(segmentation.masks[number])}
    entries = "".join(
        f'<span><i style="border-color: rgb{PALETTE[structure]}"></i>{NAMES[structure]}</span>'
        for structure in PALETTE
        if int(structure) in labels or structure is Structure.LV
    )
    return f'<p class="legend">{entries}<span>Pictures are cut to the surroundings of the heart.</span></p>'


def _footer(segmentation: Segmentation, indices: Indices, licence: str | None) -> str:
    model = escape(segmentation.model) + (f" (licence {escape(licence)})" if licence else "")
    return (
        f"<p>Volumes: {escape(method_text(indices.curve.method))}. ED and ES are the largest and the smallest "
        "volume of a beat; with several beats the median is given. Confidence is the Dice overlap that the model itself "
        "expects of its contour. Frames count from 0.</p>"
        f"<p>Masks: {model}. Written by echoseg {escape(__version__)}.</p>"
        "<p><strong>For research use. Not a medical device.</strong> Not for diagnosis or treatment.</p>"
    )
