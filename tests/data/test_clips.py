"""Which frames a clip takes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from echoseg.data import CineStore, beat_indices, beat_step_s, clip_indices, window_indices

frame_numbers = st.integers(0, 500)


def test_ten_of_twenty_frames_are_rounded_and_not_cut():
    """int() instead of rint gives 0 2 4 6 8 10 12 14 16 19."""
    assert beat_indices(0, 19, 10).tolist() == [0, 2, 4, 6, 8, 11, 13, 15, 17, 19]


def test_reversed_where_es_comes_before_ed():
    assert beat_indices(19, 0, 10).tolist() == [19, 17, 15, 13, 11, 8, 6, 4, 2, 0]


def test_a_short_beat_repeats_frames():
    assert beat_indices(3, 5, 6).tolist() == [3, 3, 4, 4, 5, 5]


@given(frame_numbers, frame_numbers, st.integers(2, 40))
def test_a_beat_runs_evenly_from_ed_to_es(ed, es, length):
    index = beat_indices(ed, es, length)
    assert (len(index), index[0], index[-1]) == (length, ed, es)
    steps = np.diff(index) * np.sign(es - ed)
    assert steps.min() >= 0
    assert steps.max() - steps.min() <= 1


@given(st.integers(1, 300), st.integers(1, 40), st.integers(1, 5), st.integers(0, 2**32))
def test_a_window_stays_inside_the_cine(n_frames, length, step, seed):
    index = window_indices(n_frames, length, step, np.random.default_rng(seed))
    assert len(index) == length
    assert 0 <= index.min() <= index.max() < n_frames
    inside = index[index < n_frames - 1]
    assert set(np.diff(inside).tolist()) <= {step}


def test_a_window_starts_anywhere_that_fits_and_nowhere_else():
    rng = np.random.default_rng(0)
    starts = {int(window_indices(10, 4, 2, rng)[0]) for _ in range(200)}
    assert starts == {0, 1, 2, 3}


def test_a_cine_shorter_than_the_window_repeats_its_last_frame():
    assert window_indices(3, 5, 1, np.random.default_rng(0)).tolist() == [0, 1, 2, 2, 2]


def test_a_labelled_cine_is_cut_to_its_beat_whatever_the_generator(make_cine):
    for seed in range(3):
        index = clip_indices(make_cine(ed_frame=9, es_frame=1), 5, np.random.default_rng(seed))
        assert index.tolist() == [9, 7, 5, 3, 1]


@pytest.mark.parametrize(("fps", "step"), [(None, 1), (10.0, 1), (30.0, 1), (50.0, 2), (90.0, 3)])
def test_frames_of_an_unlabelled_clip_lie_a_thirtieth_of_a_second_apart(make_cine, fps, step):
    cine = make_cine(n_frames=40, fps=fps).without_labels()
    index = clip_indices(cine, 6, np.random.default_rng(0))
    assert np.diff(index).tolist() == [step] * 5


def test_the_pace_of_labelled_clips_is_the_median_over_cines(make_cine):
    """Five frames over 8, 4 and 12 native frames at 50, 25 and 100 per second: 40, 40 and 30 ms."""
    beats = [(2, 10, 50.0), (9, 5, 25.0), (0, 12, 100.0)]
    cines = [make_cine(n_frames=14, ed_frame=ed, es_frame=es, fps=fps) for ed, es, fps in beats]
    assert beat_step_s(CineStore(cines), 5) == pytest.approx(0.04)
    assert beat_step_s(CineStore(cines[2:]), 5) == pytest.approx(0.03)


def test_cines_without_a_rate_or_a_beat_have_no_pace(make_cine):
    store = CineStore([make_cine(fps=None), make_cine().without_labels(), make_cine(ed_frame=3, es_frame=3)])
    assert beat_step_s(store, 5) is None
