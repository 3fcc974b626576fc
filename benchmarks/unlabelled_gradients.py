"""What do the unlabelled terms ask for? Their gradient beside that of the labels, and beside that of labels that training never saw.

For every method of a finished lite suite that learns from cines without labels: at the weights of its cell, the gradient of the whole loss
less that of its control on the same labelled clips is what the unlabelled term adds. How long it is against the gradient of the labels says
how much the term matters; its cosine with the gradient on the validation cines says whether a step along it makes those better (above 0) or
worse. The cosine of the gradient of the labels stands beside it; both are means over draws of a batch. Ramps are at their end, batch
statistics those of the cell, so that a clip does not change what another one gives. `benchmarks/tables.py` makes the table of
docs/benchmarks.md from the JSON. Methods that are not measured again keep their row.

    python benchmarks/unlabelled_gradients.py --lite OUT --data OUT/data [--methods css ...] [--draws 16] [--seed 0]

OUT is the folder of `echoseg benchmark lite`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from echoseg.batch import ClipBatch
from echoseg.data import ClipStream
from echoseg.data.augment import AugmentConfig
from echoseg.datasets import open_dataset, read_simulation
from echoseg.methods import Method
from echoseg.methods.echoforge import EchoForge
from echoseg.recipes.finished import load_run, read_record
from echoseg.recipes.run import build_training
from echoseg.recipes.stores import Stores
from echoseg.recipes.suites import Cell, suite
from echoseg.train import Training

RESULT = Path(__file__).parent / "results" / "unlabelled_gradients.json"
METHODS = ("meanteacher", "cps", "css", "echoforge", "ncm", "sscf")


def prepared(name: str, seed: int, steps: int, stores: Stores, weights: dict[str, Tensor]) -> Training:
    """A run of the suite at given weights, batch statistics as they are; a control leaves out what it lacks."""
    variant = next(v for v in suite("lite", steps).variants if v.name == name)
    config = Cell(variant, seed).config
    config = replace(config, train=replace(config.train, precision="32-true"))
    with tempfile.TemporaryDirectory() as folder:
        training = build_training(config, stores, Path(folder), device="cpu")
    own = training.method.state_dict()
    training.method.load_state_dict(own | {key: value for key, value in weights.items() if key in own})
    training.prepare()
    training.method.train()
    for module in training.method.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    return training


def gradient(method: Method, names: list[str], labelled: ClipBatch, unlabelled: ClipBatch | None, step: int) -> Tensor:
    """Gradient of a step's loss by the parameters of these names, one row of numbers."""
    torch.manual_seed(step)  # the same dropout for all
    method.zero_grad(set_to_none=True)
    method.training_step(labelled, unlabelled, step).loss.backward()
    found = dict(method.named_parameters())
    parts = [p.grad if (p := found[name]).grad is not None else torch.zeros_like(p) for name in names]
    return torch.cat([part.flatten() for part in parts])


def cosine(one: Tensor, two: Tensor) -> float:
    """Cosine of two gradients; 0 where one of them is 0: it asks for nothing."""
    lengths = float(one.norm() * two.norm())
    return float(one @ two) / lengths if lengths > 0 else 0.0


def mean_and_interval(values: list[float]) -> dict[str, float | list[float]]:
    """Mean over the draws, and its bootstrap 95 % interval."""
    means = np.random.default_rng(0).choice(values, (2000, len(values))).mean(1)
    return {"mean": float(np.mean(values)), "interval": [float(edge) for edge in np.percentile(means, [2.5, 97.5])]}


def measure(name: str, lite: Path, seed: int, steps: int, draws: int, stores: Stores) -> dict[str, object]:
    """Lengths and directions for one method."""
    folder = lite / "cells" / f"{name}-s{seed}"
    weights = load_run(folder, read_record(folder)).best["method"]
    # EchoForge's control lacks its loss of swapped ends, too, which learns from labels: the method before its curriculum has that loss alone
    before = name if name == "echoforge" else f"{name}-supervised"
    ours, control = (prepared(which, seed, steps, stores, weights) for which in (name, before))
    if isinstance(control.method, EchoForge):
        control.method.on_epoch_end(-1)
    shared = {key for key, value in control.method.named_parameters() if value.requires_grad}
    names = [key for key, value in ours.method.named_parameters() if value.requires_grad and key in shared]
    last = steps - 1
    like = replace(control.labelled.config, augment=AugmentConfig.none(), seed=0)
    unseen = ClipStream(stores.load("val", like.size, "letterbox").labelled(), like)
    rounds = len(unseen.store) // like.batch
    goal = sum(gradient(control.method, names, unseen.batch(i), None, last) for i in range(rounds)) / rounds
    lengths, cosines = [], []
    for draw in range(steps, steps + draws):
        batch = ours.labelled.batch(draw)
        alone = gradient(control.method, names, batch, None, last)
        term = gradient(ours.method, names, batch, ours.unlabelled.batch(draw), last) - alone
        lengths.append((float(term.norm()), float(alone.norm())))
        cosines.append((cosine(term, goal), cosine(alone, goal)))
    mean_term, mean_labels = np.mean(lengths, axis=0)
    return {
        "length": float(mean_term / mean_labels),
        "cosine": mean_and_interval([found for found, _ in cosines]),
        "cosine of the labels": mean_and_interval([found for _, found in cosines]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lite", type=Path, required=True, help="folder of a lite suite with its runs")
    parser.add_argument("--data", type=Path, required=True, help="data folder of that suite")
    parser.add_argument("--methods", choices=METHODS, nargs="+", default=METHODS)
    parser.add_argument("--steps", type=int, default=500, help="steps of the suite's runs")
    parser.add_argument("--draws", type=int, default=16, help="batches that the gradients are means of")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    stores = Stores(open_dataset(arguments.data))
    document = {
        "sha256": read_simulation(arguments.data).sha256, "seed": arguments.seed, "steps": arguments.steps,
        "draws": arguments.draws, "torch": torch.__version__, "methods": {},
    }  # fmt: skip
    if RESULT.is_file():
        kept = json.loads(RESULT.read_text(encoding="utf-8"))
        if {**kept, "methods": {}} == document:
            document["methods"] = kept["methods"]
    for method in arguments.methods:
        found = measure(method, arguments.lite, arguments.seed, arguments.steps, arguments.draws, stores)
        document["methods"][method] = found
        print(method, found, flush=True)
    RESULT.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
