"""Scores of many frames, gathered one by one and summarised by case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType

import numpy as np

from echoseg.cine import Float64, Spacing
from echoseg.errors import InputError
from echoseg.metrics.bootstrap import N_RESAMPLES, Interval, interval_95, resampled_sums
from echoseg.metrics.distances import border_distances, diagonal, distance_unit
from echoseg.metrics.overlap import Mask, as_object

DISTANCES = ("hausdorff", "hd95_pooled", "hd95_max", "assd", "asd_pred_to_ref")


@dataclass(frozen=True)
class FrameScore:
    """Scores of one frame; distances are NaN where a mask is empty.

    Attributes:
        case: case the frame belongs to; intervals resample whole cases.
        frame: frame number.
        tags: groups the frame belongs to, e.g. {"view": "A4C", "instant": "ED"}.
        dice: Dice coefficient.
        n_both: pixels in both masks.
        n_pred: pixels of the prediction.
        n_ref: pixels of the reference.
        hausdorff: Hausdorff distance.
        hd95_pooled: 95th percentile of both directed sets together (medpy).
        hd95_max: larger of the two directed 95th percentiles (MONAI).
        assd: average symmetric surface distance.
        asd_pred_to_ref: average surface distance, prediction to reference.
        penalty: distance charged where a mask is missing: the image's diagonal; 0 where both are.
    """

    case: str
    frame: int
    tags: Mapping[str, str]
    dice: float
    n_both: int
    n_pred: int
    n_ref: int
    hausdorff: float
    hd95_pooled: float
    hd95_max: float
    assd: float
    asd_pred_to_ref: float
    penalty: float


@dataclass(frozen=True)
class MeanScore:
    """Mean over frames with its 95 % interval, whole cases resampled.

    Attributes:
        mean: mean over the frames where the score is defined, NaN without any.
        interval: bootstrap 95 % interval of the mean.
        n_frames: frames that entered.
    """

    mean: float
    interval: Interval
    n_frames: int


@dataclass(frozen=True)
class ScoresSummary:
    """Scores over frames.

    Attributes:
        n_cases: number of cases.
        n_frames: number of frames.
        n_empty_pred: frames whose prediction is empty although the reference is not.
        n_empty_ref: frames whose reference is empty.
        dice: mean Dice per frame.
        dice_pooled: Dice of all frames as one object, with the interval of resampled cases.
        distances: mean of each distance over the frames that have one.
        penalised: the same over all frames, a missing mask charged with the image's diagonal.
        distance_unit: unit of the distances, "mm" or pixels of a named grid.
    """

    n_cases: int
    n_frames: int
    n_empty_pred: int
    n_empty_ref: int
    dice: MeanScore
    dice_pooled: MeanScore
    distances: Mapping[str, MeanScore]
    penalised: Mapping[str, MeanScore]
    distance_unit: str


@dataclass
class SegmentationScores:
    """Accumulator of frame scores.

    Attributes:
        with_distances: whether distances are computed too; Dice alone is about ten times as fast.

    Example:
        >>> scores = SegmentationScores()
        >>> mask = np.zeros((32, 32), bool)
        >>> mask[8:24, 8:24] = True
        >>> scores.add("patient1", 0, mask, mask, tags={"instant": "ED"})
        >>> scores.add("patient1", 9, mask & False, mask, tags={"instant": "ES"})
        >>> summary = scores.summary(np.random.default_rng(0))
        >>> summary.dice.mean, summary.distances["hausdorff"].mean, summary.n_empty_pred, summary.distance_unit
        (0.5, 0.0, 1, 'px of a 32x32 grid')
        >>> scores.where(instant="ED").summary(np.random.default_rng(0)).dice.mean
        1.0
    """

    with_distances: bool = True
    frames: list[FrameScore] = field(default_factory=list)
    _unit: str | None = None

    def add(
        self,
        case: str,
        frame: int,
        pred: Mask,
        ref: Mask,
        spacing: Spacing | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Score one frame.

        Args:
            case: case of the frame; whole cases are resampled for the intervals.
            frame: frame number.
            pred: predicted mask of one structure.
            ref: reference mask of the same shape.
            spacing: pixel size of these masks; None measures in pixels.
            tags: groups of the frame.
        """
        a, b = as_object(pred), as_object(ref, pred)
        shape = (a.shape[0], a.shape[1])
        self._check_unit(distance_unit(shape, spacing), f"{case}, frame {frame}")
        n_both, n_pred, n_ref = (int(np.count_nonzero(m)) for m in (a & b, a, b))
        found = border_distances(a, b, spacing) if self.with_distances else None
        self.frames.append(
            FrameScore(
                case=case,
                frame=frame,
                tags=MappingProxyType(dict(tags or {})),
                dice=2 * n_both / (n_pred + n_ref) if n_pred + n_ref else 1.0,
                n_both=n_both,
                n_pred=n_pred,
                n_ref=n_ref,
                **{name: getattr(found, name) if found else float("nan") for name in DISTANCES},
                penalty=diagonal(shape, spacing) if n_pred or n_ref else 0.0,
            )
        )

    def _check_unit(self, unit: str, where: str) -> None:
        if self._unit is not None and unit != self._unit and self.with_distances:
            raise InputError(
                f"{where}: distances in {unit} cannot be averaged with distances in {self._unit}; "
                "resample to one grid or give every case its spacing"
            )
        self._unit = self._unit or unit

    def where(self, **tags: str) -> SegmentationScores:
        """Scores of the frames that carry all these tags."""
        chosen = [score for score in self.frames if all(score.tags.get(key) == tag for key, tag in tags.items())]
        return SegmentationScores(self.with_distances, chosen, self._unit)

    def per_case(self, metric: str = "dice") -> dict[str, float]:
        """Mean of a score over the frames of each case, cases without a defined one left out; for paired tests."""
        if metric not in {f.name for f in fields(FrameScore)}:
            raise InputError(f"metric {metric!r} is unknown; choose dice or one of {', '.join(DISTANCES)}")
        by_case: dict[str, list[float]] = {}
        for score in self.frames:
            value = float(getattr(score, metric))
            if np.isfinite(value):
                by_case.setdefault(score.case, []).append(value)
        return {case: float(np.mean(values)) for case, values in by_case.items()}

    def summary(self, rng: np.random.Generator, *, n_resamples: int = N_RESAMPLES) -> ScoresSummary:
        """Means over frames with 95 % intervals from resampled cases.

        Raises:
            InputError: no frame was added.
        """
        if not self.frames:
            raise InputError("no scored frame; add some, or check that the tags exist")
        both, pred, ref, penalty = (self._column(name) for name in ("n_both", "n_pred", "n_ref", "penalty"))
        pooled_terms = np.stack([2 * both, pred + ref], axis=1)
        distances = {name: self._column(name) for name in DISTANCES} if self.with_distances else {}
        charged = {name: np.where(np.isnan(values), penalty, values) for name, values in distances.items()}
        return ScoresSummary(
            n_cases=len({score.case for score in self.frames}),
            n_frames=len(self.frames),
            n_empty_pred=int(((pred == 0) & (ref > 0)).sum()),
            n_empty_ref=int((ref == 0).sum()),
            dice=self._mean(self._column("dice"), rng, n_resamples),
            dice_pooled=self._ratio(pooled_terms, rng, n_resamples, if_empty=1.0),
            distances={name: self._mean(values, rng, n_resamples) for name, values in distances.items()},
            penalised={name: self._mean(values, rng, n_resamples) for name, values in charged.items()},
            distance_unit=self._unit or "px",
        )

    def _column(self, name: str) -> Float64:
        return np.array([getattr(score, name) for score in self.frames], np.float64)

    def _mean(self, values: Float64, rng: np.random.Generator, n_resamples: int) -> MeanScore:
        defined = np.isfinite(values)
        terms = np.stack([np.where(defined, values, 0.0), defined.astype(np.float64)], axis=1)
        return self._ratio(terms, rng, n_resamples)

    def _ratio(
        self, terms: Float64, rng: np.random.Generator, n_resamples: int, if_empty: float = float("nan")
    ) -> MeanScore:
        """Sum of the first column over the sum of the second."""
        used = terms[:, 1] > 0
        if not used.any():
            return MeanScore(if_empty, (if_empty, if_empty), 0)
        cases = [score.case for score, is_used in zip(self.frames, used, strict=True) if is_used]
        total, weight = terms[used].sum(axis=0)
        sums = resampled_sums(terms[used], rng, groups=cases, n_resamples=n_resamples)
        return MeanScore(float(total / weight), interval_95(sums[:, 0] / sums[:, 1]), int(used.sum()))
