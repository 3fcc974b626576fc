"""Beats of different lengths: what is left out, what is flagged, what is typical."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from tests.clinical.hearts import ED, ES, beating, segmented

from echoseg.clinical import Beat, QualityFlag, measure_cine
from echoseg.clinical.rhythm import ectopic_beats, rhythm_of, usual_beats


def _beats(*lengths: int) -> list[Beat]:
    starts = np.concatenate([[0], np.cumsum(lengths)]).tolist()
    return [Beat(a, a + 8, b, complete=True) for a, b in pairwise(starts)]


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ((40, 40, 40, 40), ()),
        ((40, 40, 24, 56, 40, 40), (3, 4)),
        ((24, 56, 40, 40), (1, 2)),
        ((40, 40, 24, 56), (3,)),  # the beat after the pause is not in the cine
        ((40, 40, 24, 40, 40), ()),  # no pause after it: interpolated, the beats after it are as usual
        ((30, 55, 35, 50, 40), ()),  # irregular altogether
        ((24, 56, 24, 56, 24, 56), ()),  # every other beat: none is usual
        ((24, 56, 40), ()),  # too few to tell
    ],
)
def test_premature_contractions(lengths, expected):
    beats = _beats(*lengths)
    assert ectopic_beats(beats) == expected
    assert len(usual_beats(beats)) == len(beats) - len(expected)


def test_beats_with_a_gap_between_them_are_not_judged():
    first, *rest = _beats(40, 40, 24, 56, 40, 40)
    assert ectopic_beats([first, *rest[1:]]) == ()


def test_an_incomplete_beat_has_no_rhythm():
    assert rhythm_of([Beat(0, 8, None, complete=False)], 25.0) is None
    assert rhythm_of(_beats(40), None) is None


def test_the_typical_beat_is_that_of_mean_length():
    found = rhythm_of(_beats(30, 41, 60, 38), 50.0)
    assert found is not None
    assert (found.typical_beat, found.irregular) == (1, True)
    assert (found.shortest_s, found.longest_s) == (0.6, 1.2)
    assert found.mean_s == pytest.approx(0.845)


LENGTHS = (20, 20, 13, 28, 20, 20)
DEPTHS = (1.0, 1.0, 1.0, 0.6, 1.15, 1.0)


def test_an_ectopic_beat_is_left_out_of_the_medians_and_flagged():
    indices = measure_cine(segmented(beating(lengths=LENGTHS, depths=DEPTHS)))
    assert indices.extras is not None
    assert indices.extras.rhythm is not None
    assert indices.extras.rhythm.ectopic_beats == (3, 4)
    assert indices.summary is not None
    assert indices.summary.n_beats == 4
    assert len(indices.extras.beats) == len(indices.beats) == 6  # reported all the same
    usual = 100 * (1 - ES.lv_ml / ED.lv_ml)
    assert indices.summary.ef_range[0] > usual - 3
    assert indices.extras.beats[3].numbers["ef"].value < usual - 8
    assert 60 not in indices.extras.median["ef"].frames
    assert indices.quality.flag is QualityFlag.REVIEW
    assert "premature contraction: of 6 beats left out of the medians: 4, 5" in indices.quality.reasons


def test_a_fibrillating_heart_keeps_all_beats_and_is_flagged():
    indices = measure_cine(segmented(beating(lengths=(15, 27, 18, 25, 20), depths=(0.7, 1.0, 0.8, 1.0, 0.9))))
    assert indices.extras is not None
    assert indices.extras.rhythm is not None
    assert indices.extras.rhythm.irregular
    assert indices.extras.rhythm.ectopic_beats == ()
    assert indices.summary is not None
    assert indices.summary.n_beats == 5
    efs = [beat.numbers["ef"].value for beat in indices.extras.beats]
    assert indices.extras.median["ef"].value == pytest.approx(np.median(efs))
    assert any(reason.startswith("irregular rhythm: beats of 15 to 27 frames") for reason in indices.quality.reasons)


def test_partial_beats_at_both_ends_are_left_out():
    masks = beating(lengths=(20, 20, 20))[7:-9]
    indices = measure_cine(segmented(masks))
    assert [(beat.ed_frame, beat.next_ed_frame) for beat in indices.beats] == [(13, 33)]
