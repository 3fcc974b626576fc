"""Overlap of two masks."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from echoseg.errors import InputError

Mask = NDArray[np.bool_] | NDArray[np.uint8]


def as_object(mask: Mask, other: Mask | None = None) -> NDArray[np.bool_]:
    """The mask as booleans; what is not zero belongs to the object.

    Raises:
        InputError: the mask has not the shape of `other`.
    """
    if other is not None and mask.shape != other.shape:
        raise InputError(f"masks of shapes {mask.shape} and {other.shape}; resample one to the grid of the other")
    return np.asarray(mask != 0)


def dice(pred: Mask, ref: Mask) -> float:
    """Dice coefficient 2|A & B| / (|A| + |B|) of one frame. Both masks empty: 1; one of them empty: 0.

    Example:
        >>> a = np.array([[1, 1, 0, 0]], np.uint8)
        >>> dice(a, a), dice(a, np.roll(a, 1)), dice(a, 0 * a), dice(0 * a, 0 * a)
        (1.0, 0.5, 0.0, 1.0)
    """
    return _dice(*_counts(pred, ref))


def dice_pooled(preds: Iterable[Mask], refs: Iterable[Mask]) -> float:
    """Dice coefficient of all frames taken as one object, so that large ventricles weigh more.

    EchoNet-Dynamic and CSS report this one; the mean of `dice` over frames is a different number.

    Example:
        >>> large, small = np.ones((4, 4), bool), np.eye(4, dtype=bool)
        >>> dice_pooled([large, small], [large, ~small & False])
        0.8888888888888888
    """
    counts = [_counts(pred, ref) for pred, ref in zip(preds, refs, strict=True)]
    return _dice(sum(both for both, _ in counts), sum(total for _, total in counts))


def _counts(pred: Mask, ref: Mask) -> tuple[int, int]:
    a, b = as_object(pred), as_object(ref, pred)
    return int(np.count_nonzero(a & b)), int(np.count_nonzero(a)) + int(np.count_nonzero(b))


def _dice(both: int, total: int) -> float:
    return 2 * both / total if total else 1.0
