"""A model that has seen simulated stills alone, on real ones: how much of the simulator carries over.

Simulated patients in the layout of CAMUS, ED and ES of both apical views, train the frame-wise network of the recipe `a4c-sim`;
the validation patients of a folder of real stills, which is not part of this repository, are then segmented. Variants take away a
preset made for real hearts, and the augmentation for other machines. A run that is finished is not run again.

    python benchmarks/simulation_to_real.py --work runs/real --camus DIR [--steps 1000] [--patients 600] [--only NAME]
"""

from __future__ import annotations

import argparse
import csv
import json
from dataclasses import replace
from pathlib import Path

import torch

from echoseg.cine import Structure
from echoseg.data import AugmentConfig
from echoseg.datasets import open_dataset
from echoseg.engine import Segmenter
from echoseg.evaluation import evaluate_model
from echoseg.recipes import RunConfig, recipe
from echoseg.recipes.run import train_run
from echoseg.simulator import Preset, get_preset, write_camus

RESULT = Path(__file__).parent / "results" / "simulation_to_real.json"
SEED, FPS = 5, 6.0
"""Few frames a second: only the labelled ones are used."""
EF = "labelled frames against expert masks"


def variants() -> dict[str, tuple[Preset, AugmentConfig]]:
    """What is trained on: preset and augmentation."""
    broad, machines = get_preset("broad"), AugmentConfig.machines()
    return {
        "broad": (broad, machines),
        "standard": (get_preset("standard"), machines),
        "plain augmentation": (broad, AugmentConfig()),
    }


def config(augment: AugmentConfig, steps: int) -> RunConfig:
    """The recipe, shortened."""
    chosen = recipe("a4c-sim")
    return replace(
        chosen, data=replace(chosen.data, augment=augment), train=replace(chosen.train, steps=steps, average=0.995)
    )


def area_error(scores: Path) -> float:
    """Mean |predicted / expert area - 1| of the LV over all stills."""
    with (scores / "areas.csv").open(encoding="utf-8", newline="") as file:
        rows = [(float(row["predicted"]), float(row["expert"])) for row in csv.DictReader(file)]
    return sum(abs(p / e - 1) for p, e in rows) / len(rows)


def write_areas(segmenter: Segmenter, camus: Path, out: Path) -> None:
    """Pixels of the LV in the predicted and in the expert mask of every still."""
    dataset = open_dataset(camus)
    with out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["case", "frame", "predicted", "expert"])
        for case in dataset.cases("val"):
            cine = dataset.load(case, "edes")
            found = segmenter(cine).masks
            for frame, mask in cine.masks.items():
                writer.writerow([case.id, frame, (found[frame] == Structure.LV).sum(), (mask == Structure.LV).sum()])


def run_variant(name: str, steps: int, patients: int, camus: Path, work: Path) -> None:
    """Simulate, train and evaluate one variant unless its scores are there."""
    preset, augment = variants()[name]
    folder = work / name.replace(" ", "-")
    data, scores = work / f"stills-{preset.name}", folder / "scores"
    if (scores / "areas.csv").exists():
        return
    if not (data / "database_split" / "subgroup_training.txt").exists():
        write_camus(data, {"training": patients, "validation": 20}, seed=SEED, preset=preset, fps=FPS)
    model = train_run(config(augment, steps), data, folder, device="cpu", resume=(folder / "run.json").exists())
    segmenter = Segmenter.load(model, threads=1)
    evaluate_model(segmenter, open_dataset(camus), split="val", frames="edes", out=scores)
    write_areas(segmenter, camus, scores / "areas.csv")


def summarise(steps: int, patients: int, work: Path) -> dict:
    """What the table shows of every finished variant; those of the same steps and patients in an earlier JSON stay."""
    earlier = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    same = (earlier.get("steps"), earlier.get("patients")) == (steps, patients)
    models = dict(earlier["models"]) if same else {}
    for name in variants():
        scores = work / name.replace(" ", "-") / "scores"
        if not (scores / "areas.csv").exists():
            continue
        found = json.loads((scores / "evaluation.json").read_text())
        models[name] = {
            "dice": {group: found["LV"][group]["dice"] for group in ("all", "ED", "ES")},
            "structures": {key: value["dice"] for key, value in found["structures"].items()},
            "area_error": area_error(scores),
            "ef": {key: found["ef"][EF][key] for key in ("bias", "mae", "r", "n")},
        }
    note = f"{patients} simulated patients in two views, {steps} steps of 16 stills, one seed."
    return {"steps": steps, "patients": patients, "torch": torch.__version__, "note": note, "models": models}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--camus", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--patients", type=int, default=600)
    parser.add_argument("--only", choices=tuple(variants()))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in variants():
        if arguments.only in (None, name):
            run_variant(name, arguments.steps, arguments.patients, arguments.camus, arguments.work)
    document = summarise(arguments.steps, arguments.patients, arguments.work)
    RESULT.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
