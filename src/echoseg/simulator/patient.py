"""Who is examined, and how the probe is held: all sampled numbers of anatomy, function and pose."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from echoseg.cine import Float64, View
from echoseg.simulator.presets import Preset
from echoseg.simulator.randomness import uniform


class Rhythm(Enum):
    """Rhythm of the heart."""

    SINUS = "sinus"
    ATRIAL_FIBRILLATION = "atrial fibrillation"
    PREMATURE_BEATS = "premature beats"


class Artery(Enum):
    """Coronary artery whose territory moves less."""

    LAD = "left anterior descending"
    RCA = "right coronary"
    LCX = "left circumflex"


@dataclass(frozen=True)
class Infarct:
    """A coronary territory that moves less.

    Attributes:
        artery: whose territory.
        loss: part of the inward motion that is lost at its centre.
    """

    artery: Artery
    loss: float


@dataclass(frozen=True)
class Patient:
    """What the two views of a patient have in common.

    Attributes:
        sex: "F" or "M".
        age_years: age.
        edv_ml: end-diastolic volume of a regular beat.
        ef_percent: ejection fraction of a regular beat.
        heart_rate_bpm: mean heart rate.
        rhythm: rhythm.
        length_to_diameter: long over short axis at end-diastole.
        widest: place of the largest diameter, from apex (0) to annulus (1).
        egg: how much wider the base is than the apex.
        roundness: diameter perpendicular to the plane of the A4C view over the one in it.
        longitudinal_strain: shortening of the long axis at end-systole.
        wall_mm: end-diastolic thickness of the septal, apical and lateral wall.
        infarct: territory that moves less, if any.
    """

    sex: str
    age_years: int
    edv_ml: float
    ef_percent: float
    heart_rate_bpm: float
    rhythm: Rhythm
    length_to_diameter: float
    widest: float
    egg: float
    roundness: float
    longitudinal_strain: float
    wall_mm: tuple[float, float, float]
    infarct: Infarct | None = None

    def in_view(self, view: View) -> Patient:
        """The same ventricle as a view cuts it: A2C shows the diameters that A4C does not, on the same long axis.

        So the diameters of both views multiply to the true area of every disc (biplane summation of discs).
        """
        if view is View.A4C:
            return self
        return replace(self, roundness=1 / self.roundness, length_to_diameter=self.length_to_diameter / self.roundness)


@dataclass(frozen=True)
class _Phenotype:
    """Distribution of volume (log-normal), EF and shape of one kind of heart."""

    edv_ml: float
    edv_log_sd: float
    ef_percent: tuple[float, float]
    length_to_diameter: float


_PHENOTYPES = (
    _Phenotype(edv_ml=94, edv_log_sd=0.27, ef_percent=(62, 5), length_to_diameter=1.68),  # normal
    _Phenotype(edv_ml=130, edv_log_sd=0.30, ef_percent=(38, 8), length_to_diameter=1.56),  # reduced EF
    _Phenotype(edv_ml=185, edv_log_sd=0.20, ef_percent=(27, 7), length_to_diameter=1.50),  # dilated
    _Phenotype(edv_ml=75, edv_log_sd=0.20, ef_percent=(70, 4), length_to_diameter=1.68),  # hyperdynamic
)
_MALE_OVER_FEMALE_VOLUME = 1.3


def _clipped_normal(rng: np.random.Generator, mean: float, sd: float, low: float, high: float) -> float:
    return float(np.clip(rng.normal(mean, sd), low, high))


def sample_patient(rng: np.random.Generator, preset: Preset) -> Patient:
    """Draw a patient."""
    kind = _PHENOTYPES[int(rng.choice(len(_PHENOTYPES), p=preset.hearts))]
    sex = "M" if rng.random() < 0.5 else "F"
    size = _MALE_OVER_FEMALE_VOLUME ** (0.5 if sex == "M" else -0.5)
    edv_ml = float(np.clip(size * kind.edv_ml * np.exp(rng.normal(0, kind.edv_log_sd)), 35, 330))
    ef_percent = _clipped_normal(rng, *kind.ef_percent, low=12, high=80)
    irregular = (Rhythm.ATRIAL_FIBRILLATION, Rhythm.PREMATURE_BEATS)
    return Patient(
        sex=sex,
        age_years=int(rng.integers(22, 90)),
        edv_ml=edv_ml,
        ef_percent=ef_percent,
        heart_rate_bpm=_clipped_normal(rng, 70, 13, 42, 130),
        rhythm=irregular[int(rng.integers(2))] if rng.random() < preset.p_arrhythmia else Rhythm.SINUS,
        length_to_diameter=_clipped_normal(rng, kind.length_to_diameter, 0.13, 1.3, 2.2),
        widest=uniform(rng, (0.52, 0.64)),
        egg=uniform(rng, (-0.15, 0.35)),
        roundness=uniform(rng, (0.92, 1.08)),
        longitudinal_strain=uniform(rng, (0.10, 0.20)) * (ef_percent / 60) ** 0.8,
        wall_mm=(
            _clipped_normal(rng, 11.0, 1.8, 5, 16),
            _clipped_normal(rng, 9.0, 1.5, 5, 16),
            _clipped_normal(rng, 10.5, 1.6, 5, 16),
        ),
        infarct=_sample_infarct(rng, preset),
    )


def _sample_infarct(rng: np.random.Generator, preset: Preset) -> Infarct | None:
    if rng.random() >= preset.p_hypokinesia:
        return None
    return Infarct(list(Artery)[int(rng.choice(3, p=[0.5, 0.3, 0.2]))], uniform(rng, (0.40, 0.95)))


@dataclass(frozen=True)
class Hypokinesia:
    """A segment of the wall that moves less.

    Attributes:
        place: centre along the wall, septal annulus (0) - apex (0.5) - lateral annulus (1).
        width: standard deviation along the wall.
        loss: part of the inward motion that is lost at the centre.
    """

    place: float
    width: float
    loss: float


_TERRITORIES = {
    (Artery.LAD, View.A4C): (0.45, 0.13),
    (Artery.RCA, View.A4C): (0.14, 0.08),
    (Artery.LCX, View.A4C): (0.80, 0.12),
    (Artery.LAD, View.A2C): (0.68, 0.17),
    (Artery.RCA, View.A2C): (0.22, 0.14),
}
"""Centre and standard deviation along the wall of what a view shows of an artery's territory (17-segment model; A2C: inferior wall
first, anterior wall last). The circumflex artery supplies nothing that A2C shows."""


Waves = tuple[float, ...]
"""Amplitudes of sin(2 pi u), sin(3 pi u), ...: an irregularity that is 0 at both ends of 0 <= u <= 1."""


def waves(amplitudes: Waves, place: Float64) -> Float64:
    """Sum of the waves at places 0..1."""
    order = np.arange(2, 2 + len(amplitudes))
    return np.asarray(np.sin(np.pi * place[..., None] * order) @ np.array(amplitudes), dtype=np.float64)


@dataclass(frozen=True)
class ViewGeometry:
    """How one view cuts the heart, and where the heart lies in the sector.

    Attributes:
        view: A4C or A2C.
        bow: sideways bend of the long axis, as a part of its length.
        septal_bulge: basal bulge of the septum, as a part of the long axis.
        bulge_balanced: whether the volume that the bulge takes is made up for.
        foreshortening: apparent over true long axis at end-diastole.
        foreshortening_change: how much more (below 0) or less (above 0) of the missing part is missing at end-systole.
        profile_waves: irregularity of the diameters, relative.
        bend_waves: irregularity of the long axis, as a part of its length.
        wall_waves: irregularity of the wall's thickness, relative.
        hypokinesia: segment that moves less, if any.
        tilt_rad: angle of the long axis to the central beam.
        apex_x_mm: apex across, 0 at the central beam.
        apex_z_mm: depth of the apex.
        breath_mm: shift by breathing.
        breath_hz: its frequency.
        breath_phase_rad: its phase at time 0.
        rock_rad: tilt by breathing.
        atrium_height_mm: mitral annulus to atrial roof.
        atrium_bulge_mm: how much the atrium is wider than the annulus, at the septum and laterally.
        atrium_lean_mm: sideways shift of its roof.
        atrium_waves: irregularity of its sides, mm.
        rv_width_mm: width of the right ventricle.
        rv_apex: where the right ventricle begins, as a part of the long axis.
        rv_wall_mm: thickness of its free wall.
        rv_waves: irregularity of its free wall, relative to the width.
        tricuspid_mm: how much nearer to the apex the tricuspid annulus lies than the mitral one.
        right_atrium_mm: width and height of the right atrium.
        papillary_muscles: whether papillary muscles are cut.
    """

    view: View
    bow: float
    septal_bulge: float
    bulge_balanced: bool
    foreshortening: float
    foreshortening_change: float
    profile_waves: Waves
    bend_waves: Waves
    wall_waves: Waves
    hypokinesia: Hypokinesia | None
    tilt_rad: float
    apex_x_mm: float
    apex_z_mm: float
    breath_mm: float
    breath_hz: float
    breath_phase_rad: float
    rock_rad: float
    atrium_height_mm: float
    atrium_bulge_mm: tuple[float, float]
    atrium_lean_mm: float
    atrium_waves: Waves
    rv_width_mm: float
    rv_apex: float
    rv_wall_mm: float
    rv_waves: Waves
    tricuspid_mm: float
    right_atrium_mm: tuple[float, float]
    papillary_muscles: bool


def _sample_waves(rng: np.random.Generator, sd: float, count: int) -> Waves:
    return tuple(float(value) for value in rng.normal(0, sd, count) / np.sqrt(np.arange(1, count + 1)))


def _hypokinesia(rng: np.random.Generator, infarct: Infarct | None, view: View) -> Hypokinesia | None:
    """What a view shows of an infarct."""
    spread = rng.normal(0, 1, 2)
    if infarct is None or (infarct.artery, view) not in _TERRITORIES:
        return None
    place, width = _TERRITORIES[infarct.artery, view]
    return Hypokinesia(float(place + 0.03 * spread[0]), float(width * np.exp(0.15 * spread[1])), infarct.loss)


def sample_view(rng: np.random.Generator, preset: Preset, view: View, infarct: Infarct | None = None) -> ViewGeometry:
    """Draw the geometry of a view."""
    shortest, longest = preset.foreshortening
    return ViewGeometry(
        view=view,
        bow=uniform(rng, (-0.05, 0.05)),
        septal_bulge=uniform(rng, preset.septal_bulge),
        bulge_balanced=preset.bulge_balanced,
        foreshortening=longest - (longest - shortest) * float(rng.beta(1, 2)),
        foreshortening_change=uniform(rng, (-0.8, 0.8)),
        profile_waves=_sample_waves(rng, 0.035, 4),
        bend_waves=_sample_waves(rng, 0.010, 4),
        wall_waves=_sample_waves(rng, 0.09, 8),
        hypokinesia=_hypokinesia(rng, infarct, view),
        tilt_rad=float(np.deg2rad(rng.normal(2, 9))),
        apex_x_mm=float(rng.normal(5, 7)),
        apex_z_mm=uniform(rng, (14, 40)),
        breath_mm=uniform(rng, (0, 3)),
        breath_hz=uniform(rng, (0.15, 0.35)),
        breath_phase_rad=uniform(rng, (0, 2 * np.pi)),
        rock_rad=float(np.deg2rad(uniform(rng, (0, 2.5)))),
        atrium_height_mm=uniform(rng, (32, 56)),
        atrium_bulge_mm=(uniform(rng, (0, 4)), uniform(rng, (1, 10))),
        atrium_lean_mm=float(rng.normal(0, 4)),
        atrium_waves=_sample_waves(rng, 1.2, 3),
        rv_width_mm=uniform(rng, (22, 42)),
        rv_apex=uniform(rng, (0.12, 0.42)),
        rv_wall_mm=uniform(rng, (3, 6)),
        rv_waves=_sample_waves(rng, 0.07, 5),
        tricuspid_mm=uniform(rng, (3, 9)),
        right_atrium_mm=(uniform(rng, (32, 50)), uniform(rng, (34, 54))),
        papillary_muscles=bool(rng.random() < 0.6),
    )
