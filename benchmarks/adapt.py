"""The shipped `a4c` trained on with a few labelled patients of a machine that it has never seen, beside the same run from random weights.

The machine is simulated, in a scanner style that no training has met; so it says what a few labels do for a change of picture, not for a
change of hearts. A run that is finished is not run again.

    python benchmarks/adapt.py --work runs/adapt [--patients 10] [--steps 300]
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch

from echoseg.datasets import open_dataset
from echoseg.engine import Segmenter
from echoseg.evaluation import evaluate_model
from echoseg.recipes import RunConfig, recipe
from echoseg.recipes.run import train_run
from echoseg.simulator import get_preset, write_camus

RESULT = Path(__file__).parent / "results" / "adapt.json"
STYLE, SEED, FPS, TEST = "coarse", 77, 6.0, 30
"""Few frames a second: only the labelled ones are used."""
STARTS = {"adapted": "a4c", "random weights": None}


def config(start: str | None, steps: int) -> RunConfig:
    """The recipe, shortened."""
    chosen = recipe("adapt")
    return replace(chosen, train=replace(chosen.train, steps=steps, init=start))


def scores(model: str | Path, data: Path) -> dict:
    """LV Dice of the test stills, and EF against that of the true masks."""
    document = evaluate_model(Segmenter.load(model, threads=1), open_dataset(data), split="test")
    ef = document["ef"]["labelled frames against expert masks"]
    return {"dice": document["LV"]["all"]["dice"], "ef": {name: ef[name] for name in ("bias", "mae", "r", "n")}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--patients", type=int, default=10)
    parser.add_argument("--steps", type=int, default=300)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = arguments.work / f"{STYLE}-{arguments.patients}"
    if not (data / "database_split" / "subgroup_training.txt").exists():
        preset = replace(get_preset("standard"), name=STYLE, styles=(STYLE,))
        patients = {"training": arguments.patients, "validation": 5, "testing": TEST}
        write_camus(data, patients, seed=SEED, preset=preset, fps=FPS)
    found = {"as it ships": scores("a4c", data)}
    for name, start in STARTS.items():
        run = arguments.work / f"{name.replace(' ', '-')}-{arguments.patients}-{arguments.steps}"
        resume = (run / "run.json").exists()
        found[name] = scores(train_run(config(start, arguments.steps), data, run, device="cpu", resume=resume), data)
    document = {
        "style": STYLE, "patients": arguments.patients, "steps": arguments.steps, "test_patients": TEST, "models": found,
    }  # fmt: skip
    RESULT.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
