"""Bootstrap over cases, for statistics that follow from sums over rows.

Means, standard deviations and correlations are functions of a few sums. Drawing cases with replacement only changes how
often each case's share of the sums counts, so that all resamples are one matrix product.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from echoseg.cine import Float64
from echoseg.errors import InputError

Interval = tuple[float, float]
N_RESAMPLES = 2000


def resampled_sums(
    terms: Float64,
    rng: np.random.Generator,
    *,
    groups: Sequence[Hashable] | None = None,
    n_resamples: int = N_RESAMPLES,
) -> Float64:
    """Sums of the rows of `terms` (n, k) over bootstrap resamples, (n_resamples, k).

    Args:
        terms: one row per observation.
        rng: source of the resamples.
        groups: case (patient) of each row; whole cases are drawn. None draws single rows.
        n_resamples: number of resamples.

    Example:
        >>> sums = resampled_sums(np.ones((5, 1)), np.random.default_rng(0), n_resamples=3)
        >>> sums.ravel().tolist()
        [5.0, 5.0, 5.0]
    """
    if groups is not None:
        if len(groups) != len(terms):
            raise InputError(f"{len(groups)} groups for {len(terms)} rows; give one per row")
        number = {group: i for i, group in enumerate(dict.fromkeys(groups))}
        per_case = np.zeros((len(number), terms.shape[1]))
        np.add.at(per_case, [number[group] for group in groups], terms)
        terms = per_case
    n_cases = len(terms)
    draws = rng.multinomial(n_cases, np.full(n_cases, 1 / n_cases), size=n_resamples)
    return np.asarray(draws @ terms, np.float64)


def interval_95(samples: Float64) -> Interval:
    """2.5th and 97.5th percentile of the defined samples; NaN if there is none."""
    defined = samples[np.isfinite(samples)]
    if not defined.size:
        return float("nan"), float("nan")
    low, high = np.percentile(defined, [2.5, 97.5])
    return float(low), float(high)
