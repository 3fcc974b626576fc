"""EchoForge's training step: losses, teacher, pseudo-labels."""

from __future__ import annotations

import copy

import torch
from jaxtyping import Float
from torch import Tensor

from echoseg.batch import ClipBatch
from echoseg.losses import confident_bce, supervised_loss
from echoseg.methods.base import ExportGraph, Method, StepResult, frame_graph
from echoseg.methods.echoforge.config import EchoForgeConfig
from echoseg.methods.echoforge.network import OUTPUT_STRIDE, ClipOutput, EchoForgeNet, StreamGraph, upsample


class EchoForge(Method):
    """EchoForge with its epoch t-1 teacher."""

    channels = 1
    epoch: Tensor

    def __init__(self, config: EchoForgeConfig) -> None:
        """Student from scratch; the teacher starts as its copy."""
        super().__init__()
        self.config = config
        self.temporal = "stream" if config.tsf else "frame"
        self.net = EchoForgeNet(config)
        self.teacher = copy.deepcopy(self.net).requires_grad_(False) if config.cpr else None
        self.register_buffer("epoch", torch.zeros((), dtype=torch.long))
        self.train()

    def train(self, mode: bool = True) -> EchoForge:
        """The teacher stays in evaluation mode."""
        super().train(mode)
        if self.teacher is not None:
            self.teacher.eval()
        return self

    def forward(self, clip: Float[Tensor, "B T 1 H W"]) -> Float[Tensor, "B T 1 H W"]:
        """Logits of every frame, in order, with the memory of earlier frames."""
        logits: Tensor = self.net(clip).logits
        return logits

    def training_step(self, labelled: ClipBatch, unlabelled: ClipBatch | None, step: int) -> StepResult:
        """L = BCE + Dice on labelled frames + lambda(e) L_U on the others + our two auxiliary losses."""
        batch = labelled if unlabelled is None else _joined(labelled, unlabelled)
        out = self.net(batch.clip)
        ce, dice = supervised_loss(out.logits, batch.masks, batch.labelled)
        loss = ce + dice
        logs = {"ce": float(ce.detach()), "dice_loss": float(dice.detach()), "uncertain": float(out.uncertain)}
        if (self.net.arc or self.net.coarse) is not None and self.config.arc_aux > 0:
            loss = loss + self.config.arc_aux * self._coarse_loss(out, batch)
        if self.net.decoder is not None and self.config.embedding_aux > 0:
            loss = loss + self.config.embedding_aux * self._embedding_loss(out, batch)
        if self.config.cpr:
            if self.config.cpr_aux > 0:
                loss = loss + self.config.cpr_aux * self._swap_loss(out, batch)
            weight = self.config.curriculum.loss_weight(int(self.epoch))
            if weight > 0:
                pseudo, used = self._pseudo_loss(out, batch)
                loss = loss + weight * pseudo
                logs |= {"pseudo": float(pseudo.detach()), "confident": float(used), "lambda": weight}
        return StepResult(loss, logs)

    def on_epoch_end(self, epoch: int) -> None:
        """The student of this epoch becomes the teacher of the next (epoch t-1 flow)."""
        self.epoch.fill_(epoch + 1)
        if self.teacher is not None:
            self.teacher.load_state_dict(self.net.state_dict())

    def inference_parameters(self) -> int:
        """Without the teacher and without the reforging, which only training needs."""
        unused = [self.net.reforge, None if self.net.decoder is None else self.net.plain]
        left_out = sum(p.numel() for module in unused if module is not None for p in module.parameters())
        return sum(p.numel() for p in self.net.parameters()) - left_out

    def export_graph(self, height: int, width: int) -> ExportGraph:
        """Stream graph, the memory being four tensors; without TSF a frame graph."""
        if self.net.decoder is None:
            return frame_graph(self, height, width)
        size = (height // OUTPUT_STRIDE, width // OUTPUT_STRIDE)
        features, mask = torch.zeros(1, self.config.width, *size), torch.zeros(1, 1, *size)
        states = (features, mask, features.clone(), mask.clone())
        return ExportGraph(
            StreamGraph(self.net),
            (torch.zeros(1, 1, height, width), torch.ones(1), *states),
            ("frame", "first", *(f"state_{i}" for i in range(len(states)))),
            ("logits", *(f"next_state_{i}" for i in range(len(states)))),
        )

    def _coarse_loss(self, out: ClipOutput, batch: ClipBatch) -> Float[Tensor, ""]:
        """Nothing else teaches the map that starts the memory, as it is remembered without a gradient."""
        coarse = torch.stack([upsample(f.coarse, batch.clip.shape[-2:]) for f in out.frames], 1)
        return supervised_loss(coarse, batch.masks, batch.labelled)[0]

    def _embedding_loss(self, out: ClipOutput, batch: ClipBatch) -> Float[Tensor, ""]:
        plain = [upsample(self.net.plain(None, d.embedding), batch.clip.shape[-2:]) for d in out.decoded]
        ce, dice = supervised_loss(torch.stack(plain, 1), batch.masks, batch.labelled)
        return ce + dice

    def _swap_loss(self, out: ClipOutput, batch: ClipBatch) -> Float[Tensor, ""]:
        """Last frame reforged from the first and the first from the last, against their labels: what trains W_q, W_k, W_v."""
        ends = (0, batch.clip.shape[1] - 1)
        logits = []
        for target, reference in (ends, ends[::-1]):
            references = out.decoded[reference].fused.unsqueeze(1)
            weights = references.new_ones(len(references), 1)
            logits.append(self.net.reforged_logits(out.frames[target], out.decoded[target], references, weights))
        stacked = torch.stack([upsample(x, batch.clip.shape[-2:]) for x in logits], 1)
        index = torch.tensor(ends, device=batch.masks.device)
        ce, dice = supervised_loss(stacked, batch.masks[:, index], batch.labelled[:, index])
        return ce + dice

    @torch.no_grad()
    def pseudo_labels(self, weak: Float[Tensor, "B T 1 H W"]) -> Float[Tensor, "B U 1 H W"]:
        """Teacher's reforged probabilities of frames 1 .. T-2, from the weakly augmented view."""
        if self.teacher is None:
            raise ValueError("the configuration has no CPR")
        out = self.teacher(weak)
        last = weak.shape[1] - 1
        references = torch.stack([out.decoded[0].fused, out.decoded[last].fused], 1)
        probs = []
        for t in range(1, last):
            # nearer labelled frame counts more: (T-1-t)/(T-1) and t/(T-1)
            near = references.new_tensor([(last - t) / last, t / last]).expand(len(weak), 2)
            logits = self.teacher.reforged_logits(out.frames[t], out.decoded[t], references, near)
            probs.append(upsample(logits, weak.shape[-2:]).sigmoid())
        return torch.stack(probs, 1)

    def _pseudo_loss(self, out: ClipOutput, batch: ClipBatch) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        middle = ~batch.labelled[:, 1:-1]
        if batch.clip.shape[1] < 3 or not bool(middle.any()):
            zero = out.logits.sum() * 0.0
            return zero, zero.detach()
        teacher = self.pseudo_labels(batch.weak)
        threshold = self.config.curriculum.threshold(int(self.epoch))
        return confident_bce(out.logits[:, 1:-1][middle].float(), teacher[middle].float(), threshold)


def _joined(labelled: ClipBatch, unlabelled: ClipBatch) -> ClipBatch:
    names = ("clip", "weak", "masks", "labelled")
    parts = {name: torch.cat([getattr(labelled, name), getattr(unlabelled, name)]) for name in names}
    return ClipBatch(**parts, cases=labelled.cases + unlabelled.cases)
