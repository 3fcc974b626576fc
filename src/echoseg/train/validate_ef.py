"""Validation of a network that regresses the ejection fraction, on random clips that are the same every time."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from echoseg.data import EfCine, EfClips
from echoseg.errors import InputError
from echoseg.methods.base import Learner
from echoseg.metrics import RegressionScores, regression_scores

SEEDS = 3
BATCH = 8


@dataclass(frozen=True)
class EfValidator:
    """Scores over the cines, averaged over seeds, one random clip of every cine for each.

    Attributes:
        cines: validation cines with their ejection fraction.
        clips: how clips are cut; without a random crop.
        seeds: number of seeds.
    """

    cines: Sequence[EfCine]
    clips: EfClips
    seeds: int = SEEDS

    def __post_init__(self) -> None:
        if not self.cines:
            raise InputError(
                "no validation cine has an ejection fraction in its table; add it there, or take other data"
            )

    @torch.no_grad()
    def __call__(self, method: Learner, device: torch.device) -> dict[str, float]:
        """`val_mse`, by which the best weights are chosen, and MAE, RMSE and R2 beside it."""
        was_training = method.training
        method.eval()
        truth = [cine.target for cine in self.cines]
        scores = [regression_scores(self._predict(method, device, seed), truth) for seed in range(self.seeds)]
        method.train(was_training)
        return {
            "val_mse": statistics.fmean(one.rmse**2 for one in scores),
            **{f"val_{name}": _mean(scores, name) for name in ("mae", "rmse", "r2")},
        }

    def _predict(self, method: Learner, device: torch.device, seed: int) -> list[float]:
        found: list[float] = []
        for first in range(0, len(self.cines), BATCH):
            members = range(first, min(first + BATCH, len(self.cines)))
            clips = [self.clips.cut(self.cines[i], np.random.default_rng([seed, i])) for i in members]
            found += method(torch.stack(clips).to(device)).float().tolist()
        return found


def _mean(scores: Sequence[RegressionScores], name: str) -> float:
    return statistics.fmean(getattr(one, name) for one in scores)
