"""Clinical numbers from masks: long axis, discs, volumes, beats, ejection fraction and a quality flag."""

from echoseg.clinical.beats import Beat, find_beats
from echoseg.clinical.biplane import BeatPair, BiplaneNumber, StudyEjection, area_length_biplane, measure_study
from echoseg.clinical.context import Context
from echoseg.clinical.curve import VolumeCurve, volume_curve
from echoseg.clinical.discs import (
    N_DISCS,
    Discs,
    area_length,
    find_discs,
    simpson_biplane,
    simpson_biplane_shared_height,
    simpson_single_plane,
)
from echoseg.clinical.ejection import (
    Ejection,
    EjectionSummary,
    biplane_ejection,
    ef_percent,
    ejections,
    heart_rate,
    summarise,
)
from echoseg.clinical.frames import METHODS, FrameMeasure, FrameSeries, measure_frame, measure_frames
from echoseg.clinical.indices import Indices, measure_cine, with_regressed
from echoseg.clinical.measures import BeatMeasures, ContourStrain, Measured, Measures, ReferenceRange, Rhythm
from echoseg.clinical.outline import Outline, find_outline
from echoseg.clinical.quality import Quality, QualityFlag, QualityLimits, area_jitter, assess, doubtful_below
from echoseg.clinical.regressed import RegressedEf

__all__ = [
    "METHODS",
    "N_DISCS",
    "Beat",
    "BeatMeasures",
    "BeatPair",
    "BiplaneNumber",
    "Context",
    "ContourStrain",
    "Discs",
    "Ejection",
    "EjectionSummary",
    "FrameMeasure",
    "FrameSeries",
    "Indices",
    "Measured",
    "Measures",
    "Outline",
    "Quality",
    "QualityFlag",
    "QualityLimits",
    "ReferenceRange",
    "RegressedEf",
    "Rhythm",
    "StudyEjection",
    "VolumeCurve",
    "area_jitter",
    "area_length",
    "area_length_biplane",
    "assess",
    "biplane_ejection",
    "doubtful_below",
    "ef_percent",
    "ejections",
    "find_beats",
    "find_discs",
    "find_outline",
    "heart_rate",
    "measure_cine",
    "measure_frame",
    "measure_frames",
    "measure_study",
    "simpson_biplane",
    "simpson_biplane_shared_height",
    "simpson_single_plane",
    "summarise",
    "volume_curve",
    "with_regressed",
]
