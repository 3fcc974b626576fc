"""The training loop: one readable pass over steps on Lightning Fabric. It knows no method and builds nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from lightning_fabric import Fabric

from echoseg.errors import EchosegError
from echoseg.methods.base import Learner
from echoseg.train.average import WeightAverage
from echoseg.train.checkpoint import load_checkpoint, save_checkpoint
from echoseg.train.config import TrainConfig
from echoseg.train.logs import RunLog

Validate = Callable[[Any, torch.device], dict[str, float]]

LAST, BEST = "checkpoints/last.ckpt", "checkpoints/best.ckpt"


class Batch(Protocol):
    """What a stream gives and a training step takes."""

    @property
    def cases(self) -> tuple[str, ...]:
        """Names of the cines, for messages."""
        ...

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device."""
        ...


class Stream(Protocol):
    """Batches, each a function of its step alone."""

    def batch(self, step: int) -> Batch:
        """The batch of a step."""
        ...


@dataclass(frozen=True)
class Goal:
    """Which validated number makes a checkpoint the best.

    Attributes:
        number: its name in what the validation returns.
        label: its name on the progress bar.
        lowest: whether the smallest is the best instead of the largest.
    """

    number: str = "val_dice"
    label: str = "best val Dice"
    lowest: bool = False

    @property
    def worst(self) -> float:
        """Where the search begins."""
        return math.inf if self.lowest else -math.inf

    def reached(self, value: float, before: float) -> bool:
        """Whether a value is better than the best before."""
        return value < before if self.lowest else value > before


@dataclass(eq=False)
class Training:
    """Everything a run needs, built by the caller.

    Attributes:
        method: network and step; on no particular device yet.
        labelled: stream of labelled clips.
        unlabelled: stream of unlabelled clips, if the method takes any.
        config: schedule and optimiser.
        validate: returns numbers, that of the goal among them.
        run_dir: where checkpoints and logs go.
        fabric: devices and precision.
        notes: kept with the best weights, for whoever exports them later.
        goal: what the best weights are the best in.
        on_step: called after every step with the number of steps that are done, before an epoch ends.
    """

    method: Learner
    labelled: Stream
    unlabelled: Stream | None
    config: TrainConfig
    validate: Validate
    run_dir: Path
    fabric: Fabric
    notes: Mapping[str, Any] = field(default_factory=dict)
    goal: Goal = field(default_factory=Goal)
    on_step: Callable[[int], None] | None = None

    def __post_init__(self) -> None:
        self.step = 0
        self.best = self.goal.worst
        self.optimiser = build_optimiser(self.method, self.config)
        self.average = WeightAverage(self.method, self.config.average) if self.config.average else None

    def fit(self, *, resume: bool = False, tensorboard: bool = True) -> Learner:
        """Train to the last step.

        Args:
            resume: continue from the last checkpoint of `run_dir` if there is one.
            tensorboard: write TensorBoard files beside `metrics.jsonl`.

        Returns:
            The method with the best validated weights, in evaluation mode, on the CPU.
        """
        for leftover in (self.run_dir / LAST).parent.glob(".*.ckpt"):
            leftover.unlink()  # a checkpoint that was being written when the run was killed
        self.prepare()
        # after the move: an optimiser puts loaded state beside its weights, and leaves it there when they move later
        if resume and (self.run_dir / LAST).exists():
            self._restore(load_checkpoint(self.run_dir / LAST))
        with RunLog(self.run_dir, total_steps=self.config.steps, first_step=self.step, tensorboard=tensorboard) as log:
            self.method.train()
            while self.step < self.config.steps:
                numbers = self.one_step()
                log.write(self.step - 1, numbers)
                log.show(self.step, {"loss": numbers["loss"]} | self._best_so_far())
                if self.on_step is not None:
                    self.on_step(self.step)
                if self.step % self.config.steps_per_epoch == 0 or self.step == self.config.steps:
                    self._end_epoch(log)
        best = load_checkpoint(self.run_dir / BEST)
        self.method.load_state_dict(best["method"])
        return self.method.cpu().eval()

    def prepare(self) -> None:
        """Put network and optimiser on the run's device, in its precision; `fit` does it."""
        for module in self.method.modules():
            if isinstance(module, torch.nn.Conv2d):  # faster on the CPU (benchmarks/memory_format.py)
                module.to(memory_format=torch.channels_last)
        self._model, self.optimiser = self.fabric.setup(self.method, self.optimiser)
        self._model.mark_forward_method("training_step")
        if self.average is not None:
            self.average.averaged.to(self.fabric.device)

    def one_step(self) -> dict[str, float]:
        """One optimiser step of a prepared run; returns what is logged of it."""
        rate = self.config.learning_rate(self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        device = self.fabric.device
        labelled = self.labelled.batch(self.step).to(device)
        unlabelled = None if self.unlabelled is None else self.unlabelled.batch(self.step).to(device)
        # a method other than forward() runs in the precision of the run only if it is told to
        with self.fabric.autocast():
            result = self._model.training_step(labelled, unlabelled, self.step)
        loss = float(result.loss.detach())
        if not math.isfinite(loss):
            raise self._diverged("loss", loss, labelled)
        self.optimiser.zero_grad(set_to_none=True)
        self.fabric.backward(result.loss)
        norm = self._clip(labelled)
        self.optimiser.step()
        self.method.after_optimizer_step(self.step)
        if self.average is not None:
            self.average.update(self.method, self.step)
        self.step += 1
        return {"loss": loss, "lr": rate, "grad_norm": norm, **result.logs}

    def _best_so_far(self) -> dict[str, float]:
        return {self.goal.label: self.best} if math.isfinite(self.best) else {}

    def _clip(self, labelled: Batch) -> float:
        """Clip the gradients; returns their norm before, 0 where a run clips nothing."""
        if self.config.grad_clip <= 0:
            return 0.0
        limit = self.config.grad_clip
        found = self.fabric.clip_gradients(self._model, self.optimiser, max_norm=limit, error_if_nonfinite=False)
        norm = 0.0 if found is None else float(found)
        # in fp16 that happens to sound runs too: the scaler skips the step and lowers its scale
        if not math.isfinite(norm) and self.config.precision != "16-mixed":
            raise self._diverged("norm of the gradient", norm, labelled)
        return norm

    def _diverged(self, what: str, value: float, labelled: Batch) -> EchosegError:
        return EchosegError(
            f"{self.run_dir}: the {what} is {value} at step {self.step} (cines {', '.join(labelled.cases)}); "
            "lower --train.lr, or train in 32-true precision"
        )

    def _end_epoch(self, log: RunLog) -> None:
        epoch = math.ceil(self.step / self.config.steps_per_epoch) - 1
        self.method.on_epoch_end(epoch)
        final = self.step == self.config.steps
        every = self.config.validate_every
        if final or (every and (epoch + 1) % every == 0):
            self._validate(log)
        if final or (epoch + 1) % self.config.checkpoint_every == 0:
            save_checkpoint(self.run_dir / LAST, self._state())

    def _validate(self, log: RunLog) -> None:
        scored = self.method if self.average is None else self.average.averaged
        scores = self.validate(scored, self.fabric.device)
        log.write(self.step - 1, scores)
        found = scores[self.goal.number]
        if self.goal.reached(found, self.best):
            self.best = found
            notes = dict(self.notes)
            state = {"method": scored.state_dict(), "step": self.step, self.goal.number: found, "notes": notes}
            save_checkpoint(self.run_dir / BEST, state)

    def _state(self) -> dict[str, Any]:
        return {
            "method": self.method.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "precision": self.fabric.strategy.precision.state_dict(),
            "average": None if self.average is None else self.average.averaged.state_dict(),
            "step": self.step,
            "best": self.best,
            "rng": torch.get_rng_state(),
        }

    def _restore(self, state: dict[str, Any]) -> None:
        self.method.load_state_dict(state["method"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.fabric.strategy.precision.load_state_dict(state.get("precision", {}))
        if self.average is not None and state["average"] is not None:
            self.average.averaged.load_state_dict(state["average"])
        self.step, self.best = state["step"], state["best"]
        torch.set_rng_state(state["rng"])


def build_optimiser(method: Learner, config: TrainConfig) -> torch.optim.Optimizer:
    """Optimiser over the parameters that learn; teachers do not."""
    learning = [p for p in method.parameters() if p.requires_grad]
    # one pass over all weights in place of one for each operation; in fp16 its own scaling would forbid clipping
    fused = config.precision != "16-mixed"
    if config.optimiser == "sgd":
        return torch.optim.SGD(learning, lr=config.lr, momentum=0.9, weight_decay=config.weight_decay, fused=fused)
    kind = torch.optim.AdamW if config.optimiser == "adamw" else torch.optim.Adam
    return kind(learning, lr=config.lr, weight_decay=config.weight_decay, fused=fused)
