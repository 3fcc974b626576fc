"""A run that takes milliseconds: a small convolutional method on synthetic discs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from tests.data.conftest import stored_cine
from torch import nn

from echoseg.batch import ClipBatch
from echoseg.data import AugmentConfig, CineStore, ClipStream, StreamConfig
from echoseg.losses import supervised_loss
from echoseg.methods import Method, StepResult
from echoseg.methods.base import ExportGraph, frame_graph
from echoseg.train import TrainConfig, Training, Validator

STEPS = TrainConfig(steps=7, steps_per_epoch=2, lr=1e-2, precision="32-true", validate_every=1)
STREAM = StreamConfig(clip_length=3, size=24, batch=2, seed=0, augment=AugmentConfig.machines(), mean=0.3, std=0.3)


class Toy(Method):
    """Two convolutions with batch statistics between, and a loss that draws from torch's generator."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 1, 1))
        self.register_buffer("epoch", torch.zeros((), dtype=torch.long))
        self.steps: list[int] = []
        self.epochs: list[int] = []
        self.autocast: list[bool] = []

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        return self.net(clip.flatten(0, 1)).unflatten(0, clip.shape[:2])

    def training_step(self, labelled: ClipBatch, unlabelled: ClipBatch | None, step: int) -> StepResult:
        self.autocast.append(torch.is_autocast_enabled("cpu"))
        ce, dice = supervised_loss(self(labelled.clip), labelled.masks, labelled.labelled)
        loss = (ce + dice) * (1 + 0.1 * torch.rand(()).item())
        if unlabelled is not None:
            loss = loss + 0.1 * self(unlabelled.clip).float().sigmoid().mean()
        return StepResult(loss, {"ce": float(ce.detach())})

    def after_optimizer_step(self, step: int) -> None:
        self.steps.append(step)

    def on_epoch_end(self, epoch: int) -> None:
        self.epochs.append(epoch)
        self.epoch.fill_(epoch + 1)

    def export_graph(self, height: int, width: int) -> ExportGraph:
        return frame_graph(self, height, width)


class Unplugged(ClipStream):
    """A stream that dies when it is asked for a certain step."""

    def __init__(self, store: CineStore, config: StreamConfig, fatal_step: int) -> None:
        super().__init__(store, config)
        self.fatal_step = fatal_step

    def batch(self, step: int) -> ClipBatch:
        if step == self.fatal_step:
            raise KeyboardInterrupt
        return super().batch(step)


def cines(n: int = 3) -> CineStore:
    return CineStore([stored_cine(f"cine{i}", ed_frame=i, es_frame=6 + i) for i in range(n)])


def build(
    run_dir: Path, *, method: Method | None = None, fabric: Fabric | None = None, fatal_step: int = -1, **changes: Any
) -> Training:
    """A run over toy data; `changes` go to the training configuration, `validate` to the run."""
    validate = changes.pop("validate", Validator(cines(1), 3, STREAM.mean, STREAM.std))
    config = dataclasses.replace(STEPS, **changes)
    torch.manual_seed(config.seed)
    unlabelled = CineStore([cine.without_labels() for cine in cines(2)])
    return Training(
        Toy() if method is None else method,
        Unplugged(cines(), STREAM, fatal_step),
        ClipStream(unlabelled, dataclasses.replace(STREAM, batch=1, seed=1)),
        config,
        validate,
        run_dir,
        fabric or Fabric(accelerator="cpu", devices=1, precision=config.precision),
    )


def difference(one: Any, two: Any, where: str = "") -> str | None:
    """Where two checkpoints first differ, bit for bit; None where they are the same."""
    if isinstance(one, torch.Tensor):
        same = isinstance(two, torch.Tensor) and one.dtype == two.dtype and torch.equal(one, two)
        return None if same else where
    if isinstance(one, dict):
        if not isinstance(two, dict) or one.keys() != two.keys():
            return where
        return next(filter(None, (difference(one[k], two[k], f"{where}.{k}") for k in one)), None)
    if isinstance(one, (list, tuple)):
        if len(one) != len(two):
            return where
        pairs = enumerate(zip(one, two, strict=True))
        return next(filter(None, (difference(a, b, f"{where}[{i}]") for i, (a, b) in pairs)), None)
    return None if one == two else where
