"""Validation: Dice of the LV on ED and ES, at the network's size, and how sure the network may be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from echoseg.cine import Structure
from echoseg.data import CineStore, StoredCine, beat_indices
from echoseg.errors import InputError
from echoseg.methods import Method
from echoseg.metrics import dice
from echoseg.train.calibration import Calibration, calibrate


@dataclass(frozen=True)
class Validator:
    """Mean Dice over the labelled frames of a store.

    Attributes:
        store: validation cines.
        clip_length: frames a clip, ED to ES.
        mean: gray mean of the training data.
        std: gray standard deviation of the training data.
    """

    store: CineStore
    clip_length: int
    mean: float
    std: float

    def __post_init__(self) -> None:
        if not len(self.store.labelled()):
            raise InputError("no validation cine has both ED and ES labelled; run `echoseg data check` on the folder")

    @torch.no_grad()
    def __call__(self, method: Method, device: torch.device) -> dict[str, float]:
        """`val_dice`, and ED and ES apart."""
        scores: dict[str, list[float]] = {"ed": [], "es": []}
        for cine in self.store.labelled():
            ends = self._end_logits(method, cine, device)
            for name, frame, lv in zip(("ed", "es"), cine.ends, predicted_lv(ends), strict=True):
                scores[name].append(dice(lv, cine.masks[frame] == Structure.LV))
        means = {f"val_dice_{name}": float(np.mean(values)) for name, values in scores.items() if values}
        return {"val_dice": float(np.mean([v for values in scores.values() for v in values])), **means}

    @torch.no_grad()
    def calibrate(self, method: Method, cines: int = 200) -> Calibration:
        """How sure a method may be, from at most so many cines, spread over the store."""
        labelled = self.store.labelled()
        chosen = [labelled[i] for i in np.unique(np.linspace(0, len(labelled) - 1, cines).round().astype(int))]
        logits = [self._end_logits(method, cine, torch.device("cpu")) for cine in chosen]
        masks = [np.stack([cine.masks[frame] for frame in cine.ends]) for cine in chosen]
        return calibrate(torch.cat(logits), torch.from_numpy(np.concatenate(masks)))

    def _end_logits(self, method: Method, cine: StoredCine, device: torch.device) -> torch.Tensor:
        """Logits (2, K, S, S) of ED and ES, the two ends of a clip."""
        was_training = method.training
        method.eval()
        index = beat_indices(*cine.ends, self.clip_length)
        gray = torch.from_numpy(cine.frames[index]).float().div(255).sub(self.mean).div(self.std)
        clip: torch.Tensor = method(gray[None, :, None].to(device))[0]
        method.train(was_training)
        return clip[[0, -1]]


def predicted_lv(logits: torch.Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """LV masks, bool (T, H, W), of logits (T, K, H, W)."""
    chosen = logits[:, 0] > 0 if logits.shape[1] == 1 else logits.argmax(1) == int(Structure.LV)
    found: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] = chosen.cpu().numpy()
    return found
