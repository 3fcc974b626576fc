"""What a report says, apart from how: cards, tables and sentences for the page and for the PDF file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from echoseg.cine import Segmentation, View
from echoseg.clinical import Beat, Indices, Measured, ReferenceRange, RegressedEf
from echoseg.report.result import ejection_of
from echoseg.report.text import NOT_KNOWN, UNIT_LABELS, method_text, volume_text
from echoseg.version import __version__

MAX_BEATS_LISTED = 24
RESEARCH_USE = "For research use. Not a medical device. Not for diagnosis or treatment."

_UNITS = UNIT_LABELS | {"1/min": "/min", "mL/m2": "mL/m²", "g/m2": "g/m²", "mL/min/m2": "L/min/m²", "mL/min": "L/min"}
_BEAT_COLUMNS = {"edv": "EDV", "esv": "ESV", "sv": "SV", "ef": "EF", "hr": "HR", "co": "CO"}
_FURTHER = {
    "edv_area_length": "EDV",
    "esv_area_length": "ESV",
    "ef_area_length": "EF",
    "edv_simpson_single_plane": "EDV",
    "esv_simpson_single_plane": "ESV",
    "ef_simpson_single_plane": "EF",
    "la_volume_max": "LA volume, largest",
    "la_volume_min": "LA volume, smallest",
    "lv_mass": "LV mass",
    "gcs_endo": "Contour strain, inner",
    "gcs_mid": "Contour strain, mid-wall",
    "edv_index": "EDV index",
    "esv_index": "ESV index",
    "sv_index": "SV index",
    "co_index": "Cardiac index",
    "la_volume_max_index": "LA volume index",
    "lv_mass_index": "LV mass index",
}
_SHORT_METHODS = {
    "simpson_single_plane": "discs (Simpson)",
    "area_length": "area-length",
    "contour_strain": "contour length",
}


@dataclass(frozen=True)
class Card:
    """One of the large numbers.

    Attributes:
        name: what it is.
        value: as text.
        unit: its unit.
        note: words below it.
        ranges: who, lowest and highest of healthy adults, and the number to show among them.
        number: the value, where it has ranges.
    """

    name: str
    value: str
    unit: str = ""
    note: str = ""
    ranges: tuple[ReferenceRange, ...] = ()
    number: float | None = None


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        titles: of the columns.
        rows: one per beat or number.
        footers: medians and ranges.
        count: number of rows that there are, those left out included.
    """

    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    footers: tuple[tuple[str, ...], ...] = ()
    count: int = 0


def facts(segmentation: Segmentation) -> tuple[str, ...]:
    """Where the cine came from, and what is known about it."""
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
    return tuple(words)


def calibration(indices: Indices) -> str:
    """Why there are no millilitres; empty where there are."""
    if indices.curve.unit == "mL":
        return ""
    return (
        "No volume in mL: the file carries no pixel size that can be trusted. Give it with --spacing-mm to get EDV and ESV in mL. "
        "The ejection fraction is a ratio and does not need it."
    )


def cards(indices: Indices) -> Iterator[Card]:
    """The large numbers, the ejection fraction first."""
    summary, median, ranges = indices.summary, _median(indices), _ranges(indices)
    if summary is None:
        yield Card("Ejection fraction", NOT_KNOWN, "", "no beat could be measured; see the quality flag")
    else:
        yield Card(
            "Ejection fraction",
            f"{summary.ef_percent:.0f}",
            "%",
            _ef_note(indices),
            ranges.get("ef", ()),
            summary.ef_percent,
        )
    if indices.regressed is not None:
        yield Card("EF, regressed", f"{indices.regressed.ef_percent:.0f}", "%", _regressed_note(indices.regressed))
    for key, name in (("edv", "EDV"), ("esv", "ESV"), ("sv", "Stroke volume")):
        yield _volume_card(name, _volume(indices, key), indices, ranges.get(key, ()))
    rate = summary.heart_rate_bpm if summary else None
    if rate is None:
        yield Card("Heart rate", NOT_KNOWN, "", "needs a full beat and the frame rate")
    else:
        yield Card("Heart rate", f"{rate:.0f}", "/min", _rhythm_note(indices))
    if "co" in median and median["co"].unit == "mL/min":
        yield Card("Cardiac output", f"{median['co'].value / 1000:.1f}", "L/min", "stroke volume × heart rate")
    if "gcs_endo" in median:
        yield Card("Contour strain", signed(median["gcs_endo"].value), "%", "of the endocardium, at end-systole")


def _volume(indices: Indices, key: str) -> float | None:
    summary = indices.summary
    if summary is not None and key in ("edv", "esv"):
        return summary.edv if key == "edv" else summary.esv
    found = _median(indices).get(key)
    return None if found is None else found.value


def _volume_card(name: str, value: float | None, indices: Indices, ranges: tuple[ReferenceRange, ...]) -> Card:
    if value is None:
        return Card(name, NOT_KNOWN)
    if indices.curve.unit != "mL":
        return Card(name, NOT_KNOWN, "mL", f"pixel size unknown · {volume_text(value)} px³")
    note = "median" if len(indices.ejections) > 1 and not ranges else ""
    return Card(name, volume_text(value), "mL", note, ranges, value)


def _ef_note(indices: Indices) -> str:
    summary = indices.summary
    if summary is None:
        return ""
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


def _rhythm_note(indices: Indices) -> str:
    rhythm = indices.extras.rhythm if indices.extras is not None else None
    if rhythm is None:
        return "from the volume curve"
    if not rhythm.irregular:
        return f"beats of {rhythm.mean_s:.2f} s"
    return f"irregular: beats of {rhythm.shortest_s:.2f} to {rhythm.longest_s:.2f} s"


def ranges_text(ranges: Sequence[ReferenceRange]) -> str:
    """Ranges of healthy adults.

    >>> ranges_text([ReferenceRange(54, 74, "%", "women", ""), ReferenceRange(52, 72, "%", "men", "")])
    'women 54–74, men 52–72'
    """
    return ", ".join(f"{one.who} {one.low:g}–{one.high:g}" for one in ranges)


def signed(value: float, digits: int = 1) -> str:
    """A number with a minus sign that a reader cannot take for a hyphen."""
    return f"{value:.{digits}f}".replace("-", "−")


def number_text(number: Measured) -> str:
    """A number without its unit, with as many digits as it is worth."""
    if number.unit in ("mL/min", "mL/min/m2"):
        return f"{number.value / 1000:.1f}"
    if number.unit == "%":
        return signed(number.value)
    if number.unit == "1/min":
        return f"{number.value:.0f}"
    return volume_text(number.value)


def unit_text(unit: str) -> str:
    """A unit as it is shown; output is shown in litres."""
    return _UNITS.get(unit, unit)


def beats_table(indices: Indices) -> Table | None:
    """Numbers of every beat, their median, and the ranges of healthy adults; None without a beat."""
    if not indices.beats:
        return None
    measured = indices.extras.beats if indices.extras is not None else ()
    rows, every = [], []
    for number, beat in enumerate(indices.beats):
        numbers = measured[number].numbers if number < len(measured) else _of_ejection(beat, indices)
        every.append(numbers)
        rows.append(
            (_beat_name(number, beat, indices), _when(beat.ed_frame, indices), _when(beat.es_frame, indices), numbers)
        )
    median = _median(indices)
    keys = [key for key in _BEAT_COLUMNS if key in median or any(key in one for one in every)]
    units = {key: next(one[key].unit for one in (median, *every) if key in one) for key in keys}
    footers = []
    if median:
        footers.append(("Median", "", "", *(_cell(median, key) for key in keys)))
    ranges = _ranges(indices)
    for who in dict.fromkeys(one.who for key in keys for one in ranges.get(key, ())):
        cells = (next((f"{r.low:g}–{r.high:g}" for r in ranges.get(key, ()) if r.who == who), "") for key in keys)
        footers.append((f"Healthy {who}", "", "", *cells))
    return Table(
        ("Beat", "ED frame", "ES frame", *(f"{_BEAT_COLUMNS[key]}, {unit_text(units[key])}" for key in keys)),
        tuple(
            (name, ed, es, *(_cell(numbers, key) for key in keys)) for name, ed, es, numbers in rows[:MAX_BEATS_LISTED]
        ),
        tuple(footers),
        len(rows),
    )


def _of_ejection(beat: Beat, indices: Indices) -> Mapping[str, Measured]:
    """Volumes of a beat of which nothing else was measured."""
    found = ejection_of(beat, indices)
    if found is None:
        return {}
    frames = (beat.ed_frame, beat.es_frame)
    return {
        "edv": Measured(found.edv, found.unit, found.method, frames),
        "esv": Measured(found.esv, found.unit, found.method, frames),
        "ef": Measured(found.ef_percent, "%", found.method, frames),
    }


def _beat_name(number: int, beat: Beat, indices: Indices) -> str:
    rhythm = indices.extras.rhythm if indices.extras is not None else None
    if rhythm is not None and number in rhythm.ectopic_beats:
        return f"{number + 1} (premature, not in the median)"
    return f"{number + 1}" if beat.complete else f"{number + 1} (incomplete)"


def _when(frame: int, indices: Indices) -> str:
    times = indices.curve.times_s
    return f"{frame}" if times is None else f"{frame} · {times[frame]:.2f} s"


def _cell(numbers: Mapping[str, Measured], key: str) -> str:
    return number_text(numbers[key]) if key in numbers else NOT_KNOWN


def further_table(indices: Indices) -> Table | None:
    """Numbers that are in no other place, with formula and ranges; None without any."""
    median, ranges = _median(indices), _ranges(indices)
    rows = tuple(
        (
            name,
            f"{number_text(median[key])} {unit_text(median[key].unit)}",
            _SHORT_METHODS.get(median[key].method, method_text(median[key].method)),
            ranges_text(ranges.get(key, ())) or NOT_KNOWN,
        )
        for key, name in _FURTHER.items()
        if key in median
    )
    return Table(("Measurement", "Median", "Method", "Healthy adults"), rows) if rows else None


def footnotes(segmentation: Segmentation, indices: Indices, licence: str | None) -> Iterator[str]:
    """Sentences at the foot, the research use apart."""
    yield (
        f"Volumes: {method_text(indices.curve.method)}. ED and ES are the largest and the smallest volume of a beat; with several "
        "beats the median is given. Confidence is the Dice overlap that the model itself expects of its contour. Frames count "
        "from 0."
    )
    if sources := dict.fromkeys(one.source for found in _ranges(indices).values() for one in found):
        yield (
            f"Ranges of healthy adults ({'; '.join(sources)}) are means ± 2 SD. They stand there for orientation; nothing is concluded "
            "from them."
        )
    if indices.extras is not None and indices.extras.strain is not None:
        yield "Contour strain is the change of the contour's length since end-diastole, not speckle tracking."
    model = segmentation.model + (f" (licence {licence})" if licence else "")
    yield f"Masks: {model}. Written by echoseg {__version__}."


def _median(indices: Indices) -> Mapping[str, Measured]:
    return indices.extras.median if indices.extras is not None else {}


def _ranges(indices: Indices) -> Mapping[str, tuple[ReferenceRange, ...]]:
    return indices.extras.ranges if indices.extras is not None else {}
