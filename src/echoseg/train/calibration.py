"""How sure a network may be: a number that its logits are divided by, and a confidence below which a frame is doubtful.

Source of the first: C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, On Calibration of Modern Neural Networks, ICML 2017, section 4.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Integer
from scipy.optimize import minimize_scalar
from torch import Tensor

from echoseg.cine import Structure
from echoseg.engine.postprocess import activate, expected_dice, labels_of, lv_channel

HOTTEST = 4.0
"""Largest temperature that is tried; the smallest is its reciprocal."""
DOUBTFUL = 0.05
"""Share of the validation frames that are less sure than a frame may be without being doubtful."""


@dataclass(frozen=True)
class Calibration:
    """How sure a network may be.

    Attributes:
        temperature: what its logits are divided by.
        doubtful_below: confidence that all but `DOUBTFUL` of the validation frames reach.
    """

    temperature: float = 1.0
    doubtful_below: float | None = None


def calibrate(logits: Float[Tensor, "N K H W"], masks: Integer[Tensor, "N H W"]) -> Calibration:
    """Fit both numbers to validation frames; four digits are kept.

    Args:
        logits: of every frame, on the CPU.
        masks: true labels.
    """
    pixels = logits.movedim(1, -1).reshape(-1, logits.shape[1])
    temperature = round(fit_temperature(pixels, masks.flatten()), 4)
    confidences = []
    for frame in logits.numpy() / np.float32(temperature):
        probabilities = activate(frame, "sigmoid" if len(frame) == 1 else "softmax")
        confidences.append(expected_dice(lv_channel(probabilities), labels_of(probabilities) == Structure.LV))
    return Calibration(temperature, round(float(np.quantile(confidences, DOUBTFUL)), 4))


@torch.no_grad()
def fit_temperature(logits: Float[Tensor, "N K"], labels: Integer[Tensor, " N"]) -> float:
    """The temperature with the lowest cross-entropy.

    Args:
        logits: of pixels; K = 1 channel is that of label 1 (sigmoid), more are those of labels 0..K-1 (softmax).
        labels: of the same pixels.

    Returns:
        T > 0: logits / T give the probabilities. Above 1 the network was too sure.

    Example:
        >>> logits = torch.tensor([[4.0], [4.0], [4.0], [4.0], [-4.0]])
        >>> labels = torch.tensor([1, 1, 1, 0, 0])  # three of four where it says 98 %
        >>> fit_temperature(logits, labels) > 2
        True
    """
    truth = (labels == 1).float()

    def loss(logarithm: float) -> float:
        scaled = logits / math.exp(logarithm)
        if logits.shape[1] == 1:
            return float(F.binary_cross_entropy_with_logits(scaled[:, 0], truth))
        return float(F.cross_entropy(scaled, labels.long()))

    edge = math.log(HOTTEST)
    found = minimize_scalar(loss, bounds=(-edge, edge), method="bounded", options={"xatol": 1e-3})
    return float(math.exp(found.x))
