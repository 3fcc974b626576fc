"""Cells whose network regresses the ejection fraction: what they need of other cells, and how they are scored."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from echoseg.benchmark.scoring import Scores
from echoseg.datasets import Dataset
from echoseg.ef_evaluation import evaluate_ef
from echoseg.engine import EfRegressor
from echoseg.evaluation import CASES_FILE
from echoseg.methods.ef import build_ef_method
from echoseg.nn.cost import gmacs
from echoseg.recipes.base import without_pretrained
from echoseg.recipes.ef_base import EfRunConfig

STAGES = {"css-ef-m": "masks", "css-ef-e": "teacher"}
"""Method -> the setting of its data that names the run of the stage before."""


def with_stage(config: EfRunConfig, folder: Path) -> EfRunConfig:
    """The run, built on the finished run in a folder."""
    named: dict[str, Any] = {STAGES[config.method]: str(folder.resolve())}
    return replace(config, data=replace(config.data, **named))


def without_stage(config: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded configuration without the folder of the stage before, which moves with the suite."""
    if config.get("method") not in STAGES:
        return dict(config)
    return {**config, "data": {**config["data"], **dict.fromkeys(STAGES.values(), "")}}


def score_ejection(model: Path, dataset: Dataset, out: Path, threads: int) -> Scores:
    """EF of every test cine, the mean of five random clips, against the data set's own value."""
    regressor = EfRegressor.load(model, threads=threads)
    document = evaluate_ef(regressor, dataset, out=out)
    with (out / CASES_FILE).open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    pairs = {row["case"]: (float(row["ef_regressed_percent"]), float(row["ef_published_percent"])) for row in rows}
    errors = {case: abs(found - truth) for case, (found, truth) in pairs.items()}
    return Scores({"ef_error": errors}, pairs, frames=0, document=document)


def ejection_cost(config: EfRunConfig) -> dict[str, float | None]:
    """Parameters, and multiply-adds of a clip divided by its frames; the masks of stage 1 not counted."""
    method = build_ef_method(config.method, without_pretrained(config.network)).eval()
    length, side = config.data.clip_length, config.data.size
    clip = torch.zeros(1, length, 2 if method.guided else 1, side, side)
    return {
        "parameters": method.inference_parameters(),
        "gmac": gmacs(method, clip) / length,
        "cpu_ms": None,
        "wall_ms": None,
    }
