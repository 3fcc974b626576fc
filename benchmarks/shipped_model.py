"""The shipped model on the 50 CAMUS validation patients and on the real cine that pydicom brings along, and what it costs.

The images are not part of the repository: name a copy of CAMUS.

    python benchmarks/shipped_model.py CAMUS_FOLDER
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pydicom.examples

from echoseg.cine import Cine, CineMeta, Structure
from echoseg.clinical import measure_cine
from echoseg.datasets import open_dataset
from echoseg.engine import Segmenter
from echoseg.evaluation import evaluate_model
from echoseg.metrics import Reliability, auroc, dice, temporal_consistency

LOW_DICE = 0.9
RESULT = Path(__file__).parent / "results" / "a4c_validation.json"


def real_cine(segmenter: Segmenter) -> dict:
    """What the numbers say of a cine without expert masks."""
    segmentation = segmenter(Path(pydicom.examples.get_path("ybr_color")))
    indices = measure_cine(segmentation)
    steadiness = temporal_consistency(mask == Structure.LV for mask in segmentation.masks)
    return {
        "frames": len(segmentation.masks),
        "empty_frames": steadiness.n_empty,
        "area_roughness": steadiness.area_roughness,
        "ef_percent": None if indices.summary is None else indices.summary.ef_percent,
        "quality": indices.quality.flag.value,
    }


def calibration(segmenter: Segmenter, camus: Path) -> dict:
    """Reliability of the LV's probability and whether a frame's confidence finds low Dice, over the validation stills.

    Pixels that the network gives less than 0.5 % and that are no ventricle are left out: the background would hide all else.
    """
    dataset = open_dataset(camus)
    diagrams: dict[str, Reliability] = {}
    confidences, scores = [], []
    for case in dataset.cases("val"):
        cine = dataset.load(case, "edes")
        session = segmenter.session(cine.meta)
        for number, frame in enumerate(cine.frames):
            result = session.step(frame)
            truth, found = cine.masks[number] == Structure.LV, result.probabilities[Structure.LV]
            counted = (found > 0.005) | truth
            for group in ("all", f"quality {case.quality}"):
                diagrams.setdefault(group, Reliability()).add(found[counted].clip(0, 1), truth[counted])
            confidences.append(result.confidence)
            scores.append(dice(result.mask == Structure.LV, truth))
    low = [score < LOW_DICE for score in scores]
    return {
        "ece": {group: diagram.ece for group, diagram in diagrams.items()},
        "bins": [[one.probability, one.frequency, one.count] for one in diagrams["all"].bins if one.count],
        "confidence": {"auroc": auroc([-value for value in confidences], low), "n_low": sum(low), "n": len(low)},
    }


def milliseconds(segmenter: Segmenter, frames: int = 200, rounds: int = 5) -> float:
    """Median CPU time of a 112 x 112 frame, decoding left out."""
    noise = np.random.default_rng(0).integers(0, 256, (frames, 112, 112), dtype=np.uint8)
    cine = Cine(CineMeta("noise", 112, 112, frames), noise)
    times = []
    for _ in range(rounds):
        started = time.process_time()
        segmenter(cine)
        times.append(1000 * (time.process_time() - started) / frames)
    return float(np.median(times))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("camus", type=Path)
    parser.add_argument("--model", default="a4c")
    arguments = parser.parse_args()
    segmenter = Segmenter.load(arguments.model, threads=1)
    document = evaluate_model(segmenter, open_dataset(arguments.camus), split="val")
    document["data"].pop("failed")
    found = {
        "validation": document,
        "calibration": calibration(segmenter, arguments.camus),
        "real_cine": real_cine(segmenter),
        "ms_per_frame_one_core": milliseconds(segmenter),
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
