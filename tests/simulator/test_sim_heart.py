"""The moving heart: exact volume, incompressible wall, continuous motion."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from echoseg.cine import View
from echoseg.simulator.anatomy import LeftVentricle, atrium_outline, leaflets, revolved_mm3
from echoseg.simulator.deformation import TissueMotion
from echoseg.simulator.heart import Heart
from echoseg.simulator.motion import (
    HeartBeat,
    VolumeCurve,
    ejection_time_s,
    labelled_instants,
    schedule_beats,
)
from echoseg.simulator.patient import Hypokinesia, Patient, Rhythm, sample_patient, sample_view
from echoseg.simulator.presets import get_preset
from echoseg.simulator.tracing import trace_discs

SEEDS = range(12)


def _patient(seed: int, **changes) -> Patient:
    return replace(sample_patient(np.random.default_rng(seed), get_preset("standard")), **changes)


def _ideal_view(seed: int, **changes):
    view = sample_view(np.random.default_rng(seed), get_preset("standard"), View.A4C)
    return replace(view, **({"bow": 0.0, "foreshortening": 1.0} | changes))


def _ejection(patient: Patient, n: int = 12) -> np.ndarray:
    return np.linspace(patient.edv_ml, patient.edv_ml * (1 - patient.ef_percent / 100), n)


def _simpson_ml(contour: np.ndarray) -> float:
    discs = trace_discs(contour)
    length = np.linalg.norm(discs[0, 0] - discs[0, 1])
    return float(np.pi / 4 * length / 20 * np.sum((discs[1:, 0] - discs[1:, 1]) ** 2) / 1e3)


@pytest.mark.parametrize("seed", SEEDS)
def test_simpson_on_the_contour_of_an_ideal_view_gives_the_volume(seed):
    patient = _patient(seed, roundness=1.0)
    volumes = _ejection(patient)
    lv = LeftVentricle(patient, _ideal_view(seed), volumes)
    measured = np.array([_simpson_ml(contour) for contour in lv.endo])
    np.testing.assert_allclose(measured, volumes, rtol=0.01)
    assert 100 * (1 - measured[-1] / measured[0]) == pytest.approx(patient.ef_percent, abs=0.5)


def test_bulge_takes_from_the_measured_volume_where_it_is_not_balanced():
    """As in the benchmark sets of version 1."""
    patient, volumes = _patient(3, roundness=1.0), np.array([_patient(3).edv_ml])
    held, taken = (
        _simpson_ml(LeftVentricle(patient, _ideal_view(3, septal_bulge=0.06, bulge_balanced=balanced), volumes).endo[0])
        for balanced in (True, False)
    )
    assert held == pytest.approx(patient.edv_ml, rel=0.01)
    assert taken < 0.96 * patient.edv_ml


def test_foreshortening_makes_the_measured_volume_smaller():
    patient = _patient(3, roundness=1.0)
    view = replace(_ideal_view(3), foreshortening=0.85)
    assert _simpson_ml(LeftVentricle(patient, view, _ejection(patient)).endo[0]) < 0.9 * patient.edv_ml


@pytest.mark.parametrize("segment", [None, Hypokinesia(place=0.75, width=0.12, loss=0.9)])
@pytest.mark.parametrize("seed", SEEDS)
def test_wall_keeps_its_volume_while_the_cavity_empties(seed, segment):
    patient = _patient(seed)
    lv = LeftVentricle(patient, _ideal_view(seed, hypokinesia=segment), _ejection(patient))
    wall = revolved_mm3(lv.epi) - revolved_mm3(lv.endo)
    assert np.ptp(wall) / wall[0] < 0.03
    assert lv.thickness[-1].mean() > 1.05 * lv.thickness[0].mean()


def test_revolved_volume_of_a_cone():
    place = np.linspace(-1, 1, 161)
    cone = np.stack([20 * place, 60 * np.abs(place)], axis=-1)
    assert revolved_mm3(cone) == pytest.approx(np.pi * 20**2 * 60 / 3, rel=1e-3)


def test_hypokinetic_segment_moves_less_than_the_opposite_wall_at_the_same_volume():
    patient = _patient(2)
    volumes = _ejection(patient)
    view = _ideal_view(2, hypokinesia=Hypokinesia(place=0.8, width=0.12, loss=0.9))
    endo = LeftVentricle(patient, view, volumes).endo[..., 0]
    inward = np.abs(endo[0]) - np.abs(endo[-1])
    assert inward[128] < 0.5 * inward[32]


def test_state_of_rest_is_end_diastole():
    patient = _patient(5)
    lv = LeftVentricle(patient, _ideal_view(5), np.array([patient.edv_ml, 0.7 * patient.edv_ml]))
    np.testing.assert_allclose(lv.endo[0], lv.rest_endo)
    np.testing.assert_allclose(lv.epi[0], lv.rest_epi)
    assert lv.length[1] < lv.length[0] == pytest.approx(lv.rest_length)


def test_weissler():
    assert ejection_time_s(60 / 70) == pytest.approx(0.413 - 0.0017 * 70)


@pytest.mark.parametrize("rhythm", list(Rhythm))
@pytest.mark.parametrize("seed", range(4))
def test_volume_curve_stays_between_the_volumes_of_its_beats_and_empties_monotonically(seed, rhythm):
    patient = _patient(seed, rhythm=rhythm)
    beats = schedule_beats(np.random.default_rng(seed), patient, duration_s=3.0)
    assert beats[0].start_s <= 0 and beats[-1].start_s > 3.0
    assert all(a.end_s == pytest.approx(b.start_s) for a, b in itertools.pairwise(beats))
    curve = VolumeCurve(beats, rhythm)
    for beat in beats[1:-1]:
        contraction, ejection_s = beat.phases_s[:2]
        ejection = beat.start_s + contraction + np.linspace(0, ejection_s, 50)
        times = np.linspace(beat.start_s, min(beat.end_s, beats[-1].start_s), 300)
        assert np.all(np.diff(curve.volume_ml(ejection)) < 1e-9)
        assert curve.volume_ml(ejection[-1:])[0] == pytest.approx(beat.esv_ml, rel=1e-3)
        assert curve.volume_ml(times).min() >= min(b.esv_ml for b in beats) - 1e-6
        assert curve.volume_ml(times).max() <= max(b.edv_ml for b in beats) + 1e-6
        assert curve.volume_ml(times[:1])[0] == pytest.approx(beat.edv_ml, rel=1e-3)


def test_mitral_valve_is_shut_in_systole_and_open_in_early_diastole():
    curve = VolumeCurve(tuple(HeartBeat(0.9 * i - 0.9, 0.9, 120, 50) for i in range(6)), Rhythm.SINUS)
    opening = curve.mitral_opening(np.array([0.10, 0.25, 0.52, 0.85]))
    assert opening[0] < 0.02 and opening[1] < 0.02
    assert opening[2] > 0.5
    assert 0.2 < opening[3] < 1.0


@pytest.mark.parametrize(("filling", "order"), [(False, 1), (True, -1)])
def test_labelled_instants_are_the_ends_of_one_ejection_or_filling(filling, order):
    curve = VolumeCurve(tuple(HeartBeat(0.9 * i - 0.5, 0.9, 120, 50) for i in range(6)), Rhythm.SINUS)
    times = np.arange(100) / 50
    ed_frame, es_frame = labelled_instants(curve, times, filling=filling)
    assert np.sign(es_frame - ed_frame) == order
    volume = curve.volume_ml(times)
    assert volume[ed_frame] == pytest.approx(120, abs=1) and volume[es_frame] == pytest.approx(50, abs=1)
    assert abs(es_frame - ed_frame) < 0.7 * 50


def test_labelled_instants_of_a_cine_without_a_whole_beat_are_its_extremes():
    curve = VolumeCurve(tuple(HeartBeat(0.9 * i - 0.5, 0.9, 120, 50) for i in range(6)), Rhythm.SINUS)
    times = np.arange(10) / 50
    volume = curve.volume_ml(times)
    assert labelled_instants(curve, times, filling=False) == (volume.argmax(), volume.argmin())


def test_annulus_descends_with_the_tissue_around_it_and_the_roof_stays():
    patient = _patient(7)
    lv = LeftVentricle(patient, _ideal_view(7), _ejection(patient))
    roof = lv.rest_length + 45
    p = np.array([lv.rest_endo[0, 0], lv.rest_endo[-1, 0], 0.0])
    motion = TissueMotion(lv, p, np.array([lv.rest_length, lv.rest_length, roof]), roof)
    _, q = motion.at(11)
    np.testing.assert_allclose(q[:2], lv.length[11], atol=1e-3)
    assert q[2] == pytest.approx(roof)


def test_atrium_shares_the_mitral_plane_with_the_ventricle_on_every_frame():
    patient = _patient(4)
    beats = schedule_beats(np.random.default_rng(0), patient, 1.0)
    view = sample_view(np.random.default_rng(4), get_preset("standard"), View.A4C)
    heart = Heart(patient, view, VolumeCurve(beats, patient.rhythm), np.arange(20) / 20)
    for frame in range(20):
        endo, _, atrium = heart.outlines(frame)
        np.testing.assert_allclose(atrium[[0, -1]], endo[[0, -1]])
        assert np.abs(np.diff(atrium, axis=0)).max() < 8  # no spike where the outline is pinned to the hinges
    outline = atrium_outline(heart.lv, view)
    assert outline[:, 1].max() == pytest.approx(heart.lv.rest_length + view.atrium_height_mm)


def test_leaflets_start_at_their_hinges_and_open_towards_the_apex():
    annulus = np.array([[-15.0, 80.0], [15.0, 80.0]])
    shut, wide = leaflets(annulus, 0.0, 50), leaflets(annulus, 1.0, 50)
    for drawn in (shut, wide):
        np.testing.assert_allclose(drawn[[0, 50]], annulus)
    assert shut[:, 1].min() > 74 > wide[:, 1].min()
