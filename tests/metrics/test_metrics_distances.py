"""Border distances against medpy, MONAI and closed forms."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from medpy.metric import binary
from scipy import ndimage

from echoseg.cine import Spacing
from echoseg.errors import InputError
from echoseg.metrics import (
    asd_directed,
    assd,
    border,
    border_distances,
    distance_unit,
    hausdorff,
    hd95_max_of_directed,
    hd95_pooled_distances,
)

SPACINGS = (None, Spacing(1.0, 1.0), Spacing(0.154, 0.308), Spacing(2.0, 0.5))
FUNCTIONS = (hausdorff, hd95_pooled_distances, hd95_max_of_directed, assd, asd_directed)


def _blob(seed: int, shape: tuple[int, int] = (48, 40)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.normal(size=shape), rng.uniform(1, 5))
    return noise > np.quantile(noise, rng.uniform(0.3, 0.95))


def _voxel(spacing: Spacing | None) -> tuple[float, float] | None:
    return None if spacing is None else (spacing.row_mm, spacing.col_mm)


@pytest.fixture(scope="module")
def monai_hd() -> Callable[..., float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torch
        from monai.metrics import compute_hausdorff_distance

    def distance(pred: np.ndarray, ref: np.ndarray, spacing: Spacing | None, percentile: float | None) -> float:
        a, b = (torch.from_numpy(m[None, None].astype(np.float32)) for m in (pred, ref))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = compute_hausdorff_distance(
                a, b, include_background=True, percentile=percentile, spacing=_voxel(spacing)
            )
        return float(found)

    return distance


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("seed", range(12))
def test_all_distances_agree_with_medpy(seed, spacing):
    pred, ref, voxel = _blob(seed), _blob(seed + 100), _voxel(spacing)
    assert hausdorff(pred, ref, spacing) == pytest.approx(binary.hd(pred, ref, voxel))
    assert hd95_pooled_distances(pred, ref, spacing) == pytest.approx(binary.hd95(pred, ref, voxel))
    assert assd(pred, ref, spacing) == pytest.approx(binary.assd(pred, ref, voxel))
    assert asd_directed(pred, ref, spacing) == pytest.approx(binary.asd(pred, ref, voxel))


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("seed", range(12))
def test_the_maximum_of_directed_percentiles_agrees_with_monai(seed, spacing, monai_hd):
    pred, ref = _blob(seed), _blob(seed + 100)
    assert hd95_max_of_directed(pred, ref, spacing) == pytest.approx(monai_hd(pred, ref, spacing, 95), rel=1e-5)
    assert hausdorff(pred, ref, spacing) == pytest.approx(monai_hd(pred, ref, spacing, None), rel=1e-5)


def test_the_two_conventions_of_hd95_differ():
    pred, ref = np.zeros((60, 60), bool), np.zeros((60, 60), bool)
    ref[10:50, 10:50] = True
    pred[10:50, 10:50] = True
    pred[10:50, 50:56] = True
    found = border_distances(pred, ref)
    assert found.hd95_max >= found.hd95_pooled
    stray = ref.copy()
    stray[2:8, 2:8] = True  # far from the reference in one direction only
    found = border_distances(stray, ref)
    assert found.hd95_max > found.hd95_pooled + 1


@pytest.mark.parametrize("shift", [1, 2, 7])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_shift_by_k_pixels_is_a_hausdorff_distance_of_k_pixels(shift, axis):
    mask = np.zeros((60, 60), bool)
    mask[20:40, 15:45] = True
    moved = np.roll(mask, shift, axis)
    assert hausdorff(mask, moved) == shift
    spacing = Spacing(0.5, 3.0)
    assert hausdorff(mask, moved, spacing) == pytest.approx(shift * (spacing.row_mm, spacing.col_mm)[axis])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 10_000), st.floats(0.1, 5), st.floats(0.1, 5))
def test_distances_are_metrics_in_scale_and_order(one, two, row_mm, col_mm):
    pred, ref, spacing = _blob(one, (20, 24)), _blob(two, (20, 24)), Spacing(row_mm, col_mm)
    found = border_distances(pred, ref, spacing)
    assert 0 <= found.assd <= found.hausdorff
    assert found.hd95_pooled <= found.hausdorff + 1e-12
    assert found.hd95_max <= found.hausdorff + 1e-12
    assert hausdorff(ref, pred, spacing) == pytest.approx(found.hausdorff)
    assert assd(ref, pred, spacing) == pytest.approx(found.assd)
    doubled = Spacing(2 * row_mm, 2 * col_mm)
    assert hausdorff(pred, ref, doubled) == pytest.approx(2 * found.hausdorff)
    assert border_distances(pred, pred, spacing).hausdorff == 0
    assert hausdorff(pred.T, ref.T, Spacing(col_mm, row_mm)) == pytest.approx(found.hausdorff)


@pytest.mark.parametrize("seed", range(10))
def test_the_border_is_the_object_minus_its_erosion(seed):
    mask = _blob(seed)
    np.testing.assert_array_equal(border(mask), mask & ~ndimage.binary_erosion(mask))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_without_an_object_there_is_no_distance(function):
    empty, full = np.zeros((8, 8), bool), np.ones((8, 8), bool)
    assert np.isnan([function(empty, full), function(full, empty), function(empty, empty)]).all()


def test_single_pixels_and_masks_that_fill_the_image():
    dot = np.zeros((8, 8), bool)
    dot[0, 0] = True
    assert hausdorff(dot, np.roll(dot, (3, 4), (0, 1))) == 5
    assert hausdorff(np.ones((8, 8), bool), np.ones((8, 8), bool)) == 0
    assert hausdorff(dot, np.ones((8, 8), bool)) == pytest.approx(np.hypot(7, 7))


def test_inputs_are_not_written_to():
    pred, ref = _blob(1), _blob(2)
    pred.flags.writeable = ref.flags.writeable = False
    assert border_distances(pred, ref).hausdorff > 0


def test_shapes_must_agree():
    with pytest.raises(InputError, match="resample"):
        hausdorff(np.ones((4, 4), bool), np.ones((4, 5), bool))


def test_units_name_the_grid():
    assert distance_unit((128, 96), None) == "px of a 128x96 grid"
    assert distance_unit((128, 96), Spacing(1, 1)) == "mm"
