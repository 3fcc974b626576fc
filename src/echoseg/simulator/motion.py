"""When the heart moves: beats, the volume curve V(t), and the opening of the mitral valve.

A beat runs through isovolumic contraction, ejection (Weissler: LVET = 413 - 1.7 HR ms), isovolumic relaxation, rapid
filling, diastasis and the atrial kick. Everything is a function of time in seconds; no frame rate enters here.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter1d

from echoseg.cine import Float64
from echoseg.simulator.patient import Patient, Rhythm

_CONTRACTION_S = 0.050
_RELAXATION_S = 0.075
_RAPID_FILLING_S = 0.170
_ATRIAL_SYSTOLE_S = 0.110
_KICK = 0.24
"""Part of the filling volume that the atrial systole brings."""
_DIASTASIS = 0.12
"""Part of the filling volume that flows during diastasis."""
_CLOCK_HZ = 1000.0
_VALVE_SD_S = 0.015


@dataclass(frozen=True)
class HeartBeat:
    """One beat, from one R-wave to the next.

    Attributes:
        start_s: time of the R-wave.
        rr_s: time to the next one.
        edv_ml: volume at its start.
        esv_ml: smallest volume.
    """

    start_s: float
    rr_s: float
    edv_ml: float
    esv_ml: float

    @property
    def end_s(self) -> float:
        """Time of the next R-wave."""
        return self.start_s + self.rr_s

    @property
    def phases_s(self) -> Float64:
        """Durations of contraction, ejection, relaxation, rapid filling and atrial systole; short beats shorten them all."""
        usual = [_CONTRACTION_S, ejection_time_s(self.rr_s), _RELAXATION_S, _RAPID_FILLING_S, _ATRIAL_SYSTOLE_S]
        return np.array(usual) * min(1.0, self.rr_s / (sum(usual) + 0.03))

    @property
    def filling_s(self) -> float:
        """Time at which the isovolumic relaxation ends and filling begins."""
        return self.start_s + float(self.phases_s[:3].sum())


def ejection_time_s(rr_s: float) -> float:
    """Left-ventricular ejection time (Weissler)."""
    return float(np.clip(0.413 - 0.0017 * 60 / rr_s, 0.18, 0.36))


def schedule_beats(rng: np.random.Generator, patient: Patient, duration_s: float) -> tuple[HeartBeat, ...]:
    """Beats that cover 0 to `duration_s` with at least one more after it; the first starts before 0.

    What an irregular beat fills and ejects varies in parts of the regular stroke volume, so that every beat empties and fills
    however little a heart ejects.
    """
    mean_rr = 60 / patient.heart_rate_bpm
    stroke_ml = patient.edv_ml * patient.ef_percent / 100
    regular_esv = patient.edv_ml - stroke_ml
    now, beats = -float(rng.uniform(0, mean_rr)), list[HeartBeat]()
    while now < duration_s + 2 * mean_rr:
        beat = HeartBeat(now, mean_rr * (1 + 0.03 * rng.standard_normal()), patient.edv_ml, regular_esv)
        if patient.rhythm is Rhythm.ATRIAL_FIBRILLATION:
            filled = (beats[-1].rr_s if beats else mean_rr) / mean_rr - 1  # a long diastole before fills more
            edv_ml = patient.edv_ml + stroke_ml * float(np.clip(0.4 * filled, -0.35, 0.2))
            ejected_ml = stroke_ml * float(np.clip(1 + 0.5 * filled, 0.6, 1.15))
            beat = HeartBeat(now, max(0.38, mean_rr * (1 + 0.22 * rng.standard_normal())), edv_ml, edv_ml - ejected_ml)
        beats.append(beat)
        if patient.rhythm is Rhythm.PREMATURE_BEATS and rng.random() < 0.3:
            beats[-1] = replace(beat, rr_s=0.62 * mean_rr)
            premature_edv = patient.edv_ml - 0.25 * stroke_ml
            premature_esv = premature_edv - 0.5 * stroke_ml
            beats.append(HeartBeat(beats[-1].end_s, 1.35 * mean_rr, premature_edv, premature_esv))
        now = beats[-1].end_s
    return tuple(beats)


def _knots(beat: HeartBeat, next_edv_ml: float, kick: float) -> tuple[Float64, Float64]:
    """Times and volumes between which a beat is interpolated."""
    contraction, ejection, relaxation, rapid, atrial = beat.phases_s
    steps = [0, contraction, 0.3 * ejection, 0.35 * ejection, 0.35 * ejection, relaxation, 0.45 * rapid, 0.55 * rapid]
    times = np.append(np.cumsum(steps), [beat.rr_s - atrial, beat.rr_s - 0.45 * atrial])
    emptied = np.array([0, 0.01, 0.40, 0.85, 1.0])
    early = 1 - kick - _DIASTASIS
    filled = np.array([0.005, 0.45 * early, early, 1 - kick, 1 - 0.45 * kick])
    volumes = np.append(
        beat.edv_ml - emptied * (beat.edv_ml - beat.esv_ml), beat.esv_ml + filled * (next_edv_ml - beat.esv_ml)
    )
    return beat.start_s + times, volumes


class VolumeCurve:
    """V(t) of a sequence of beats.

    Attributes:
        beats: the beats; the curve ends where the last one starts.
    """

    def __init__(self, beats: tuple[HeartBeat, ...], rhythm: Rhythm) -> None:
        """Interpolate monotonically between the knots of all beats; atrial fibrillation has no atrial kick."""
        self.beats = beats
        kick = 0.0 if rhythm is Rhythm.ATRIAL_FIBRILLATION else _KICK
        parts = [_knots(beat, following.edv_ml, kick) for beat, following in itertools.pairwise(beats)]
        times = np.concatenate([*(part[0] for part in parts), [beats[-1].start_s]])
        volumes = np.concatenate([*(part[1] for part in parts), [beats[-1].edv_ml]])
        times = np.maximum.accumulate(times + 1e-6 * np.arange(len(times)))
        self._curve = PchipInterpolator(times, volumes)

    def volume_ml(self, times_s: Float64) -> Float64:
        """V at some times."""
        return np.asarray(self._curve(times_s), dtype=np.float64)

    @cached_property
    def _valve(self) -> tuple[Float64, Float64]:
        clock = np.arange(self.beats[0].start_s, self.beats[-1].start_s, 1 / _CLOCK_HZ)
        regular = max(self.beats, key=lambda beat: beat.edv_ml - beat.esv_ml)
        inflow = np.clip(self._curve(clock, 1) / (3 * (regular.edv_ml - regular.esv_ml)), 0, 1)
        diastole = np.zeros(len(clock))
        for beat in self.beats:
            diastole[(clock > beat.filling_s - _VALVE_SD_S) & (clock < beat.end_s)] = 1
        opening = gaussian_filter1d(diastole * (0.25 + 0.75 * inflow), _VALVE_SD_S * _CLOCK_HZ)
        return clock, opening

    def mitral_opening(self, times_s: Float64) -> Float64:
        """How far the mitral valve is open, 0..1: half open in diastasis, wide where blood flows in."""
        return np.asarray(np.interp(times_s, *self._valve), dtype=np.float64)


def labelled_instants(curve: VolumeCurve, times_s: Float64, *, filling: bool) -> tuple[int, int]:
    """Frames that a doctor would label in a cine.

    Args:
        curve: volume curve.
        times_s: times of the frames (T,).
        filling: label the end-systole of the first whole beat and the end-diastole after it, rather than the
            end-diastole that starts it.

    Returns:
        (ed_frame, es_frame). A cine without a whole ejection gives its largest and smallest volume.
    """
    volume = curve.volume_ml(times_s)
    step = float(times_s[1] - times_s[0]) if len(times_s) > 1 else 1.0
    for beat in curve.beats:
        if beat.start_s < times_s[0] - step / 2 or beat.filling_s > times_s[-1]:
            continue
        inside = np.flatnonzero((times_s >= beat.start_s - step / 2) & (times_s < beat.end_s))
        es_frame = int(inside[np.argmin(volume[inside])])
        ed_frame = int(inside[0]) + int(np.argmax(volume[inside[0] : es_frame + 1]))
        if filling and beat.end_s <= times_s[-1]:
            ed_frame = es_frame + int(np.argmax(volume[es_frame : int(inside[-1]) + 2]))
        return ed_frame, es_frame
    return int(np.argmax(volume)), int(np.argmin(volume))
