"""Probabilities to labels, and the clean-up of label masks that a model's config asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from echoseg.cine import Float32, Structure, UInt8
from echoseg.engine.config import Activation, PostprocessStep
from echoseg.engine.preprocess import Geometry

Bool = NDArray[np.bool_]

_CORNERS = np.ones((3, 3), bool)  # background connects over corners, the dual of 4-connected structures


def activate(logits: Float32, activation: Activation) -> Float32:
    """Probabilities of logits (K, rows, cols)."""
    if activation == "sigmoid":
        return np.asarray(0.5 + 0.5 * np.tanh(0.5 * logits), dtype=np.float32)
    exponent = np.exp(logits - logits.max(0))
    return np.asarray(exponent / exponent.sum(0), dtype=np.float32)


def labels_of(probabilities: Float32) -> UInt8:
    """Labels of probabilities (K, rows, cols): more than 0.5 for one channel, else the most probable (ties: lowest)."""
    if len(probabilities) == 1:
        return np.asarray(probabilities[0] > 0.5, dtype=np.uint8)
    best = probabilities[0].copy()
    labels = np.zeros(best.shape, np.uint8)
    for label, channel in enumerate(probabilities[1:], start=1):
        # labels only grow, so that a maximum writes them: faster than by index
        np.maximum(labels, (channel > best).view(np.uint8) * np.uint8(label), out=labels)
        np.maximum(best, channel, out=best)
    return labels


def lv_channel(probabilities: Float32) -> Float32:
    """The LV's probability among channels (K, rows, cols)."""
    channel: Float32 = probabilities[0 if len(probabilities) == 1 else Structure.LV]
    return channel


def expected_dice(probability: Float32, mask: Bool) -> float:
    """2 sum(p m) / (sum p + sum m): the Dice that the model itself expects of its mask; 0 for an empty mask."""
    size = float(np.count_nonzero(mask))
    if not size:
        return 0.0
    inside = float(probability.sum(dtype=np.float64, where=mask))
    return 2 * inside / (float(probability.sum(dtype=np.float64)) + size)


def native_mask(
    probabilities: Float32, labels: UInt8, geometry: Geometry, steps: Sequence[PostprocessStep] = ()
) -> UInt8:
    """Label mask at native size, of probabilities restored bilinearly, then cleaned.

    Only the box around the structures is computed: a bilinear value is a mean of its neighbours, so where they all prefer the
    background it does too.

    Args:
        probabilities: (K, rows, cols) at the network's size.
        labels: `labels_of(probabilities)`.
        geometry: where the frame lies.
        steps: clean-up, in this order.
    """
    native = np.zeros(geometry.shape, np.uint8)
    box = geometry.native_box(labels > 0)
    if box is not None:
        native[box] = postprocess(labels_of(geometry.restore(probabilities, box)), steps)
    return native


def postprocess(mask: UInt8, steps: Sequence[PostprocessStep]) -> UInt8:
    """A cleaned copy of a label mask; `steps` are applied in their order."""
    clean = mask.copy()
    if steps and mask.size:
        # No step makes a tidy structure untidy, so this needs to be known only once.
        untidy = [label for label in range(1, int(mask.max()) + 1) if not _in_one_piece(mask == label)]
        for step in steps:
            for label in untidy:
                _STEPS[step](clean, label)
    return clean


def _largest_component(mask: UInt8, label: int) -> None:
    """Keep the largest 4-connected component of a structure, in place."""
    from scipy import ndimage

    structure = mask == label
    components, n = ndimage.label(structure)
    if n > 1:
        largest = np.bincount(components.ravel())[1:].argmax() + 1
        mask[structure & (components != largest)] = Structure.BACKGROUND


def _fill_holes(mask: UInt8, label: int) -> None:
    """Give background enclosed by a structure to it, in place; other structures inside stay (a myocardium holds an LV)."""
    from scipy import ndimage

    components, n = ndimage.label(np.pad(mask != label, 1, constant_values=True), structure=_CORNERS)
    if n > 1:
        enclosed = (components > 0) & (components != components[0, 0])
        mask[enclosed[1:-1, 1:-1] & (mask == Structure.BACKGROUND)] = label


def _in_one_piece(structure: Bool) -> bool:
    """Whether a structure is surely one 4-connected component without holes, as nearly all are; ten times faster than labelling.

    Runs of pixels that touch in neighbouring rows are linked, and components less holes are runs less links. Where each run but the
    topmost has a link upwards, or each but the lowest one downwards, all hang together.
    """
    runs, links = _run_starts(structure), _run_starts(structure[1:] & structure[:-1])
    if len(runs) - len(links) != 1:
        return False
    upper, lower = (np.searchsorted(runs, at, side="right") for at in (links, links + structure.shape[1]))
    return bool(np.diff(lower).all() or np.diff(upper).all())


def _run_starts(structure: Bool) -> NDArray[np.intp]:
    """First pixels of the runs in each row, as flat indices that rise."""
    starts = structure.copy()
    starts[:, 1:] &= ~structure[:, :-1]
    return np.flatnonzero(starts)


_STEPS: dict[PostprocessStep, Callable[[UInt8, int], None]] = {
    "largest_component": _largest_component,
    "fill_holes": _fill_holes,
}
