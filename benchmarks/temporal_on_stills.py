"""Does a network that sees time do better on real hearts? The methods on animated stills, beside the frame-wise network on the stills themselves.

The patients of CAMUS have two labelled frames. For methods that look at clips the frames between them are made (semi-synthetic,
`--data.animate`); a quarter of the clips is simulated half beats. All learn the LV at 112 px from random weights, in the size of the
suite `lite`, from the same stills in as many steps, each with the optimiser of its recipe, and predict with averaged weights. A run that is finished is not made again.

Scored on the 50 validation patients, and on simulated half beats in a style that no training has seen:

pair     ED and ES as a cine of two frames
alone    every still as a cine of one frame
beats    all frames of the simulated half beats, and how rough the area is over time

    echoseg simulate SIM --format camus --preset broad --foreshortened --fps 25 --splits 100 4 4 --seed 43
    python benchmarks/temporal_on_stills.py --work runs/temporal --camus DIR --also SIM [--methods ncm ...] [--steps 800]

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

from echoseg.cine import Cine, Structure
from echoseg.data import AugmentConfig
from echoseg.datasets import Dataset, open_dataset
from echoseg.engine import Segmenter
from echoseg.metrics import compare_paired, dice
from echoseg.recipes import RunConfig
from echoseg.recipes.stores import Stores
from echoseg.recipes.suites import Cell, Variant, suite
from scored_runs import SCORES, add_row, dice_by_case, measure_once, train_and_score
from shipped_model import unseen_style

RESULT = Path(__file__).parent / "results" / "temporal_on_stills.json"
FRAMEWISE = "framewise"
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    FRAMEWISE: (FRAMEWISE, {}),
    "pkecho": ("pkecho", {}),
    "ncm": ("ncm", {}),
    "ncm-one-frame": ("ncm", {"local": False}),
    "sscf": ("sscf", {}),
    "echoforge": ("echoforge", {}),
}
"""Row -> variant of the suite, and what is changed of its network: NCM-style without its neighbours tells what they give."""
SIZE, STORED, CLIP, BATCH, ALSO = 112, 144, 6, 4, 0.25
AUGMENT = replace(AugmentConfig.machines(), zoom=(0.8, 1.2), flip=0.0, marks=0.0)
"""Milder than for other machines: all real stills come from one."""
MORE = "temporal.json"
"""In a run's scores: what only this script measures."""
EF = "labelled frames against expert masks"


def configuration(method: str, steps: int, seed: int) -> RunConfig:
    """The method of the suite `lite` on all patients."""
    variant, changes = METHODS[method]
    found: Any = next(one for one in suite("lite", steps).variants if one.name == variant).config
    still = method == FRAMEWISE
    data = replace(
        found.data, size=SIZE, stored_size=STORED, batch=BATCH, clip_length=2 if still else CLIP, animate=not still, also_share=ALSO,
        unlabelled_batch=0, labelled_cines=None, augment=AUGMENT,
    )  # fmt: skip
    network, train = replace(found.network, **changes), replace(found.train, average=0.99)
    averaged = replace(found, network=network, data=data, train=train)
    chosen: Any = Cell(Variant(method, averaged), seed).config
    return chosen


def dice_alone(segmenter: Segmenter, dataset: Dataset) -> dict[str, float]:
    """Mean LV Dice of the two stills of every validation patient, each a cine of its own."""
    found = {}
    for case in dataset.cases("val"):
        cine = dataset.load(case, "edes")
        single = replace(cine.meta, n_frames=1)
        scores = []
        for frame, truth in cine.masks.items():
            mask = segmenter(Cine(single, cine.frames[frame : frame + 1])).masks[0]
            scores.append(dice(mask == Structure.LV, truth == Structure.LV))
        found[case.id] = float(np.mean(scores))
    return found


def run_method(folder: Path, config: RunConfig, stores: Stores, also: Path) -> None:
    """Train and score, unless that was done."""
    train_and_score(folder, config, stores, "edes", also=also)
    data = stores.dataset
    measure_once(folder, MORE, lambda model: {"alone": dice_alone(model, data), "beats": unseen_style(model)})


def row(folder: Path, control: Path) -> dict[str, Any]:
    """What the table says of a method; gains over the frame-wise network are paired by patient."""
    scored = json.loads((folder / SCORES / "evaluation.json").read_text())
    more, theirs = (json.loads((place / SCORES / MORE).read_text()) for place in (folder, control))
    cases = {"pair": (dice_by_case(folder), dice_by_case(control)), "alone": (more["alone"], theirs["alone"])}
    found: dict[str, Any] = {"ef": {key: scored["ef"][EF][key] for key in ("bias", "mae", "r")}, "beats": more["beats"]}
    for name, (ours, other) in cases.items():
        names = sorted(ours)
        gain = compare_paired([ours[n] for n in names], [other[n] for n in names], np.random.default_rng(0))
        found[name] = {"dice": float(np.mean(list(ours.values())))}
        if folder != control:
            found[name]["gain"] = {"mean": gain.mean_difference, "interval": list(gain.interval)}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--camus", type=Path, required=True)
    parser.add_argument("--also", type=Path, required=True)
    parser.add_argument("--methods", choices=tuple(METHODS), nargs="+", default=tuple(METHODS))
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    stores = Stores(open_dataset(arguments.camus))

    def folder_of(method: str) -> Path:
        return arguments.work / f"{method}-{arguments.steps}-{arguments.seed}"

    for method in dict.fromkeys((FRAMEWISE, *arguments.methods)):  # the first is what all are compared with
        config = configuration(method, arguments.steps, arguments.seed)
        run_method(folder_of(method), config, stores, arguments.also)
        settings = {"steps": arguments.steps, "batch": BATCH, "seed": arguments.seed}
        add_row(RESULT, settings, method, row(folder_of(method), folder_of(FRAMEWISE)))


if __name__ == "__main__":
    main()
