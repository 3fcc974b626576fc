"""Masks between two stills: both label maps are moved to the same phase, and the mean of their signed distances decides."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from echoseg.cine import N_LABELS, Float32, UInt8
from echoseg.simulator.animation.flow import Box, Flow, Places, bounding_box

_MARGIN_PX = 3
_FAR_PX = 24
"""Beyond it the distance to a structure does not matter."""
_PINHOLE_PX = 12
_SURE_PX = 1.5
"""Farther than this from any border, the nearest pixel's label is that of the place."""


class MaskBlender:
    """Masks of all phases between two label maps."""

    def __init__(self, ed_labels: UInt8, es_labels: UInt8, flow: Flow) -> None:
        """Measure both label maps, uint8 (H, W)."""
        self._shape = ed_labels.shape
        self._places = Places(flow, bounding_box((ed_labels > 0) | (es_labels > 0), _MARGIN_PX))
        self._ed, self._es = (_Distances(labels, self._places.box) for labels in (ed_labels, es_labels))

    def mask(self, phase: float, shift: tuple[float, float] = (0.0, 0.0)) -> UInt8:
        """Label map, uint8 (H, W), at a phase; everything may be moved by a shift (rows, columns) besides."""
        ed_places, es_places = (places.reshape(2, -1) for places in self._places(phase, shift))
        ed, ed_depth = self._ed.nearest(ed_places)
        es, es_depth = self._es.nearest(es_places)
        # where both maps agree and no border is near, so does the mean of their distances
        open_ = np.flatnonzero((ed != es) | (np.minimum(ed_depth, es_depth) < _SURE_PX))
        mean = (1 - phase) * self._ed.at(ed_places[:, open_]) + phase * self._es.at(es_places[:, open_])
        ed[open_] = np.argmax(mean, axis=0)
        structure = np.zeros_like(ed)
        structure[open_] = 1 + np.argmax(mean[1:], axis=0)
        part = ed.reshape(self._places.shape)
        pinholes = _pinholes(part)
        part[pinholes] = structure.reshape(part.shape)[pinholes]
        labels = np.zeros(self._shape, np.uint8)
        labels[self._places.box] = part
        return labels


class _Distances:
    """Signed distances (N_LABELS, h, w) to the border of every structure of a label map, positive inside, in pixels."""

    def __init__(self, labels: UInt8, box: Box) -> None:
        part = labels[box]
        self._labels = part
        self._maps = np.stack([_signed_distance(part == value) for value in range(N_LABELS)])
        self._depth = self._maps.max(0)

    def nearest(self, places: Float32) -> tuple[UInt8, Float32]:
        """Label of the pixel nearest to each place (2, N), and its distance to the border of its structure."""
        index = self._index(places)
        return np.take(self._labels, index), np.take(self._depth, index)

    def at(self, places: Float32) -> Float32:
        """Distances (N_LABELS, N) at places (2, N)."""
        from scipy.ndimage import map_coordinates

        return np.stack([map_coordinates(m, places, np.float32, order=1, mode="nearest") for m in self._maps])

    def _index(self, places: Float32) -> NDArray[np.intp]:
        height, width = self._labels.shape
        row = np.clip(np.rint(places[0]), 0, height - 1).astype(np.intp)
        col = np.clip(np.rint(places[1]), 0, width - 1).astype(np.intp)
        return np.asarray(row * width + col)


def _pinholes(labels: UInt8) -> NDArray[np.bool_]:
    """Pixels of background (h, w) that structures enclose in groups of a few: three borders that miss their common corner."""
    from scipy.ndimage import label

    components, _ = label(labels == 0)
    pinhole = np.bincount(components.ravel()) <= _PINHOLE_PX
    edges = (components[0], components[-1], components[:, 0], components[:, -1])
    pinhole[np.unique(np.concatenate(edges))] = False
    pinhole[0] = False
    return np.asarray(pinhole[components])


def _signed_distance(inside: NDArray[np.bool_]) -> Float32:
    """Distance to the border between pixels, positive inside, exact within `_FAR_PX`."""
    from scipy.ndimage import distance_transform_edt

    signed = np.full(inside.shape, -_FAR_PX, np.float32)
    if inside.all() or not inside.any():
        return np.abs(signed) if inside.all() else signed
    near = bounding_box(inside, _FAR_PX)
    # the border runs between two pixels, half a pixel from either
    within, beyond = (np.asarray(distance_transform_edt(part)) for part in (inside[near], ~inside[near]))
    signed[near] = np.clip(np.where(inside[near], within - 0.5, 0.5 - beyond), -_FAR_PX, _FAR_PX)
    return signed
