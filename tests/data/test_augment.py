"""Augmentation: one geometry for a clip, labels that stay labels, and a sector that stays a sector."""

import dataclasses
import random

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from echoseg.batch import IGNORE
from echoseg.data import AugmentConfig, augment_clip
from echoseg.errors import UsageError

STRONG = AugmentConfig.machines()
NONE = AugmentConfig.none()
seeds = st.integers(0, 2**32)


def views(frames, masks, config, seed=0, size=None):
    frames, masks = (torch.from_numpy(np.asarray(x, np.uint8)) for x in (frames, masks))
    return augment_clip(frames, masks, size or frames.shape[-1], config, np.random.default_rng(seed))


def only(**changes):
    return dataclasses.replace(NONE, **changes)


def noise_clip(length=3, side=48):
    return np.random.default_rng(0).integers(1, 256, (length, side, side), dtype=np.uint8)


def centroid(image):
    """(row, col) of a gray image's mass."""
    rows, cols = np.indices(image.shape)
    return np.array([(rows * image).sum(), (cols * image).sum()]) / image.sum()


@pytest.mark.parametrize("config", [STRONG, AugmentConfig()], ids=["strong", "default"])
def test_one_geometry_for_all_frames_of_a_clip(config):
    """A static clip stays static: ED and ES keep their relation."""
    clip = np.repeat(noise_clip(1), 4, axis=0)
    for seed in range(5):
        weak = views(clip, clip % 4, config, seed).weak
        assert all(torch.equal(weak[0], frame) for frame in weak)


def test_an_elastic_field_bends_smoothly_and_alike_on_all_frames():
    """No affine map does what it does, and neighbouring pixels stay neighbours."""
    size = 96
    row, col = np.indices((size, size))
    inner = np.s_[16:-16, 16:-16]  # near the border a field looks outside
    plane = np.stack([row[inner].ravel(), col[inner].ravel(), np.ones(64 * 64)], 1)
    ramp = np.repeat(np.round(255 * (col + 0.5) / size)[None], 2, axis=0)
    spread = []
    for seed in range(30):
        weak = views(ramp, np.zeros_like(ramp), only(elastic=0.03), seed).weak[:, 0]
        assert torch.equal(weak[0], weak[1])
        shift = (weak[0].numpy() - ramp[0] / 255)[inner]  # fraction of the image
        affine = plane @ np.linalg.lstsq(plane, shift.ravel(), rcond=None)[0]
        spread.append((shift.ravel() - affine).std())
        assert np.abs(np.diff(shift, axis=0)).max() < 0.02
        assert np.abs(np.diff(shift, 2, axis=1)).max() < 0.02
    assert 0.005 < np.mean(spread) < 0.03  # drawn between none and all of it


def test_only_noise_and_speckle_differ_between_frames():
    clip = np.repeat(noise_clip(1), 3, axis=0)
    calm = views(clip, clip % 4, dataclasses.replace(STRONG, noise=0.0, speckle=0.0), 1).strong
    assert torch.equal(calm[0], calm[2])
    grainy = views(clip, clip % 4, STRONG, 1).strong
    assert not torch.equal(grainy[0], grainy[2])


@pytest.mark.parametrize("config", [STRONG, only(elastic=0.05)], ids=["machines", "elastic"])
@pytest.mark.parametrize("seed", range(8))
def test_masks_move_with_the_image(make_disc, config, seed):
    shape = make_disc(14, 64, (0.45, 0.6))
    found = views([255 * shape], [shape], config, seed)
    image, mask = found.weak[0, 0] > 0.5, found.masks[0] == 1
    assert float(2 * (image & mask).sum() / (image.sum() + mask.sum())) > 0.97


def test_no_label_appears_between_two_others(make_disc):
    """Interpolated, the edge of an atrium (3) against the background would be myocardium (2)."""
    atrium = 3 * make_disc(14, 64).astype(np.uint8)
    for seed in range(5):
        assert set(np.unique(views(atrium[None], atrium[None], STRONG, seed).masks)) == {0, 3}


def test_none_is_the_identity():
    clip = noise_clip()
    masks = clip % 4
    masks[1] = IGNORE
    found = views(clip, masks, NONE)
    torch.testing.assert_close(found.weak[:, 0], torch.from_numpy(clip).float() / 255, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.strong, found.weak, atol=1e-6, rtol=0)
    assert np.array_equal(found.masks.numpy(), masks)


@pytest.mark.parametrize("size", [32, 64])
def test_none_resamples_to_the_size_that_is_asked_for(size):
    clip = noise_clip()
    found = views(clip, clip % 4, NONE, size=size)
    gray = torch.from_numpy(clip).float().unsqueeze(1) / 255
    expected = F.interpolate(gray, size=(size, size), mode="bilinear", align_corners=False)
    # the outermost pixels of an enlarged image are half outside, where it is black
    inner = (..., slice(1, -1), slice(1, -1))
    torch.testing.assert_close(found.weak[inner], expected[inner], atol=1e-5, rtol=0)
    assert found.masks.shape == (3, size, size)


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_labels_stay_labels_and_unlabelled_frames_stay_unlabelled(seed):
    clip = noise_clip(4)
    masks = np.random.default_rng(seed).integers(0, 4, clip.shape, dtype=np.uint8)
    masks[1:3] = IGNORE
    found = views(clip, masks, STRONG, seed, size=32).masks.numpy()
    assert (found[1:3] == IGNORE).all()
    assert set(np.unique(found[[0, 3]])) <= {0, 1, 2, 3}


@pytest.fixture(scope="module")
def sector_clip():
    """Three frames of noise in a cone."""
    row, col = np.indices((64, 64))
    return np.random.default_rng(0).integers(1, 256, (3, 64, 64), dtype=np.uint8) * (np.abs(col - 32) < row / 3)


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_black_outside_the_sector_stays_black_and_gray_stays_gray(sector_clip, seed):
    found = views(sector_clip, sector_clip % 4, dataclasses.replace(STRONG, marks=0.0), seed)
    outside = found.weak == 0
    assert bool(outside.any())
    assert float(found.strong[outside].abs().max()) == 0
    assert 0 <= float(found.strong.min()) <= float(found.strong.max()) <= 1


def test_marks_are_burned_in_outside_the_sector_alike_on_all_frames(sector_clip):
    drawn = 0
    for seed in range(10):
        plain, marked = (views(sector_clip, sector_clip % 4, only(marks=p), seed) for p in (0.0, 1.0))
        assert torch.equal(plain.weak, marked.weak)
        changed = plain.strong != marked.strong
        assert bool((changed == changed[:1]).all())
        near = F.max_pool2d((plain.weak > 0).any(0, keepdim=True).float(), 9, stride=1, padding=4) > 0
        assert not bool((changed & near).any())
        drawn += int(changed.any())
    assert drawn > 5


def test_the_smallest_images_can_be_augmented():
    clip = noise_clip(side=16)
    for seed in range(10):
        assert bool(torch.isfinite(views(clip, clip % 4, STRONG, seed).strong).all())


def test_same_generator_same_clip():
    clip = noise_clip()
    one, two, other = (views(clip, clip % 4, STRONG, seed) for seed in (3, 3, 4))
    assert torch.equal(one.strong, two.strong)
    assert torch.equal(one.masks, two.masks)
    assert not torch.equal(one.weak, other.weak)


def test_global_generators_are_left_alone():
    before = torch.get_rng_state(), random.getstate()
    views(noise_clip(), noise_clip() % 4, STRONG)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]


def test_flip_is_the_mirror_image():
    clip = noise_clip()
    found = views(clip, clip % 4, only(flip=1.0))
    assert np.array_equal(found.masks.numpy(), (clip % 4)[:, :, ::-1])
    torch.testing.assert_close(found.weak[:, 0], torch.from_numpy(clip).flip(-1) / 255, atol=1e-5, rtol=0)


def test_flip_is_as_frequent_as_its_probability():
    clip = noise_clip(1)
    flipped = [not np.array_equal(views(clip, clip % 4, only(flip=0.25), s).masks, clip % 4) for s in range(200)]
    assert 0.15 < np.mean(flipped) < 0.35


def test_shift_is_a_fraction_of_the_image(make_disc):
    shape = make_disc(8, 80)
    moves = []
    for seed in range(60):
        image = views([255 * shape], [shape], only(shift=0.2), seed).weak[0, 0].numpy()
        moves.append(np.abs(centroid(image) - centroid(shape)) / 80)
    assert np.max(moves) <= 0.2 + 1e-3
    assert np.max(moves, axis=0).min() > 0.15


def test_zoom_magnifies(make_disc):
    shape = make_disc(12, 96)
    area = float((views([255 * shape], [shape], only(zoom=(1.5, 1.5))).masks == 1).sum())
    assert area / shape.sum() == pytest.approx(1.5**2, rel=0.03)


def test_aspect_widens_without_changing_the_area(make_disc):
    shape = make_disc(20, 96)
    mask = views([255 * shape], [shape], only(aspect=(1.44, 1.44))).masks[0].numpy() == 1
    assert np.ptp(np.nonzero(mask)[1]) / np.ptp(np.nonzero(mask)[0]) == pytest.approx(1.44, rel=0.05)
    assert mask.sum() / shape.sum() == pytest.approx(1, rel=0.03)


def test_rotation_turns_about_the_centre_by_no_more_than_it_may(make_disc):
    spot = make_disc(6, 96, (0.25, 0.5))
    angles = []
    for seed in range(40):
        image = views([255 * spot], [spot], only(rotate_deg=30.0), seed).weak[0, 0].numpy()
        down, across = centroid(image) - 47.5
        assert np.hypot(down, across) == pytest.approx(24, abs=0.3)
        angles.append(np.degrees(np.arctan2(across, -down)))
    assert np.max(np.abs(angles)) <= 30.5
    assert min(angles) < -15
    assert max(angles) > 15


@pytest.mark.parametrize(
    "wrong",
    [
        {"zoom": (1.2, 0.9)},
        {"gamma": (0.0, 1.0)},
        {"flip": 1.5},
        {"shadow": -0.1},
        {"coarse": 2.0},
        {"marks": -1.0},
        {"elastic": -0.01},
        {"noise": -0.1},
    ],
)
def test_configuration_names_what_is_wrong(wrong):
    with pytest.raises(UsageError, match=f"augment.{next(iter(wrong))}"):
        AugmentConfig(**wrong)


def test_a_strength_of_zero_changes_nothing_and_of_one_everything():
    clip = noise_clip()
    fixed = dataclasses.replace(STRONG, strength=(0.0, 0.0))
    untouched, none = views(clip, clip % 4, fixed, 3), views(clip, clip % 4, NONE, 3)
    assert torch.equal(untouched.strong, none.strong)
    assert torch.equal(untouched.masks, none.masks)
    assert STRONG.weakened(1.0) == STRONG
    assert STRONG.weakened(0.0) == NONE


def test_half_the_strength_is_half_of_every_range():
    half = STRONG.weakened(0.5)
    assert half.rotate_deg == STRONG.rotate_deg / 2
    assert half.flip == STRONG.flip / 2
    assert half.zoom == pytest.approx([edge**0.5 for edge in STRONG.zoom])


def test_strength_is_drawn_for_each_clip():
    """Between clips it differs; the frames of a clip share it."""
    clip = np.repeat(noise_clip(1), 3, axis=0)
    config = only(rotate_deg=40.0, strength=(0.0, 1.0))
    every = [views(clip, clip % 4, config, seed).weak for seed in range(6)]
    assert all(torch.equal(one[0], one[2]) for one in every)
    assert len({float(one.sum()) for one in every}) == 6


@pytest.mark.parametrize("strength", [(0.6, 0.4), (-0.1, 1.0), (0.0, 1.1)])
def test_a_strength_out_of_range_is_named(strength):
    with pytest.raises(UsageError, match=r"augment\.strength"):
        dataclasses.replace(STRONG, strength=strength)
