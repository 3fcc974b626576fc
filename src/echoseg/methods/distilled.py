"""Knowledge distillation: a small network learns from labels and from what a trained model says of the same frames.

Source: G. Hinton, O. Vinyals, J. Dean, "Distilling the knowledge in a neural network", NIPS workshop 2014, arXiv:1503.02531, eq. 1 at
temperature 1. Deviations: the paper classifies images; here each pixel is classified, and the teacher's probabilities enter the
Dice loss, too. The teacher sees the weak view of a frame, the student the strong one. Licence: Apache-2.0 (this file; nothing was
copied).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from echoseg.batch import ClipBatch, frames_of_step
from echoseg.cine import Structure
from echoseg.engine import MODEL_FILE, find_model
from echoseg.engine.backends import load_backend
from echoseg.errors import UsageError
from echoseg.losses import cross_entropy, soft_dice, supervised_loss
from echoseg.methods.base import ExportGraph, Method, StepResult, frame_graph
from echoseg.nn import UNet, UNetConfig


@dataclass(frozen=True)
class DistilledConfig(UNetConfig):
    """Configuration of distillation: that of the student's U-Net and its own. All values are our choice.

    Attributes:
        teacher: name of a shipped model or path of a model folder that looks at single frames.
        share: of the loss that the teacher gives, 0..1; the labels give the rest.
        frames: frames drawn of each clip beside the labelled ones; of them only the teacher speaks.
    """

    teacher: str = "a4c"
    share: float = 0.5
    frames: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.share <= 1 or self.frames < 0:
            raise UsageError(f"share={self.share}, frames={self.frames}: need 0 < share <= 1 and 0 <= frames")


class ModelTeacher:
    """A model folder that says how probable each label is. It runs in ONNX Runtime on the CPU, wherever the student learns."""

    def __init__(self, name: str, channels: int) -> None:
        """Load the model `name`; `channels` are the student's.

        Raises:
            UsageError: it looks at more than one frame, or does not know what the student has to learn.
        """
        folder = find_model(name)
        self.config = folder.config
        if self.config.temporal.kind != "frame":
            raise UsageError(
                f"teacher={name}: a model of kind {self.config.temporal.kind}; one of single frames teaches"
            )
        known = set(self.config.structures)
        wanted = set(range(1, max(2, channels)))
        if not wanted <= known:
            missing = ", ".join(Structure(label).name for label in sorted(wanted - known))
            raise UsageError(f"teacher={name}: knows no {missing}; --network.channels 1 learns the LV alone")
        self._channels = channels
        self._backend = load_backend(
            "onnx", folder.read_weights(), str(folder.path / MODEL_FILE), torch.get_num_threads()
        )

    def __deepcopy__(self, memo: dict[int, object]) -> ModelTeacher:
        """It never changes, so that the averaged copy of a student may share it."""
        return self

    def probabilities(self, gray: Float[Tensor, "N 1 H W"]) -> Float[Tensor, "N K H W"]:
        """Of frames in gray values 0..1, at their size, before calibration (temperature 1); K is the student's number of channels."""
        size = gray.shape[-2:]
        frames = (
            F.interpolate(gray, self.config.size, mode="bilinear", antialias=True) - self.config.mean
        ) / self.config.std
        (name,), feeds = self._backend.outputs, {next(iter(self._backend.inputs)): frames.float().cpu().numpy()}
        logits = torch.from_numpy(self._backend.run(feeds)[name]).to(gray.device)
        found = logits.sigmoid() if self.config.activation == "sigmoid" else logits.softmax(1)
        if found.shape[1] != self._channels:
            found = found[:, Structure.LV : Structure.LV + 1]
        return F.interpolate(found, size, mode="bilinear", antialias=True)


class Distilled(UNet, Method):
    """A U-Net on single frames with a teacher that is no part of it: the student's names and weights are those of `FrameWise`."""

    temporal = "frame"

    def __init__(self, config: DistilledConfig) -> None:
        """Build the student; the teacher is loaded at the first step, so that a finished run does without it."""
        super().__init__(config)
        self.config = config
        self.channels = config.channels
        self._teacher: ModelTeacher | None = None
        self._gray: tuple[float, float] | None = None

    def normalised_with(self, mean: float, std: float) -> None:
        """The teacher has statistics of its own; without this call the clips are taken to be normalised with them."""
        self._gray = mean, std

    def training_step(self, labelled: ClipBatch, unlabelled: ClipBatch | None, step: int) -> StepResult:
        """L = (1 - share) (CE + Dice)(labels) + share (CE + Dice)(teacher), the latter on all frames of the step."""
        frames = frames_of_step(labelled, unlabelled, self.config.frames, step)
        if not len(frames.masks):
            return StepResult(self.classifier.weight.sum() * 0.0, {})
        logits = self.segment_frames(frames.strong).float()
        ce, dice = supervised_loss(logits.unsqueeze(1), frames.masks.unsqueeze(1), frames.labelled.unsqueeze(1))
        taught = self._taught(frames.weak)
        everywhere = torch.ones_like(logits[:, :1], dtype=torch.bool)
        told = cross_entropy(logits, taught, everywhere) + soft_dice(logits, taught, everywhere)
        loss = (1 - self.config.share) * (ce + dice) + self.config.share * told
        return StepResult(
            loss, {"ce": float(ce.detach()), "dice_loss": float(dice.detach()), "teacher": float(told.detach())}
        )

    @torch.no_grad()
    def _taught(self, weak: Float[Tensor, "N 1 H W"]) -> Float[Tensor, "N K H W"]:
        if self._teacher is None:
            self._teacher = ModelTeacher(self.config.teacher, self.channels)
        mean, std = self._gray or (self._teacher.config.mean, self._teacher.config.std)
        return self._teacher.probabilities(weak.float() * std + mean)

    def export_graph(self, height: int, width: int) -> ExportGraph:
        """Frame graph with a free batch size."""
        return frame_graph(self, height, width)
