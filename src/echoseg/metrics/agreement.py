"""Agreement of predicted with reference ejection fractions, and comparison of two methods on the same cases."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike

from echoseg.cine import Float64
from echoseg.errors import InputError
from echoseg.metrics.bootstrap import N_RESAMPLES, Interval, interval_95, resampled_sums

LIMITS_SD = 1.96  # standard deviations to either side of the bias hold 95 % of normally distributed differences


@dataclass(frozen=True)
class Agreement:
    """Bland-Altman statistics and correlation; differences are prediction minus reference, in the unit of the input.

    Attributes:
        n: number of pairs.
        bias: mean difference, signed.
        sd: standard deviation of the differences (n - 1).
        mae: mean absolute difference.
        r: Pearson correlation, NaN where one side does not vary.
        icc: intraclass correlation ICC(2,1), absolute agreement of single measurements
            (Shrout and Fleiss, Psychol Bull 1979;86:420).
        limits: 95 % limits of agreement, bias -+ 1.96 sd (Bland and Altman, Lancet 1986;327:307).
        intervals: bootstrap 95 % interval of "bias", "sd", "mae", "r" and "icc", and of the limits of agreement,
            "lower_limit" and "upper_limit".
    """

    n: int
    bias: float
    sd: float
    mae: float
    r: float
    icc: float
    limits: Interval
    intervals: Mapping[str, Interval]


@dataclass(frozen=True)
class MemSamAgreement:
    """Agreement in the convention of MemSAM's script, which names other quantities by the same words.

    Attributes:
        mae_called_bias: mean |reference - prediction|, printed there as "bias"; it has no sign.
        sd_of_predictions: standard deviation (n) of the predictions themselves, printed there as "std".
        r: Pearson correlation.
    """

    mae_called_bias: float
    sd_of_predictions: float
    r: float


@dataclass(frozen=True)
class PairedComparison:
    """Two methods on the same cases, first minus second.

    Attributes:
        n: number of cases.
        mean_difference: mean of the differences per case.
        interval: bootstrap 95 % interval of the mean difference.
        wilcoxon_p: Wilcoxon signed-rank test, which uses the pairing.
        ranksums_p: Wilcoxon rank-sum test, which ignores it; published tables use this one.
    """

    n: int
    mean_difference: float
    interval: Interval
    wilcoxon_p: float
    ranksums_p: float


def ef_agreement(
    pred: ArrayLike,
    ref: ArrayLike,
    rng: np.random.Generator,
    *,
    patients: Sequence[Hashable] | None = None,
    n_resamples: int = N_RESAMPLES,
) -> Agreement:
    """Agreement of predicted with reference ejection fractions (or volumes).

    Args:
        pred: predicted values, one per case.
        ref: reference values in the same order and unit.
        rng: source of the bootstrap.
        patients: patient of each case; whole patients are resampled.
        n_resamples: bootstrap resamples.

    Example:
        >>> found = ef_agreement([52.0, 61.0, 40.0], [50.0, 60.0, 40.0], np.random.default_rng(0))
        >>> found.bias, found.sd, found.mae
        (1.0, 1.0, 1.0)
    """
    p, q = _pair(pred, ref)
    terms = _terms(p, q)
    exact = _statistics(terms.sum(axis=0, keepdims=True))
    resampled = _statistics(resampled_sums(terms, rng, groups=patients, n_resamples=n_resamples))
    values = {name: float(value[0]) for name, value in exact.items()}
    resampled["lower_limit"] = resampled["bias"] - LIMITS_SD * resampled["sd"]
    resampled["upper_limit"] = resampled["bias"] + LIMITS_SD * resampled["sd"]
    return Agreement(
        n=len(p),
        **values,
        limits=(values["bias"] - LIMITS_SD * values["sd"], values["bias"] + LIMITS_SD * values["sd"]),
        intervals=MappingProxyType({name: interval_95(samples) for name, samples in resampled.items()}),
    )


def _pair(pred: ArrayLike, ref: ArrayLike) -> tuple[Float64, Float64]:
    p, q = np.asarray(pred, np.float64), np.asarray(ref, np.float64)
    if p.ndim != 1 or p.shape != q.shape or len(p) < 2:
        raise InputError(f"values of shapes {p.shape} and {q.shape}; give two equally long lists of at least two cases")
    if not (np.isfinite(p).all() and np.isfinite(q).all()):
        raise InputError("values that are not finite; leave the cases out that could not be measured, and count them")
    return p, q


def _terms(p: Float64, q: Float64) -> Float64:
    centre = q.mean()  # sums of squares of small numbers keep their digits
    p, q = p - centre, q - centre
    d = p - q
    return np.stack([np.ones_like(d), d, d * d, np.abs(d), p, q, p * p, q * q, p * q], axis=1)


def _statistics(sums: Float64) -> dict[str, Float64]:
    """Statistics from the sums (m, 9) of `_terms`, each (m,)."""
    n, d, dd, absolute, p, q, pp, qq, pq = sums.T
    with np.errstate(divide="ignore", invalid="ignore"):
        bias = d / n
        var_d = np.maximum(dd - d * d / n, 0) / (n - 1)
        var_p, var_q = (pp - p * p / n) / (n - 1), (qq - q * q / n) / (n - 1)
        cov = (pq - p * q / n) / (n - 1)
        # a variance that is no more than the rounding of its sums is none, else constant predictions correlate by chance
        flat = (var_p <= 1e-12 * pp / n) | (var_q <= 1e-12 * qq / n)
        r = np.where(flat, np.nan, np.clip(cov / np.sqrt(np.maximum(var_p * var_q, 0)), -1, 1))
        between_cases = (var_p + var_q + 2 * cov) / 2  # mean square of the pairs' means
        residual, between_methods = var_d / 2, n * bias * bias / 2
        icc = (between_cases - residual) / (between_cases + residual + 2 * (between_methods - residual) / n)
    return {"bias": bias, "sd": np.sqrt(var_d), "mae": absolute / n, "r": r, "icc": icc}


def ef_agreement_memsam(pred: ArrayLike, ref: ArrayLike) -> MemSamAgreement:
    """Agreement as MemSAM's script prints it, for comparison with its table only.

    Example:
        >>> found = ef_agreement_memsam([48.0, 62.0], [50.0, 60.0])
        >>> found.mae_called_bias, found.sd_of_predictions
        (2.0, 7.0)
    """
    p, q = _pair(pred, ref)
    r = float(_statistics(_terms(p, q).sum(axis=0, keepdims=True))["r"][0])
    return MemSamAgreement(float(np.abs(q - p).mean()), float(p.std()), r)


def compare_paired(
    first: ArrayLike,
    second: ArrayLike,
    rng: np.random.Generator,
    *,
    patients: Sequence[Hashable] | None = None,
    n_resamples: int = N_RESAMPLES,
) -> PairedComparison:
    """Compare a metric of two methods on the same cases.

    Args:
        first: one value per case of the first method.
        second: values of the second method, cases in the same order.
        rng: source of the bootstrap.
        patients: patient of each case; whole patients are resampled.
        n_resamples: bootstrap resamples.

    Example:
        >>> found = compare_paired([0.93, 0.92, 0.95], [0.91, 0.91, 0.92], np.random.default_rng(0))
        >>> round(found.mean_difference, 3), found.n
        (0.02, 3)
    """
    from scipy import stats

    a, b = _pair(first, second)
    d = a - b
    terms = np.stack([np.ones_like(d), d], axis=1)
    sums = resampled_sums(terms, rng, groups=patients, n_resamples=n_resamples)
    return PairedComparison(
        n=len(d),
        mean_difference=float(d.mean()),
        interval=interval_95(sums[:, 1] / sums[:, 0]),
        wilcoxon_p=float(stats.wilcoxon(a, b).pvalue) if d.any() else 1.0,
        ranksums_p=float(stats.ranksums(a, b).pvalue),
    )
