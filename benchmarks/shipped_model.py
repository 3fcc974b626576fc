"""A shipped model on real hearts, on simulated ones of a style that no training has seen, and what it costs.

Real are the stills of the 50 CAMUS validation patients and the cine that pydicom brings along. The images are not part of the repository: name a copy of CAMUS.

    python benchmarks/shipped_model.py CAMUS_FOLDER [--model a4c]
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom.examples
import torch

from echoseg.cine import Cine, CineMeta, Instant, Structure
from echoseg.clinical import measure_cine
from echoseg.data import AugmentConfig, augment_clip
from echoseg.data.store import store_cine
from echoseg.datasets import open_dataset
from echoseg.engine import Segmenter
from echoseg.evaluation import evaluate_model, masks_ef
from echoseg.metrics import Reliability, auroc, dice, temporal_consistency
from echoseg.simulator import get_preset, simulate

LOW_DICE = 0.9
RESULTS = Path(__file__).parent / "results"
UNSEEN = "coarse"
"""A style that is in no preset."""


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
    doubtful = np.array(confidences) < segmenter.config.doubtful_below
    rest = np.array(scores)[~doubtful]
    return {
        "ece": {group: diagram.ece for group, diagram in diagrams.items()},
        "bins": [[one.probability, one.frequency, one.count] for one in diagrams["all"].bins if one.count],
        "confidence": {"auroc": auroc([-value for value in confidences], low), "n_low": sum(low), "n": len(low)},
        "doubtful": {
            "n": int(doubtful.sum()),
            "n_low": int((doubtful & low).sum()),
            "dice": float(np.mean(np.array(scores)[doubtful])),
            "dice_of_others": float(rest.mean()),
            "confidence_of_others": float(np.array(confidences)[~doubtful].mean()),
        },
    }


def unseen_style(segmenter: Segmenter, patients: int = 20) -> dict:
    """LV Dice of all frames of simulated half beats in a style that no training has seen, and EF against that of the true masks."""
    preset = replace(get_preset("standard"), name=UNSEEN, styles=(UNSEEN,))
    scores, pairs, roughness = [], [], []
    for seed in range(patients):
        simulated = simulate(90_000 + seed, preset=preset, layout="camus", span="half_beat")
        n_frames, height, width = simulated.labels.shape
        meta = CineMeta(f"{UNSEEN} {seed}", height, width, n_frames, fps=simulated.fps, spacing=simulated.spacing)
        instants = {Instant.ED: simulated.ed_frame, Instant.ES: simulated.es_frame}
        cine = Cine(meta, simulated.frames, instants=instants)
        masks = segmenter(cine).masks
        frames = range(n_frames)
        scores.append(np.mean([dice(masks[f] == Structure.LV, simulated.labels[f] == Structure.LV) for f in frames]))
        steadiness = temporal_consistency(mask == Structure.LV for mask in masks)
        roughness.append(steadiness.area_roughness)
        ends = instants.values()
        pairs.append([masks_ef(cine, {f: source[f] for f in ends}) for source in (masks, simulated.labels)])
    measured = np.array([pair for pair in pairs if None not in pair], float)
    difference = measured[:, 0] - measured[:, 1]
    return {
        "style": UNSEEN,
        "patients": patients,
        "dice": float(np.mean(scores)),
        "lowest": float(np.min(scores)),
        "area_roughness": float(np.mean(roughness)),
        "ef": {"bias": float(difference.mean()), "mae": float(np.abs(difference).mean()), "n": len(measured)},
    }


def changed_stills(segmenter: Segmenter, camus: Path, draws: int = 3) -> dict:
    """LV Dice of the validation stills as another machine might show them: with the strongest augmentation of the training."""
    dataset, size = open_dataset(camus), segmenter.config.height
    rng = np.random.default_rng(0)
    scores = []
    for case in dataset.cases("val"):
        kept = store_cine(case, dataset.load(case, "edes"), 224, "letterbox")
        frames, masks = (torch.from_numpy(np.stack(part)) for part in (kept.frames, tuple(kept.masks.values())))
        for _ in range(draws):
            views = augment_clip(frames, masks, size, AugmentConfig.machines(), rng)
            shown = (255 * views.strong[:, 0]).round().to(torch.uint8).numpy()
            found = segmenter(Cine(CineMeta(case.id, size, size, len(shown)), shown)).masks
            scores += [
                dice(a == Structure.LV, b.numpy() == Structure.LV) for a, b in zip(found, views.masks, strict=True)
            ]
    return {"draws": draws, "dice": float(np.mean(scores)), "low": float(np.mean(np.array(scores) < 0.8))}


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
        "changed_stills": changed_stills(segmenter, arguments.camus),
        "unseen_style": unseen_style(segmenter),
        "ms_per_frame_one_core": milliseconds(segmenter),
    }
    (RESULTS / f"{segmenter.config.name}_validation.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
