"""EchoForge lite against frame-wise networks at an equal number of steps, on simulated cines labelled at ED and ES only.

Every cell (variant x seed) is a run folder; a cell whose scores exist is not run again. Writes
`benchmarks/results/echoforge_vs_framewise_STEPS.json`; `benchmarks/tables.py` makes the table of docs/methods/echoforge.md from it.

    python benchmarks/echoforge_vs_framewise.py --work runs/echoforge-250 --steps 250 --seeds 0 1
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from echoseg.datasets import open_dataset
from echoseg.engine import Segmenter
from echoseg.evaluation import evaluate_model
from echoseg.metrics import compare_paired
from echoseg.recipes import RunConfig
from echoseg.recipes.demo import demo_echoforge, demo_framewise
from echoseg.recipes.run import train_run
from echoseg.simulator import ClipOptions, write_echonet

RESULTS = Path(__file__).parent / "results"
PRESET, DATA_SEED = "mid", 20
CINES = {"TRAIN": 24, "VAL": 6, "TEST": 40}
CLIP = ClipOptions(fps=50.0, duration_s=1.2)


def variants(steps: int) -> dict[str, RunConfig]:
    """The method, its ablations and the baseline; all see the same labelled clips in the same order."""
    full = demo_echoforge()
    plain = replace(full, data=replace(full.data, clip_length=2))
    chosen = {
        "framewise": demo_framewise(),
        "echoforge": full,
        "echoforge without CPR": replace(full, network=replace(full.network, cpr=False)),
        "echoforge without TSF, ARC, CPR": replace(
            plain, network=replace(full.network, tsf=False, arc=False, cpr=False)
        ),
    }
    schedule = {"steps": steps, "steps_per_epoch": steps // 50}
    return {name: replace(c, train=replace(c.train, **schedule)) for name, c in chosen.items()}


def run_cell(name: str, config: RunConfig, seed: int, data: Path, work: Path) -> None:
    """Train and evaluate one cell unless its scores are there."""
    folder = work / f"{name.replace(' ', '-').replace(',', '')}-{seed}"
    if (folder / "scores" / "evaluation.json").exists():
        return
    config = replace(config, train=replace(config.train, seed=seed))
    model = train_run(config, data, folder, device="cpu", resume=True)
    evaluate_model(
        Segmenter.load(model, threads=1), open_dataset(data), split="test", frames="all", out=folder / "scores"
    )


def summarise(work: Path, seeds: list[int], steps: int) -> dict:
    """Means over seeds, and the paired difference to the baseline per test cine (seeds averaged first)."""
    rows, per_case = {}, {}
    for name in variants(steps):
        documents, cases = [], []
        for seed in seeds:
            scores = work / f"{name.replace(' ', '-').replace(',', '')}-{seed}" / "scores"
            if not (scores / "evaluation.json").exists():
                continue
            documents.append(json.loads((scores / "evaluation.json").read_text()))
            lines = (scores / "cases.csv").read_text().splitlines()[1:]
            cases.append([float(line.split(",")[1]) for line in lines])
        if not documents:
            continue
        per_case[name] = np.mean(cases, axis=0)
        everything = [d["LV"]["all"] for d in documents]
        rows[name] = {
            "seeds": len(documents),
            "dice_edes": [(d["LV"]["ED"]["dice"]["mean"] + d["LV"]["ES"]["dice"]["mean"]) / 2 for d in documents],
            "dice_all": [d["dice"]["mean"] for d in everything],
            "hd95_px": [d["distances"]["hd95_pooled"]["mean"] for d in everything],
            "ef_mae": [d["ef"]["found beats against published"]["mae"] for d in documents],
            "ef_bias": [d["ef"]["found beats against published"]["bias"] for d in documents],
            "area_roughness": [d["area_roughness"] for d in documents],
        }
    for name, values in per_case.items():
        if name != "framewise" and "framewise" in per_case:
            found = compare_paired(values.tolist(), per_case["framewise"].tolist(), np.random.default_rng(0))
            rows[name]["gain_over_framewise"] = {
                "dice_all": found.mean_difference, "interval": list(found.interval), "wilcoxon_p": found.wilcoxon_p,
            }  # fmt: skip
    return {
        "preset": PRESET, "data_seed": DATA_SEED, "cines": CINES, "steps": steps, "torch": torch.__version__, "variants": rows,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="*", help="names of variants; all if not given")
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    data = arguments.work / "data"
    if not (data / "FileList.csv").exists():
        write_echonet(data, CINES, seed=DATA_SEED, preset=PRESET, workers=2, clip=CLIP)
    for seed in arguments.seeds:
        for name, config in variants(arguments.steps).items():
            if not arguments.only or name in arguments.only:
                run_cell(name, config, seed, data, arguments.work)
    result = RESULTS / f"echoforge_vs_framewise_{arguments.steps}.json"
    RESULTS.mkdir(exist_ok=True)
    result.write_text(json.dumps(summarise(arguments.work, arguments.seeds, arguments.steps), indent=1) + "\n")


if __name__ == "__main__":
    main()
