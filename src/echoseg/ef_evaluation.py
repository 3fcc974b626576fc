"""A network that regresses the ejection fraction against a data set's own values: MAE, RMSE and R2, as in published tables.

One random clip of every cine is predicted, and scored over all cines; this is repeated with several seeds. A table's number
is the mean over the seeds, and its +- their standard deviation: it says how much the choice of the clip matters, and nothing
about other cines.
"""

from __future__ import annotations

import csv
import io
import json
import math
import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from echoseg.cine import Cine, View
from echoseg.datasets import Case, Dataset
from echoseg.engine import EfRegressor, mirrored
from echoseg.errors import InputError, UsageError
from echoseg.evaluation import CASES_FILE, RESULT_FILE, finite
from echoseg.io import atomic_write_text
from echoseg.metrics import RegressionScores, regression_scores

SEEDS = 5

Progress = Callable[[int, int], None]


@dataclass
class EfEvaluation:
    """Predictions so far.

    Attributes:
        reference: case -> ejection fraction in the data set's table, percent.
        predicted: case -> prediction for each seed.
        left_out: reason -> cases that were not predicted.
        failed: case -> what went wrong.
    """

    reference: dict[str, float] = field(default_factory=dict)
    predicted: dict[str, tuple[float, ...]] = field(default_factory=dict)
    left_out: dict[str, list[str]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def scores(self) -> list[RegressionScores]:
        """Scores over all cases, one for each seed."""
        truth = list(self.reference.values())
        return [regression_scores(column, truth) for column in zip(*self.predicted.values(), strict=True)]

    def averaged(self) -> RegressionScores:
        """Scores of the mean over each case's clips."""
        return regression_scores([statistics.fmean(v) for v in self.predicted.values()], list(self.reference.values()))


def evaluate_ef(
    regressor: EfRegressor,
    dataset: Dataset,
    *,
    split: str = "test",
    seeds: int = SEEDS,
    mirror: bool = False,
    out: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Predict every case of a split and compare.

    Args:
        regressor: loaded model.
        dataset: cines whose table holds ejection fractions.
        split: train, val or test.
        seeds: random clips of every cine.
        mirror: play half of each cine backwards before its start and after its end, for data sets that show half a beat.
        out: folder for `evaluation.json` and `cases.csv`; None writes nothing.
        progress: called with (done, total).

    Returns:
        The content of `evaluation.json`; `table` holds its main numbers as [name, value] rows.
    """
    if seeds < 1:
        raise UsageError(f"seeds={seeds}: must be at least 1")
    cases = dataset.cases(split)
    if not cases:
        raise InputError(f"{dataset.root}: split {split!r} is empty; it has {', '.join(dataset.splits()) or 'none'}")
    evaluation = EfEvaluation()
    for i, case in enumerate(cases):
        _add(evaluation, regressor, dataset, case, seeds, mirror)
        if progress is not None:
            progress(i + 1, len(cases))
    if not evaluation.predicted:
        raise InputError(
            f"{dataset.root}: no case of split {split!r} has an ejection fraction in its table to compare with"
        )
    document = _document(evaluation, regressor.config.title, dataset, split, mirror)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        atomic_write_text(out / CASES_FILE, _cases_csv(evaluation))
        atomic_write_text(out / RESULT_FILE, json.dumps(document, indent=1, allow_nan=False) + "\n")
    return document


def _add(
    evaluation: EfEvaluation, regressor: EfRegressor, dataset: Dataset, case: Case, seeds: int, mirror: bool
) -> None:
    trained = regressor.config.view
    if case.ef_percent is None:
        evaluation.left_out.setdefault("no ejection fraction in the table", []).append(case.id)
    elif View.UNKNOWN not in (trained, case.view) and case.view is not trained:
        evaluation.left_out.setdefault(f"not {trained.value}, the only view of the training data", []).append(case.id)
    else:
        try:
            clips = predict_random(regressor, dataset.load(case), case.id, seeds, mirror=mirror)
        except InputError as error:
            evaluation.failed[case.id] = str(error)
            return
        evaluation.predicted[case.id], evaluation.reference[case.id] = clips, case.ef_percent


def predict_random(regressor: EfRegressor, cine: Cine, name: str, seeds: int, *, mirror: bool) -> tuple[float, ...]:
    """Predictions of one random clip for each seed; the clip depends on the seed and the name of the case alone."""
    if mirror:
        frames = mirrored(cine.frames)
        cine = Cine(replace(cine.meta, n_frames=len(frames)), frames)
    plan = regressor.plan(len(cine), cine.fps)
    starts = [plan.random(np.random.default_rng([seed, *name.encode()])) for seed in range(seeds)]
    frames_needed = regressor.input(cine, plan, starts)
    return tuple(regressor.predict(frames_needed, start) for start in starts)


def _document(evaluation: EfEvaluation, model: str, dataset: Dataset, split: str, mirror: bool) -> dict[str, Any]:
    scores = evaluation.scores()
    document: dict[str, Any] = {
        "schema": 1,
        "task": "ejection_fraction",
        "model": model,
        "data": {
            "layout": dataset.name,
            "split": split,
            "fingerprint": dataset.fingerprint(),
            "cases": len(evaluation.predicted),
            "left_out": evaluation.left_out,
            "failed": evaluation.failed,
        },
        "mirrored": mirror,
        "seeds": [finite(asdict(one)) for one in scores],
        "one_clip": {name: _spread([getattr(one, name) for one in scores]) for name in ("mae", "rmse", "r2")},
        "mean_of_clips": finite(asdict(evaluation.averaged())),
    }
    document["table"] = list(_rows(document))
    return document


def _spread(values: list[float]) -> dict[str, float | None]:
    """Mean and standard deviation over the seeds; null where there is none."""
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    found: dict[str, float | None] = finite({"mean": float(np.mean(values)), "sd": sd})
    return found


def _rows(document: Mapping[str, Any]) -> Iterator[list[str]]:
    one, many, n = document["one_clip"], document["mean_of_clips"], len(document["seeds"])
    for name, key, scale, unit in (("MAE", "mae", 1, "points"), ("RMSE", "rmse", 1, "points"), ("R2", "r2", 100, "%")):
        yield [f"EF {name}, one clip, {n} seeds", _with_sd(one[key], scale, unit)]
        yield [f"EF {name}, mean of {n} clips", _shown(many[key], scale, unit)]


def _with_sd(found: Mapping[str, float | None], scale: float, unit: str) -> str:
    if found["mean"] is None:
        return "undefined"
    spread = "" if found["sd"] is None else f" +- {scale * found['sd']:.2f}"
    return f"{scale * found['mean']:.2f}{spread} {unit}"


def _shown(value: float | None, scale: float, unit: str) -> str:
    return "undefined" if value is None else f"{scale * value:.2f} {unit}"


def _cases_csv(evaluation: EfEvaluation) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    seeds = len(next(iter(evaluation.predicted.values())))
    clips = [f"ef_clip_{i}_percent" for i in range(seeds)]
    writer.writerow(["case", "ef_published_percent", "ef_regressed_percent", *clips])
    for case, found in evaluation.predicted.items():
        values = [evaluation.reference[case], statistics.fmean(found), *found]
        writer.writerow([case, *(f"{value:.4f}" for value in values)])
    return text.getvalue()


__all__ = ["EfEvaluation", "evaluate_ef", "predict_random"]
