"""What was measured of a study from both apical views."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

from echoseg.clinical.beats import Beat
from echoseg.clinical.ejection import SIMPSON_BIPLANE
from echoseg.clinical.measures import ReferenceRange
from echoseg.errors import InputError


@dataclass(frozen=True)
class BiplaneNumber:
    """One number of a study.

    Attributes:
        value: finite.
        unit: "mL", "%", "1/min", "mL/min", "mL/m2"...
        method: "simpson_biplane", "area_length_biplane", "ed_to_ed".
        a4c_frames, a2c_frames: frames of both cines that it came from, ascending.
    """

    value: float
    unit: str
    method: str
    a4c_frames: tuple[int, ...]
    a2c_frames: tuple[int, ...]

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise InputError(f"{self.method}: value {self.value}; leave out what cannot be measured")


@dataclass(frozen=True)
class BeatPair:
    """A beat of each view, measured together.

    Attributes:
        a4c, a2c: the beats, with the frames of their own cines.
        numbers: keys of `clinical/measures.py`: edv, esv, sv, ef, hr, co, edv_area_length, ..., la_volume_max,
            la_volume_min, <key>_index.
        length_difference: |L4 - L2| / max(L4, L2) of the long axes at end-diastole.
    """

    a4c: Beat
    a2c: Beat
    numbers: Mapping[str, BiplaneNumber]
    length_difference: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "numbers", MappingProxyType(dict(self.numbers)))


@dataclass(frozen=True)
class StudyEjection:
    """Biplane numbers of a study.

    Attributes:
        pairs: beats that were measured together, in the order of the four-chamber view's.
        median: median of each number over the pairs; its frames are those of all pairs.
        ranges: key -> ranges of healthy adults, see `Measures.ranges`. Only keys of `median`.
        warnings: sentences that a user must see.
    """

    pairs: tuple[BeatPair, ...]
    median: Mapping[str, BiplaneNumber] = field(default_factory=dict)
    ranges: Mapping[str, tuple[ReferenceRange, ...]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.pairs:
            raise InputError("study without a pair of beats; measure_study needs one of each view")
        for name in ("median", "ranges"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    @property
    def method(self) -> str:
        """Formula of the volumes."""
        return SIMPSON_BIPLANE

    @property
    def unit(self) -> str:
        """Unit of the volumes."""
        return "mL"

    @property
    def edv(self) -> float:
        """Median end-diastolic volume, mL."""
        return self.median["edv"].value

    @property
    def esv(self) -> float:
        """Median end-systolic volume, mL."""
        return self.median["esv"].value

    @property
    def sv(self) -> float:
        """Median stroke volume, mL."""
        return self.median["sv"].value

    @property
    def ef_percent(self) -> float:
        """Median ejection fraction: that of the pairs' EFs, so it need not follow from the median volumes."""
        return self.median["ef"].value

    @property
    def ef_range(self) -> tuple[float, float]:
        """Smallest and largest ejection fraction of the pairs."""
        efs = [pair.numbers["ef"].value for pair in self.pairs]
        return min(efs), max(efs)

    @property
    def n_beats(self) -> int:
        """Number of pairs."""
        return len(self.pairs)

    def document(self) -> dict[str, Any]:
        """Numbers for `study.json`, rounded to four decimals: the keys of a single view's, and the pairs under "biplane"."""
        return {
            "edv": _rounded(self.edv),
            "esv": _rounded(self.esv),
            "ef_percent": _rounded(self.ef_percent),
            "ef_range": [_rounded(ef) for ef in self.ef_range],
            "unit": self.unit,
            "method": self.method,
            "n_beats": self.n_beats,
            "biplane": {
                "beats": [
                    {
                        "A4C": _beat(pair.a4c),
                        "A2C": _beat(pair.a2c),
                        "length_difference": _rounded(pair.length_difference),
                        "numbers": _numbers(pair.numbers),
                    }
                    for pair in self.pairs
                ],
                "median": _numbers(self.median),
                "ranges": {key: [asdict(one) for one in ranges] for key, ranges in self.ranges.items()},
            },
        }


def _beat(beat: Beat) -> dict[str, Any]:
    return {
        "ed_frame": beat.ed_frame,
        "es_frame": beat.es_frame,
        "next_ed_frame": beat.next_ed_frame,
        "complete": beat.complete,
    }


def _numbers(found: Mapping[str, BiplaneNumber]) -> dict[str, Any]:
    return {
        key: {
            "value": _rounded(number.value),
            "unit": number.unit,
            "method": number.method,
            "frames": {"A4C": list(number.a4c_frames), "A2C": list(number.a2c_frames)},
        }
        for key, number in found.items()
    }


def _rounded(value: float) -> float:
    return round(value, 4)
