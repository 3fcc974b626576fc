"""Whether a probability means what it says, and whether a confidence finds the failures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from echoseg.cine import Float64
from echoseg.errors import InputError

N_BINS = 15


@dataclass(frozen=True)
class ReliabilityBin:
    """Predictions of about the same probability.

    Attributes:
        low, high: its ends; `low` belongs to it, and so does `high` = 1.
        count: predictions in it.
        probability: their mean probability, NaN where there are none.
        frequency: the fraction of them that was true, NaN where there are none.
    """

    low: float
    high: float
    count: int
    probability: float
    frequency: float


class Reliability:
    """Sums of a reliability diagram with bins of equal width, filled piece by piece.

    Source: Naeini, Cooper, Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015.

    Example:
        >>> found = Reliability(n_bins=5)
        >>> found.add([0.1, 0.1, 0.9, 0.9], [False, False, True, False])
        >>> round(found.ece, 3)
        0.25
    """

    def __init__(self, n_bins: int = N_BINS) -> None:
        """Nothing is counted yet."""
        if n_bins < 1:
            raise InputError(f"{n_bins} bins: give at least 1")
        self._counts = np.zeros(n_bins, np.int64)
        self._probabilities, self._true = np.zeros(n_bins), np.zeros(n_bins)

    def add(self, probability: ArrayLike, truth: ArrayLike) -> None:
        """Count predictions: probabilities in 0..1 and whether each was true, of one shape.

        Raises:
            InputError: shapes differ, or a probability is none.
        """
        found = np.asarray(probability, np.float64).ravel()
        true = np.asarray(truth, bool).ravel()
        if len(found) != len(true):
            raise InputError(f"{len(found)} probabilities for {len(true)} truths: give one for each")
        if found.size and not (found.min() >= 0 and found.max() <= 1):
            raise InputError("probabilities outside 0..1: apply the softmax or sigmoid first")
        n = len(self._counts)
        place = np.minimum((found * n).astype(np.int64), n - 1)
        self._counts += np.bincount(place, minlength=n)
        self._probabilities += np.bincount(place, found, n)
        self._true += np.bincount(place, true, n)

    @property
    def bins(self) -> tuple[ReliabilityBin, ...]:
        """The diagram, from probability 0 to 1."""
        n = len(self._counts)
        means, rates = self._over_counts(self._probabilities), self._over_counts(self._true)
        return tuple(
            ReliabilityBin(i / n, (i + 1) / n, int(self._counts[i]), float(means[i]), float(rates[i])) for i in range(n)
        )

    @property
    def ece(self) -> float:
        """Expected calibration error: mean |frequency - probability| over the predictions; NaN without any."""
        total = int(self._counts.sum())
        return float(np.abs(self._true - self._probabilities).sum() / total) if total else float("nan")

    def _over_counts(self, sums: Float64) -> Float64:
        means: Float64 = np.full(len(sums), np.nan)
        np.divide(sums, self._counts, out=means, where=self._counts > 0)
        return means


def auroc(scores: ArrayLike, positive: ArrayLike) -> float:
    """Area under the ROC curve: the chance that a positive scores higher than a negative, ties counted half.

    Args:
        scores: (n,), higher for what should be positive.
        positive: (n,), which are.

    Returns:
        0..1; NaN where all are positive, or none.

    Raises:
        InputError: different lengths, or a score that is not finite.

    Example:
        >>> auroc([0.9, 0.4, 0.6, 0.1], [True, True, False, False])
        0.75
    """
    values, flags = np.asarray(scores, np.float64), np.asarray(positive, bool)
    if values.shape != flags.shape or values.ndim != 1:
        raise InputError(f"scores {values.shape} for labels {flags.shape}: give one for each")
    if not np.isfinite(values).all():
        raise InputError("a score is not finite; leave out what has none")
    n_positive = int(flags.sum())
    n_negative = len(flags) - n_positive
    if not n_positive or not n_negative:
        return float("nan")
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]  # equal scores share their mean rank, counted from 1
    return float((ranks[flags].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))
