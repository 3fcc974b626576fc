"""What a model costs to run, and what a training costs."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from echoseg.methods import Method
from echoseg.methods.echoforge import EchoForge
from echoseg.nn.cost import gmacs
from echoseg.recipes.base import RunConfig
from echoseg.recipes.run import build_training
from echoseg.recipes.stores import Stores

TIMED_STEPS = 3


def giga_multiply_adds(method: Method, size: int) -> float:
    """Giga multiply-adds a frame, of the network as it is exported."""
    graph = method.cpu().eval().export_graph(size, size)
    first = graph.inputs[0]
    frames = first.shape[1] if method.temporal == "window" else first.shape[0]
    with torch.no_grad():
        return gmacs(graph.module.eval(), *graph.inputs) / frames


@dataclass(frozen=True)
class StepCost:
    """Time of a variant, measured on this machine.

    Attributes:
        step_s: a training step, everything included that its end costs more than its beginning.
        frame_s: a frame of the trained network.
    """

    step_s: float
    frame_s: float

    def cell_s(self, config: RunConfig, validated: int, tested: int) -> float:
        """A whole cell: its steps, its validations, its scores."""
        train = config.train
        epochs = -(-train.steps // train.steps_per_epoch)
        validations = max(1, epochs // train.validate_every) if train.validate_every else 1
        return train.steps * self.step_s + self.frame_s * (validations * validated + tested)


def measure_step(config: RunConfig, stores: Stores, device: str) -> StepCost:
    """Time the last steps of a run, in which every ramp and curriculum is over."""
    training = build_training(config, stores, Path("unused"), device=device)
    training.step = max(0, config.train.steps - TIMED_STEPS)
    method = training.method
    if isinstance(method, EchoForge):
        method.on_epoch_end(config.train.steps // config.train.steps_per_epoch)
    training.prepare()
    method.train()
    on = training.fabric.device
    steps = [_seconds(training.one_step, on) for _ in range(config.train.steps - training.step)]
    clip = torch.zeros(1, config.data.clip_length, 1, config.data.size, config.data.size, device=on)
    method.eval()
    with torch.no_grad():
        frames = min(_seconds(lambda: method(clip), on) for _ in range(2)) / config.data.clip_length
    return StepCost(min(steps), frames)


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    """Time of a piece of work: of the processor where one thread does it, so that other programs do not count; else of the clock."""
    clock = time.process_time if device.type == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    started = clock()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return clock() - started


def machine(device: str) -> Mapping[str, str]:
    """What the runs are timed on: processor, system, torch, and the GPU where one is used."""
    gpu = torch.cuda.get_device_name() if device != "cpu" and torch.cuda.is_available() else "none"
    return {
        "processor": _processor(),
        "system": platform.system(),
        "torch": torch.__version__,
        "threads": str(torch.get_num_threads()),
        "gpu": gpu,
    }


def _processor() -> str:
    listed = Path("/proc/cpuinfo")
    if listed.is_file():
        for line in listed.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
