"""Do the unlabelled terms help once a network has learned its labels? The cells of the lite suite, trained on.

Every control of a finished lite suite (labels alone) is trained on twice from its best weights: by the method and by the control
itself, for the same number of steps on the same labelled clips. Both start alike, so what tells them apart is the unlabelled term
and not the luck of the first steps. Ramps are shortened: every term has its full weight after a fifth of the run. Scored on the
validation cines, all frames. A finished run is not run again, and methods that were not run keep their row; `benchmarks/tables.py`
makes the table of docs/benchmarks.md from the JSON.

    python benchmarks/after_learning.py --work runs/after --lite OUT --data OUT/data [--methods sscf ...] [--steps 300]

OUT is the folder of `echoseg benchmark lite`.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from echoseg.datasets import open_dataset, read_simulation
from echoseg.metrics import compare_paired
from echoseg.recipes import RunConfig
from echoseg.recipes.stores import Stores
from echoseg.recipes.suites import EPOCHS, Cell, suite
from echoseg.train import BEST, load_checkpoint
from scored_runs import dice_by_case, is_scored, train_and_score

RESULT = Path(__file__).parent / "results" / "after_learning.json"
METHODS = ("meanteacher", "cps", "css", "echoforge", "ncm", "pkecho", "sscf")
FULL = 5
"""Every unlabelled term has its full weight after one part in this many of the run."""


def early(config: RunConfig) -> RunConfig:
    """The run with its unlabelled term in force early: the networks know their labels already."""
    ramp = config.train.steps // FULL
    changes: dict[str, dict[str, Any]] = {
        "meanteacher": {"start": 0, "ramp": ramp},
        "cps": {"start": 0, "ramp": ramp},
        "ncm": {"boundary_ramp": ramp},
        "sscf": {"ramp": ramp},
    }
    found = changes.get(config.method, {})
    if config.method == "echoforge":
        found = {"curriculum": replace(config.network.curriculum, burn_in=0, full=EPOCHS // FULL)}
    return replace(config, network=replace(config.network, **found))


def run_cell(name: str, source: Path, seed: int, steps: int, stores: Stores, folder: Path) -> None:
    """Train a variant of the suite on from the weights of `source` and score it, unless that was done."""
    variant = next(v for v in suite("lite", steps).variants if v.name == name)
    config = early(Cell(variant, seed).config)
    train_and_score(folder, replace(config, train=replace(config.train, init=str(source))), stores, "all")


def last_losses(folder: Path, count: int = 50) -> dict[str, float]:
    """Means of all loss terms over the last steps of a run."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if "loss" in line][-count:]
    return {key: float(np.mean([s[key] for s in steps if key in s])) for key in steps[-1] if key not in ("step", "lr")}


def summarise(work: Path, lite: Path, data: Path, seed: int, steps: int, before: dict) -> dict:
    """Both continuations of every method that has them, and their difference by cine; `before` keeps what it holds of the others."""
    same = (before.get("seed"), before.get("steps")) == (seed, steps)
    rows = dict(before["methods"]) if same else {}
    for method in METHODS:
        folders = [work / f"{name}-{steps}-s{seed}" for name in (method, f"{method}-supervised")]
        if not all(map(is_scored, folders)):
            continue
        mine, control = (dice_by_case(folder) for folder in folders)
        found = compare_paired(list(mine.values()), list(control.values()), np.random.default_rng(0))
        start = load_checkpoint(lite / "cells" / f"{method}-supervised-s{seed}" / BEST)
        rows[method] = {
            "start": start["val_dice"],
            "labels alone": float(np.mean(list(control.values()))),
            "method": float(np.mean(list(mine.values()))),
            "gain": {"mean": found.mean_difference, "interval": list(found.interval), "wilcoxon_p": found.wilcoxon_p},
            "losses": last_losses(folders[0]),
        }
    return {
        "sha256": read_simulation(data).sha256, "seed": seed, "steps": steps, "torch": torch.__version__, "methods": rows,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--lite", type=Path, required=True, help="folder of a lite suite with the runs of its controls")
    parser.add_argument("--data", type=Path, required=True, help="data folder of that suite")
    parser.add_argument("--methods", choices=METHODS, nargs="+", default=METHODS)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    stores = Stores(open_dataset(arguments.data))
    for method in arguments.methods:
        source = arguments.lite / "cells" / f"{method}-supervised-s{arguments.seed}"
        for name in (method, f"{method}-supervised"):
            folder = arguments.work / f"{name}-{arguments.steps}-s{arguments.seed}"
            run_cell(name, source, arguments.seed, arguments.steps, stores, folder)
        before = json.loads(RESULT.read_text()) if RESULT.is_file() else {}
        document = summarise(arguments.work, arguments.lite, arguments.data, arguments.seed, arguments.steps, before)
        RESULT.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
