"""Ejection fraction per beat, and over all beats of a cine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from echoseg.clinical.beats import Beat
from echoseg.clinical.curve import Unit, VolumeCurve
from echoseg.clinical.discs import Discs, simpson_biplane, simpson_biplane_shared_height
from echoseg.errors import InputError, UsageError

SIMPSON_BIPLANE = "simpson_biplane"
SIMPSON_BIPLANE_SHARED_HEIGHT = "simpson_biplane_shared_height"


@dataclass(frozen=True)
class Ejection:
    """Volumes of one beat.

    Attributes:
        edv: end-diastolic volume.
        esv: end-systolic volume.
        ef_percent: ejection fraction, 100 (EDV - ESV) / EDV.
        unit: unit of the volumes, "mL" or "px3".
        method: formula of the volumes.
        ed_frame: frame of end-diastole.
        es_frame: frame of end-systole.
        complete: whether the cine shows the whole beat.
    """

    edv: float
    esv: float
    ef_percent: float
    unit: Unit
    method: str
    ed_frame: int
    es_frame: int
    complete: bool

    def __post_init__(self) -> None:
        if not (math.isfinite(self.edv) and math.isfinite(self.esv) and self.edv > 0 and self.esv >= 0):
            raise InputError(f"EDV {self.edv} and ESV {self.esv}; volumes must be finite and positive")
        if not math.isclose(self.ef_percent, ef_percent(self.edv, self.esv), abs_tol=1e-6):
            raise InputError(f"EF {self.ef_percent} does not follow from EDV {self.edv} and ESV {self.esv}")


@dataclass(frozen=True)
class EjectionSummary:
    """Volumes over all beats of a cine: the median of each quantity.

    The median EF is that of the beats' EFs, so it need not follow from the median volumes.

    Attributes:
        edv: median end-diastolic volume.
        esv: median end-systolic volume.
        ef_percent: median ejection fraction.
        ef_range: smallest and largest ejection fraction.
        unit: unit of the volumes, "mL" or "px3".
        method: formula of the volumes.
        n_beats: number of beats; an incomplete one counts only where there is no other.
        heart_rate_bpm: beats per minute from the median beat, None without a full beat or a frame rate.
    """

    edv: float
    esv: float
    ef_percent: float
    ef_range: tuple[float, float]
    unit: Unit
    method: str
    n_beats: int
    heart_rate_bpm: float | None


def ef_percent(edv: float, esv: float) -> float:
    """Ejection fraction in percent, 100 (EDV - ESV) / EDV.

    Example:
        >>> ef_percent(120.0, 48.0)
        60.0
    """
    return 100.0 * (1 - esv / edv)


def ejections(curve: VolumeCurve, beats: Sequence[Beat]) -> tuple[Ejection, ...]:
    """Ejection of every beat, its volumes read off the curve as measured.

    A beat with an unmeasured ED or ES, or an ES larger than its ED, is left out.

    Example:
        >>> import numpy as np
        >>> values = np.array([110.0, 80.0, 50.0, 75.0, 108.0])
        >>> curve = VolumeCurve(values, "mL", "simpson_single_plane", values, values, "mm2")
        >>> [(e.edv, e.esv, round(e.ef_percent, 1)) for e in ejections(curve, [Beat(0, 2, 4, complete=True)])]
        [(110.0, 50.0, 54.5)]
    """
    found = []
    for beat in beats:
        edv, esv = float(curve.values[beat.ed_frame]), float(curve.values[beat.es_frame])
        if edv > 0 and esv <= edv:  # both false for NaN
            found.append(
                Ejection(
                    edv=edv,
                    esv=esv,
                    ef_percent=ef_percent(edv, esv),
                    unit=curve.unit,
                    method=curve.method,
                    ed_frame=beat.ed_frame,
                    es_frame=beat.es_frame,
                    complete=beat.complete,
                )
            )
    return tuple(found)


def summarise(found: Sequence[Ejection], heart_rate_bpm: float | None = None) -> EjectionSummary | None:
    """Medians over beats, None without a beat."""
    if not found:
        return None
    efs = [ejection.ef_percent for ejection in found]
    return EjectionSummary(
        edv=float(np.median([ejection.edv for ejection in found])),
        esv=float(np.median([ejection.esv for ejection in found])),
        ef_percent=float(np.median(efs)),
        ef_range=(min(efs), max(efs)),
        unit=found[0].unit,
        method=found[0].method,
        n_beats=len(found),
        heart_rate_bpm=heart_rate_bpm,
    )


def heart_rate(beats: Sequence[Beat], fps: float | None) -> float | None:
    """Beats per minute from the median duration of the full beats.

    Example:
        >>> heart_rate([Beat(0, 20, 50, complete=True)], fps=50.0)
        60.0
    """
    lengths = beat_lengths(beats)
    return None if fps is None or not lengths else 60.0 * fps / float(np.median(lengths))


def beat_lengths(beats: Sequence[Beat]) -> list[int]:
    """Frames from ED to ED of every full beat."""
    return [beat.next_ed_frame - beat.ed_frame for beat in beats if beat.next_ed_frame is not None]


def biplane_ejection(
    ed: tuple[Discs, Discs],
    es: tuple[Discs, Discs],
    *,
    ed_frame: int = 0,
    es_frame: int = 1,
    method: str = SIMPSON_BIPLANE,
) -> Ejection:
    """Ejection from the discs of both apical views at the two instants.

    Args:
        ed: discs of the four- and the two-chamber view at end-diastole.
        es: the same at end-systole.
        ed_frame: frame of end-diastole, for the record.
        es_frame: frame of end-systole, for the record.
        method: "simpson_biplane", or "simpson_biplane_shared_height" to compare with published CAMUS tables.
    """
    if method == SIMPSON_BIPLANE:
        edv, esv = simpson_biplane(*ed), simpson_biplane(*es)
    elif method == SIMPSON_BIPLANE_SHARED_HEIGHT:
        edv, esv = simpson_biplane_shared_height(ed, es)
    else:
        raise UsageError(
            f"biplane method {method!r} is unknown; choose {SIMPSON_BIPLANE} or {SIMPSON_BIPLANE_SHARED_HEIGHT}"
        )
    return Ejection(edv, esv, ef_percent(edv, esv), "mL", method, ed_frame, es_frame, complete=False)
