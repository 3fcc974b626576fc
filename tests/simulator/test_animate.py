"""Animated stills: the stills stay what they are, nothing folds, speckle keeps its contrast, masks follow the truth of simulated hearts."""

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, binary_fill_holes, gaussian_filter, map_coordinates

from echoseg.cine import Instant, Spacing, Structure
from echoseg.errors import InputError, UsageError
from echoseg.simulator import ClipMotion, animate, simulate
from echoseg.simulator.animation.blend import find_sector
from echoseg.simulator.animation.clip import phases_of_volume
from echoseg.simulator.animation.contours import (
    HeartArcs,
    divide,
    divide_at_apex,
    heart_arcs,
    match_points,
    reach,
    trace_border,
)
from echoseg.simulator.animation.flow import Places, make_flow
from echoseg.simulator.animation.masks import MaskBlender

ED_FIRST = (1, 2, 5)
"""Seeds of simulated half beats that run from end-diastole to end-systole."""


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def heart(length=60.0, width=22.0, side=128, wall=8, apex=18.0):
    """A label map of half an ellipse with wall and atrium: the apex is up, the mitral plane `length` pixels below it."""
    row, col = np.indices((side, side), dtype=float)
    plane, centre = apex + length, side / 2 - 0.5
    labels = np.zeros((side, side), np.uint8)
    above = row < plane
    labels[above & (((row - plane) / (length + wall)) ** 2 + ((col - centre) / (width + wall)) ** 2 < 1)] = 2
    labels[above & (((row - plane) / length) ** 2 + ((col - centre) / width) ** 2 < 1)] = 1
    labels[~above & (((row - plane) / 25) ** 2 + ((col - centre) / width) ** 2 < 1)] = 3
    return labels


def noise(seed, side=128):
    """Fully developed speckle in a cone, its mean the same everywhere."""
    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.standard_normal((side, side)), 1.2)
    row, col = np.indices((side, side))
    cone = np.abs(col - side / 2 + 0.5) < 6 + row
    return (np.clip(100 + 25 * field / field.std(), 1, 255) * cone).astype(np.uint8)


ED, ES = heart(), heart(50.0, 15.0, wall=11, apex=20.0)


@pytest.fixture(scope="module")
def clip():
    return animate(noise(1), ED, noise(2), ES, motion=ClipMotion(n_frames=11))


@pytest.fixture(scope="module", params=ED_FIRST)
def true_cine(request):
    cine = simulate(request.param, preset="standard", layout="echonet", span="half_beat", fps=30.0)
    assert cine.ed_frame < cine.es_frame
    return cine


@pytest.fixture(scope="module")
def made(true_cine):
    """The same half beat, made of its first and its last frame."""
    frames, labels = true_cine.frames, true_cine.labels
    return animate(frames[0], labels[0], frames[-1], labels[-1], motion=ClipMotion(n_frames=len(frames)))


def flow_of(ed=ED, es=ES, aspect=1.0):
    arcs = heart_arcs(ed, aspect), heart_arcs(es, aspect)
    return make_flow(ed.shape, aspect, *match_points(*arcs), reach(arcs[0].endo))


# the clip as a whole


def test_first_and_last_frame_are_the_stills_bit_for_bit(clip):
    assert (clip.ed_frame, clip.es_frame) == (0, 10)
    assert clip.frames.dtype == clip.labels.dtype == np.uint8
    for array, ed, es in ((clip.frames, noise(1), noise(2)), (clip.labels, ED, ES)):
        assert array.shape == (11, 128, 128)
        np.testing.assert_array_equal(array[0], ed)
        np.testing.assert_array_equal(array[-1], es)


def test_a_whole_beat_goes_through_es_back_to_ed():
    whole = animate(noise(1), ED, noise(2), ES, motion=ClipMotion(n_frames=6, beat="whole"))
    np.testing.assert_array_equal(whole.frames[whole.es_frame], noise(2))
    np.testing.assert_array_equal(whole.labels[whole.es_frame], ES)
    np.testing.assert_array_equal(whole.frames[-1], noise(1))
    np.testing.assert_array_equal(whole.labels[-1], ED)
    area = (whole.labels == Structure.LV).sum((1, 2))
    assert whole.es_frame == 5 == np.argmin(area)
    assert len(area) > 11  # filling lasts longer than ejection
    assert (np.diff(area[5:]) >= 0).all()
    assert whole.phases[-1] == pytest.approx(0, abs=1e-6)


def test_the_same_arguments_give_the_same_bytes(clip):
    again = animate(noise(1), ED, noise(2), ES, motion=ClipMotion(n_frames=11), seed=9)
    np.testing.assert_array_equal(clip.frames, again.frames)
    np.testing.assert_array_equal(clip.labels, again.labels)


def test_sway_moves_everything_but_the_stills():
    motion = ClipMotion(n_frames=5, sway_px=6.0)
    one, two = (animate(noise(1), ED, noise(1), ED, motion=motion, seed=seed) for seed in (1, 2))
    for clip in (one, two):
        np.testing.assert_array_equal(clip.frames[[0, -1]], [noise(1)] * 2)
        rows, cols = (
            np.nonzero(clip.labels[2] == 1)[axis].mean() - np.nonzero(ED == 1)[axis].mean() for axis in (0, 1)
        )
        assert np.hypot(rows, cols) == pytest.approx(6, abs=0.3)
    assert not np.array_equal(one.frames, two.frames)


@pytest.mark.parametrize(("fps", "ejection_s", "expected"), [(50.0, 0.31, 17), (25.0, 0.4, 11), (10.0, 0.05, 2)])
def test_length_follows_from_time_and_rate(fps, ejection_s, expected):
    assert ClipMotion(fps=fps, ejection_s=ejection_s).half == expected


@pytest.mark.parametrize("wrong", [{"n_frames": 1}, {"fps": 0.0}, {"beat": "double"}, {"sway_px": -1.0}])
def test_impossible_motion_is_refused(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        ClipMotion(**wrong)


def test_stills_that_do_not_belong_together_are_refused():
    with pytest.raises(InputError, match=r"ES still: uint8 \(64, 64\); both stills and both masks"):
        animate(noise(1), ED, noise(2, 64), ES)
    with pytest.raises(InputError, match="ED mask: float64"):
        animate(noise(1), ED.astype(float), noise(2), ES)
    with pytest.raises(InputError, match="ES mask: fewer than 30 pixels of LV"):
        animate(noise(1), ED, noise(2), np.zeros_like(ES))


def test_a_cine_made_of_it_says_that_it_is_semi_synthetic(clip):
    cine = clip.to_cine("patient0001_4CH")
    assert cine.source == "semi-synthetic: patient0001_4CH"
    assert set(cine.masks) == {0, 10}
    assert cine.instants == {Instant.ED: 0, Instant.ES: 10}
    assert set(clip.to_cine("x", "all").masks) == set(range(11))


def test_black_stills_are_no_accident():
    black = np.zeros((128, 128), np.uint8)
    assert not animate(black, ED, black, ES, motion=ClipMotion(n_frames=3)).frames.any()


# contours


def test_a_border_is_walked_clockwise_pixel_edge_by_pixel_edge():
    mask = np.zeros((8, 9), bool)
    mask[2:5, 3:7] = True
    mask[3, 4] = False  # a hole is passed over
    mask[0, 0] = True  # and a smaller component
    border = trace_border(mask)
    assert len(border.points) == 2 * (3 + 4)
    np.testing.assert_array_equal(border.points[:5], [[1.5, 3], [1.5, 4], [1.5, 5], [1.5, 6], [2, 6.5]])
    assert mask[tuple(border.inside.T)].all()
    assert not mask[tuple(border.outside.T)].any()
    y, x = border.points.T
    assert 0.5 * np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)) == pytest.approx(12 - 4 * 0.125)


def test_pixels_that_touch_in_a_corner_are_not_one_component():
    mask = np.zeros((6, 6), bool)
    mask[1:3, 1:3] = mask[3:5, 3:5] = mask[3, 1] = True
    assert len(trace_border(mask).points) == 10


def test_points_divide_an_arc_by_its_length():
    corner = np.array([[0.0, 0], [0, 3], [6, 3]])
    np.testing.assert_allclose(divide(corner, 4), [[0, 0], [0, 3], [3, 3], [6, 3]])
    pointed = np.array([[0.0, 0], [-10, 2], [0, 12]])  # the left side is shorter, the apex divides nevertheless
    points = divide_at_apex(pointed, 9)
    assert len(points) == 9
    np.testing.assert_allclose(points[4], [-10, 2])


def test_arcs_run_from_annulus_to_annulus():
    arcs = heart_arcs(ED, 1.0)
    left, right = np.array([77.5, 41.5]), np.array([77.5, 85.5])
    for arc, start, stop in ((arcs.endo, left, right), (arcs.plane, right, left), (arcs.atrium, right, left)):
        assert np.hypot(*(arc[0] - start)) < 2.5
        assert np.hypot(*(arc[-1] - stop)) < 2.5
    assert arcs.endo[:, 0].min() == pytest.approx(18, abs=1)
    assert arcs.atrium[:, 0].max() == pytest.approx(103, abs=1)
    assert abs(arcs.epi[0, 1] - 36) < 9 and abs(arcs.epi[-1, 1] - 91) < 9
    assert reach(arcs.endo) == pytest.approx(60, abs=1.5)


@pytest.mark.parametrize("kept", [(1,), (1, 3), (1, 2)])
def test_missing_structures_are_done_without(kept):
    """EchoNet-Dynamic has the ventricle alone; then its corners are the annulus."""
    labels = np.where(np.isin(ED, kept), ED, 0).astype(np.uint8)
    arcs = heart_arcs(labels, 1.0)
    assert (arcs.epi is not None, arcs.atrium is not None) == (2 in kept, 3 in kept)
    assert np.hypot(*(arcs.endo[0] - [77.5, 41.5])) < 6
    assert np.hypot(*(arcs.endo[-1] - [77.5, 85.5])) < 6
    assert reach(arcs.endo) == pytest.approx(60, abs=3)


@pytest.mark.parametrize("lowest", [66, 128], ids=["apart", "down to the annulus"])
def test_a_wall_that_the_sector_cuts_is_not_taken_for_the_mitral_valve(lowest):
    labels = ED.copy()
    labels[:lowest, 60:][labels[:lowest, 60:] == 2] = 0  # the gap is longer than the mitral plane
    arcs = heart_arcs(labels, 1.0)
    assert np.hypot(*(arcs.endo[0] - [77.5, 41.5])) < 2.5
    assert np.hypot(*(arcs.endo[-1] - [77.5, 85.5])) < 2.5
    assert arcs.plane[:, 0].min() > 74


# the motion


def test_equal_masks_do_not_move():
    flow = flow_of(ED, ED)
    assert np.abs(flow.to_ed).max() < 1e-4
    assert flow.least_jacobian() == pytest.approx(1, abs=1e-4)


def test_the_flow_carries_the_outlines_onto_each_other():
    points = match_points(heart_arcs(ED, 1.0), heart_arcs(ES, 1.0))
    assert np.hypot(*(points[0] - points[1]).T).max() > 8
    box = slice(0, 128), slice(0, 128)
    places = Places(flow_of(), box)
    for phase, (start, goal), which in ((1.0, points[::-1], 0), (0.0, points, 1)):
        found = [map_coordinates(axis, start.T, order=1) for axis in places(phase)[which]]
        error = np.hypot(*(np.array(found).T - goal).T)
        assert error.mean() < 0.5
        assert error.max() < 2.5


def test_there_and_back_is_the_identity():
    """Pixels of ES come from ED; where those went must be ES again."""
    places = Places(flow_of(), (slice(0, 128), slice(0, 128)))
    to_ed, to_es = places(1.0)[0], places(0.0)[1]
    back = np.array([map_coordinates(axis, to_ed, order=1, mode="nearest") for axis in to_es])
    error = np.abs(back - np.indices((128, 128)))[:, 8:-8, 8:-8]
    assert error.mean() < 0.02
    assert error.max() < 0.3


def test_nothing_folds():
    """Every pixel square stays a square the right way round, in all phases: signed areas by the shoelace formula."""
    flow = flow_of()
    assert flow.least_jacobian() > 0.1
    places = Places(flow, (slice(0, 128), slice(0, 128)))
    for phase in np.linspace(0, 1, 7):
        for y, x in places(float(phase)):
            corners = [(axis[:-1, :-1], axis[:-1, 1:], axis[1:, 1:], axis[1:, :-1]) for axis in (y, x)]
            area = sum(
                corners[1][k] * corners[0][(k + 1) % 4] - corners[1][(k + 1) % 4] * corners[0][k] for k in range(4)
            )
            assert (area > 0).all()


def test_far_from_the_heart_nothing_moves():
    flow = flow_of(np.pad(ED, 128), np.pad(ES, 128))
    assert np.abs(flow.to_ed[:, :, :, [0, -1]]).max() < 0.1


def test_phases_follow_the_volume():
    """Outlines that shrink evenly to half their size lose 1 - (1 - s / 2)^3 of their volume on the way."""
    angle = np.linspace(np.pi, 0, 50)
    endo = np.stack([-60 * np.sin(angle), 20 * np.cos(angle)], axis=1)
    plane = np.array([[0.0, 20], [0, -20]])
    arcs, small = HeartArcs(endo, plane, None, None), HeartArcs(endo / 2, plane / 2, None, None)
    s = np.array([0, 0.2, 0.5, 0.9, 1])
    emptied = (1 - (1 - s / 2) ** 3) / (1 - 1 / 8)
    np.testing.assert_allclose(phases_of_volume(arcs, small, emptied), s, atol=1e-3)
    np.testing.assert_array_equal(phases_of_volume(arcs, arcs, emptied), emptied)


def test_masks_shrink_along_the_ejection_curve(clip):
    area = (clip.labels == Structure.LV).sum((1, 2))
    assert (np.diff(area) <= 0).all()
    lost = (area[0] - area) / (area[0] - area[-1])
    assert lost[1] < 0.02  # isovolumic contraction
    assert 0.3 < lost[5] < 0.75
    assert (np.diff(clip.phases) >= 0).all()


def test_pixels_that_are_not_square_change_nothing_but_their_number(clip):
    tall = [np.repeat(a, 2, axis=0) for a in (noise(1), ED, noise(2), ES)]
    stretched = animate(*tall, motion=ClipMotion(n_frames=11), spacing=Spacing(0.5, 1.0))
    for value in (1, 2, 3):
        assert dice(stretched.labels[5, ::2] == value, clip.labels[5] == value) > 0.975


# the pictures


def local_contrast(image, where):
    mean = gaussian_filter(image.astype(float), 3)
    return np.sqrt(gaussian_filter((image - mean) ** 2, 3))[where].mean()


def test_speckle_keeps_its_contrast(clip):
    """A plain mean of two independent patterns keeps 0.71 of it."""
    sector = find_sector(noise(1), noise(2))
    stills = np.mean([local_contrast(noise(seed), sector) for seed in (1, 2)])
    mean = (noise(1).astype(float) + noise(2)) / 2
    assert local_contrast(mean, sector) / stills < 0.75
    for frame in clip.frames[1:-1]:
        assert 0.93 < local_contrast(frame, sector) / stills < 1.05


def test_speckle_changes_evenly_without_a_jump_at_the_stills():
    """Neighbouring frames differ as much at the ends, where one of them is a still, as in the middle."""
    labels = np.where(ED == 2, 0, ED).astype(np.uint8)
    frames = animate(noise(1), labels, noise(2), labels, motion=ClipMotion(n_frames=9)).frames.astype(float)
    far = ~binary_dilation(labels > 0, iterations=20) & (noise(1) > 0)
    steps = np.abs(np.diff(frames, axis=0))[:, far].mean(1)
    assert steps.max() / steps.min() < 1.35


def test_texture_moves_with_the_heart():
    """A bright spot in the wall at ED is found where the motion takes it; ES is plain gray."""
    spot = np.full((128, 128), 60, np.uint8)
    spot[44:48, 35:39] = 240
    clip = animate(spot, ED, np.full((128, 128), 60, np.uint8), ES, motion=ClipMotion(n_frames=9))
    to_ed = Places(flow_of(), (slice(0, 128), slice(0, 128)))(float(clip.phases[4]))[0]
    row, col = np.unravel_index(np.argmax(gaussian_filter(clip.frames[4].astype(float), 1)), spot.shape)
    assert np.hypot(*(to_ed[:, row, col] - [45.5, 36.5])) < 1.5
    assert np.hypot(row - 45.5, col - 36.5) > 2


def test_what_is_black_outside_the_sector_stays_black(clip):
    outside = (noise(1) == 0) & (noise(2) == 0)
    assert outside.sum() > 1000
    assert not clip.frames[:, outside].any()
    inside = find_sector(noise(1), noise(2))
    assert clip.frames[:, inside].min() > 0


def test_the_soft_border_of_a_reduced_image_does_not_move_inwards():
    """Half black border pixels were smeared into the sector as a dark line once."""
    small = [still.reshape(64, 2, 64, 2).mean((1, 3)).astype(np.uint8) for still in (noise(1), noise(2))]
    labels = [mask[::2, ::2] for mask in (ED, ES)]
    frames = animate(small[0], labels[0], small[1], labels[1], motion=ClipMotion(n_frames=5)).frames
    inside = find_sector(*small)
    assert frames[2][inside].min() > 0.7 * min(still[inside].min() for still in small)


def test_burned_in_text_stays():
    ed, es = noise(1), noise(2)
    for still in (ed, es):
        still[4:9, 4:20:2] = 200
    frames = animate(ed, ED, es, ES, motion=ClipMotion(n_frames=4)).frames
    np.testing.assert_array_equal(frames[1:-1, 4:9, 4:20], [ed[4:9, 4:20]] * 2)


# against simulated truth


def test_masks_agree_with_the_true_ones_between_the_stills(true_cine, made):
    """On average 0.99 for the LV (native CAMUS frames); a still in place of the clip has 0.86 to 0.95."""
    for value, floor in ((Structure.LV, 0.96), (Structure.MYOCARDIUM, 0.88), (Structure.LA, 0.95)):
        scores = [dice(a == value, b == value) for a, b in zip(made.labels[1:-1], true_cine.labels[1:-1], strict=True)]
        assert np.mean(scores) > floor, value
    still = np.mean([dice(true_cine.labels[0] == 1, b == 1) for b in true_cine.labels[1:-1]])
    clip = np.mean([dice(a == 1, b == 1) for a, b in zip(made.labels[1:-1], true_cine.labels[1:-1], strict=True)])
    assert clip > still + 0.02


def test_no_lid_over_the_mitral_valve_and_no_hole(made):
    """Below the ventricle's middle columns comes the atrium, and nothing of the background between them."""
    for labels in made.labels:
        cols = np.flatnonzero((labels == Structure.LV).any(0))
        middle = cols[len(cols) * 2 // 5 : len(cols) * 3 // 5]
        for col in middle:
            column = labels[:, col]
            below = column[np.flatnonzero(column == Structure.LV)[-1] + 1 :]
            if len(below) and below[0] != Structure.BACKGROUND:
                assert below[0] == Structure.LA


def test_areas_fall_from_ed_to_es(made):
    area = (made.labels == Structure.LV).sum((1, 2))
    assert (np.diff(area) <= 0).all()
    assert made.least_jacobian > 0.1


@pytest.mark.data
@pytest.mark.parametrize("patient", ["patient0001_4CH", "patient0007_4CH", "patient0100_4CH"])
def test_real_stills(camus_root, patient):
    from echoseg.datasets import open_dataset

    dataset = open_dataset(camus_root)
    cine = dataset.load(next(case for case in dataset.cases("train") if case.id == patient))
    clip = animate(
        cine.frames[0], cine.masks[0], cine.frames[1], cine.masks[1],
        motion=ClipMotion(n_frames=5), spacing=cine.spacing,
    )  # fmt: skip
    np.testing.assert_array_equal(clip.frames[[0, -1]], cine.frames)
    assert clip.least_jacobian > 0.1
    assert (np.diff((clip.labels == 1).sum((1, 2))) <= 0).all()
    assert set(np.unique(clip.labels)) == {0, 1, 2, 3}
    sector = find_sector(*cine.frames)
    contrasts = [local_contrast(frame, sector) for frame in clip.frames]
    assert min(contrasts) > 0.93 * min(contrasts[0], contrasts[-1])


def test_pinholes_where_three_borders_miss_their_corner_are_closed():
    """Real masks gave single pixels of background between ventricle, wall and atrium."""
    ed, es = ED.copy(), ES.copy()
    for labels, shift in ((ed, 1), (es, -1)):
        row, col = np.argwhere(labels == Structure.LV)[-1]
        labels[row : row + 2, col + shift] = 0  # a notch at the annulus, elsewhere in the other mask
    masks = MaskBlender(ed, es, flow_of())
    for phase in (0.3, 0.5, 0.7):
        found = masks.mask(phase)
        assert not (binary_fill_holes(found > 0) & (found == 0)).any()
