"""Does a training step cost what its arithmetic says? Each lite recipe: a whole step of the loop beside its parts, measured apart.

The parts of a step are its data, the forward pass with the losses, the backward pass, the optimiser with its clipping, and what a method
does after it (the average of a teacher). Recipes and parts take turns, so that what else happens on the machine falls on all alike; times are
process CPU time with one torch thread, medians over the rounds. The multiply-adds of a step, both passes, are counted by torch. Every loss counts in the
measured steps: ramps are over, teachers teach. What the core can do at best is measured in between, with a large matrix product. Writes `benchmarks/results/step_time.json`.

    python benchmarks/step_time.py [--rounds 15] [--only pkecho-lite sscf-lite] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from echoseg.benchmark.cost import machine
from echoseg.datasets import open_dataset
from echoseg.methods.echoforge import EchoForge
from echoseg.recipes import recipe
from echoseg.recipes.run import build_training
from echoseg.simulator import ClipOptions, write_echonet
from echoseg.train import Training

RESULT = Path(__file__).parent / "results" / "step_time.json"
RECIPES = (
    "framewise", "meanteacher-lite", "cps-lite", "css-lite", "echoforge-lite", "ncm-lite", "pkecho-lite", "sscf-lite",
)  # fmt: skip
CINES, LABELLED = {"TRAIN": 8, "VAL": 1, "TEST": 1}, 4
CLIP = ClipOptions(fps=50.0, duration_s=2.6)
FIRST_STEP, EPOCH = 1000, 20
"""A step at which every ramp and curriculum of the lite recipes is over."""
SIDE = 1024
PEAKS = {"bf16-mixed": torch.bfloat16, "32-true": torch.float32}

Seconds = dict[str, list[float]]


def build(name: str, data: Path, work: Path) -> Training:
    """A run of a recipe in the middle of its training, on the CPU."""
    config = recipe(name)
    config = replace(config, data=replace(config.data, labelled_cines=LABELLED))
    training = build_training(config, open_dataset(data), work / name, device="cpu")
    training.step = FIRST_STEP
    if isinstance(training.method, EchoForge):
        training.method.on_epoch_end(EPOCH)
    training.prepare()
    training.method.train()
    return training


@contextmanager
def timed(found: Seconds, part: str) -> Iterator[None]:
    """Add the CPU time of a block to a part."""
    started = time.process_time()
    yield
    found.setdefault(part, []).append(time.process_time() - started)


def measure_whole(training: Training, found: Seconds) -> None:
    """One step as the loop does it."""
    with timed(found, "step"):
        training.one_step()


def measure_parts(training: Training, found: Seconds) -> None:
    """One step, part by part."""
    method, fabric, optimiser = training.method, training.fabric, training.optimiser
    with timed(found, "data"):
        labelled = training.labelled.batch(training.step)
        unlabelled = None if training.unlabelled is None else training.unlabelled.batch(training.step)
    with timed(found, "forward"), fabric.autocast():
        loss = method.training_step(labelled, unlabelled, training.step).loss
        float(loss.detach())
    optimiser.zero_grad(set_to_none=True)
    with timed(found, "backward"):
        fabric.backward(loss)
    with timed(found, "optimiser"):
        if training.config.grad_clip > 0:
            fabric.clip_gradients(method, optimiser, max_norm=training.config.grad_clip)
        optimiser.step()
    with timed(found, "average"):
        method.after_optimizer_step(training.step)
    training.step += 1


def giga_multiply_adds(training: Training) -> float:
    """Of a whole step: forward and backward, the teacher's share included."""
    with FlopCounterMode(display=False) as counter:
        training.one_step()
    return float(counter.get_total_flops()) / 2e9


def measure_peak(found: Seconds) -> None:
    """A matrix product in each precision, as the best that a core reaches."""
    for precision, kind in PEAKS.items():
        a, b = (torch.ones(SIDE, SIDE, dtype=kind) for _ in range(2))
        with timed(found, precision):
            a @ b


def summary(training: Training, found: Seconds, gmac: float) -> dict[str, object]:
    """Medians in milliseconds, the sum of the parts, and how the whole compares with it."""
    medians = {part: 1000 * statistics.median(values) for part, values in found.items()}
    whole = medians.pop("step")
    return {
        "step_ms": round(whole, 1),
        "range_ms": [round(1000 * edge(found["step"]), 1) for edge in (min, max)],
        "parts_ms": {part: round(value, 1) for part, value in medians.items()},
        "ratio": round(whole / sum(medians.values()), 3),
        "gmac": round(gmac, 1),
        "gmac_per_s": round(1000 * gmac / whole, 1),
        "precision": training.config.precision,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        write_echonet(work / "data", CINES, seed=1, preset="mid", clip=CLIP)
        runs = {name: build(name, work / "data", work) for name in arguments.only}
        gmac = {name: giga_multiply_adds(training) for name, training in runs.items()}
        found: dict[str, Seconds] = {name: {} for name in runs}
        measures: tuple[Callable[[Training, Seconds], None], ...] = (measure_whole, measure_parts)
        peaks: Seconds = {}
        for turn in range(arguments.rounds):
            measure_peak(peaks)
            for measure in measures[:: 1 if turn % 2 else -1]:
                for name, training in runs.items():
                    measure(training, found[name])
    document = {
        "rounds": arguments.rounds,
        "torch": torch.__version__,
        "threads": 1,
        "processor": machine("cpu")["processor"],
        "matrix_gmac_per_s": {name: round(SIDE**3 / 1e9 / min(values), 1) for name, values in peaks.items()},
        "recipes": {name: summary(training, found[name], gmac[name]) for name, training in runs.items()},
    }
    arguments.out.parent.mkdir(exist_ok=True)
    arguments.out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
