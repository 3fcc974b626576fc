"""PKEcho-Net's training step: Dice and boundary loss of every stage on the labelled frames."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from echoseg.batch import ClipBatch
from echoseg.losses import cross_entropy, soft_dice, targets
from echoseg.methods.base import ExportGraph, Method, StepResult
from echoseg.methods.pkecho.boundary import boundary_loss, signed_distance
from echoseg.methods.pkecho.config import PKEchoConfig
from echoseg.methods.pkecho.network import PKEchoNet


class PKEcho(Method):
    """PKEcho-Net."""

    temporal = "window"
    clip_length: Tensor

    def __init__(self, config: PKEchoConfig) -> None:
        """Build from a configuration."""
        super().__init__()
        self.config = config
        self.channels = config.channels
        self.net = PKEchoNet(config)
        # an exported window has the length of the clips of the training
        self.register_buffer("clip_length", torch.tensor(config.frames))

    def forward(self, clip: Float[Tensor, "B T 1 H W"]) -> Float[Tensor, "B T K H W"]:
        """Logits of every frame, from the last stage."""
        logits: Tensor = self.net(clip)
        return logits

    def stage_logits(self, clip: Float[Tensor, "B T 1 H W"], chosen: Bool[Tensor, "B T"]) -> Float[Tensor, "M S K H W"]:
        """Logits of all stages 0 .. S of the chosen frames, clip after clip; what the loss looks at."""
        return self.net.stage_logits(clip, chosen)

    def training_step(self, labelled: ClipBatch, unlabelled: ClipBatch | None, step: int) -> StepResult:
        """Eq. 6: sum over stages of Dice + boundary loss of the labelled frames.

        Unlabelled frames of a labelled clip take part in batch statistics and in attention and have no loss. Clips without any label are not
        computed: the paper has none.
        """
        chosen = labelled.labelled
        self.clip_length.fill_(chosen.shape[1])
        if not bool(chosen.any()):
            return StepResult(self.net.kss.predict.weight.sum() * 0.0, {})
        logits = self.stage_logits(labelled.clip, chosen)
        target, valid = targets(labelled.masks[chosen], self.channels)
        dices = [soft_dice(stage, target, valid) for stage in logits.unbind(1)]
        loss = torch.stack(dices).sum()
        logs = {"dice_loss": float(dices[-1].detach())}
        if self.config.boundary != "off":
            distance = signed_distance(target, normalised=self.config.boundary == "normalised")
            boundaries = [boundary_loss(stage, distance, valid) for stage in logits.unbind(1)]
            loss = loss + torch.stack(boundaries).sum()
            logs["boundary"] = float(boundaries[-1].detach())
        # no part of this method's loss: told so that runs of different methods can be laid side by side
        logs["ce"] = float(cross_entropy(logits[:, -1].detach(), target, valid))
        return StepResult(loss, logs)

    def export_graph(self, height: int, width: int) -> ExportGraph:
        """Window graph of the clip length that was trained last; before any training, of `frames`."""
        clip = torch.zeros(1, int(self.clip_length), 1, height, width)
        return ExportGraph(self.net, (clip,), ("clip",), ("logits",))
