"""Volumes of a study from both apical views: elliptic discs, and area-length beside them.

The two views are two cines, taken one after the other: no beat of one is a beat of the other. Beats are therefore paired by their
length, each at most once, the most alike first; the numbers of a study are medians over the pairs. Each instant has its own long
axis, and each the longer one of its two views (`simpson_biplane`).

    discs         V = pi/4 * L/20 * sum a_i b_i              L the longer of the two axes
    area-length   V = 8 A_4 A_2 / (3 pi L)                   L the shorter of the two axes

Both say the same of an ellipsoid: its diameters are 4A/(pi L) of each view, its length is the longer axis.
Sources: Lang et al., J Am Soc Echocardiogr 2015;28:1-39; Dodge et al., Am Heart J 1960;60:762 (area-length).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from echoseg.cine import Segmentation, View
from echoseg.clinical.atrium import is_cut_off
from echoseg.clinical.beats import Beat
from echoseg.clinical.chamber import Chamber, ChamberShape
from echoseg.clinical.discs import MM3_PER_ML, simpson_biplane
from echoseg.clinical.ejection import SIMPSON_BIPLANE, ef_percent
from echoseg.clinical.indices import Indices
from echoseg.clinical.measures import INDEXED, PER_SURFACE
from echoseg.clinical.reference import ranges_for
from echoseg.clinical.rhythm import usual_beats
from echoseg.clinical.study import BeatPair, BiplaneNumber, StudyEjection
from echoseg.errors import InputError

AREA_LENGTH_BIPLANE = "area_length_biplane"
LENGTH_LIMIT = 0.1  # long axes of the two views that differ by more: one of them is foreshortened (Lang 2015)
BEAT_LIMIT = 0.2  # relative difference of the lengths of two paired beats
Measurement = tuple[Segmentation, Indices]

__all__ = ["BeatPair", "BiplaneNumber", "StudyEjection", "area_length_biplane", "measure_study"]


def measure_study(a4c: Measurement, a2c: Measurement) -> StudyEjection:
    """Biplane volumes of a study from a cine of each apical view.

    Args:
        a4c: masks and numbers of the four-chamber view; the body surface that it was measured with indexes the study, too.
        a2c: those of the two-chamber view; frame rates and pixel sizes may differ.

    Raises:
        InputError: the pixel size of a view is unknown, a view is the other one, or a view has no beat that can be measured.
    """
    for (segmentation, _), view in ((a4c, View.A4C), (a2c, View.A2C)):
        _check(segmentation, view)
    ventricles = [Chamber.of(segmentation) for segmentation, _ in (a4c, a2c)]
    chambers = [(ventricle, ventricle.atrium()) for ventricle in ventricles]
    pairs = [
        pair
        for one, two in _paired(a4c, a2c)
        if (pair := _measured(one, two, chambers, (a4c[0].meta.fps, a2c[0].meta.fps))) is not None
    ]
    if not pairs:
        raise InputError(
            f"{a4c[0].meta.source}, {a2c[0].meta.source}: no beat whose end-diastole and end-systole can be measured in both "
            "views; give cines that show a whole ventricle"
        )
    pairs.sort(key=lambda pair: pair.a4c.ed_frame)
    extras = a4c[1].extras
    if extras is not None and extras.body_surface_m2 is not None:
        pairs = [replace(pair, numbers={**pair.numbers, **_indexed(pair, extras.body_surface_m2)}) for pair in pairs]
    median = _medians(pairs)
    return StudyEjection(tuple(pairs), median, ranges_for(median), tuple(_warnings(pairs, a4c[0], a2c[0])))


def _check(segmentation: Segmentation, view: View) -> None:
    meta = segmentation.meta
    if meta.spacing is None:
        raise InputError(
            f"{meta.source}: pixel size unknown; both views need one in mm for biplane volumes, give it with --spacing-mm"
        )
    if meta.view not in (view, View.UNKNOWN):
        raise InputError(
            f"{meta.source}: is marked {meta.view.value} and was given as {view.value}; exchange the views"
        )


def _usable(found: Measurement) -> list[Beat]:
    """Beats whose volumes were measured, without ectopic ones; incomplete ones only where there is no other."""
    _, indices = found
    instants = {(one.ed_frame, one.es_frame) for one in indices.ejections}
    beats = [beat for beat in usual_beats(indices.beats) if (beat.ed_frame, beat.es_frame) in instants]
    return [beat for beat in beats if beat.complete] or beats


def _paired(a4c: Measurement, a2c: Measurement) -> list[tuple[Beat, Beat]]:
    """Beats of both views, each at most once, the most alike in length first; by order where lengths are unknown."""
    ones, twos = _usable(a4c), _usable(a2c)
    lengths = [[_seconds(beat, found[0].meta.fps) for beat in beats] for beats, found in ((ones, a4c), (twos, a2c))]
    differences = sorted(
        (_difference(one, two), i, j) for i, one in enumerate(lengths[0]) for j, two in enumerate(lengths[1])
    )
    left, right, pairs = set(range(len(ones))), set(range(len(twos))), []
    for _, i, j in differences:
        if i in left and j in right:
            left.discard(i)
            right.discard(j)
            pairs.append((ones[i], twos[j]))
    return pairs


def _seconds(beat: Beat, fps: float | None) -> float | None:
    if fps is None or beat.next_ed_frame is None:
        return None
    return (beat.next_ed_frame - beat.ed_frame) / fps


def _difference(one: float | None, two: float | None) -> float:
    """Relative difference of two lengths; 0 where one is unknown."""
    return 0.0 if one is None or two is None else abs(one - two) / max(one, two)


@dataclass(frozen=True, eq=False)
class _Look:
    """A chamber at one frame of each view."""

    a4c: ChamberShape
    a2c: ChamberShape

    @classmethod
    def at(cls, chambers: tuple[Chamber, Chamber], frames: tuple[int, int]) -> _Look | None:
        one, two = chambers[0].at(frames[0]), chambers[1].at(frames[1])
        return cls(one, two) if one is not None and two is not None else None

    @property
    def lengths_mm(self) -> tuple[float, float]:
        return self.a4c.discs.length_mm, self.a2c.discs.length_mm

    @property
    def discs_ml(self) -> float:
        return simpson_biplane(self.a4c.discs, self.a2c.discs)

    @property
    def area_length_ml(self) -> float:
        return area_length_biplane(self.a4c.area_mm2, self.a2c.area_mm2, self.lengths_mm)


def area_length_biplane(a4c_mm2: float, a2c_mm2: float, lengths_mm: tuple[float, float]) -> float:
    """Volume in mL by area and length of two views: V = 8 A4 A2 / (3 pi L), L the shorter axis.

    Example:
        An ellipsoid with axes of 90, 50 and 40 mm, both views along its axis:

        >>> found = area_length_biplane(np.pi * 45 * 25, np.pi * 45 * 20, (90.0, 90.0))
        >>> round(found, 3) == round(4 / 3 * np.pi * 45 * 25 * 20 / 1000, 3)
        True
    """
    if not (min(lengths_mm) > 0 and min(a4c_mm2, a2c_mm2) >= 0):
        raise InputError(f"areas {a4c_mm2}, {a2c_mm2} mm2 and lengths {lengths_mm} mm; all must be positive")
    return 8 * a4c_mm2 * a2c_mm2 / (3 * math.pi * min(lengths_mm)) / MM3_PER_ML


_Number = tuple[str, BiplaneNumber]


def _measured(
    one: Beat, two: Beat, chambers: Sequence[tuple[Chamber, Chamber]], fps: tuple[float | None, float | None]
) -> BeatPair | None:
    (lv4, la4), (lv2, la2) = chambers
    ed = _Look.at((lv4, lv2), (one.ed_frame, two.ed_frame))
    es = _Look.at((lv4, lv2), (one.es_frame, two.es_frame))
    if ed is None or es is None or es.discs_ml > ed.discs_ml:
        return None
    numbers = dict(_volumes(one, two, (ed.discs_ml, es.discs_ml), SIMPSON_BIPLANE))
    volumes = ed.area_length_ml, es.area_length_ml
    if volumes[0] >= volumes[1]:
        beside = _volumes(one, two, volumes, AREA_LENGTH_BIPLANE)
        numbers |= {f"{key}_area_length": number for key, number in beside}
    numbers |= dict(_rates(one, two, numbers["sv"], fps))
    numbers |= dict(_atrium(one, two, (la4, la2)))
    return BeatPair(one, two, numbers, _difference(*ed.lengths_mm))


def _volumes(one: Beat, two: Beat, volumes: tuple[float, float], method: str) -> Iterator[_Number]:
    edv, esv = volumes
    ed, es = ((one.ed_frame,), (two.ed_frame,)), ((one.es_frame,), (two.es_frame,))
    both = _both(one), _both(two)
    yield "edv", BiplaneNumber(edv, "mL", method, *ed)
    yield "esv", BiplaneNumber(esv, "mL", method, *es)
    yield "sv", BiplaneNumber(edv - esv, "mL", method, *both)
    yield "ef", BiplaneNumber(ef_percent(edv, esv), "%", method, *both)


def _rates(one: Beat, two: Beat, sv: BiplaneNumber, fps: tuple[float | None, float | None]) -> Iterator[_Number]:
    """Heart rate as the mean of the two beats' rates, and the output at that rate."""
    lengths = [
        length for beat, rate in zip((one, two), fps, strict=True) if (length := _seconds(beat, rate)) is not None
    ]
    if len(lengths) < 2:
        return
    rate = float(np.mean([60 / length for length in lengths]))
    spans = _span(one), _span(two)
    yield "hr", BiplaneNumber(rate, "1/min", "ed_to_ed", *spans)
    yield "co", BiplaneNumber(sv.value * rate, "mL/min", sv.method, *spans)


def _atrium(one: Beat, two: Beat, chambers: tuple[Chamber, Chamber]) -> Iterator[_Number]:
    """Atrial volume, largest at the end of systole and smallest at the end of diastole."""
    for key, frames in (
        ("la_volume_max", (one.es_frame, two.es_frame)),
        ("la_volume_min", (one.ed_frame, two.ed_frame)),
    ):
        look = _Look.at(chambers, frames)
        if look is not None and not (is_cut_off(look.a4c) or is_cut_off(look.a2c)):
            yield key, BiplaneNumber(look.discs_ml, "mL", SIMPSON_BIPLANE, (frames[0],), (frames[1],))


def _indexed(pair: BeatPair, body_surface_m2: float) -> dict[str, BiplaneNumber]:
    """Volumes and output per body surface."""
    return {
        f"{key}_index": replace(number, value=number.value / body_surface_m2, unit=PER_SURFACE[number.unit])
        for key, number in pair.numbers.items()
        if key in INDEXED
    }


def _both(beat: Beat) -> tuple[int, ...]:
    return tuple(sorted((beat.ed_frame, beat.es_frame)))


def _span(beat: Beat) -> tuple[int, ...]:
    return _both(beat) if beat.next_ed_frame is None else (beat.ed_frame, beat.es_frame, beat.next_ed_frame)


def _medians(pairs: Sequence[BeatPair]) -> Mapping[str, BiplaneNumber]:
    keys = dict.fromkeys(key for pair in pairs for key in pair.numbers)
    return {key: _median([pair.numbers[key] for pair in pairs if key in pair.numbers]) for key in keys}


def _median(found: Sequence[BiplaneNumber]) -> BiplaneNumber:
    value = float(np.median([number.value for number in found]))
    a4c = sorted({frame for number in found for frame in number.a4c_frames})
    a2c = sorted({frame for number in found for frame in number.a2c_frames})
    return BiplaneNumber(value, found[0].unit, found[0].method, tuple(a4c), tuple(a2c))


def _warnings(pairs: Sequence[BeatPair], a4c: Segmentation, a2c: Segmentation) -> Iterator[str]:
    names = f"{a4c.meta.source}, {a2c.meta.source}"
    difference = float(np.median([pair.length_difference for pair in pairs]))
    if difference > LENGTH_LIMIT:
        yield (
            f"{names}: long axes at end-diastole differ by {difference:.0%} between the views (limit {LENGTH_LIMIT:.0%}); "
            "one view is probably foreshortened and the volumes too small"
        )
    lengths = [_difference(_seconds(pair.a4c, a4c.meta.fps), _seconds(pair.a2c, a2c.meta.fps)) for pair in pairs]
    if max(lengths) > BEAT_LIMIT:
        yield (
            f"{names}: paired beats differ in length by up to {max(lengths):.0%} (limit {BEAT_LIMIT:.0%}); "
            "the heart rate changed between the views, read the biplane volumes with care"
        )
    if not all(pair.a4c.complete and pair.a2c.complete for pair in pairs):
        yield f"{names}: no full beat in both views; ED and ES are the largest and the smallest volume of a cine"
