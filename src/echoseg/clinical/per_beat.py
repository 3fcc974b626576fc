"""The numbers of every beat, and their median over the beats."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from echoseg.clinical.beats import Beat
from echoseg.clinical.curve import VolumeCurve
from echoseg.clinical.ejection import ef_percent
from echoseg.clinical.measures import BeatMeasures, Measured

PERCENT, PER_MINUTE = "%", "1/min"
Number = tuple[str, Measured]


def beat_frames(beat: Beat) -> tuple[int, ...]:
    """ED and ES of a beat, ascending."""
    return tuple(sorted((beat.ed_frame, beat.es_frame)))


def volume_numbers(curve: VolumeCurve, beat: Beat, suffix: str = "") -> Iterator[Number]:
    """EDV, ESV, stroke volume and EF of a beat; nothing where a volume is missing or the ventricle does not empty."""
    edv, esv = float(curve.values[beat.ed_frame]), float(curve.values[beat.es_frame])
    if not (edv > 0 and esv <= edv):  # also true for NaN
        return
    both = beat_frames(beat)
    yield f"edv{suffix}", Measured(edv, curve.unit, curve.method, (beat.ed_frame,))
    yield f"esv{suffix}", Measured(esv, curve.unit, curve.method, (beat.es_frame,))
    yield f"sv{suffix}", Measured(edv - esv, curve.unit, curve.method, both)
    yield f"ef{suffix}", Measured(ef_percent(edv, esv), PERCENT, curve.method, both)


def rate_numbers(curve: VolumeCurve, beat: Beat, fps: float | None) -> Iterator[Number]:
    """Heart rate of a full beat, and cardiac output where its volumes are in mL."""
    if fps is None or beat.next_ed_frame is None:
        return
    rate = 60 * fps / (beat.next_ed_frame - beat.ed_frame)
    yield "hr", Measured(rate, PER_MINUTE, "ed_to_ed", (beat.ed_frame, beat.next_ed_frame))
    stroke = dict(volume_numbers(curve, beat)).get("sv")
    if stroke is not None and stroke.unit == "mL":
        frames = (beat.ed_frame, beat.es_frame, beat.next_ed_frame)
        yield "co", Measured(stroke.value * rate, "mL/min", curve.method, frames)


def beat_measures(beat: Beat, numbers: Iterable[Number]) -> BeatMeasures:
    """What a beat measures."""
    return BeatMeasures(beat.ed_frame, beat.es_frame, beat.next_ed_frame, beat.complete, dict(numbers))


def median_numbers(beats: Sequence[BeatMeasures]) -> Mapping[str, Measured]:
    """Median of each number over the beats that have it.

    Example:
        >>> one = BeatMeasures(0, 4, 9, True, {"edv": Measured(100.0, "mL", "area_length", (0,))})
        >>> two = BeatMeasures(9, 13, 18, True, {"edv": Measured(110.0, "mL", "area_length", (9,))})
        >>> found = median_numbers([one, two])["edv"]
        >>> found.value, found.frames
        (105.0, (0, 9))
    """
    keys = dict.fromkeys(key for beat in beats for key in beat.numbers)
    return {key: _median([beat.numbers[key] for beat in beats if key in beat.numbers]) for key in keys}


def _median(found: Sequence[Measured]) -> Measured:
    frames = sorted({frame for number in found for frame in number.frames})
    value = float(np.median([number.value for number in found]))
    return Measured(value, found[0].unit, found[0].method, tuple(frames))
