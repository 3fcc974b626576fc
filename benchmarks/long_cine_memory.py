"""Memory of segmenting a cine of 10,000 frames with a shipped model, above that of segmenting a short one.

Each length runs in a process of its own; the peak is what the kernel says of that process (ru_maxrss). The difference between a
long and a short cine is what the length costs.

    python benchmarks/long_cine_memory.py
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from echoseg.io import write_video
from echoseg.simulator import simulate

RESULT = Path(__file__).parent / "results" / "long_cine_memory.json"
LENGTHS = (50, 10_000)
CHILD = """
import json, resource, sys, time
from echoseg.engine import Segmenter
from echoseg.clinical import measure_cine
segmenter = Segmenter.load("a4c", threads=1)
started = time.process_time()
segmentation = segmenter(sys.argv[1])
measure_cine(segmentation)
seconds = time.process_time() - started
print(json.dumps({"frames": len(segmentation.masks), "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                  "ms_per_frame": 1000 * seconds / len(segmentation.masks)}))
"""


def repeated(frames: np.ndarray, count: int) -> Iterator[np.ndarray]:
    """The beat again and again."""
    for i in range(count):
        yield frames[i % len(frames)]


def main() -> None:
    beat = simulate(1, duration_s=1.0).frames
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for length in LENGTHS:
            path = Path(folder) / f"{length}.avi"
            write_video(path, repeated(beat, length), 50.0, beat.shape[1:])
            done = subprocess.run([sys.executable, "-c", CHILD, str(path)], capture_output=True, text=True, check=True)
            rows.append(json.loads(done.stdout))
    above = rows[-1]["peak_mb"] - rows[0]["peak_mb"]
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps({"cines": rows, "above_short_cine_mb": round(above, 1)}, indent=1) + "\n")


if __name__ == "__main__":
    main()
