"""Unlabelled clips of another length and time step, and clips that run to and fro."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.data.conftest import stored_cine

from echoseg.data import (
    AugmentConfig,
    CineStore,
    ClipStream,
    StreamConfig,
    clip_indices,
    frame_step,
    long_enough,
    mirrored_indices,
)


@pytest.mark.parametrize(
    ("fps", "step_s", "step"), [(50.0, 0.06, 3), (50.0, 0.12, 6), (20.0, 0.01, 1), (None, 0.06, 1)]
)
def test_a_step_in_seconds_becomes_frames(fps, step_s, step):
    assert frame_step(fps, step_s) == step


def test_the_papers_clip_needs_118_frames_at_50_frames_a_second():
    """40 frames, every third one."""
    cines = [stored_cine(f"c{n}", n_frames=n, ed_frame=None, es_frame=None, fps=50.0) for n in (117, 118, 119)]
    kept = long_enough(CineStore(cines), 40, 0.06)
    assert [cine.case.id for cine in kept] == ["c118", "c119"]


def test_a_clip_of_a_cine_that_is_long_enough_repeats_no_frame():
    cine = stored_cine(n_frames=118, fps=50.0).without_labels()
    for seed in range(5):
        index = clip_indices(cine, 40, np.random.default_rng(seed), step_s=0.06)
        assert np.diff(index).tolist() == [3] * 39


@given(st.integers(1, 40), st.integers(1, 60), st.integers(1, 5), st.integers(0, 2**32))
def test_a_mirrored_clip_never_jumps(n_frames, length, step, seed):
    index = mirrored_indices(n_frames, length, step, np.random.default_rng(seed))
    assert len(index) == length
    assert 0 <= index.min() <= index.max() < n_frames
    assert np.abs(np.diff(index)).max(initial=0) <= step


def test_a_mirrored_half_beat_is_a_cycle():
    index = mirrored_indices(5, 20, 1, np.random.default_rng(3)).tolist()
    assert index[:12] == index[8:]
    lap = index[index.index(0) : index.index(0) + 8]
    assert lap == [0, 1, 2, 3, 4, 3, 2, 1]


def test_a_stream_draws_the_clips_that_its_configuration_asks_for():
    cine = stored_cine(n_frames=60, fps=50.0).without_labels()
    config = StreamConfig(clip_length=10, size=48, batch=1, augment=AugmentConfig.none(), step_s=0.1)
    clip = ClipStream(CineStore([cine]), config).batch(0).clip[0, :, 0, 0, 0]
    # the ground of frame t is gray 40 + t
    assert np.diff((clip * 255).round().numpy()).tolist() == [5.0] * 9
    mirrored = dataclasses.replace(config, clip_length=40, mirror=True)
    clip = ClipStream(CineStore([cine]), mirrored).batch(0).clip[0, :, 0, 0, 0]
    steps = np.diff((clip * 255).round().numpy())
    assert set(np.sign(steps).tolist()) == {-1.0, 1.0}


def test_a_store_gives_up_its_labels_and_finds_cines_by_name():
    store = CineStore([stored_cine("a"), stored_cine("b"), stored_cine("c")])
    assert [cine.case.id for cine in store.named({"c", "a", "x"})] == ["a", "c"]
    assert not any(cine.masks or cine.ed_frame is not None for cine in store.without_labels())
