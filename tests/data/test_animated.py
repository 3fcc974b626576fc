"""Clips drawn from two stills: repeatable whatever is in memory, labels on the stills alone, and nothing else changed."""

import dataclasses

import numpy as np
import pytest
import torch
from tests.data.conftest import SIDE, stored_cine

from echoseg.batch import IGNORE
from echoseg.data import AnimatedStills, AugmentConfig, CineStore, ClipStream, StreamConfig, is_pair_of_stills

CONFIG = StreamConfig(clip_length=5, size=SIDE, batch=2, seed=3, augment=AugmentConfig.none(), animate=True)
OFF = dataclasses.replace(CONFIG, animate=False)


def stills(name: str = "a", *, backwards: bool = False):
    """The largest and the smallest disc of the beat."""
    whole = stored_cine(name, labelled=(0, 5))
    rng = np.random.default_rng(len(name))
    frames = np.maximum(whole.frames[[0, 5]] - rng.integers(0, 40, (2, SIDE, SIDE)), 1).astype(np.uint8)
    masks = {0: whole.masks[0], 1: whole.masks[5]}
    pair = dataclasses.replace(whole, frames=frames, masks=masks, ed_frame=0, es_frame=1, fps=None)
    if not backwards:
        return pair
    return dataclasses.replace(pair, frames=frames[::-1], masks={0: masks[1], 1: masks[0]}, ed_frame=1, es_frame=0)


def store(n: int = 4) -> CineStore:
    return CineStore([stills("a" * (i + 1)) for i in range(n)])


def equal(one, two) -> bool:
    names = ("clip", "weak", "masks", "labelled")
    return one.cases == two.cases and all(torch.equal(getattr(one, n), getattr(two, n)) for n in names)


def test_only_two_labelled_stills_are_a_pair():
    assert is_pair_of_stills(stills())
    assert not is_pair_of_stills(stills().without_labels())
    assert not is_pair_of_stills(stored_cine())


@pytest.mark.parametrize("backwards", [False, True])
def test_stills_stay_and_frames_lie_between_them(backwards):
    pair = stills(backwards=backwards)
    clip = AnimatedStills(5)(pair)
    assert clip.frames.shape == (5, SIDE, SIDE)
    assert (clip.ed_frame, clip.es_frame) == (0, 4)
    for place, frame in ((0, pair.ed_frame), (4, pair.es_frame)):
        np.testing.assert_array_equal(clip.frames[place], pair.frames[frame])
        np.testing.assert_array_equal(clip.masks[place], pair.masks[frame])
    assert set(clip.masks) == {0, 4}
    bright = (clip.frames > 130).sum((1, 2))
    assert bright[0] > bright[2] > bright[4]


def test_labels_count_on_both_ends_alone():
    on, off = ClipStream(store(), CONFIG).batch(0), ClipStream(store(), OFF).batch(0)
    assert on.labelled.tolist() == [[True, False, False, False, True]] * 2
    assert bool((on.masks[:, 1:-1] == IGNORE).all())
    assert torch.equal(on.masks, off.masks)
    for place in (0, -1):
        assert torch.equal(on.weak[:, place], off.weak[:, place])
    assert not torch.equal(on.weak[:, 2], off.weak[:, 2])


def test_cines_with_frames_of_their_own_and_unlabelled_ones_are_drawn_as_ever():
    cines = [stored_cine("b"), stored_cine("c", ed_frame=9, es_frame=2), stills().without_labels()]
    config = dataclasses.replace(CONFIG, augment=AugmentConfig.machines())
    on, off = (ClipStream(CineStore(cines), dataclasses.replace(config, animate=flag)) for flag in (True, False))
    assert all(equal(on.batch(step), off.batch(step)) for step in range(4))


def test_two_frames_leave_nothing_to_animate():
    short = dataclasses.replace(CONFIG, clip_length=2)
    on, off = (ClipStream(store(), dataclasses.replace(short, animate=flag)) for flag in (True, False))
    assert equal(on.batch(1), off.batch(1))


def test_a_batch_is_a_pure_function_of_seed_and_step():
    config = dataclasses.replace(CONFIG, augment=AugmentConfig.machines())
    stream = ClipStream(store(), config)
    forward = [stream.batch(step) for step in range(4)]
    late = ClipStream(store(), config)
    assert all(equal(forward[step], late.batch(step)) for step in (3, 0, 2))


def test_memory_is_bounded_and_what_is_forgotten_is_made_again():
    pairs = [stills("a" * (i + 1)) for i in range(4)]
    clip_bytes = 5 * SIDE * SIDE
    animated = AnimatedStills(5, keep_bytes=2 * clip_bytes)
    first = [animated(pair).frames for pair in pairs]
    assert animated.kept_bytes == 2 * clip_bytes
    assert animated(pairs[3]).frames is first[3]
    again = animated(pairs[0]).frames
    assert again is not first[0]
    np.testing.assert_array_equal(again, first[0])
    # the one used last stays, the other one goes
    assert animated(pairs[3]).frames is first[3]


def test_a_pair_without_a_ventricle_stays_as_it_is():
    pair = stills()
    empty = dataclasses.replace(pair, masks={0: pair.masks[0], 1: 0 * pair.masks[1]})
    assert AnimatedStills(5)(empty) is empty
