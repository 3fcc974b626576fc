"""Who is examined, and how the probe is held: all sampled numbers of anatomy, function and pose."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from echoseg.cine import View
from echoseg.simulator.presets import Preset
from echoseg.simulator.randomness import uniform


class Rhythm(Enum):
    """Rhythm of the heart."""

    SINUS = "sinus"
    ATRIAL_FIBRILLATION = "atrial fibrillation"
    PREMATURE_BEATS = "premature beats"


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
        roundness: diameter perpendicular to the image plane over the one in it.
        longitudinal_strain: shortening of the long axis at end-systole.
        wall_mm: end-diastolic thickness of the septal, apical and lateral wall.
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


@dataclass(frozen=True)
class _Phenotype:
    """Distribution of volume (log-normal), EF and shape of one kind of heart."""

    share: float
    edv_ml: float
    edv_log_sd: float
    ef_percent: tuple[float, float]
    length_to_diameter: float


_PHENOTYPES = (
    _Phenotype(share=0.62, edv_ml=88, edv_log_sd=0.27, ef_percent=(62, 5), length_to_diameter=1.82),  # normal
    _Phenotype(share=0.18, edv_ml=130, edv_log_sd=0.30, ef_percent=(38, 8), length_to_diameter=1.62),  # reduced EF
    _Phenotype(share=0.10, edv_ml=185, edv_log_sd=0.20, ef_percent=(27, 7), length_to_diameter=1.50),  # dilated
    _Phenotype(share=0.10, edv_ml=70, edv_log_sd=0.20, ef_percent=(70, 4), length_to_diameter=1.82),  # hyperdynamic
)
_MALE_OVER_FEMALE_VOLUME = 1.3


def _clipped_normal(rng: np.random.Generator, mean: float, sd: float, low: float, high: float) -> float:
    return float(np.clip(rng.normal(mean, sd), low, high))


def sample_patient(rng: np.random.Generator, preset: Preset) -> Patient:
    """Draw a patient."""
    kind = _PHENOTYPES[int(rng.choice(len(_PHENOTYPES), p=[p.share for p in _PHENOTYPES]))]
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
            _clipped_normal(rng, 9.5, 1.5, 5, 16),
            _clipped_normal(rng, 6.3, 0.8, 5, 16),
            _clipped_normal(rng, 9.0, 1.3, 5, 16),
        ),
    )


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


@dataclass(frozen=True)
class ViewGeometry:
    """How one view cuts the heart, and where the heart lies in the sector.

    Attributes:
        view: A4C or A2C.
        bow: sideways bend of the long axis, as a part of its length.
        septal_bulge: basal bulge of the septum, as a part of the long axis.
        foreshortening: apparent over true long axis.
        hypokinesia: segment that moves less, if any.
        tilt_rad: angle of the long axis to the central beam.
        apex_x_mm: apex across, 0 at the central beam.
        apex_z_mm: depth of the apex.
        breath_mm: shift by breathing.
        breath_hz: its frequency.
        breath_phase_rad: its phase at time 0.
        rock_rad: tilt by breathing.
        atrium_height_mm: mitral annulus to atrial roof.
        atrium_bulge_mm: how much the atrium is wider than the annulus, on each side.
        rv_width_mm: width of the right ventricle.
        rv_apex: where the right ventricle begins, as a part of the long axis.
        right_atrium_mm: half width of the right atrium.
        papillary_muscles: whether papillary muscles are cut.
    """

    view: View
    bow: float
    septal_bulge: float
    foreshortening: float
    hypokinesia: Hypokinesia | None
    tilt_rad: float
    apex_x_mm: float
    apex_z_mm: float
    breath_mm: float
    breath_hz: float
    breath_phase_rad: float
    rock_rad: float
    atrium_height_mm: float
    atrium_bulge_mm: float
    rv_width_mm: float
    rv_apex: float
    right_atrium_mm: float
    papillary_muscles: bool


def sample_view(rng: np.random.Generator, preset: Preset, view: View) -> ViewGeometry:
    """Draw the geometry of a view."""
    hypokinesia = None
    if rng.random() < preset.p_hypokinesia:
        hypokinesia = Hypokinesia(uniform(rng, (0.05, 0.95)), uniform(rng, (0.08, 0.20)), uniform(rng, (0.40, 0.95)))
    shortest, longest = preset.foreshortening
    return ViewGeometry(
        view=view,
        bow=uniform(rng, (-0.05, 0.05)),
        septal_bulge=uniform(rng, (0.0, 0.06)),
        foreshortening=longest - (longest - shortest) * float(rng.beta(1, 2)),
        hypokinesia=hypokinesia,
        tilt_rad=float(np.deg2rad(rng.normal(2, 9))),
        apex_x_mm=float(rng.normal(2, 8)),
        apex_z_mm=uniform(rng, (10, 28)),
        breath_mm=uniform(rng, (0, 3)),
        breath_hz=uniform(rng, (0.15, 0.35)),
        breath_phase_rad=uniform(rng, (0, 2 * np.pi)),
        rock_rad=float(np.deg2rad(uniform(rng, (0, 2.5)))),
        atrium_height_mm=uniform(rng, (34, 58)),
        atrium_bulge_mm=uniform(rng, (1, 8)),
        rv_width_mm=uniform(rng, (18, 36)),
        rv_apex=uniform(rng, (0.20, 0.45)),
        right_atrium_mm=uniform(rng, (18, 26)),
        papillary_muscles=bool(rng.random() < 0.5),
    )
