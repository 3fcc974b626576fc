"""Whether to trust the numbers of a cine: pass, review or fail, with the reasons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from echoseg.cine import Float64, Segmentation, View
from echoseg.clinical.beats import Beat
from echoseg.clinical.context import NOTHING_KNOWN, Context
from echoseg.clinical.curve import VolumeCurve
from echoseg.clinical.ejection import EjectionSummary, beat_lengths
from echoseg.clinical.frames import FrameSeries
from echoseg.clinical.rhythm import RHYTHM_LIMIT, ectopic_beats, is_irregular


class QualityFlag(Enum):
    """Verdict on a cine."""

    PASS = "pass"
    REVIEW = "review"
    FAIL = "fail"


@dataclass(frozen=True)
class Quality:
    """Verdict with its reasons.

    Attributes:
        flag: pass, review or fail.
        reasons: sentences, the gravest first. A cine that passes may carry some too (an unknown view).
    """

    flag: QualityFlag
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class QualityLimits:
    """Where trust ends.

    Attributes:
        confidence: confidence under which a frame is doubtful, whatever the model says (`Segmentation.doubtful_below`).
        doubtful_share: share of doubtful frames that calls for a review.
        failing_confidence: median confidence under which the cine fails.
        empty_share: share of empty frames that calls for a review.
        failing_empty_share: share of unmeasurable frames at which the cine fails.
        jitter: noise of the area, relative to its mean, that calls for a review.
        jump: departure of one frame's area from its neighbours, relative to the mean, that counts as a jump.
        stray_fraction: share of the pixels outside the largest component that makes a frame count as scattered.
        scattered_share: share of scattered frames that calls for a review.
        edge_share: share of frames whose mask is cut off by the edge of the image or the sector that calls for a review.
        apex_lean: median lean of the apex (see `FrameSeries`) above which it is probably not in the mask. Of 898 masks drawn by
            experts 3 exceed 0.22, and 87 % of them do when 15 % of their length is cut off.
        slenderness: median length relative to width under which the shape is not that of an apical view. Of 898 masks drawn by
            experts none is below 1.2.
        rhythm: relative deviation of a beat's length from the median that counts as irregular.
        ef_percent: plausible ejection fractions.
        edv_ml: plausible end-diastolic volumes.
    """

    confidence: float = 0.8
    doubtful_share: float = 0.1
    failing_confidence: float = 0.6
    empty_share: float = 0.02
    failing_empty_share: float = 0.5
    jitter: float = 0.04
    jump: float = 0.2
    stray_fraction: float = 0.03
    scattered_share: float = 0.1
    edge_share: float = 0.1
    apex_lean: float = 0.22
    slenderness: float = 1.1
    rhythm: float = RHYTHM_LIMIT
    ef_percent: tuple[float, float] = (5.0, 90.0)
    edv_ml: tuple[float, float] = (20.0, 500.0)


DEFAULT_LIMITS = QualityLimits()
_Finding = tuple[QualityFlag, str]
_GRAVITY = (QualityFlag.FAIL, QualityFlag.REVIEW, QualityFlag.PASS)


def assess(
    segmentation: Segmentation,
    curve: VolumeCurve,
    beats: Sequence[Beat],
    series: FrameSeries,
    summary: EjectionSummary | None,
    limits: QualityLimits = DEFAULT_LIMITS,
    context: Context = NOTHING_KNOWN,
) -> Quality:
    """Verdict on a cine from its masks, its confidence and what is known about it.

    Args:
        segmentation: masks and confidence of every frame.
        curve: volume of every frame.
        beats: beats that were found.
        series: measurements of every frame.
        summary: volumes over all beats, None if there are none.
        limits: where trust ends.
        context: what is known of the cine beside its masks.
    """
    findings = [
        *_judge_confidence(segmentation, series, beats, limits),
        *_judge_masks(series, limits),
        *_judge_shape(series, limits),
        *((QualityFlag.REVIEW, f"beyond the training data: {sentence}") for sentence in segmentation.beyond_training),
        *_judge_motion(series.area_mm2, segmentation.meta.fps, limits),
        *_judge_beats(beats, limits),
        *_judge_numbers(curve, summary, limits),
    ]
    if segmentation.meta.view is View.UNKNOWN:
        findings.append((QualityFlag.PASS, "view unknown: volumes hold for an apical four- or two-chamber view only"))
    findings.sort(key=lambda finding: _GRAVITY.index(finding[0]))
    flag = findings[0][0] if findings else QualityFlag.PASS
    return Quality(flag, tuple(reason for _, reason in findings))


def doubtful_below(segmentation: Segmentation, limits: QualityLimits = DEFAULT_LIMITS) -> float:
    """Confidence under which a frame of a segmentation is doubtful: the model's own limit can only be the stricter one.

    Otherwise a poor model, unsure of its own validation frames, would be trusted where a good one is not.
    """
    return max(limits.confidence, segmentation.doubtful_below or 0.0)


def _judge_confidence(
    segmentation: Segmentation,
    series: FrameSeries,
    beats: Sequence[Beat],
    limits: QualityLimits,
) -> Iterator[_Finding]:
    drawn = series.area_mm2 > 0
    confidence, limit = segmentation.confidence, doubtful_below(segmentation, limits)
    if confidence is None or not drawn.any():
        return
    median = float(np.median(confidence[drawn]))
    doubtful = confidence < limit
    share = float(doubtful[drawn].mean())
    if median < limits.failing_confidence:
        yield QualityFlag.FAIL, f"low confidence: median {median:.2f} over the cine"
    elif share > limits.doubtful_share:
        yield QualityFlag.REVIEW, f"low confidence: {share:.0%} of frames below {limit:.2f}"
    at_instants = sorted({f for beat in beats for f in (beat.ed_frame, beat.es_frame) if doubtful[f]})
    if at_instants:
        yield QualityFlag.REVIEW, f"low confidence at ED or ES: frames {', '.join(map(str, at_instants))}"


def _judge_masks(series: FrameSeries, limits: QualityLimits) -> Iterator[_Finding]:
    drawn = series.area_mm2 > 0
    n_frames, n_empty = len(drawn), int((~drawn).sum())
    n_unmeasured = int(np.isnan(series.simpson_ml).sum())
    if n_unmeasured >= limits.failing_empty_share * n_frames:
        yield QualityFlag.FAIL, f"no ventricle to measure in {n_unmeasured} of {n_frames} frames"
    elif n_empty > limits.empty_share * n_frames:
        yield QualityFlag.REVIEW, f"empty masks: {n_empty} of {n_frames} frames"
    if not drawn.any():
        return
    n_scattered = int((series.stray_fraction > limits.stray_fraction).sum())
    if n_scattered > limits.scattered_share * n_frames:
        yield QualityFlag.REVIEW, f"several components: {n_scattered} of {n_frames} frames"
    n_at_edge, n_without_apex = int(series.touches_edge.sum()), int(series.apex_at_edge.sum())
    if n_without_apex > limits.edge_share * n_frames:
        yield (
            QualityFlag.REVIEW,
            f"apex cut off by the edge of the image or sector: {n_without_apex} of {n_frames} frames",
        )
    elif n_at_edge > limits.edge_share * n_frames:
        yield (
            QualityFlag.REVIEW,
            f"ventricle cut off by the edge of the image or sector: {n_at_edge} of {n_frames} frames",
        )


def _judge_shape(series: FrameSeries, limits: QualityLimits) -> Iterator[_Finding]:
    """Whether the masks look like a ventricle in an apical view."""
    shaped = np.isfinite(series.slenderness)
    if not shaped.any():
        return
    slenderness, lean = (float(np.median(values[shaped])) for values in (series.slenderness, series.apex_lean))
    if slenderness < limits.slenderness:
        yield (
            QualityFlag.REVIEW,
            f"length only {slenderness:.2f} times the width: no apical view, or a foreshortened one",
        )
    elif lean > limits.apex_lean:
        yield QualityFlag.REVIEW, "apex in a corner of the mask: probably cut off"


def area_jitter(areas: Float64) -> float:
    """Noise of the area from frame to frame, relative to the mean area.

    The robust standard deviation of the noise, from second differences: 1.4826 median|a[t-1] - 2 a[t] + a[t+1]| / sqrt(6),
    divided by the mean area. 0 for less than three frames.

    Example:
        >>> area_jitter(np.array([10.0, 11.0, 12.0, 13.0]))
        0.0
    """
    if len(areas) < 3 or not areas.any():
        return 0.0
    return float(1.4826 * np.median(np.abs(np.diff(areas, 2))) / np.sqrt(6) / areas.mean())


def _judge_motion(areas: Float64, fps: float | None, limits: QualityLimits) -> Iterator[_Finding]:
    drawn = areas[areas > 0]
    if len(drawn) < 5:
        return
    interval_s = 1 / (fps or 25.0)
    # A beating ventricle has second differences of its own, which grow with the square of the frame interval.
    allowed = limits.jitter + 6.0 * interval_s**2
    jitter = area_jitter(drawn)
    if jitter > allowed:
        yield QualityFlag.REVIEW, f"temporal jitter: area varies by {jitter:.1%} from frame to frame"
    reach = 2 if interval_s <= 0.04 else 1
    padded = np.pad(drawn, reach, mode="edge")
    around = np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1), axis=1)
    n_jumps = int((np.abs(drawn - around) > limits.jump * drawn.mean()).sum())
    if n_jumps:
        yield QualityFlag.REVIEW, f"area jumps: {n_jumps} of {len(drawn)} frames"


def _judge_beats(beats: Sequence[Beat], limits: QualityLimits) -> Iterator[_Finding]:
    if not beats:
        yield QualityFlag.FAIL, "no beat: the volume does not rise and fall"
        return
    lengths = beat_lengths(beats)
    if not lengths:
        yield QualityFlag.REVIEW, "no full beat: ED and ES are the largest and the smallest volume of the cine"
        return
    ectopic = ectopic_beats(beats)
    if ectopic:
        numbers = ", ".join(str(number + 1) for number in ectopic)
        yield QualityFlag.REVIEW, f"premature contraction: of {len(beats)} beats left out of the medians: {numbers}"
    elif is_irregular(lengths, limits.rhythm):
        yield QualityFlag.REVIEW, f"irregular rhythm: beats of {min(lengths)} to {max(lengths)} frames"


def _judge_numbers(curve: VolumeCurve, summary: EjectionSummary | None, limits: QualityLimits) -> Iterator[_Finding]:
    if summary is None:
        return
    low, high = limits.ef_percent
    if not low <= summary.ef_percent <= high:
        yield QualityFlag.FAIL, f"implausible EF of {summary.ef_percent:.0f} % (expected {low:.0f} to {high:.0f})"
    low, high = limits.edv_ml
    if curve.unit == "mL" and not low <= summary.edv <= high:
        yield (
            QualityFlag.REVIEW,
            f"implausible EDV of {summary.edv:.0f} mL (expected {low:.0f} to {high:.0f}): check the spacing",
        )
