"""The training step of the NCM-style method."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from echoseg.batch import ClipBatch
from echoseg.losses import gaussian_ramp, supervised_loss
from echoseg.methods.base import ExportGraph, Method, StepResult
from echoseg.methods.ncm.boundary import boundary_constraint
from echoseg.methods.ncm.config import NCMConfig
from echoseg.methods.ncm.network import NCMNet


class NCM(Method):
    """NCM-style segmentation of clips; an interpretation of an abstract."""

    temporal = "window"
    clip_length: Tensor

    def __init__(self, config: NCMConfig) -> None:
        """Build from a configuration."""
        super().__init__()
        self.config = config
        self.channels = config.channels
        self.net = NCMNet(config)
        # an exported window has the length of the clips of the training
        self.register_buffer("clip_length", torch.tensor(10))

    def forward(self, clip: Float[Tensor, "B T 1 H W"]) -> Float[Tensor, "B T K H W"]:
        """Logits of every frame; a frame sees the one before and the next."""
        logits: Tensor = self.net(clip)
        return logits

    def training_step(self, labelled: ClipBatch, unlabelled: ClipBatch | None, step: int) -> StepResult:
        """(CE + Dice) of refined + coarse_weight * (CE + Dice) of coarse logits + weight(step) * constraint."""
        self.clip_length.fill_(labelled.clip.shape[1])
        out = self.net.forward_all(labelled.clip)
        ce, dice = supervised_loss(out.refined, labelled.masks, labelled.labelled)
        loss = ce + dice
        if self.net.uma is not None:
            loss = loss + self.config.coarse_weight * sum(
                supervised_loss(out.coarse, labelled.masks, labelled.labelled)
            )
        logs = {"ce": float(ce.detach()), "dice_loss": float(dice.detach()), "unreliable": float(out.unreliable)}
        weight = self.config.boundary_weight * gaussian_ramp(step, self.config.boundary_ramp)
        if weight > 0:
            predicted = [out.refined] if unlabelled is None else [out.refined, self.net(unlabelled.clip)]
            boundary = torch.stack([self._boundary_loss(x) for x in predicted]).mean()
            loss = loss + weight * boundary
            logs |= {"boundary": float(boundary.detach()), "lambda": weight}
        return StepResult(loss, logs)

    def _boundary_loss(self, logits: Float[Tensor, "B T K H W"]) -> Float[Tensor, ""]:
        prob = logits.sigmoid() if self.channels == 1 else logits.softmax(2)[:, :, 1:]
        side = max(logits.shape[-2:])
        return boundary_constraint(prob, round(self.config.boundary_share * side))

    def export_graph(self, height: int, width: int) -> ExportGraph:
        """Window graph of the clip length that was trained last; before any training, of ten frames."""
        clip = torch.zeros(1, int(self.clip_length), 1, height, width)
        return ExportGraph(self.net, (clip,), ("clip",), ("logits",))
