"""Time of a training step with weights of convolutions in torch's two memory formats, interleaved.

    python benchmarks/memory_format.py DATA [--recipes framewise meanteacher-lite cps-lite echoforge-lite] [--rounds 5]

DATA is any folder that the recipes can train on, a small simulated one for example. The JSON holds ratios: channels last over contiguous.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from pathlib import Path
from statistics import median

import torch
from torch import nn

from echoseg.datasets import open_dataset
from echoseg.recipes import recipe
from echoseg.recipes.run import build_training
from echoseg.recipes.stores import Stores
from echoseg.train import Training

RESULT = Path(__file__).parent / "results" / "memory_format.json"
FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
RECIPES = ("framewise", "meanteacher-lite", "cps-lite", "echoforge-lite")


def prepared(name: str, stores: Stores, folder: Path, memory_format: torch.memory_format) -> Training:
    """A run after its first step, its convolutions in one format."""
    training = build_training(recipe(name), stores, folder, device="cpu")
    training.prepare()
    for module in training.method.modules():
        if isinstance(module, nn.Conv2d):
            module.to(memory_format=memory_format)
    training.method.train()
    training.one_step()
    return training


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES))
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    stores, found = Stores(open_dataset(arguments.data)), {}
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.recipes:
            runs = {key: prepared(name, stores, Path(folder), value) for key, value in FORMATS.items()}
            seconds: dict[str, list[float]] = {key: [] for key in FORMATS}
            for _ in range(arguments.rounds):
                for key, training in runs.items():
                    started = time.perf_counter()
                    training.one_step()
                    seconds[key].append(time.perf_counter() - started)
            ratios = [b / a for a, b in zip(seconds["contiguous"], seconds["channels_last"], strict=True)]
            found[name] = {"median": round(median(ratios), 3), "range": [round(min(ratios), 3), round(max(ratios), 3)]}
    document = {"machine": platform.machine(), "torch": torch.__version__, "rounds": arguments.rounds, "ratio": found}
    RESULT.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
