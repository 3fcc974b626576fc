"""Configuration of the training loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from echoseg.errors import UsageError


@dataclass(frozen=True)
class TrainConfig:
    """Optimisation, schedule and bookkeeping.

    Attributes:
        steps: optimiser steps.
        steps_per_epoch: steps between two epoch ends; curricula and snapshot teachers count epochs.
        optimiser: adam, adamw or sgd (momentum 0.9).
        lr: initial learning rate.
        poly_power: exponent of the polynomial decay per step.
        drop_epochs: epochs after which the learning rate falls to a tenth, again and again; 0 = never.
        warmup_steps: steps of linear warm-up.
        weight_decay: of the optimiser.
        grad_clip: largest gradient norm; 0 = no clipping.
        precision: Lightning Fabric's name.
        average: decay of the exponential moving average of the weights that is validated and exported; 0 = none.
        validate_every: epochs between validations; 0 = only at the end.
        checkpoint_every: epochs between checkpoints.
        seed: of weights, order and augmentation.
        init: weights to start from: folder of another run, or a shipped model's name or a model folder where the network is a
            U-Net of single frames; None = random ones.
    """

    steps: int = 1000
    steps_per_epoch: int = 20
    optimiser: Literal["adam", "adamw", "sgd"] = "adam"
    lr: float = 1e-4
    poly_power: float = 0.9
    drop_epochs: int = 0
    warmup_steps: int = 0
    weight_decay: float = 0.0
    grad_clip: float = 1.0
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "bf16-mixed"
    average: float = 0.0
    validate_every: int = 5
    checkpoint_every: int = 1
    seed: int = 0
    init: str | None = None

    def __post_init__(self) -> None:
        for name in ("steps", "steps_per_epoch", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise UsageError(f"train.{name}={getattr(self, name)}: must be at least 1")
        if self.lr <= 0 or not 0 <= self.average < 1:
            raise UsageError(f"train.lr={self.lr}, train.average={self.average}: lr > 0 and 0 <= average < 1")

    def learning_rate(self, step: int) -> float:
        """Learning rate of a step: linear warm-up, then lr * (1 - step / steps) ** poly_power, and the drops."""
        rise = min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else 1.0
        drops = step // self.steps_per_epoch // self.drop_epochs if self.drop_epochs else 0
        return float(self.lr * rise * (1 - step / self.steps) ** self.poly_power * 0.1**drops)
