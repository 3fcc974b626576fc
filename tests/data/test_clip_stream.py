"""Streams: a pure function of seed and step, every cine in turn, labels at both ends only."""

import dataclasses

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.conftest import stored_cine

from echoseg.batch import IGNORE, ClipBatch
from echoseg.data import AugmentConfig, CineStore, ClipStream, StreamConfig, clip_masks
from echoseg.datasets import open_dataset
from echoseg.errors import InputError, UsageError

CONFIG = StreamConfig(clip_length=4, size=32, batch=2, seed=7, augment=AugmentConfig.machines(), mean=0.2, std=0.3)
PLAIN = dataclasses.replace(CONFIG, size=48, augment=AugmentConfig.none())


def store(n: int = 5) -> CineStore:
    return CineStore([stored_cine(f"cine{i}", ed_frame=2 + i % 3) for i in range(n)])


def equal(one: ClipBatch, two: ClipBatch) -> bool:
    names = ("clip", "weak", "masks", "labelled")
    return one.cases == two.cases and all(torch.equal(getattr(one, n), getattr(two, n)) for n in names)


def test_a_batch_is_a_pure_function_of_seed_and_step():
    stream = ClipStream(store(), CONFIG)
    forward = [stream.batch(step) for step in range(6)]
    torch.manual_seed(123)
    late = ClipStream(store(), CONFIG)
    for step in (4, 0, 5, 2):
        assert equal(forward[step], late.batch(step))


def test_steps_and_seeds_give_different_clips():
    stream, other = ClipStream(store(1), CONFIG), ClipStream(store(1), dataclasses.replace(CONFIG, seed=8))
    assert not torch.equal(stream.batch(0).clip, stream.batch(1).clip)
    assert not torch.equal(stream.batch(0).clip, other.batch(0).clip)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 7), st.integers(1, 4), st.integers(0, 1000))
def test_every_cine_comes_once_in_every_turn(cines, batch, seed):
    stream = ClipStream(store(cines), dataclasses.replace(CONFIG, batch=batch, seed=seed, size=16, clip_length=2))
    seen = [case for step in range(3 * cines) for case in stream.batch(step).cases]
    for turn in range(len(seen) // cines):
        assert sorted(seen[turn * cines : (turn + 1) * cines]) == [f"cine{i}" for i in range(cines)]


def test_turns_differ_in_their_order():
    stream = ClipStream(store(6), dataclasses.replace(CONFIG, batch=6, size=16))
    assert len({stream.batch(turn).cases for turn in range(5)}) > 1


def test_labels_are_at_both_ends_and_nowhere_else():
    batch = ClipStream(store(), CONFIG).batch(0)
    assert batch.clip.shape == (2, 4, 1, 32, 32)
    assert batch.labelled.tolist() == [[True, False, False, True]] * 2
    assert bool((batch.masks[:, 1:-1] == IGNORE).all())
    assert set(batch.masks[:, [0, -1]].unique().tolist()) <= {0, 1}


def test_dense_masks_in_memory_would_not_reach_a_batch_either():
    """Only the ends of a clip are looked up, so a store that holds too much still trains on two frames."""
    dense = stored_cine(labelled=range(12))
    masks, labelled = clip_masks(dense, [2, 4, 7, 9])
    assert labelled.tolist() == [True, False, False, True]
    assert bool((masks[1:3] == IGNORE).all())


def test_unlabelled_clips_hold_no_mask():
    unlabelled = CineStore([cine.without_labels() for cine in store()])
    batch = ClipStream(unlabelled, CONFIG).batch(3)
    assert not bool(batch.labelled.any())
    assert bool((batch.masks == IGNORE).all())


def test_gray_values_are_normalised_and_frames_are_those_of_the_beat():
    cine = stored_cine(ed_frame=8, es_frame=2)
    batch = ClipStream(CineStore([cine]), dataclasses.replace(PLAIN, batch=1)).batch(0)
    expected = torch.from_numpy(cine.frames[[8, 6, 4, 2]]).float() / 255
    torch.testing.assert_close(batch.clip[0, :, 0] * 0.3 + 0.2, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(batch.weak, batch.clip, atol=1e-5, rtol=0)
    assert np.array_equal(batch.masks[0, 0], cine.masks[8])
    assert np.array_equal(batch.masks[0, -1], cine.masks[2])


def test_ed_comes_first_also_where_es_precedes_it_in_the_video(simulated_echonet):
    train = CineStore.load(open_dataset(simulated_echonet), "train", size=48)
    assert any(cine.es_frame < cine.ed_frame for cine in train)
    batch = ClipStream(train, dataclasses.replace(PLAIN, batch=4)).batch(0)
    areas = (batch.masks == 1).sum((2, 3))
    assert bool((areas[:, 0] > areas[:, -1]).all())


def test_the_strong_view_is_what_the_student_sees():
    batch = ClipStream(store(), CONFIG).batch(0)
    assert not torch.equal(batch.clip, batch.weak)


def test_batches_move_between_devices_whole():
    moved = ClipStream(store(), CONFIG).batch(0).to("meta")
    assert {getattr(moved, n).device.type for n in ("clip", "weak", "masks", "labelled")} == {"meta"}
    assert moved.cases == ClipStream(store(), CONFIG).batch(0).cases


@pytest.fixture
def unchecked_shapes():
    """As users run it: without the shape checker of the tests."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.usefixtures("unchecked_shapes")
def test_a_batch_of_parts_that_do_not_belong_together_is_refused():
    batch = ClipStream(store(), CONFIG).batch(0)
    with pytest.raises(ValueError, match=r"masks .* do not belong to clips"):
        dataclasses.replace(batch, masks=batch.masks[:, 1:], labelled=batch.labelled[:, 1:])
    with pytest.raises(ValueError, match=r"weak view .* differs"):
        dataclasses.replace(batch, weak=batch.weak[:1])


def test_a_stream_needs_a_cine():
    with pytest.raises(InputError, match="at least one cine"):
        ClipStream(CineStore([]), CONFIG)


@pytest.mark.parametrize("wrong", [{"clip_length": 0}, {"size": 8}, {"batch": 0}])
def test_configuration_says_what_is_too_small(wrong):
    name, value = next(iter(wrong.items()))
    with pytest.raises(UsageError, match=f"{name}={value}"):
        dataclasses.replace(CONFIG, **wrong)
