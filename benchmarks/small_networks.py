"""How fast are small networks in ONNX Runtime? The plain encoder beside those that were made for phones, interleaved, on one core.

    python benchmarks/small_networks.py [--rounds 40]

Each is a U-Net at 112 px with random weights and four labels. Writes processor time of a frame, multiply-adds and weights to
`benchmarks/results/small_networks.json`; `benchmarks/tables.py` makes the table of docs/models.md from it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from echoseg.benchmark.cost import machine
from echoseg.engine.backends import load_backend
from echoseg.export import write_onnx
from echoseg.methods.framewise import FrameWise, FrameWiseConfig
from echoseg.recipes import recipe

RESULT = Path(__file__).parent / "results" / "small_networks.json"
SIDE, BATCH = 112, 8
PHONE = {
    "mobilenetv3_small_050": (32, 24, 16, 12),
    "lcnet_050": (32, 24, 16, 12),
    "mobilenetv4_conv_small_035": (48, 32, 24, 16),
}
"""timm's name -> channels of its decoder."""


def configurations() -> dict[str, FrameWiseConfig]:
    """That of `a4c-small`, and networks for phones."""
    phone = {
        name: FrameWiseConfig(backbone=name, stages=4, decoder=widths, channels=4) for name, widths in PHONE.items()
    }
    return {"plain": recipe("a4c-small").network, **phone}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    frames = np.random.default_rng(0).standard_normal((BATCH, 1, SIDE, SIDE)).astype(np.float32)
    found: dict[str, dict] = {}
    backends, times = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for name, config in configurations().items():
            method = FrameWise(config).eval()
            with FlopCounterMode(display=False) as counter, torch.no_grad():
                method(torch.zeros(1, 1, 1, SIDE, SIDE))
            file = Path(folder) / f"{name}.onnx"
            write_onnx(method.export_graph(SIDE, SIDE), file)
            backends[name], times[name] = load_backend("onnx", file.read_bytes(), str(file), 1), []
            found[name] = {
                "mmac": counter.get_total_flops() / 2e6,
                "parameters": sum(p.numel() for p in method.parameters()),
            }
    for _ in range(arguments.rounds):
        for name, backend in backends.items():
            started = time.process_time()
            backend.run({"frames": frames})
            times[name].append(1000 * (time.process_time() - started) / BATCH)
    for name, row in found.items():
        row["ms"] = round(median(times[name]), 3)
        row["ratio"] = round(median(a / b for a, b in zip(times[name], times["plain"], strict=True)), 2)
    document = {"rounds": arguments.rounds, "processor": machine("cpu")["processor"], "networks": found}
    RESULT.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
