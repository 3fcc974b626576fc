"""Labels halved and halved again on real stills: learning from the other patients without labels, against labels alone.

A half, a quarter, an eighth and a sixteenth of the training patients are labelled; the rest gives unlabelled stills. Three ways:

mean teacher    Its control is the same run with consistency weight 0: the same labelled stills in the same order, as many steps, the
                same averaged weights. With all labels the control alone is run. Both begin at the shipped `a4c-sim`, which has never
                seen a real heart.
self-training   The control goes on for as many steps again, twice: `longer` with its labels alone, and as the student of the model that
                it was until then, which says what it thinks of the stills without labels (method `distilled`).
cross           Two networks from random weights, which give each other labels (cross pseudo supervision); `apart` is its control, the
                same two networks without.

Scored on the validation patients at native size. A cell that is finished is not run again; rows of the JSON whose cells are not
there stay as they are.

    python benchmarks/label_halving.py --work runs/halving --camus DIR [--steps 1200] [--seeds 0] [--only 1/8] [--kinds longer ...]

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

from echoseg.data import AugmentConfig
from echoseg.datasets import open_dataset
from echoseg.methods.cps import CPSConfig
from echoseg.methods.distilled import DistilledConfig
from echoseg.methods.framewise import FrameWiseConfig
from echoseg.methods.meanteacher import MeanTeacherConfig
from echoseg.metrics import compare_paired
from echoseg.recipes import DataConfig, ModelInfo, RunConfig
from echoseg.recipes.run import MODEL_DIR
from echoseg.recipes.stores import Stores
from echoseg.train import TrainConfig
from scored_runs import dice_by_case, is_scored, train_and_score

RESULT = Path(__file__).parent / "results" / "label_halving.json"
SHARES = {"1": 1.0, "1/2": 0.5, "1/4": 0.25, "1/8": 0.125, "1/16": 0.0625}
KINDS = ("control", "mean teacher", "longer", "self-training", "apart", "cross")
PAIRS = {
    "gain": ("mean teacher", "control"),
    "gain of self-training": ("self-training", "longer"),
    "gain of cross": ("cross", "apart"),
}
ALONE = ("control", "longer", "apart")
"""Kinds that learn from labels alone."""
AUGMENT = replace(AugmentConfig.machines(), zoom=(0.8, 1.2), flip=0.0, marks=0.0)
"""Milder than for other machines: all stills here come from one."""
UNET: dict[str, Any] = {"stages": 3, "decoder": (96, 64, 32), "channels": 4}
START = "a4c-sim"
"""Its network is the one that is trained here."""


def config(kind: str, labelled: int, steps: int, seed: int) -> RunConfig:
    """Mean teacher, or its control; both see the same labelled stills."""
    weight = 1.0 if kind == "mean teacher" else 0.0
    return RunConfig(
        "meanteacher",
        MeanTeacherConfig(
            **UNET, consistency_weight=weight, start=steps // 4, ramp=steps // 8,
            frames=2, target="hard", threshold=0.8,
        ),
        DataConfig(
            size=112, stored_size=144, clip_length=2, batch=4, unlabelled_batch=4 if weight else 0, labelled_cines=labelled,
            augment=AUGMENT,
        ),
        TrainConfig(
            steps=steps, steps_per_epoch=50, optimiser="adamw", lr=1e-3, poly_power=0.6, warmup_steps=50,
            weight_decay=1e-2, validate_every=4, checkpoint_every=4, seed=seed, init=START,
        ),
        ModelInfo(kind),
    )  # fmt: skip


def cross(kind: str, labelled: int, steps: int, seed: int) -> RunConfig:
    """Cross pseudo supervision, or its two networks apart; scored with the first network's averaged weights."""
    base = config("mean teacher" if kind == "cross" else "control", labelled, steps, seed)
    weight = 1.5 if kind == "cross" else 0.0
    network = CPSConfig(**UNET, cross_weight=weight, start=steps // 4, ramp=steps // 2, frames=2)
    train = replace(base.train, init=None, average=0.99)
    return replace(base, method="cps", network=network, train=train)


def second(kind: str, labelled: int, steps: int, seed: int, first: Path) -> RunConfig:
    """The control's run `first` trained on: with its labels alone, or with itself as the teacher."""
    base = config("control", labelled, steps, seed)
    base = replace(base, train=replace(base.train, init=str(first), average=0.99))
    if kind == "longer":
        return replace(base, method="framewise", network=FrameWiseConfig(**UNET))
    network = DistilledConfig(**UNET, teacher=str(first / MODEL_DIR), share=0.5, frames=2)
    return replace(base, method="distilled", network=network, data=replace(base.data, unlabelled_batch=4))


def cell(work: Path, kind: str, share: str, steps: int, seed: int) -> Path:
    """Folder of a run."""
    return work / f"{kind}-{share}-{steps}-{seed}".replace("/", "of").replace(" ", "-")


def summarise(work: Path, patients: int, steps: int, seeds: list[int], before: dict) -> dict:
    """Mean LV Dice at every share whose runs are finished, and the paired gains by patient after averaging the seeds.

    Args:
        work: folder of the runs.
        patients: for training.
        steps: of a run.
        seeds: of every cell.
        before: an earlier summary; what it holds of the same steps and seeds and was not measured again is kept.
    """
    same = (before.get("steps"), before.get("seeds"), before.get("patients")) == (steps, seeds, patients)
    kept = before["shares"] if same else {}
    rows = {}
    for share, part in SHARES.items():
        row: dict = {"labelled": round(part * patients), **kept.get(share, {})}
        cases: dict[str, list[float]] = {}
        for kind in KINDS:
            folders = [cell(work, kind, share, steps, seed) for seed in seeds]
            if not all(map(is_scored, folders)):
                continue
            every = [dice_by_case(folder) for folder in folders]
            cases[kind] = [float(np.mean([run[name] for run in every])) for name in every[0]]
            row[kind] = {
                "dice": float(np.mean(cases[kind])),
                "seeds": [float(np.mean(list(run.values()))) for run in every],
            }
        for name, (ours, theirs) in PAIRS.items():
            if ours in cases and theirs in cases:
                found = compare_paired(cases[ours], cases[theirs], np.random.default_rng(0))
                row[name] = {
                    "mean": found.mean_difference, "interval": list(found.interval), "wilcoxon_p": found.wilcoxon_p,
                }  # fmt: skip
        rows[share] = row
    return {
        "patients": patients,
        "start": START,
        "steps": steps,
        "seeds": seeds,
        "torch": torch.__version__,
        "shares": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--camus", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--only", choices=tuple(SHARES))
    parser.add_argument("--kinds", choices=KINDS, nargs="+", default=KINDS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    stores = Stores(open_dataset(arguments.camus))
    patients = len(stores.dataset.cases("train"))
    for share, part in reversed(SHARES.items()):
        for kind in arguments.kinds:
            if arguments.only not in (None, share) or (share == "1" and kind not in ALONE):
                continue
            for seed in arguments.seeds:
                settings = round(part * patients), arguments.steps, seed
                first = cell(arguments.work, "control", share, arguments.steps, seed)
                if kind in PAIRS["gain of self-training"]:
                    chosen = second(kind, *settings, first)
                else:
                    chosen = (cross if kind in PAIRS["gain of cross"] else config)(kind, *settings)
                folder = cell(arguments.work, kind, share, arguments.steps, seed)
                train_and_score(folder, chosen, stores, "edes")
    before = json.loads(RESULT.read_text()) if RESULT.is_file() else {}
    document = summarise(arguments.work, patients, arguments.steps, arguments.seeds, before)
    RESULT.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
