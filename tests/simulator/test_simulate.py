"""Whole cines: masks, volumes and images belong together."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from echoseg.cine import Instant, Structure, View
from echoseg.errors import UsageError
from echoseg.simulator import Preset, get_preset, simulate
from echoseg.simulator.geometry import fill_polygon
from echoseg.simulator.simulated import CLEAR_FROM

SEEDS = range(8)


@cache
def _short(seed: int, preset: str = "standard", view: View = View.A4C):
    return simulate(seed, preset=preset, view=view, duration_s=0.5, fps=12.0)


def _camus(seed: int, view: View = View.A4C):
    return simulate(seed, view=view, layout="camus", duration_s=0.3, fps=10.0)


def test_same_seed_same_bytes_and_another_seed_others():
    first, again, other = (simulate(seed, duration_s=0.1) for seed in (5, 5, 6))
    for name in ("frames", "labels", "volume_ml", "contours_mm", "visibility"):
        assert getattr(first, name).tobytes() == getattr(again, name).tobytes(), name
    assert first.frames.tobytes() != other.frames.tobytes()


def test_two_views_of_a_seed_show_the_same_heart_at_the_same_time():
    four, two = _short(3, view=View.A4C), _short(3, view=View.A2C)
    assert four.patient == two.patient
    np.testing.assert_array_equal(four.volume_ml, two.volume_ml)
    assert four.labels.tobytes() != two.labels.tobytes()


def test_another_preset_changes_the_image_before_the_patient():
    easy, hard = _short(2, "easy"), _short(2, "hard")
    assert (easy.patient.edv_ml, easy.patient.ef_percent) == (hard.patient.edv_ml, hard.patient.ef_percent)
    assert easy.frames.tobytes() != hard.frames.tobytes()


@pytest.mark.parametrize("preset", ["easy", "standard", "mid", "hard", "broad"])
@pytest.mark.parametrize("seed", SEEDS)
def test_everything_that_holds_for_every_cine(seed, preset):
    cine = _short(seed, preset)
    shape = (6, 112, 112)
    assert cine.frames.shape == cine.labels.shape == shape
    assert cine.frames.dtype == cine.labels.dtype == np.uint8
    for array in (cine.volume_ml, cine.contours_mm, cine.visibility, cine.times_s):
        assert np.isfinite(array).all() and len(array) == 6
    assert set(np.unique(cine.labels)) <= {0, 1, 2, 3}
    assert not cine.labels[:, ~cine.inside_sector].any()
    assert all((frame == Structure.LV).any() for frame in cine.labels)
    assert cine.edv_ml > cine.esv_ml > 0
    assert 0 < cine.ef_percent < 90
    assert cine.visibility.min() >= 0 and cine.visibility.max() <= 1
    lit = cine.frames[:, cine.inside_sector]
    assert 20 < lit.mean() < 140 and lit.std() > 5


@pytest.mark.parametrize("make", [_short, _camus], ids=["echonet", "camus"])
@pytest.mark.parametrize("seed", range(3))
def test_mask_area_is_that_of_its_contour(seed, make):
    cine = make(seed)
    pixel_mm2 = cine.spacing.row_mm * cine.spacing.col_mm
    for contour, labels in zip(cine.contours_mm, cine.labels, strict=True):
        y, x = contour.T
        polygon_mm2 = 0.5 * abs(np.dot(y, np.roll(x, -1)) - np.dot(x, np.roll(y, -1)))
        whole = fill_polygon(contour / [cine.spacing.row_mm, cine.spacing.col_mm] + 300, (2000, 2000)).sum()
        assert whole * pixel_mm2 == pytest.approx(polygon_mm2, rel=0.01)
        seen = (labels == Structure.LV).sum() / whole
        assert 0.95 < seen <= 1.0


def test_myocardium_is_a_horseshoe_without_a_lid_over_the_valve():
    for seed in range(4):
        cine = _camus(seed)
        labels, contour = cine.labels[0], cine.contours_mm[0] / [cine.spacing.row_mm, cine.spacing.col_mm]
        share = np.linspace(0.15, 0.85, 40)[:, None]
        valve = np.rint(contour[0] * (1 - share) + contour[-1] * share).astype(int)
        mm = round(1 / cine.spacing.row_mm)
        around = {int(labels[row + d, col]) for row, col in valve for d in range(-mm, mm + 1)}
        assert around <= {Structure.LV, Structure.LA}, around


def _contrast(cine, lag: int) -> float:
    """Mean wall minus mean cavity of image t under the mask of t + lag."""
    n = len(cine.frames)
    differences = []
    for frame in range(max(0, -lag), min(n, n - lag)):
        image, labels = cine.frames[frame].astype(float), cine.labels[frame + lag]
        differences.append(image[labels == Structure.MYOCARDIUM].mean() - image[labels == Structure.LV].mean())
    return float(np.mean(differences))


@pytest.mark.parametrize(("fps", "lag"), [(12.0, 1), (25.0, 2), (50.0, 4)])
def test_images_do_not_lag_behind_their_masks(fps, lag):
    """A prototype averaged over past output frames: EF was wrong by 18 points at 12 fps, and Dice did not show it."""
    profiles = []
    for seed in range(50, 58):
        cine = simulate(seed, preset="easy", fps=fps, duration_s=1.2)
        profiles.append([_contrast(cine, shift) for shift in (-lag, -1, 0, 1, lag)])
    early, before, now, after, late = np.mean(profiles, axis=0)
    assert now > max(early, before, after, late)
    drop = now - 0.5 * (early + late)
    assert abs(late - early) < 0.5 * drop


def _border_px(frame: np.ndarray, labels: np.ndarray) -> float:
    """Where the mean gray value crosses from cavity to wall: signed distance to the border of the mask, outside positive."""
    cavity = labels == Structure.LV
    base = np.nonzero(cavity)[0].max() - 8  # the mitral plane is no border between cavity and wall
    distance = np.where(cavity, 0.5 - distance_transform_edt(cavity), distance_transform_edt(~cavity) - 0.5)
    here = (cavity | (labels == Structure.MYOCARDIUM)) & (np.indices(labels.shape)[0] < base)
    places = np.arange(-6, 6) + 0.5
    profile = [frame[here & (np.abs(distance - place) <= 0.5)].mean() for place in places]
    half = (np.mean(profile[:3]) + max(profile[6:])) / 2
    above = int(np.argmax(np.array(profile) > half))
    return float(places[above - 1] + (half - profile[above - 1]) / (profile[above] - profile[above - 1]))


def test_border_in_the_image_is_that_of_the_mask_at_both_ends_of_systole():
    """An EF of trained models that is too low must not come from the images."""
    borders = []
    for seed in range(30, 44):
        cine = simulate(seed, preset="easy", fps=12.5, duration_s=1.2)
        ends = cine.ed_frame, cine.es_frame
        borders.append([_border_px(cine.frames[frame].astype(float), cine.labels[frame]) for frame in ends])
    ed, es = np.median(borders, axis=0)
    assert abs(ed) < 0.8 and abs(es) < 0.8
    assert abs(ed - es) < 0.3


def test_the_same_instant_looks_the_same_at_another_frame_rate():
    slow, fast = (simulate(9, preset="easy", duration_s=0.4, fps=fps) for fps in (25.0, 50.0))
    np.testing.assert_array_equal(slow.labels, fast.labels[::2])
    np.testing.assert_allclose(slow.volume_ml, fast.volume_ml[::2])
    np.testing.assert_allclose(slow.visibility, fast.visibility[::2], atol=1e-4)


def test_half_beat_is_the_part_between_the_labelled_frames():
    whole = simulate(4, duration_s=1.6, fps=10.0)
    half = simulate(4, duration_s=1.6, fps=10.0, span="half_beat")
    first, last = sorted((whole.ed_frame, whole.es_frame))
    np.testing.assert_array_equal(half.labels, whole.labels[first : last + 1])
    assert {half.ed_frame, half.es_frame} == {0, len(half.frames) - 1}
    assert (half.edv_ml, half.esv_ml) == (whole.edv_ml, whole.esv_ml)
    assert half.times_s[0] == 0


def test_wall_is_brighter_than_cavity_in_easy_cines():
    for seed in range(4):
        cine = _short(seed, "easy")
        wall = cine.frames[cine.labels == Structure.MYOCARDIUM].mean()
        assert wall > 1.4 * cine.frames[cine.labels == Structure.LV].mean()


def _plain(**changes) -> Preset:
    """Nothing is lost, nothing is mirrored."""
    still = {"name": "plain", "p_shadow": 0.0, "windows_per_s": 0.0, "p_mirrored": 0.0}
    return replace(get_preset("standard"), **(still | changes))


def test_visibility_is_whole_where_nothing_attenuates_and_nearly_none_where_the_probe_lost_contact():
    clear = simulate(1, preset=_plain(), duration_s=0.1)
    assert clear.visibility.min() > 0.93  # a small part of the border may leave the sector
    lost = replace(_plain(), windows_per_s=60.0, p_contact=1.0, window_db=(30.0, 30.0), window_s=(0.3, 0.3))
    dark = simulate(1, preset=lost, duration_s=0.1)
    assert dark.visibility.max() < 0.05
    wall = clear.labels == Structure.MYOCARDIUM
    contrast = [
        float(cine.frames[wall].mean() - cine.frames[clear.labels == Structure.LV].mean()) for cine in (clear, dark)
    ]
    assert abs(contrast[1]) < 0.5 * contrast[0]


def test_a_window_closes_and_opens_within_a_cine_while_the_labels_go_on():
    preset = replace(_plain(), windows_per_s=3.0, window_db=(30.0, 30.0), p_contact=0.5, window_s=(0.1, 0.2))
    cines = [simulate(seed, preset=preset, duration_s=1.2, fps=25.0) for seed in range(6)]
    assert all((cine.labels == Structure.LV).any(axis=(1, 2)).all() for cine in cines)
    turned = [np.abs(np.diff((cine.visibility < CLEAR_FROM).astype(int))).sum() for cine in cines]
    assert np.mean(turned) >= 2


def test_mirrored_cine_is_the_mirror_image_with_its_labels():
    bare = _plain(p_marks=0.0)
    usual, mirrored = (simulate(8, preset=replace(bare, p_mirrored=p), duration_s=0.06) for p in (0.0, 1.0))
    np.testing.assert_allclose(usual.frames[..., ::-1].astype(int), mirrored.frames.astype(int), atol=1)
    assert (
        np.mean(usual.labels[..., ::-1] != mirrored.labels) < 2e-3
    )  # pixel centres on an edge may fall to either side
    np.testing.assert_allclose(111 * usual.spacing.col_mm - usual.contours_mm[..., 1], mirrored.contours_mm[..., 1])


def test_marks_lie_outside_the_sector_and_stay():
    marked, bare = (simulate(8, preset=_plain(p_marks=p), duration_s=0.1) for p in (1.0, 0.0))
    outside = ~marked.inside_sector
    assert marked.frames[0][outside].any() and not bare.frames[:, outside].any()
    assert np.all(marked.frames[:, outside] == marked.frames[0][outside])
    np.testing.assert_array_equal(marked.frames[:, ~outside], bare.frames[:, ~outside])


def test_depth_shows_as_much_of_the_atrium_as_the_preset_says():
    def atrium_mm2(shown: float) -> float:
        cines = [
            simulate(seed, preset=_plain(atrium_shown=(shown, shown)), layout="camus", duration_s=0.02)
            for seed in range(5)
        ]
        return sum((c.labels[0] == Structure.LA).sum() * c.spacing.row_mm * c.spacing.col_mm for c in cines)

    assert atrium_mm2(-0.1) < 0.5 * atrium_mm2(1.1)


def test_broad_preset_has_larger_hearts_than_standard():
    volumes = {
        name: [simulate(seed, preset=name, duration_s=0.02).patient.edv_ml for seed in range(40)]
        for name in ("standard", "broad")
    }
    assert np.median(volumes["broad"]) > 1.05 * np.median(volumes["standard"])


def test_both_views_of_a_patient_have_one_style():
    assert {simulate(seed, duration_s=0.02).style for seed in range(12)} == {"gray", "contrast", "soft"}
    for seed in range(3):
        assert _short(seed).style == _short(seed, view=View.A2C).style


def test_unknown_style_is_refused_with_a_cure():
    with pytest.raises(UsageError, match="styles 'sepia': no such style; choose from gray, contrast, soft, coarse"):
        replace(get_preset("standard"), styles=("sepia",))


def test_to_cine_gives_the_two_labelled_frames_or_all():
    simulated = _short(0)
    cine = simulated.to_cine()
    assert set(cine.masks) == {simulated.ed_frame, simulated.es_frame}
    assert cine.instants == {Instant.ED: simulated.ed_frame, Instant.ES: simulated.es_frame}
    assert (cine.fps, cine.spacing, cine.view) == (12.0, simulated.spacing, View.A4C)
    assert len(simulated.to_cine("all").masks) == len(simulated.frames)
    np.testing.assert_array_equal(cine.masks[simulated.ed_frame], simulated.labels[simulated.ed_frame])


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"preset": "harder"}, "harder: no such preset; choose one of easy, standard, mid, hard"),
        ({"view": View.UNKNOWN}, "A4C or A2C"),
        ({"layout": "dicom"}, "dicom: no such layout"),
        ({"fps": 0.0}, "positive"),
        ({"duration_s": -1.0}, "positive"),
        ({"span": "third"}, "third: no such span"),
    ],
)
def test_wrong_arguments_are_refused_with_a_cure(arguments, word):
    with pytest.raises(UsageError, match=word):
        simulate(0, **arguments)


def test_mid_lies_halfway_between_standard_and_hard():
    mid, standard, hard = (get_preset(name) for name in ("mid", "standard", "hard"))
    assert mid.p_shadow == pytest.approx((standard.p_shadow + hard.p_shadow) / 2)
    assert mid.haze_db == pytest.approx(tuple(np.mean([standard.haze_db, hard.haze_db], axis=0)))


def test_importing_the_package_does_not_load_scipy():
    import subprocess
    import sys

    code = "import sys, echoseg.simulator; assert echoseg.simulator.Preset; assert 'scipy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
