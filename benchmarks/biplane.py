"""Biplane volumes and EF of simulated patients, from their true masks, against the volumes that the simulator knows.

    python benchmarks/biplane.py [--patients 20] [--workers 1]

Both apical views of each patient are made as `echoseg simulate --format camus` makes them, with every preset that it knows but the one for
training, and once more with the views of hospitals: planes that miss the apex show a shorter ventricle (by up to 14 %), which no
summation of discs can make good. Masks are those of the simulation; no network takes part.
"""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path
from typing import Any

import numpy as np

from echoseg.cine import CineMeta, MaskStack, Segmentation, View
from echoseg.clinical import Indices, measure_cine, measure_study
from echoseg.simulator import simulate
from echoseg.simulator.parallel import in_order
from echoseg.simulator.presets import Preset, get_preset, through_the_apex

RESULT = Path(__file__).parent / "results" / "biplane.json"
SETTINGS = {name: through_the_apex(name) for name in ("easy", "standard", "mid", "hard")} | {
    "standard, foreshortened": get_preset("standard")
}
GOAL = {"edv_percent": 3.0, "ef_points": 1.0}


def measured(seed: int, preset: Preset, view: View) -> tuple[tuple[Segmentation, Indices], tuple[float, float]]:
    """A view of a patient with its numbers, and the true EDV and EF."""
    cine = simulate(seed, preset=preset, view=view, layout="camus", span="half_beat")
    n_frames, height, width = cine.labels.shape
    meta = CineMeta(
        f"patient {seed} {view.value}", height, width, n_frames, fps=cine.fps, spacing=cine.spacing, view=view
    )
    segmentation = Segmentation(meta, MaskStack.from_array(cine.labels), None, "true masks")
    return (segmentation, measure_cine(segmentation)), (cine.edv_ml, cine.ef_percent)


def errors(job: tuple[int, str]) -> dict[str, tuple[float, float]]:
    """Error of EDV (percent of the truth) and EF (points) of a patient by each method."""
    seed, setting = job
    preset = SETTINGS[setting]
    (a4c, truth), (a2c, other) = (measured(seed, preset, view) for view in (View.A4C, View.A2C))
    # The views are two recordings: their sampled instants differ by a part of a frame.
    edv, ef = (np.mean(pair) for pair in zip(truth, other, strict=True))
    median = measure_study(a4c, a2c).median
    found = {
        "biplane discs": (median["edv"].value, median["ef"].value),
        "biplane area-length": (median["edv_area_length"].value, median["ef_area_length"].value),
    }
    for name, (_, indices) in (("A4C discs", a4c), ("A2C discs", a2c)):
        assert indices.summary is not None  # noqa: S101 - a simulated beat
        found[name] = indices.summary.edv, indices.summary.ef_percent
    return {name: (float(100 * (v / edv - 1)), float(e - ef)) for name, (v, e) in found.items()}


def statistics(values: list[float]) -> dict[str, float]:
    """Bias, SD and extremes of errors."""
    array = np.array(values)
    found = {
        "bias": array.mean(),
        "sd": array.std(ddof=1),
        "mae": np.abs(array).mean(),
        "largest": np.abs(array).max(),
    }
    return {key: round(float(value), 3) for key, value in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=20)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    settings: dict[str, Any] = {}
    for setting in SETTINGS:
        jobs = [(seed, setting) for seed in range(arguments.patients)]
        found = list(in_order(errors, jobs, arguments.workers))
        settings[setting] = {
            method: {
                "edv_percent": statistics([one[method][0] for one in found]),
                "ef_points": statistics([one[method][1] for one in found]),
                "within_goal": sum(
                    abs(one[method][0]) <= GOAL["edv_percent"] and abs(one[method][1]) <= GOAL["ef_points"]
                    for one in found
                ),
            }
            for method in found[0]
        }
    document = {
        "machine": platform.machine(),
        "python": platform.python_version(),
        "patients": arguments.patients,
        "goal": GOAL,
        "settings": settings,
    }
    RESULT.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
