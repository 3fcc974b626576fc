"""Boundary loss against hand computed numbers and every mask that there is."""

import itertools

import numpy as np
import pytest
import torch

from echoseg.losses import targets
from echoseg.methods.pkecho.boundary import boundary_loss, signed_distance


def loss_of(prob: np.ndarray, mask: np.ndarray, *, normalised: bool = False) -> float:
    """Loss of a binary prediction."""
    target, valid = targets(torch.from_numpy(mask.astype(np.uint8))[None], 1)
    logits = torch.from_numpy(np.where(prob, 200.0, -200.0)).float()[None, None]
    return float(boundary_loss(logits, signed_distance(target, normalised=normalised), valid))


def square() -> np.ndarray:
    mask = np.zeros((32, 32), bool)
    mask[8:20, 8:20] = True
    return mask


def test_distances_by_hand():
    """A square of 3 in a corner of 5 x 5: 0 on its outline, -1 in its middle."""
    target = torch.zeros(1, 1, 5, 5)
    target[..., 1:4, 1:4] = 1
    root = 2**0.5
    expected = [
        [root, 1, 1, 1, root],
        [1, 0, 0, 0, 1],
        [1, 0, -1, 0, 1],
        [1, 0, 0, 0, 1],
        [root, 1, 1, 1, root],
    ]
    torch.testing.assert_close(signed_distance(target, normalised=False)[0, 0], torch.tensor(expected))
    torch.testing.assert_close(signed_distance(target, normalised=True)[0, 0], torch.tensor(expected) / root)


def test_a_square_of_12_and_the_same_dilated_by_a_pixel():
    from scipy.ndimage import binary_dilation

    mask = square()
    assert loss_of(mask, mask) == pytest.approx(-0.21484375, abs=1e-6)
    assert loss_of(binary_dilation(mask), mask) == pytest.approx(-0.16796875, abs=1e-6)


def test_an_empty_answer_costs_nothing():
    assert loss_of(np.zeros((32, 32), bool), square()) == 0


def test_no_mask_is_cheaper_than_the_right_one():
    """All 4096 masks of 3 x 4 pixels; only pixels on the outline, whose distance is 0, may be left out for free."""
    truth = np.zeros((3, 4), bool)
    truth[:, 1:] = True  # the middle of the last column lies one pixel inside
    distance = signed_distance(torch.from_numpy(truth).float()[None, None], normalised=False)[0, 0].numpy()
    masks = np.array(list(itertools.product([False, True], repeat=12))).reshape(-1, 3, 4)
    losses = (masks * distance).mean((1, 2))
    assert loss_of(truth, truth) == pytest.approx(losses.min())
    cheapest = masks[np.isclose(losses, losses.min())]
    assert {tuple(m[distance != 0]) for m in cheapest} == {tuple(truth[distance != 0])}
    for mask in masks[::97]:
        assert loss_of(mask, truth) == pytest.approx((mask * distance).mean(), abs=1e-6)


def test_normalised_distances_reach_one_and_keep_their_ratios():
    target = torch.from_numpy(square()).float()[None, None]
    raw, scaled = (signed_distance(target, normalised=n) for n in (False, True))
    assert float(scaled.abs().max()) == pytest.approx(1)
    torch.testing.assert_close(scaled * raw.abs().max(), raw)
    assert loss_of(square(), square(), normalised=True) == pytest.approx(-0.21484375 / float(raw.abs().max()), rel=1e-5)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_without_a_contour_there_is_no_distance(value):
    assert float(signed_distance(torch.full((1, 1, 8, 8), value), normalised=True).abs().max()) == 0


def test_frames_and_structures_have_maps_of_their_own():
    target = torch.zeros(2, 4, 16, 16)
    target[0, 1, 2:8, 2:8], target[1, 3, 5:15, 5:15] = 1, 1
    maps = signed_distance(target, normalised=False)
    for n, k in ((0, 1), (1, 3)):
        assert torch.equal(maps[n, k], signed_distance(target[n : n + 1, k : k + 1], normalised=False)[0, 0])
        maps[n, k] = 0
    assert float(maps.abs().max()) == 0


def test_ignored_pixels_count_neither_above_nor_below_the_line():
    logits, distance = torch.randn(2, 1, 6, 6), torch.randn(2, 1, 6, 6)
    valid = torch.rand(2, 1, 6, 6) > 0.3
    expected = (logits.sigmoid() * distance)[valid].mean()
    logits[~valid] = torch.nan
    logits.requires_grad_()
    loss = boundary_loss(logits, distance, valid)
    torch.testing.assert_close(loss, expected)
    loss.backward()
    assert bool(torch.isfinite(logits.grad).all())


def test_softmax_leaves_the_background_out():
    logits, distance = torch.randn(2, 4, 6, 6), torch.randn(2, 4, 6, 6)
    expected = (logits.softmax(1) * distance)[:, 1:].mean()
    torch.testing.assert_close(boundary_loss(logits, distance, torch.ones(2, 1, 6, 6, dtype=torch.bool)), expected)
