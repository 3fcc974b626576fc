"""Exponential moving average of the weights: what is validated and exported when a run asks for it."""

from __future__ import annotations

import copy

import torch

from echoseg.methods.base import Learner


class WeightAverage:
    """theta' <- d theta' + (1 - d) theta after each step, with d rising to `decay` so that the start does not linger."""

    def __init__(self, method: Learner, decay: float) -> None:
        """Start at the method's own weights."""
        self.decay = decay
        self.averaged: Learner = copy.deepcopy(method).requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, method: Learner, step: int) -> None:
        """Take in the weights after a step; buffers (batch statistics, counters) are averaged too where they are real."""
        decay = min(self.decay, (1 + step) / (10 + step))
        own = method.state_dict()
        for name, value in self.averaged.state_dict().items():
            if value.is_floating_point():
                value.lerp_(own[name].to(value.device), 1 - decay)
            else:
                value.copy_(own[name])
