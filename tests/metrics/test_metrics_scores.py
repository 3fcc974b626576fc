"""Gathering scores of many frames."""

from __future__ import annotations

import numpy as np
import pytest

from echoseg.cine import Spacing
from echoseg.errors import InputError
from echoseg.metrics import SegmentationScores, dice, dice_pooled, hausdorff, hd95_pooled_distances


def _square(top: int = 10, side: int = 12) -> np.ndarray:
    mask = np.zeros((40, 30), bool)
    mask[top : top + side, 8:20] = True
    return mask


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def test_means_are_taken_over_frames(rng):
    scores = SegmentationScores()
    preds, refs = [_square(10), _square(12), _square(10, 20)], [_square(), _square(), _square()]
    for frame, (pred, ref) in enumerate(zip(preds, refs, strict=True)):
        scores.add("a" if frame < 2 else "b", frame, pred, ref)
    summary = scores.summary(rng)
    assert (summary.n_cases, summary.n_frames, summary.dice.n_frames) == (2, 3, 3)
    assert summary.dice.mean == pytest.approx(np.mean([dice(p, r) for p, r in zip(preds, refs, strict=True)]))
    assert summary.dice_pooled.mean == pytest.approx(dice_pooled(preds, refs))
    expected = np.mean([hd95_pooled_distances(p, r) for p, r in zip(preds, refs, strict=True)])
    assert summary.distances["hd95_pooled"].mean == pytest.approx(expected)
    assert summary.distance_unit == "px of a 40x30 grid"
    assert set(summary.distances) == {"hausdorff", "hd95_pooled", "hd95_max", "assd", "asd_pred_to_ref"}


def test_with_spacing_distances_are_in_mm(rng):
    scores = SegmentationScores()
    scores.add("a", 0, _square(12), _square(), Spacing(0.5, 2.0))
    scores.add("b", 0, _square(12), _square(), Spacing(2.0, 0.5))
    summary = scores.summary(rng)
    assert summary.distance_unit == "mm"
    assert summary.distances["hausdorff"].mean == pytest.approx((2 * 0.5 + 2 * 2.0) / 2)


def test_distances_of_different_units_are_never_averaged():
    scores = SegmentationScores()
    scores.add("a", 0, _square(), _square(), Spacing(0.5, 0.5))
    with pytest.raises(InputError, match=r"b, frame 4: distances in px of a 40x30 grid .* mm"):
        scores.add("b", 4, _square(), _square())
    pixels = SegmentationScores()
    pixels.add("a", 0, _square(), _square())
    with pytest.raises(InputError, match="one grid"):
        pixels.add("a", 1, _square()[:20], _square()[:20])


def test_empty_masks_are_excluded_counted_and_penalised(rng):
    scores, empty = SegmentationScores(), np.zeros((40, 30), bool)
    scores.add("a", 0, _square(12), _square())
    scores.add("a", 1, empty, _square())
    scores.add("b", 0, _square(), empty)
    scores.add("b", 1, empty, empty)
    summary = scores.summary(rng)
    assert (summary.n_empty_pred, summary.n_empty_ref) == (1, 2)
    assert summary.dice.mean == pytest.approx(np.mean([dice(_square(12), _square()), 0, 0, 1]))
    assert (summary.distances["hausdorff"].mean, summary.distances["hausdorff"].n_frames) == (2.0, 1)
    assert summary.penalised["hausdorff"].mean == pytest.approx((2 + 50 + 50 + 0) / 4)
    assert summary.penalised["hausdorff"].n_frames == 4


def test_nothing_but_empty_predictions(rng):
    scores = SegmentationScores()
    scores.add("a", 0, np.zeros((40, 30), bool), _square(), Spacing(3.0, 4.0))
    summary = scores.summary(rng)
    assert (summary.dice.mean, summary.dice_pooled.mean) == (0, 0)
    assert np.isnan(summary.distances["assd"].mean)
    assert summary.penalised["assd"].mean == pytest.approx(np.hypot(120, 120))


def test_nothing_to_segment_and_nothing_segmented_is_right(rng):
    scores = SegmentationScores()
    scores.add("a", 0, np.zeros((4, 4), bool), np.zeros((4, 4), bool))
    summary = scores.summary(rng)
    assert (summary.dice.mean, summary.dice_pooled.mean, summary.penalised["assd"].mean) == (1, 1, 0)


def test_intervals_resample_cases_not_frames():
    per_case, per_frame = SegmentationScores(with_distances=False), SegmentationScores(with_distances=False)
    for case in range(10):
        for frame in range(20):
            pred = _square(10 + case % 5)
            per_case.add(f"case{case}", frame, pred, _square())
            per_frame.add(f"case{case}-{frame}", frame, pred, _square())
    wide, narrow = (s.summary(np.random.default_rng(0)).dice for s in (per_case, per_frame))
    assert wide.mean == pytest.approx(narrow.mean)
    assert np.diff(wide.interval) > 3 * np.diff(narrow.interval)
    assert wide.interval[0] < wide.mean < wide.interval[1]


def test_tags_select_frames(rng):
    scores = SegmentationScores()
    scores.add("a", 0, _square(), _square(), tags={"view": "A4C", "instant": "ED"})
    scores.add("a", 9, _square(12), _square(), tags={"view": "A4C", "instant": "ES"})
    assert scores.where(instant="ED").summary(rng).dice.mean == 1
    assert scores.where(view="A4C", instant="ES").summary(rng).n_frames == 1
    with pytest.raises(InputError, match="no scored frame"):
        scores.where(view="A2C").summary(rng)


def test_per_case_means_feed_paired_tests():
    scores, empty = SegmentationScores(), np.zeros((40, 30), bool)
    scores.add("a", 0, _square(), _square())
    scores.add("a", 1, _square(13), _square())
    scores.add("b", 0, empty, _square())
    assert scores.per_case() == {"a": pytest.approx((1 + dice(_square(13), _square())) / 2), "b": 0}
    assert scores.per_case("hausdorff") == {"a": hausdorff(_square(13), _square()) / 2}
    with pytest.raises(InputError, match="'iou' is unknown"):
        scores.per_case("iou")


def test_dice_alone_needs_no_common_grid(rng):
    scores = SegmentationScores(with_distances=False)
    scores.add("a", 0, _square(), _square())
    scores.add("b", 0, _square()[:30], _square()[:30])
    summary = scores.summary(rng)
    assert (summary.dice.mean, summary.distances, summary.penalised) == (1, {}, {})


def test_masks_are_not_written_to():
    pred, ref = _square(12), _square()
    pred.flags.writeable = ref.flags.writeable = False
    SegmentationScores().add("a", 0, pred, ref)
