"""Validation during training: Dice of the LV on ED and ES, at the network's size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from echoseg.cine import Structure
from echoseg.data import CineStore, beat_indices
from echoseg.errors import InputError
from echoseg.methods import Method
from echoseg.metrics import dice


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
        was_training = method.training
        method.eval()
        scores: dict[str, list[float]] = {"ed": [], "es": []}
        for cine in self.store:
            if cine.ed_frame is None or cine.es_frame is None:
                continue
            index = beat_indices(cine.ed_frame, cine.es_frame, self.clip_length)
            gray = torch.from_numpy(cine.frames[index]).float().div(255).sub(self.mean).div(self.std)
            labels = predicted_lv(method(gray[None, :, None].to(device))[0])
            for name, place, frame in (("ed", 0, cine.ed_frame), ("es", -1, cine.es_frame)):
                scores[name].append(dice(labels[place], cine.masks[frame] == Structure.LV))
        method.train(was_training)
        means = {f"val_dice_{name}": float(np.mean(values)) for name, values in scores.items() if values}
        return {"val_dice": float(np.mean([v for values in scores.values() for v in values])), **means}


def predicted_lv(logits: torch.Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """LV masks, bool (T, H, W), of logits (T, K, H, W)."""
    chosen = logits[:, 0] > 0 if logits.shape[1] == 1 else logits.argmax(1) == int(Structure.LV)
    found: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] = chosen.cpu().numpy()
    return found
