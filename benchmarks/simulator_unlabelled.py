"""Do frames without labels help on the simulated cines, and how hard are the sets? A plain mean teacher against its control.

Twenty cines of a benchmark set are labelled at ED and ES. The mean teacher also sees the frames between and the other training
cines; its control is the same run with consistency weight 0: the same labelled frames in the same order, as many steps, the
same averaged weights. On simecho-v1-standard the control alone is run: it is the frame-wise supervised result. Every cell is a
run folder; one that is finished is not run again. `benchmarks/tables.py` makes the table of docs/simulator.md from the JSON.

    python benchmarks/simulator_unlabelled.py --work runs/unlabelled --seeds 0 1 2 [--steps 1600]
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import numpy as np
import torch

from echoseg.data import AugmentConfig
from echoseg.datasets import open_dataset, read_simulation
from echoseg.engine import Segmenter
from echoseg.evaluation import evaluate_model
from echoseg.methods.meanteacher import MeanTeacherConfig
from echoseg.metrics import compare_paired
from echoseg.recipes import DataConfig, ModelInfo, RunConfig
from echoseg.recipes.run import train_run
from echoseg.simulator.sets import write_set
from echoseg.train import TrainConfig

RESULTS = Path(__file__).parent / "results"
LABELLED = 20
MID, STANDARD = "simecho-v1-mid", "simecho-v1-standard"
CELLS = (("control", MID), ("meanteacher", MID), ("control", STANDARD))
CONSISTENCY = 1.0


def config(kind: str, steps: int, seed: int) -> RunConfig:
    """Mean teacher, or its control; both see the same labelled frames."""
    weight = CONSISTENCY if kind == "meanteacher" else 0.0
    augment = AugmentConfig(
        rotate_deg=15, zoom=(0.82, 1.2), aspect=(0.92, 1.09), shift=0.06, gamma=(0.65, 1.5), contrast=(0.75, 1.3),
        brightness=0.1, blur_px=0.6, noise=0.04, speckle=0.15, shadow=0.3, gain=0.25,
    )  # fmt: skip
    return RunConfig(
        "meanteacher",
        MeanTeacherConfig(
            stages=3, decoder=(96, 64, 32), consistency_weight=weight, start=steps // 2, ramp=steps // 16, frames=2,
            target="hard", threshold=0.8,
        ),
        DataConfig(
            size=112, clip_length=4, batch=4, unlabelled_batch=4, unlabelled_step_s=0.1, labelled_cines=LABELLED,
            augment=augment,
        ),
        TrainConfig(
            steps=steps, steps_per_epoch=50, optimiser="adamw", lr=1e-3, poly_power=0.6, warmup_steps=50,
            weight_decay=1e-2, validate_every=2, checkpoint_every=4, seed=seed,
        ),
        ModelInfo(kind),
    )  # fmt: skip


def run_cell(kind: str, name: str, seed: int, steps: int, work: Path) -> Path:
    """Train and evaluate one cell unless its scores are there."""
    folder, data = work / f"{kind}-{name}-{seed}", work / name
    if not (folder / "scores" / "evaluation.json").exists():
        model = train_run(config(kind, steps, seed), data, folder, device="cpu", resume=(folder / "run.json").exists())
        segmenter = Segmenter.load(model, threads=1)
        evaluate_model(segmenter, open_dataset(data), split="test", frames="all", out=folder / "scores")
    return folder / "scores"


def read_cases(scores: Path) -> dict[str, dict[str, float]]:
    """Dice of every test cine: all, clear and dropout frames."""
    with (scores / "cases.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = {"all": "lv_dice", "clear": "lv_dice_clear", "dropout": "lv_dice_dropout"}
    return {row["case"]: {k: float(row[c]) for k, c in columns.items() if row[c]} for row in rows}


def summarise(work: Path, seeds: list[int], steps: int) -> dict:
    """Of every cell its finished seeds, and the mean teacher's paired gain per test cine after averaging the seeds."""
    cells = {}
    for kind, name in CELLS:
        every = [work / f"{kind}-{name}-{seed}" / "scores" for seed in seeds]
        scores = [folder for folder in every if (folder / "evaluation.json").exists()]
        documents = [json.loads((folder / "evaluation.json").read_text()) for folder in scores]
        cells[f"{kind} {name}"] = {
            "sha256": read_simulation(work / name).sha256,
            "seeds": len(scores),
            "dice": {
                group: [d["LV"][group]["dice"]["mean"] for d in documents] for group in ("ED", "ES", "all", "clear", "dropout")
            },
            "ef_bias": [d["ef"]["labelled frames against expert masks"]["bias"] for d in documents],
            "ef_mae": [d["ef"]["labelled frames against expert masks"]["mae"] for d in documents],
        }  # fmt: skip
    gains = {}
    for group in ("all", "clear", "dropout"):
        by_kind = []
        for kind in ("meanteacher", "control"):
            cases = [read_cases(work / f"{kind}-{MID}-{seed}" / "scores") for seed in seeds]
            names = sorted(case for case in cases[0] if all(group in run[case] for run in cases))
            by_kind.append([float(np.mean([run[case][group] for run in cases])) for case in names])
        found = compare_paired(*by_kind, np.random.default_rng(0))
        gains[group] = {"mean": found.mean_difference, "interval": list(found.interval), "wilcoxon_p": found.wilcoxon_p}
    return {
        "labelled": LABELLED, "steps": steps, "seeds": seeds, "consistency": CONSISTENCY, "torch": torch.__version__,
        "cells": cells, "gain": gains,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=1600)
    parser.add_argument("--only", choices=[kind for kind, _ in CELLS], help="run these cells and write no summary")
    parser.add_argument("--set", choices=(MID, STANDARD), help="run the cells of this set alone")
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for kind, name in CELLS:
        if arguments.only not in (None, kind) or arguments.set not in (None, name):
            continue
        if not (arguments.work / name / "FileList.csv").exists():
            write_set(arguments.work / name, name, workers=arguments.workers)
        for seed in arguments.seeds:
            run_cell(kind, name, seed, arguments.steps, arguments.work)
    if arguments.only is None:
        RESULTS.mkdir(exist_ok=True)
        document = summarise(arguments.work, arguments.seeds, arguments.steps)
        (RESULTS / "simulator_unlabelled.json").write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
