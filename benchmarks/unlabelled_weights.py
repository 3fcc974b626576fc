"""Are the unlabelled terms too light? The lite suite's methods whose term asks for next to nothing, with heavier ones.

The weight of each term is multiplied by a factor, everything else is the suite's cell: labels, clips, steps, seed. Beside it stands the
method's control. Scored on the validation cines, all frames, so that a weight may be chosen here and tested on the test cines. A
finished run is not run again, and what was not run keeps its row;
`benchmarks/tables.py` makes the table of docs/benchmarks.md from the JSON.

    python benchmarks/unlabelled_weights.py --work runs/weights --data DIR [--methods echoforge css ncm] [--steps 500] [--seeds 0]

DIR holds the set of the suite (`echoseg simulate DIR --set simecho-v1-mid`).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from echoseg.datasets import open_dataset, read_simulation
from echoseg.metrics import compare_paired
from echoseg.recipes import RunConfig
from echoseg.recipes.stores import Stores
from echoseg.recipes.suites import Cell, Variant, suite
from scored_runs import dice_by_case, is_scored, train_and_score

RESULT = Path(__file__).parent / "results" / "unlabelled_weights.json"
CONTROL = "control"


def css(config: RunConfig, factor: float) -> RunConfig:
    """A heavier cyclical loss."""
    return replace(config, network=replace(config.network, css_weight=factor * config.network.css_weight))


def ncm(config: RunConfig, factor: float) -> RunConfig:
    """A heavier boundary constraint."""
    return replace(config, network=replace(config.network, boundary_weight=factor * config.network.boundary_weight))


def echoforge(config: RunConfig, factor: float) -> RunConfig:
    """A larger lambda_max of the pseudo-labels."""
    curriculum = config.network.curriculum
    return replace(
        config, network=replace(config.network, curriculum=replace(curriculum, weight=factor * curriculum.weight))
    )


CHANGES: dict[str, tuple[Callable[[RunConfig, float], RunConfig], tuple[int, ...]]] = {
    "echoforge": (echoforge, (3,)),
    "ncm": (ncm, (100,)),
    "css": (css, (20,)),
}
"""Method -> what makes its term heavier, and by which factors: each gives a gradient of about a fifth of the labels', as cross pseudo supervision has."""


def folder_of(work: Path, method: str, change: str, steps: int, seed: int) -> Path:
    """Folder of a run."""
    return work / f"{method}-{change}-{steps}-{seed}"


def configuration(method: str, change: str, steps: int, seed: int) -> RunConfig:
    """The suite's cell with its weight changed, or that of its control."""
    wanted = f"{method}-supervised" if change == CONTROL else method
    config: Any = next(v for v in suite("lite", steps).variants if v.name == wanted).config
    heavier, _ = CHANGES[method]
    changed = config if change == CONTROL else heavier(config, float(change))
    found: Any = Cell(Variant(f"{method}-{change}", changed), seed).config
    return found


def summarise(work: Path, data: Path, steps: int, seeds: list[int], before: dict) -> dict:
    """Every change that is finished with all seeds, beside its control, by cine after averaging the seeds; `before` keeps the others."""

    def means(method: str, change: str) -> dict[str, list[float]] | None:
        folders = [folder_of(work, method, change, steps, seed) for seed in seeds]
        if not all(map(is_scored, folders)):
            return None
        runs = [dice_by_case(folder) for folder in folders]
        return {name: [run[name] for run in runs] for name in runs[0]}

    same = (before.get("steps"), before.get("seeds")) == (steps, seeds)
    methods: dict[str, dict] = dict(before["methods"]) if same else {}
    for method, (_, factors) in CHANGES.items():
        control = means(method, CONTROL)
        if control is None:
            continue
        methods[method] = {"control": float(np.mean(list(control.values()))), "changes": {}}
        for change in map(str, factors):
            found = means(method, change)
            if found is None:
                continue
            one, other = ([float(np.mean(run)) for run in runs.values()] for runs in (found, control))
            gain = compare_paired(one, other, np.random.default_rng(0))
            by_seed = np.mean(list(found.values()), 0) - np.mean(list(control.values()), 0)
            methods[method]["changes"][change] = {
                "dice": float(np.mean(one)),
                "gain": gain.mean_difference,
                "interval": list(gain.interval),
                "seeds": [float(value) for value in by_seed],
            }
    return {
        "sha256": read_simulation(data).sha256,
        "seeds": seeds,
        "steps": steps,
        "torch": torch.__version__,
        "methods": methods,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--methods", choices=tuple(CHANGES), nargs="+", default=tuple(CHANGES))
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    stores = Stores(open_dataset(arguments.data))
    for method in arguments.methods:
        for seed in arguments.seeds:
            for change in (CONTROL, *map(str, CHANGES[method][1])):
                folder = folder_of(arguments.work, method, change, arguments.steps, seed)
                train_and_score(folder, configuration(method, change, arguments.steps, seed), stores, "all")
                before = json.loads(RESULT.read_text()) if RESULT.is_file() else {}
                document = summarise(arguments.work, arguments.data, arguments.steps, arguments.seeds, before)
                RESULT.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
