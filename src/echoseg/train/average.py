"""Exponential moving average of the weights: what is validated and exported when a run asks for it."""

from __future__ import annotations

from typing import cast

from echoseg.methods.base import Learner
from echoseg.nn import Ema


class WeightAverage:
    """theta' <- d theta' + (1 - d) theta after each step, with d rising to `decay` so that the start does not linger."""

    def __init__(self, method: Learner, decay: float) -> None:
        """Start at the method's own weights."""
        self._ema = Ema(method, decay)

    @property
    def averaged(self) -> Learner:
        """The averaged copy."""
        return cast(Learner, self._ema.model)

    def update(self, method: Learner, step: int) -> None:
        """Take in the weights after a step."""
        self._ema.update(method, min(self._ema.decay, (1 + step) / (10 + step)))
