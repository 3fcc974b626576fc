"""The contract that every method keeps: configuration, network, step.

A method is one file. It receives batches, never files; it returns a loss, never steps an optimiser. `forward` never sees labels and
returns logits of every frame, in training and in evaluation.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from echoseg.batch import ClipBatch

TemporalKind = Literal["frame", "window", "stream"]
Activation = Literal["sigmoid", "softmax"]


@dataclass(frozen=True)
class StepResult:
    """What a training step gives back: the loss to differentiate and numbers to log."""

    loss: Float[Tensor, ""]
    logs: Mapping[str, float]


@dataclass(frozen=True)
class ExportGraph:
    """A module ready for ONNX, with example inputs and the names of its tensors.

    Attributes:
        module: takes and returns tensors only.
        inputs: example inputs, batch size 1 (frame kind: batch size 2).
        input_names: as the engine feeds them.
        output_names: as the engine reads them.
        dynamic_batch: whether the first axis of the first input may vary.
    """

    module: nn.Module
    inputs: tuple[Tensor, ...]
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    dynamic_batch: bool = False


class Learner(nn.Module, ABC):
    """What the training loop needs of a network, whatever it predicts."""

    @abstractmethod
    def training_step(self, labelled: Any, unlabelled: Any, step: int) -> StepResult:  # noqa: ANN401
        """Loss of one step on the batches of the run's streams."""

    def after_optimizer_step(self, step: int) -> None:
        """Called after each optimiser step (EMA teachers)."""

    def on_epoch_end(self, epoch: int) -> None:
        """Called after the last step of each epoch (snapshot teachers, curricula)."""

    def inference_parameters(self) -> int:
        """Number of parameters that prediction needs."""
        return sum(p.numel() for p in self.parameters())


class Method(Learner):
    """Base of all methods; K = 1 output channel means sigmoid for the LV, K > 1 softmax over the labels."""

    temporal: TemporalKind = "frame"
    channels: int = 1

    @property
    def activation(self) -> Activation:
        """How logits become probabilities."""
        return "sigmoid" if self.channels == 1 else "softmax"

    def normalised_with(self, mean: float, std: float) -> None:
        """Called before the first step: what took the frames' gray values, 0..1, to those of the clips (teachers with frames of their own)."""

    @abstractmethod
    def forward(self, clip: Float[Tensor, "B T 1 H W"]) -> Float[Tensor, "B T K H W"]:
        """Logits of every frame."""

    @abstractmethod
    def training_step(self, labelled: ClipBatch, unlabelled: ClipBatch | None, step: int) -> StepResult:
        """Loss of one step. Pixels of unlabelled frames are never compared with their masks."""

    @abstractmethod
    def export_graph(self, height: int, width: int) -> ExportGraph:
        """The network as the engine runs it, in evaluation mode."""


class FrameGraph(nn.Module):
    """Frames in, logits out: any method that looks at one frame at a time."""

    def __init__(self, method: Method) -> None:
        """Wrap a method whose frames do not see each other."""
        super().__init__()
        self.method = method

    def forward(self, frames: Float[Tensor, "N 1 H W"]) -> Float[Tensor, "N K H W"]:
        """Logits of single frames."""
        logits: Tensor = self.method(frames.unsqueeze(1))
        return logits.squeeze(1)


def frame_graph(method: Method, height: int, width: int) -> ExportGraph:
    """Export graph of a frame-wise method, with a free batch size."""
    return ExportGraph(
        FrameGraph(method), (torch.zeros(2, 1, height, width),), ("frames",), ("logits",), dynamic_batch=True
    )
