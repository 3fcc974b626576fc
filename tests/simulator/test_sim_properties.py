"""What holds for every heart, rhythm and preset of the whole range, not only for a few seeds."""

from dataclasses import fields, replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from echoseg.cine import Structure, View
from echoseg.simulator import get_preset, simulate
from echoseg.simulator.anatomy import LeftVentricle, RightHeart, atrium_outline, revolved_mm3
from echoseg.simulator.geometry import contains
from echoseg.simulator.motion import VolumeCurve, labelled_instants, schedule_beats
from echoseg.simulator.patient import Artery, Infarct, Patient, Rhythm, sample_patient, sample_view
from echoseg.simulator.presets import Preset, through_the_apex

SEEDS = st.integers(0, 2**32 - 1)


@st.composite
def patients(draw) -> Patient:
    """Any heart within the ranges of the simulator, beyond what one preset is likely to draw."""
    sampled = sample_patient(np.random.default_rng(draw(SEEDS)), get_preset("hard"))
    return replace(
        sampled,
        edv_ml=draw(st.floats(35, 330)),
        ef_percent=draw(st.floats(12, 80)),
        heart_rate_bpm=draw(st.floats(42, 130)),
        rhythm=draw(st.sampled_from(Rhythm)),
        length_to_diameter=draw(st.floats(1.3, 2.2)),
        infarct=draw(st.none() | st.builds(Infarct, st.sampled_from(Artery), st.floats(0.4, 0.95))),
    )


@st.composite
def presets(draw) -> Preset:
    """Every number of a preset anywhere between easy and hard, independently."""
    easy, hard = get_preset("easy"), get_preset("hard")
    drawn: dict[str, object] = {"name": "drawn"}
    for field in fields(Preset):
        a, b = getattr(easy, field.name), getattr(hard, field.name)
        share = draw(st.floats(0, 1))
        if isinstance(a, float):
            drawn[field.name] = a + share * (b - a)
        elif isinstance(a, tuple) and isinstance(a[0], float):
            drawn[field.name] = tuple(x + share * (y - x) for x, y in zip(a, b, strict=True))
    return Preset(**drawn)


@settings(deadline=None, max_examples=60)
@given(patients(), SEEDS, st.sampled_from([View.A4C, View.A2C]))
def test_every_heart_is_finite_and_its_wall_keeps_its_volume(patient, seed, view):
    rng = np.random.default_rng(seed)
    geometry, a4c = (sample_view(rng, get_preset("hard"), of, patient.infarct) for of in (view, View.A4C))
    volumes = np.linspace(patient.edv_ml, patient.edv_ml * (1 - patient.ef_percent / 100), 9)
    lv = LeftVentricle(patient, geometry, volumes, None if view is View.A4C else a4c)
    for array in (lv.endo, lv.epi, lv.length, lv.radius):
        assert np.isfinite(array).all()
    assert (lv.thickness > 0).all() and (lv.length > 0).all()
    wall = revolved_mm3(lv.epi) - revolved_mm3(lv.endo)
    assert np.ptp(wall) < 0.03 * wall.mean()


@settings(deadline=None, max_examples=60)
@given(patients(), SEEDS)
def test_every_rhythm_empties_monotonically_and_labels_one_beat(patient, seed):
    curve = VolumeCurve(schedule_beats(np.random.default_rng(seed), patient, 3.0), patient.rhythm)
    times = np.arange(150) / 50
    volume = curve.volume_ml(times)
    assert np.isfinite(volume).all() and volume.min() > 0
    for beat in curve.beats[:-1]:
        contraction, ejection_s = beat.phases_s[:2]
        ejection = curve.volume_ml(beat.start_s + contraction + np.linspace(0, ejection_s, 20))
        assert np.all(np.diff(ejection) < 1e-9)
    ed_frame, es_frame = labelled_instants(curve, times, filling=False)
    assert ed_frame < es_frame and volume[ed_frame] > volume[es_frame]
    longest_s = max(beat.rr_s for beat in curve.beats)
    assert (es_frame - ed_frame) / 50 <= longest_s
    ed_frame, es_frame = labelled_instants(curve, times, filling=True)
    assert abs(ed_frame - es_frame) / 50 <= longest_s and volume[ed_frame] > volume[es_frame]


@settings(deadline=None, max_examples=25)
@given(patients(), SEEDS)
def test_chambers_of_every_heart_lie_apart(patient, seed):
    """The right heart lies beside the septum; the atria share no more than the thickness of their septum."""
    geometry = sample_view(np.random.default_rng(seed), get_preset("standard"), View.A4C, patient.infarct)
    lv = LeftVentricle(patient, geometry, np.array([patient.edv_ml]))
    right, left_atrium = RightHeart(lv, geometry), atrium_outline(lv, geometry)
    p, q = np.meshgrid(np.arange(-120, 121.0), np.arange(-20, 240.0))
    cavity, wall = contains(lv.rest_endo, p, q), contains(lv.rest_epi, p, q)
    ventricle, atrium, left = (contains(outline, p, q) for outline in (right.ventricle, right.atrium, left_atrium))
    assert ventricle.sum() > 200 and atrium.sum() > 200 and left.sum() > 200
    # the left atrium shares the mitral plane with the ventricle: a row of this grid
    assert (cavity & (ventricle | atrium | left)).sum() < 0.05 * cavity.sum()
    assert (wall & ventricle).sum() < 0.05 * ventricle.sum()
    assert (left & atrium).sum() < 0.25 * min(left.sum(), atrium.sum())


@settings(deadline=None, max_examples=12)
@given(presets(), SEEDS, st.sampled_from([View.A4C, View.A2C]), st.sampled_from([9.0, 30.0, 70.0]))
def test_every_preset_makes_a_cine_whose_labels_lie_in_the_sector(preset, seed, view, fps):
    cine = simulate(seed, preset=preset, view=view, fps=fps, duration_s=4 / fps)
    assert cine.frames.dtype == np.uint8 and cine.frames[:, cine.inside_sector].std() > 3
    assert np.isfinite(cine.volume_ml).all() and np.isfinite(cine.visibility).all()
    assert cine.visibility.min() >= 0 and cine.visibility.max() <= 1
    assert not cine.labels[:, ~cine.inside_sector].any()
    assert all((labels == Structure.LV).any() for labels in cine.labels)


@settings(deadline=None, max_examples=40)
@given(patients(), SEEDS)
def test_discs_of_both_views_multiply_to_the_volume(patient, seed):
    """Biplane summation of discs on the true contours of two unforeshortened views is the volume, at both ends of ejection."""
    volumes = patient.edv_ml * np.array([1, 1 - patient.ef_percent / 100])
    rng, preset = np.random.default_rng(seed), through_the_apex("standard")
    a4c, a2c = (sample_view(rng, preset, view, patient.infarct) for view in (View.A4C, View.A2C))
    across = LeftVentricle(patient, a4c, volumes), LeftVentricle(patient, a2c, volumes, a4c)
    np.testing.assert_allclose(across[0].length, across[1].length)
    for frame, volume_ml in enumerate(volumes):
        diameters = []
        for lv in across:
            endo, apex = lv.endo[frame], len(lv.endo[frame]) // 2
            level = (np.arange(200) + 0.5) / 200 * lv.length[frame]
            left = np.interp(level, endo[: apex + 1, 1][::-1], endo[: apex + 1, 0][::-1])
            diameters.append(np.interp(level, endo[apex:, 1], endo[apex:, 0]) - left)
        measured_ml = np.pi / 4 * across[0].length[frame] / 200 * np.sum(diameters[0] * diameters[1]) / 1e3
        np.testing.assert_allclose(measured_ml, volume_ml, rtol=0.01)
