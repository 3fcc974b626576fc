"""Distances between the borders of two masks.

The border of an object is the object minus its 4-connected erosion: its outermost pixels. Distances are in millimetres
where a spacing is given, otherwise in pixels of the grid that the masks lie on (`distance_unit` names it): the same
outline on a 256 x 256 grid is 2.29 times as many pixels off as on a 112 x 112 grid.

Every function returns NaN where one of the masks is empty, since no distance exists then; `SegmentationScores` excludes,
counts and penalises such frames.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from echoseg.cine import Float64, Spacing
from echoseg.metrics.overlap import Mask, as_object


@dataclass(frozen=True, eq=False)
class BorderDistances:
    """Distance of every border pixel of one mask to the nearest border pixel of the other; both empty if a mask is.

    Attributes:
        pred_to_ref: one distance per border pixel of the prediction.
        ref_to_pred: one distance per border pixel of the reference.
    """

    pred_to_ref: Float64
    ref_to_pred: Float64

    @property
    def hausdorff(self) -> float:
        """Largest of all distances."""
        return max(_max(self.pred_to_ref), _max(self.ref_to_pred))

    @property
    def hd95_pooled(self) -> float:
        """95th percentile of both directed sets put together (medpy; MemSAM and PKEcho-Net report it)."""
        return _percentile_95(np.concatenate([self.pred_to_ref, self.ref_to_pred]))

    @property
    def hd95_max(self) -> float:
        """Larger of the two directed 95th percentiles (MONAI); as a rule larger than `hd95_pooled`."""
        return max(_percentile_95(self.pred_to_ref), _percentile_95(self.ref_to_pred))

    @property
    def asd_pred_to_ref(self) -> float:
        """Mean distance from the prediction's border to the reference's (medpy's `asd`)."""
        return _mean(self.pred_to_ref)

    @property
    def assd(self) -> float:
        """Mean of both directed sets put together (medpy and MONAI; medpy before 0.5 averaged the two directed means)."""
        return _mean(np.concatenate([self.pred_to_ref, self.ref_to_pred]))


def _max(distances: Float64) -> float:
    return float(distances.max()) if distances.size else math.nan


def _mean(distances: Float64) -> float:
    return float(distances.mean()) if distances.size else math.nan


def _percentile_95(distances: Float64) -> float:
    return float(np.percentile(distances, 95)) if distances.size else math.nan


def border(mask: Mask) -> NDArray[np.bool_]:
    """Pixels of the object with a 4-neighbour outside it or outside the image.

    Example:
        >>> border(np.ones((3, 4), bool)).astype(int)
        array([[1, 1, 1, 1],
               [1, 0, 0, 1],
               [1, 1, 1, 1]])
    """
    inside = as_object(mask)
    eroded = np.zeros_like(inside)
    centre = inside[1:-1, 1:-1]
    eroded[1:-1, 1:-1] = centre & inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
    return inside & ~eroded


def border_distances(pred: Mask, ref: Mask, spacing: Spacing | None = None) -> BorderDistances:
    """Both sets of directed border distances of one frame, in mm with a spacing, else in pixels."""
    from scipy.spatial import cKDTree

    a, b = as_object(pred), as_object(ref, pred)
    if not a.any() or not b.any():
        nothing = np.empty(0)
        return BorderDistances(nothing, nothing)
    scale = np.array([spacing.row_mm, spacing.col_mm] if spacing else [1.0, 1.0])
    points_a, points_b = _border_points(a) * scale, _border_points(b) * scale
    pred_to_ref, _ = cKDTree(points_b).query(points_a)
    ref_to_pred, _ = cKDTree(points_a).query(points_b)
    return BorderDistances(pred_to_ref, ref_to_pred)


def _border_points(inside: NDArray[np.bool_]) -> NDArray[np.intp]:
    rows, cols = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    corner = np.array([rows[0], cols[0]])
    # Beyond its bounding box an object has no pixels, so that the crop has the same border as the whole image.
    points = np.argwhere(border(inside[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]))
    return np.asarray(points + corner)


def hausdorff(pred: Mask, ref: Mask, spacing: Spacing | None = None) -> float:
    """Hausdorff distance: the farthest that a border pixel of either mask lies from the other's border.

    Example:
        >>> a = np.zeros((20, 20), bool)
        >>> a[5:10, 5:10] = True
        >>> hausdorff(a, np.roll(a, 3, axis=0)), hausdorff(a, np.roll(a, 3, axis=0), Spacing(0.5, 2.0))
        (3.0, 1.5)
    """
    return border_distances(pred, ref, spacing).hausdorff


def hd95_pooled_distances(pred: Mask, ref: Mask, spacing: Spacing | None = None) -> float:
    """95th percentile of the two directed sets of distances put together; the convention of medpy."""
    return border_distances(pred, ref, spacing).hd95_pooled


def hd95_max_of_directed(pred: Mask, ref: Mask, spacing: Spacing | None = None) -> float:
    """Larger of the 95th percentiles of the two directed sets; the convention of MONAI."""
    return border_distances(pred, ref, spacing).hd95_max


def assd(pred: Mask, ref: Mask, spacing: Spacing | None = None) -> float:
    """Average symmetric surface distance: mean of all distances either way. MemSAM prints it as "ASD"."""
    return border_distances(pred, ref, spacing).assd


def asd_directed(pred: Mask, ref: Mask, spacing: Spacing | None = None) -> float:
    """Average surface distance from the prediction's border to the reference's, one way only."""
    return border_distances(pred, ref, spacing).asd_pred_to_ref


def distance_unit(shape: tuple[int, int], spacing: Spacing | None) -> str:
    """Unit of a distance measured on a grid.

    Example:
        >>> distance_unit((112, 112), None), distance_unit((112, 112), Spacing(0.5, 0.5))
        ('px of a 112x112 grid', 'mm')
    """
    return "mm" if spacing is not None else f"px of a {shape[0]}x{shape[1]} grid"


def diagonal(shape: tuple[int, int], spacing: Spacing | None) -> float:
    """Diagonal of the image, the distance charged for a mask that is missing.

    Example:
        >>> diagonal((30, 40), None)
        50.0
    """
    row, col = (spacing.row_mm, spacing.col_mm) if spacing else (1.0, 1.0)
    return math.hypot(shape[0] * row, shape[1] * col)
