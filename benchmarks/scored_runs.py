"""Runs that a benchmark trains and scores once: what is there is not made again."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import torch

from echoseg.engine import Segmenter
from echoseg.evaluation import evaluate_model
from echoseg.io import atomic_write_text
from echoseg.recipes import RunConfig
from echoseg.recipes.run import MODEL_DIR, train_run
from echoseg.recipes.stores import Stores

SCORES = "scores"


def is_scored(folder: Path) -> bool:
    """Whether a run is finished and scored."""
    return (folder / SCORES / "evaluation.json").exists()


def train_and_score(
    folder: Path, config: RunConfig, stores: Stores, frames: Literal["edes", "all"], also: Path | None = None
) -> None:
    """Train a run on one CPU and score it on the validation cines, unless that was done; what was interrupted goes on."""
    if is_scored(folder):
        return
    model = train_run(config, stores, folder, device="cpu", resume=(folder / "run.json").exists(), also=also)
    segmenter = Segmenter.load(model, threads=1)
    evaluate_model(segmenter, stores.dataset, split="val", frames=frames, out=folder / SCORES)


def measure_once(folder: Path, name: str, measure: Callable[[Segmenter], Mapping[str, Any]]) -> None:
    """Keep beside a run's scores what only one script measures of its model, unless it is there."""
    out = folder / SCORES / name
    if not out.is_file():
        segmenter = Segmenter.load(folder / MODEL_DIR, threads=1)
        atomic_write_text(out, json.dumps(measure(segmenter)))


def dice_by_case(folder: Path) -> dict[str, float]:
    """LV Dice of every validation cine, in the order of their names."""
    with (folder / SCORES / "cases.csv").open(encoding="utf-8", newline="") as file:
        found = {row["case"]: float(row["lv_dice"]) for row in csv.DictReader(file)}
    return {name: found[name] for name in sorted(found)}


def add_row(result: Path, settings: Mapping[str, Any], name: str, row: Mapping[str, Any]) -> None:
    """Put a row into a JSON of results; rows that were made with other settings go."""
    document = json.loads(result.read_text()) if result.is_file() else {}
    if {key: document.get(key) for key in settings} != settings:
        document = {**settings, "torch": torch.__version__, "rows": {}}
    document["rows"][name] = row
    atomic_write_text(result, json.dumps(document, indent=1) + "\n")
