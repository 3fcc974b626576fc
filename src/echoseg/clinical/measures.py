"""Numbers as a doctor reads them: each with its unit, the formula and the frames that it came from.

Keys of `BeatMeasures.numbers` and `Measures.median`; what could not be measured is absent.

    edv, esv, sv, ef        by the case's own formula
    edv_<formula>, ...      the same by another formula, beside it: edv_area_length, esv_area_length, sv_..., ef_...
    hr, co                  heart rate and cardiac output
    la_volume_max, la_volume_min, la_volume_max_area_length, la_volume_min_area_length
    lv_mass, lv_mass_area_length
    gcs_endo, gcs_mid       global longitudinal contour strain, of the endocardium and of the middle of the wall
    strain_<segment>        endocardial, of the six segments of the view
    <key>_index             divided by the body surface, where that was given
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from echoseg.cine import Float64
from echoseg.errors import InputError

INDEXED = ("edv", "esv", "sv", "co", "la_volume_max", "la_volume_min", "lv_mass")
"""Keys that are given per body surface, too, where that is known."""
PER_SURFACE = {"mL": "mL/m2", "mL/min": "mL/min/m2", "g": "g/m2"}
"""Unit of a number -> its unit per body surface."""


@dataclass(frozen=True)
class Measured:
    """One number.

    Attributes:
        value: finite.
        unit: "mL", "px3", "mL/min", "%", "1/min", "g", "mL/m2"...
        method: formula, e.g. "simpson_single_plane", "area_length", "contour_strain".
        frames: frames of the cine that it came from, ascending.
    """

    value: float
    unit: str
    method: str
    frames: tuple[int, ...]

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            raise InputError(f"{self.method}: value {self.value}; leave out what cannot be measured")


@dataclass(frozen=True)
class ReferenceRange:
    """What healthy adults measure: the mean and two standard deviations to either side. A range, not a diagnosis.

    Attributes:
        low, high: its ends.
        unit: their unit.
        who: "women", "men" or "adults".
        source: where the range stands.
    """

    low: float
    high: float
    unit: str
    who: str
    source: str


@dataclass(frozen=True, eq=False)
class ContourStrain:
    """Change of the length of the ventricle's contour since the end-diastole of the beat; of masks, not of tracked speckle.

    Frames outside every beat are NaN, and so are those whose mask has no contour.

    Attributes:
        global_percent: float64 (T,), endocardium from one mitral hinge over the apex to the other.
        segments_percent: float64 (6, T), its six segments, from the base of one wall over the apex to the base of the other.
        names: names of the six segments, e.g. "basal_septal".
        mid_percent: float64 (T,), middle of the wall; None without a myocardium in the masks.
    """

    global_percent: Float64
    segments_percent: Float64
    names: tuple[str, ...]
    mid_percent: Float64 | None = None

    def __post_init__(self) -> None:
        n = len(self.global_percent)
        if self.segments_percent.shape != (len(self.names), n):
            raise InputError(f"strain of {self.segments_percent.shape} for {len(self.names)} segments of {n} frames")
        for name in ("global_percent", "segments_percent", "mid_percent"):
            array = getattr(self, name)
            if array is not None:
                frozen = np.asarray(array, np.float64).view()
                frozen.flags.writeable = False
                object.__setattr__(self, name, frozen)


@dataclass(frozen=True)
class Rhythm:
    """Lengths of the full beats of a cine.

    Attributes:
        shortest_s, mean_s, longest_s: seconds from end-diastole to end-diastole.
        irregular: whether a beat departs from the median by more than the limit of the quality flag.
        typical_beat: number of the beat (counted from 0) whose length comes closest to the mean.
        ectopic_beats: numbers of the beats that a premature contraction began or followed; medians leave them out.
    """

    shortest_s: float
    mean_s: float
    longest_s: float
    irregular: bool
    typical_beat: int
    ectopic_beats: tuple[int, ...] = ()


@dataclass(frozen=True)
class BeatMeasures:
    """Numbers of one beat; frames count from 0.

    Attributes:
        ed_frame: end-diastole.
        es_frame: end-systole.
        next_ed_frame: end-diastole that ends the beat, None where the cine does not reach it.
        complete: whether the cine shows the beat from ED to ED.
        numbers: see the head of this file.
    """

    ed_frame: int
    es_frame: int
    next_ed_frame: int | None
    complete: bool
    numbers: Mapping[str, Measured]

    def __post_init__(self) -> None:
        object.__setattr__(self, "numbers", MappingProxyType(dict(self.numbers)))


@dataclass(frozen=True, eq=False)
class Measures:
    """Numbers of a cine.

    Attributes:
        beats: numbers of every beat, in the order of `Indices.beats`.
        median: median over the beats; its frames are those of all beats.
        ranges: key -> ranges of healthy adults, one for women and one for men, or one for both. Only keys of `median`.
        strain: strain of every frame; None where no beat or no contour was found.
        rhythm: lengths of the beats; None without a full beat or a frame rate.
        body_surface_m2: what `<key>_index` was divided by, None where it is unknown.
    """

    beats: tuple[BeatMeasures, ...] = ()
    median: Mapping[str, Measured] = field(default_factory=dict)
    ranges: Mapping[str, tuple[ReferenceRange, ...]] = field(default_factory=dict)
    strain: ContourStrain | None = None
    rhythm: Rhythm | None = None
    body_surface_m2: float | None = None

    def __post_init__(self) -> None:
        for name in ("median", "ranges"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
