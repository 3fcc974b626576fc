"""The teacher that averages its student's weights (Tarvainen and Valpola, NeurIPS 2017)."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class Ema(nn.Module):
    """Exponential moving average of a network's weights, frozen and always in evaluation mode.

    It is part of the state dict of the method that holds it, under `<attribute>.model.*`.

    Attributes:
        model: the averaged copy; none of its parameters learns.
        decay: weight of the past in one update.
    """

    def __init__(self, student: nn.Module, decay: float) -> None:
        """Start as a copy of the student; `decay` lies in [0, 1), 0 = always the student of the last update."""
        super().__init__()
        if not 0 <= decay < 1:
            raise ValueError(f"decay={decay}: must lie in [0, 1)")
        self.decay = decay
        self.model = copy.deepcopy(student).requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Ema:
        """The average stays in evaluation mode, whatever its owner does."""
        super().train(mode)
        self.model.eval()
        return self

    @torch.no_grad()
    def update(self, student: nn.Module, decay: float | None = None) -> None:
        """Take in the student: theta' <- decay theta' + (1 - decay) theta, parameters and batch statistics alike; counters are copied.

        Averaged weights with the statistics of the student's last batches do not belong together: while the student learns fast, such a teacher
        is worse than its student and holds it back (docs/methods/sscf.md).

        Args:
            student: of the same architecture and on the same device.
            decay: for this update alone, as in a warm-up; None = the one of the constructor.
        """
        weight = 1 - (self.decay if decay is None else decay)
        for mine, theirs in _pairs(_tensors(self.model), _tensors(student)):
            if mine.is_floating_point():
                mine.lerp_(theirs, weight)
            else:
                mine.copy_(theirs)


def _tensors(network: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name."""
    return dict(network.named_parameters()) | dict(network.named_buffers())


def _pairs(mine: dict[str, Tensor], theirs: dict[str, Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Tensors of equal names; another architecture is refused before anything is changed."""
    if mine.keys() != theirs.keys():
        odd = min(mine.keys() ^ theirs.keys())
        raise ValueError(f"the student is another network: {odd} is not in both; give the one that was copied")
    return [(value, theirs[name]) for name, value in mine.items()]
