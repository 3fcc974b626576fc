"""From the records of cells to the numbers of a suite.

A case's value is the mean over the seeds of its variant. Intervals and tests are over cases, paired where two variants are
compared: they hold the spread between cines, not that between seeds, which is told apart by the range over seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from echoseg.benchmark.cells import Record
from echoseg.benchmark.scoring import METRICS
from echoseg.metrics import compare_paired, ef_agreement, interval_95, resampled_sums

Values = dict[str, float]


def variant_summary(records: Sequence[Record]) -> dict[str, Any]:
    """Means of a variant over its seeds.

    Args:
        records: one for each seed, at least one.
    """
    metrics = {}
    for metric in METRICS:
        values = averaged(records, metric)
        if values:
            by_seed = [float(np.mean(list(r["cases"][metric].values()))) for r in records if r["cases"][metric]]
            numbers = list(values.values())
            metrics[metric] = {
                "mean": float(np.mean(numbers)),
                "interval": list(mean_interval(numbers)),
                "seeds": by_seed,
                "n": len(numbers),
            }
    return {
        "method": records[0]["method"],
        "seeds": [r["seed"] for r in records],
        "labelled": records[0]["labelled"],
        "metrics": metrics,
        "ef": ejection_summary(records),
        "unit": records[0]["unit"],
        "cost": {name: _median([r["cost"][name] for r in records]) for name in records[0]["cost"]},
        "train_s": [r["train_s"] for r in records],
        "val_dice": [r["val_dice"] for r in records],
        "empty": [r["empty"] for r in records],
    }


def ejection_summary(records: Sequence[Record]) -> dict[str, Any] | None:
    """EF of the predicted against that of the true masks: bias, MAE and r, mean over seeds; None where fewer than two cases have both."""
    found = []
    for record in records:
        pairs = list(record["ef"].values())
        if len(pairs) < 2:
            return None
        agreement = ef_agreement([a for a, _ in pairs], [b for _, b in pairs], np.random.default_rng(0))
        # r is undefined where a network that has learned nothing predicts a constant
        found.append({"bias": agreement.bias, "mae": agreement.mae, "r": agreement.r, "n": agreement.n})
    means = {name: float(np.mean([one[name] for one in found])) for name in ("bias", "mae", "r")}
    return {
        **{name: None if np.isnan(value) else value for name, value in means.items()},
        "n": [one["n"] for one in found],
    }


def comparison(first: Sequence[Record], second: Sequence[Record]) -> dict[str, Any]:
    """The first variant minus the second on the cases that both have, after averaging each over the seeds that both have.

    Returns:
        The seeds, and for each metric the mean difference, its paired bootstrap interval, the mean difference of each seed, and p of the
        Wilcoxon signed-rank test and of the rank-sum test, which published tables use although it ignores the pairing.
    """
    seeds = sorted({r["seed"] for r in first} & {r["seed"] for r in second})
    if not seeds:
        return {"seeds": [], "metrics": {}}
    ours, theirs = ([r for r in records if r["seed"] in seeds] for records in (first, second))
    metrics = {}
    for metric in METRICS:
        a, b = averaged(ours, metric), averaged(theirs, metric)
        cases = sorted(a.keys() & b.keys())
        if len(cases) < 2:
            continue
        found = compare_paired([a[c] for c in cases], [b[c] for c in cases], np.random.default_rng(0))
        metrics[metric] = {
            "difference": found.mean_difference,
            "interval": list(found.interval),
            "seeds": _differences(ours, theirs, metric, seeds),
            "wilcoxon_signed_rank_p": found.wilcoxon_p,
            "wilcoxon_rank_sum_p": found.ranksums_p,
            "n": found.n,
        }
    return {"seeds": seeds, "metrics": metrics}


def _differences(first: Sequence[Record], second: Sequence[Record], metric: str, seeds: Sequence[int]) -> list[float]:
    """First minus second, mean over the cases that both have, for each seed that has any."""
    found = []
    for seed in seeds:
        a, b = (next(r["cases"].get(metric, {}) for r in records if r["seed"] == seed) for records in (first, second))
        if both := a.keys() & b.keys():
            found.append(float(np.mean([a[case] - b[case] for case in sorted(both)])))
    return found


def averaged(records: Sequence[Mapping[str, Any]], metric: str) -> Values:
    """Case -> mean over seeds; cases that any seed has no value for are left out."""
    columns = [r["cases"].get(metric, {}) for r in records]
    cases = set(columns[0]).intersection(*columns[1:]) if columns else set()
    return {case: float(np.mean([column[case] for column in columns])) for case in sorted(cases)}


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """Bootstrap 95 % interval of a mean over cases."""
    terms = np.asarray(values, np.float64)[:, None]
    sums = resampled_sums(terms, np.random.default_rng(0))
    return interval_95(sums[:, 0] / len(values))
