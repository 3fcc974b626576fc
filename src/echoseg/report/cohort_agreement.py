"""Agreement of a cohort with reference values: statistics with intervals, scatter and Bland-Altman plots.

Differences are result minus reference. Intervals are 95 %, by a bootstrap that draws whole patients.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from echoseg.cine import Float64
from echoseg.metrics import Agreement, ef_agreement
from echoseg.metrics.bootstrap import interval_95, resampled_sums
from echoseg.report.chart import nice_ticks
from echoseg.report.cohort_rows import GRAVITY, CohortRow
from echoseg.report.page_parts import FLAG_WORDS
from echoseg.report.shapes import Box, Dot, Drawing, Shape, Stroke, Words

References = Mapping[str, Mapping[str, float]]

COMPARED = {"ef": ("Ejection fraction", "points"), "edv": ("EDV", "mL"), "esv": ("ESV", "mL")}
"""Key -> what it is called, and the unit of its differences."""
DICE = {"dice": "Dice", "dice_ed": "Dice at ED", "dice_es": "Dice at ES"}
_WIDTH, _HEIGHT = 480.0, 330.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 12.0, 30.0, 286.0
_UNDEFINED = "undefined"


@dataclass(frozen=True, eq=False)
class Pairs:
    """Results and reference values of the same cases.

    Attributes:
        rows: the cases.
        ours: float64 (n,), what was measured.
        theirs: float64 (n,), the reference.
        patients: patient of each.
    """

    rows: tuple[CohortRow, ...]
    ours: Float64
    theirs: Float64
    patients: tuple[str, ...]

    @classmethod
    def of(cls, key: str, rows: Sequence[CohortRow], references: References, patients: Mapping[str, str]) -> Pairs:
        """Cases that have a value on both sides."""
        both = [row for row in rows if key in row.values and key in references.get(row.name, {})]
        return cls(
            tuple(both),
            np.array([row.values[key] for row in both], np.float64),
            np.array([references[row.name][key] for row in both], np.float64),
            tuple(patients.get(row.name) or row.group or row.name for row in both),
        )

    def agreement(self) -> Agreement:
        """Statistics; at least two pairs."""
        return ef_agreement(self.ours, self.theirs, np.random.default_rng(0), patients=self.patients)


def agreement_section(what: str, rows: Sequence[CohortRow], references: References, patients: Mapping[str, str]) -> str:
    """Markup of the statistics and plots of the studies or the cines; empty where nothing can be compared.

    Args:
        what: "Studies" or "Cines".
        rows: they.
        references: see `write_cohort`.
        patients: see `write_cohort`.
    """
    pairs = {key: Pairs.of(key, rows, references, patients) for key in COMPARED}
    found = {key: (one, one.agreement()) for key, one in pairs.items() if len(one.rows) > 1}
    dice = list(_dice_rows(rows, references, patients))
    if not found and not dice:
        return ""
    plots = "".join(
        f'<div class="plots">{scatter(key, one).svg()}{bland_altman(key, one, agreement).svg()}</div>'
        for key, (one, agreement) in found.items()
    )
    return (
        f'<section class="agreement"><h2>{what}: agreement with the reference</h2>{_left_out(rows, references)}'
        f'{_statistics(found)}<div class="smaller">{_by_flag(pairs["ef"])}{_dice(dice)}</div>{plots}{_legend(pairs)}</section>'
    )


def _left_out(rows: Sequence[CohortRow], references: References) -> str:
    """Who has a reference and no ejection fraction: statistics that hide failures flatter."""
    wanting = [row.name for row in rows if "ef" in references.get(row.name, {}) and "ef" not in row.values]
    if not wanting:
        return ""
    names = ", ".join(wanting[:10]) + (f" and {len(wanting) - 10} more" if len(wanting) > 10 else "")
    return (
        f'<p class="notice"><b>Left out of the statistics:</b> {len(wanting)} with a reference, but without an ejection fraction of '
        f"their own: {escape(names)}.</p>"
    )


def _statistics(found: Mapping[str, tuple[Pairs, Agreement]]) -> str:
    if not found:
        return ""
    rows = []
    for key, (pairs, one) in found.items():
        name, unit = COMPARED[key]
        cells = (
            str(one.n),
            str(len(set(pairs.patients))),
            _with_interval(one, "bias", one.bias, "+.1f"),
            _with_interval(one, "sd", one.sd, ".1f"),
            f"{_text(one.limits[0], '+.1f')} to {_text(one.limits[1], '+.1f')}",
            _with_interval(one, "mae", one.mae, ".1f"),
            _with_interval(one, "icc", one.icc, ".3f"),
            _with_interval(one, "r", one.r, ".3f"),
        )
        rows.append(
            f'<tr><th scope="row">{name}, {unit}</th>' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
        )
    titles = ("", "n", "Patients", "Bias", "SD", "Limits of agreement", "MAE", "ICC(2,1)", "r")
    head = "".join(f'<th scope="col">{title}</th>' for title in titles)
    return (
        f'<div class="scroll"><table class="statistics"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
        '<p class="legend">Differences are result minus reference. In brackets the 95 % interval, bootstrap over patients. '
        "ICC(2,1): two-way random effects, absolute agreement, single measurements.</p>"
    )


def _with_interval(agreement: Agreement, name: str, value: float, form: str) -> str:
    if not math.isfinite(value):
        return _UNDEFINED
    return f"{_text(value, form)} {_interval(agreement.intervals[name], form)}"


def _text(value: float, form: str) -> str:
    """A number with a minus sign that a reader cannot take for a hyphen."""
    return f"{value:{form}}".replace("-", "−")


def _interval(interval: tuple[float, float], form: str) -> str:
    low, high = interval
    return f"<small>({_text(low, form)} to {_text(high, form)})</small>" if math.isfinite(low) else ""


def _by_flag(pairs: Pairs) -> str:
    """Whether the flag tells where not to trust the ejection fraction."""
    groups = {flag: np.array([row.flag == flag for row in pairs.rows]) for flag in GRAVITY}
    if sum(bool(chosen.any()) for chosen in groups.values()) < 2:
        return ""
    rows = []
    for flag, chosen in groups.items():
        if chosen.any():
            difference = (pairs.ours - pairs.theirs)[chosen]
            rows.append(
                f'<tr><th scope="row"><span class="badge {flag}">{FLAG_WORDS[flag]}</span></th><td>{len(difference)}</td>'
                f"<td>{_text(difference.mean(), '+.1f')}</td><td>{np.abs(difference).mean():.1f}</td></tr>"
            )
    return (
        '<table class="statistics narrow"><caption>Ejection fraction by quality flag, points</caption><thead><tr><th scope="col"></th>'
        f'<th scope="col">n</th><th scope="col">Bias</th><th scope="col">MAE</th></tr></thead><tbody>{"".join(rows)}</tbody></table>'
    )


def _dice_rows(
    rows: Sequence[CohortRow], references: References, patients: Mapping[str, str]
) -> Iterator[tuple[str, Float64, tuple[float, float]]]:
    for key, name in DICE.items():
        both = [row for row in rows if key in references.get(row.name, {})]
        if both:
            values = np.array([references[row.name][key] for row in both], np.float64)
            groups = [patients.get(row.name) or row.group or row.name for row in both]
            terms = np.stack([np.ones_like(values), values], axis=1)
            sums = resampled_sums(terms, np.random.default_rng(0), groups=groups)
            yield name, values, interval_95(sums[:, 1] / sums[:, 0])


def _dice(found: Sequence[tuple[str, Float64, tuple[float, float]]]) -> str:
    if not found:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{name}</th><td>{len(values)}</td><td>{values.mean():.3f} {_interval(interval, ".3f")}</td>'
        f"<td>{np.median(values):.3f}</td><td>{values.min():.3f}</td></tr>"
        for name, values, interval in found
    )
    titles = "".join(f'<th scope="col">{title}</th>' for title in ("", "n", "Mean", "Median", "Lowest"))
    return (
        '<table class="statistics narrow"><caption>Overlap with the reference masks</caption>'
        f"<thead><tr>{titles}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _legend(pairs: Mapping[str, Pairs]) -> str:
    shown = {row.flag for one in pairs.values() for row in one.rows}
    return (
        '<p class="legend">'
        + "".join(
            f'<span><svg class="chart key" viewBox="0 0 12 12" aria-hidden="true"><circle class="dot {flag}" cx="6" cy="6" r="4"/></svg>'
            f"{FLAG_WORDS[flag]}</span>"
            for flag in GRAVITY
            if flag in shown
        )
        + "<span>A point leads to its report.</span></p>"
    )


@dataclass(frozen=True)
class _Frame:
    """Axes of a plot: data ranges onto the picture."""

    low_x: float
    high_x: float
    low_y: float
    high_y: float

    def x(self, value: float) -> float:
        return _LEFT + (value - self.low_x) / (self.high_x - self.low_x) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        return _BOTTOM - (value - self.low_y) / (self.high_y - self.low_y) * (_BOTTOM - _TOP)

    def axes(self, title_x: str, title_y: str) -> Iterator[Shape]:
        """Grid, ticks and titles."""
        for value in nice_ticks(self.low_y, self.high_y, 6):
            yield Stroke("grid", ((_LEFT, self.y(value)), (_WIDTH - _RIGHT, self.y(value))))
            yield Words("tick", _LEFT - 8, self.y(value) + 4, _text(value, "g"), "end")
        for value in nice_ticks(self.low_x, self.high_x, 7):
            yield Stroke("axis", ((self.x(value), _BOTTOM), (self.x(value), _BOTTOM + 5)))
            yield Words("tick", self.x(value), _BOTTOM + 19, f"{value:g}", "middle")
        yield Stroke("axis", ((_LEFT, _BOTTOM), (_WIDTH - _RIGHT, _BOTTOM)))
        yield Words("label", 0, 14, title_y)
        yield Words("label", _WIDTH - _RIGHT, _BOTTOM + 40, title_x, "end")


def _around(values: NDArray[np.float64], share: float = 0.06) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    extra = (high - low) * share or 1.0
    return low - extra, high + extra


def scatter(key: str, pairs: Pairs) -> Drawing:
    """Result over reference, with the line on which they are equal."""
    name, _ = COMPARED[key]
    unit = "%" if key == "ef" else "mL"
    low, high = _around(np.concatenate([pairs.ours, pairs.theirs]))
    frame = _Frame(low, high, low, high)
    shapes = [
        *frame.axes(f"Reference, {unit}", f"{name}, {unit}"),
        Stroke("equal", ((frame.x(low), frame.y(low)), (frame.x(high), frame.y(high)))),
        *_dots(frame, pairs, pairs.theirs, pairs.ours, unit),
    ]
    label = f"{name} against the reference, {len(pairs.rows)} points around the line of equality"
    return Drawing(_WIDTH, _HEIGHT, label, tuple(shapes))


def bland_altman(key: str, pairs: Pairs, agreement: Agreement) -> Drawing:
    """Difference over mean, with bias and limits of agreement and their intervals (Bland and Altman, Lancet 1986;327:307)."""
    name, unit = COMPARED[key]
    difference, mean = pairs.ours - pairs.theirs, (pairs.ours + pairs.theirs) / 2
    lines = {"lower_limit": agreement.limits[0], "bias": agreement.bias, "upper_limit": agreement.limits[1]}
    frame = _Frame(*_around(mean), *_around(np.concatenate([difference, list(lines.values()), [0.0]])))
    shapes: list[Shape] = list(
        frame.axes(f"Mean of both, {'%' if key == 'ef' else 'mL'}", f"{name}: difference, {unit}")
    )
    for line, value in lines.items():
        low, high = agreement.intervals[line]
        if math.isfinite(low):
            top, bottom = min(max(frame.y(high), _TOP), _BOTTOM), min(max(frame.y(low), _TOP), _BOTTOM)
            shapes.append(Box("band", _LEFT, top, _WIDTH - _LEFT - _RIGHT, bottom - top))
        style = "bias" if line == "bias" else "limit"
        shapes.append(Stroke(style, ((_LEFT, frame.y(value)), (_WIDTH - _RIGHT, frame.y(value)))))
        shapes.append(Words("value", _WIDTH - _RIGHT, frame.y(value) - 4, _text(value, "+.1f"), "end"))
    shapes += _dots(frame, pairs, mean, difference, unit)
    label = (
        f"Bland-Altman plot of {name}: bias {agreement.bias:+.1f}, limits of agreement {agreement.limits[0]:+.1f} to "
        f"{agreement.limits[1]:+.1f} {unit}"
    )
    return Drawing(_WIDTH, _HEIGHT, label, tuple(shapes))


def _dots(frame: _Frame, pairs: Pairs, xs: Float64, ys: Float64, unit: str) -> Iterator[Dot]:
    for row, ours, theirs, x, y in zip(pairs.rows, pairs.ours, pairs.theirs, xs, ys, strict=True):
        note = f"{row.name}: {ours:.1f}, reference {theirs:.1f} {unit}, {FLAG_WORDS[row.flag]}"
        yield Dot(f"dot {row.flag}", frame.x(float(x)), frame.y(float(y)), 4, note, row.link)
