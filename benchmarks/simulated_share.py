"""Do simulated stills beside real ones help? The network of `a4c`, smaller and shorter, with none of its stills simulated, an eighth, a quarter or a half.

All begin at random weights and take as many steps: what is simulated takes the place of real stills. Scored on the stills of the
CAMUS validation patients as they are and under the strongest augmentation, which stands for other machines, and on simulated
half beats in a style that no training has seen. A run that is finished is not made again.

    echoseg simulate SIM --format camus --preset broad --foreshortened --fps 6 --splits 700 5 5 --seed 41
    python benchmarks/simulated_share.py --work runs/share --camus DIR --also SIM [--shares 0 0.25] [--steps 1500]

The images are not part of this repository. `benchmarks/tables.py` makes the table of docs/models.md from the JSON.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from echoseg.datasets import open_dataset
from echoseg.metrics import compare_paired
from echoseg.recipes import RunConfig, recipe
from echoseg.recipes.stores import Stores
from scored_runs import SCORES, add_row, dice_by_case, measure_once, train_and_score
from shipped_model import changed_stills, unseen_style

RESULT = Path(__file__).parent / "results" / "simulated_share.json"
SHARES = (0.0, 0.125, 0.25, 0.5)
MORE = "elsewhere.json"
"""In a run's scores: those on other pictures than the validation stills as they are."""


def configuration(share: float, steps: int, seed: int) -> RunConfig:
    """The second part of `a4c`'s training from random weights, at 112 px."""
    chosen = recipe("a4c-fine")
    data = replace(chosen.data, size=112, stored_size=160, also_share=share)
    train = replace(chosen.train, steps=steps, average=0.995, init=None, seed=seed)
    return replace(chosen, data=data, train=train)


def run_share(folder: Path, config: RunConfig, stores: Stores, camus: Path, also: Path) -> None:
    """Train and score, unless that was done."""
    train_and_score(folder, config, stores, "edes", also=also if config.data.also_share else None)
    measure_once(folder, MORE, lambda model: {"changed": changed_stills(model, camus), "unseen": unseen_style(model)})


def row(folder: Path, control: Path | None) -> dict[str, Any]:
    """What the table says of a share; the gain over none is paired by patient."""
    cases = dice_by_case(folder)
    found: dict[str, Any] = {"dice": float(np.mean(list(cases.values())))}
    if control is not None:
        gain = compare_paired(list(cases.values()), list(dice_by_case(control).values()), np.random.default_rng(0))
        found["gain"] = {"mean": gain.mean_difference, "interval": list(gain.interval), "wilcoxon_p": gain.wilcoxon_p}
    return found | json.loads((folder / SCORES / MORE).read_text())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--camus", type=Path, required=True)
    parser.add_argument("--also", type=Path, required=True)
    parser.add_argument("--shares", type=float, choices=SHARES, nargs="+", default=SHARES)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    stores = Stores(open_dataset(arguments.camus))

    def folder_of(share: float) -> Path:
        return arguments.work / f"{share:g}-{arguments.steps}-{arguments.seed}"

    for share in dict.fromkeys((0.0, *arguments.shares)):  # the first is what all are compared with
        config = configuration(share, arguments.steps, arguments.seed)
        run_share(folder_of(share), config, stores, arguments.camus, arguments.also)
        settings = {"steps": arguments.steps, "batch": config.data.batch, "seed": arguments.seed}
        add_row(RESULT, settings, f"{share:g}", row(folder_of(share), folder_of(0.0) if share else None))


if __name__ == "__main__":
    main()
