"""How many frames per second one core simulates, in both layouts.

    python benchmarks/simulator_speed.py [--repeats 5]

Cines of the same seeds are made in turn for both layouts, so that a busy machine slows both alike; the median over the
repeats is reported. Masks, volumes and images of every frame are included, files are not. Then the same cines are made by one
process and by one per core, in turn: how many times faster that is, the start of the processes included.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from pathlib import Path

from echoseg.simulator import simulate
from echoseg.simulator.parallel import in_order

RESULT = Path(__file__).parent / "results" / "simulator_speed.json"
LAYOUTS = {"echonet": 1.6, "camus": 0.6}
"""Seconds of cine that are simulated in each layout."""
SEEDS = range(4)


def _frames_per_second(layout: str) -> tuple[float, int, list[int]]:
    start, frames, shape = time.perf_counter(), 0, [0, 0]
    for seed in SEEDS:
        cine = simulate(seed, layout=layout, duration_s=LAYOUTS[layout])
        frames += len(cine.frames)
        shape = list(cine.frames.shape[1:])
    return frames / (time.perf_counter() - start), frames, shape


def _frames(seed: int) -> int:
    return len(simulate(seed, layout="echonet", duration_s=LAYOUTS["echonet"]).frames)


def speed_up(workers: int, cines: int = 120) -> float:
    """Time of one process over that of `workers` on the same cines."""
    seconds = {}
    for n in (1, workers):
        start = time.perf_counter()
        sum(in_order(_frames, range(cines), n))
        seconds[n] = time.perf_counter() - start
    return seconds[1] / seconds[workers]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    for layout in LAYOUTS:
        simulate(0, layout=layout, duration_s=0.04)  # imports and caches
    measured: dict[str, list[tuple[float, int, list[int]]]] = {layout: [] for layout in LAYOUTS}
    for _ in range(repeats):
        for layout, runs in measured.items():
            runs.append(_frames_per_second(layout))
    workers = len(os.sched_getaffinity(0))
    faster = [speed_up(workers) for _ in range(3 if workers > 1 else 0)]
    result = {
        "machine": platform.machine(),
        "python": platform.python_version(),
        "repeats": repeats,
        "workers": {"n": workers, "speed_up": [round(ratio, 3) for ratio in faster]},
        "layouts": {
            layout: {
                "frames_per_second": round(statistics.median(run[0] for run in runs), 1),
                "fastest": round(max(run[0] for run in runs), 1),
                "slowest": round(min(run[0] for run in runs), 1),
                "ms_per_frame": round(1e3 / statistics.median(run[0] for run in runs), 2),
                "frames": runs[0][1],
                "last_shape": runs[0][2],
            }
            for layout, runs in measured.items()
        },
    }
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result["layouts"], indent=2))


if __name__ == "__main__":
    main()
