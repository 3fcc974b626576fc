"""Runs that a benchmark trains and scores once: what is there is not made again."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Literal

from echoseg.engine import Segmenter
from echoseg.evaluation import evaluate_model
from echoseg.recipes import RunConfig
from echoseg.recipes.run import train_run
from echoseg.recipes.stores import Stores

SCORES = "scores"


def is_scored(folder: Path) -> bool:
    """Whether a run is finished and scored."""
    return (folder / SCORES / "evaluation.json").exists()


def train_and_score(folder: Path, config: RunConfig, stores: Stores, frames: Literal["edes", "all"]) -> None:
    """Train a run on one CPU and score it on the validation cines, unless that was done; what was interrupted goes on."""
    if is_scored(folder):
        return
    model = train_run(config, stores, folder, device="cpu", resume=(folder / "run.json").exists())
    segmenter = Segmenter.load(model, threads=1)
    evaluate_model(segmenter, stores.dataset, split="val", frames=frames, out=folder / SCORES)


def dice_by_case(folder: Path) -> dict[str, float]:
    """LV Dice of every validation cine, in the order of their names."""
    with (folder / SCORES / "cases.csv").open(encoding="utf-8", newline="") as file:
        found = {row["case"]: float(row["lv_dice"]) for row in csv.DictReader(file)}
    return {name: found[name] for name in sorted(found)}
