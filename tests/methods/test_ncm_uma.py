"""Attention among unreliable pixels, and the boundary constraint between frames."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from echoseg.methods.ncm.boundary import boundary_constraint, boundary_ring, dilate
from echoseg.methods.ncm.uma import UnreliableAttention, unreliable

SIDE, K = 64, 4


@pytest.fixture
def uma() -> UnreliableAttention:
    torch.manual_seed(0)
    return UnreliableAttention(16, heads=4)


def features(seed: int = 0) -> torch.Tensor:
    return torch.randn(2, 16, 5, 6, generator=torch.Generator().manual_seed(seed))


def chosen(share: float = 0.4) -> torch.Tensor:
    return torch.rand(2, 5, 6, generator=torch.Generator().manual_seed(7)) < share


def test_unreliable_is_a_probability_between_a_fifth_and_four_fifths():
    prob = torch.tensor([0.05, 0.199, 0.201, 0.5, 0.799, 0.801, 0.99])
    found = unreliable(torch.logit(prob).view(1, 1, 1, -1), 0.8)
    assert (
        found.flatten().tolist()
        == ((2 * prob - 1).abs() < 0.6).tolist()
        == [False, False, True, True, True, False, False]
    )


def test_of_four_channels_the_most_probable_one_counts():
    prob = torch.tensor(
        [[0.81, 0.1, 0.05, 0.04], [0.79, 0.11, 0.05, 0.05], [0.25, 0.25, 0.25, 0.25], [0.01, 0.01, 0.01, 0.97]]
    )
    found = unreliable(prob.log().T.view(1, 4, 1, 4), 0.8)
    assert found.flatten().tolist() == [False, True, True, False]


def test_reliable_pixels_keep_their_features_bit_for_bit(uma):
    x, picked = features(), chosen()
    out = uma(x, picked)
    reliable = ~picked.unsqueeze(1).expand_as(x)
    assert torch.equal(out[reliable], x[reliable])
    assert bool((out != x)[~reliable].all())


def test_without_an_unreliable_pixel_nothing_happens_and_the_gradient_is_one(uma):
    x = features().requires_grad_()
    out = uma(x, torch.zeros(2, 5, 6, dtype=torch.bool))
    assert torch.equal(out, x)
    out.sum().backward()
    assert torch.equal(x.grad, torch.ones_like(x))
    assert all(bool(torch.isfinite(p.grad).all()) for p in uma.parameters())


def test_with_all_pixels_unreliable_it_is_plain_self_attention(uma):
    x = features()
    pixels = x.flatten(2).transpose(1, 2)
    normed = uma.norm(pixels)
    expected = pixels + uma.attention(normed, normed, normed)
    found = uma(x, torch.ones(2, 5, 6, dtype=torch.bool)).flatten(2).transpose(1, 2)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)


def test_reliable_pixels_answer_nobody(uma):
    x, picked = features(), chosen()
    other = torch.where(picked.unsqueeze(1), x, features(9))
    found, expected = uma(other, picked), uma(x, picked)
    inside = picked.unsqueeze(1).expand_as(x)
    assert torch.equal(found[inside], expected[inside])


def test_unreliable_pixels_answer_each_other(uma):
    x, picked = features(), chosen()
    place = picked[0].nonzero()[0].tolist()
    other = x.clone()
    other[0, :, place[0], place[1]] = features(3)[0, :, 0, 0]
    changed = (uma(other, picked) - uma(x, picked)).abs().amax(1).detach() > 0
    assert torch.equal(changed[0], picked[0])
    assert not bool(changed[1].any())


def test_order_of_the_unreliable_pixels_does_not_matter(uma):
    x, picked = features()[:1], chosen()[:1]
    index = picked.flatten().nonzero().flatten()
    order = torch.randperm(len(index), generator=torch.Generator().manual_seed(1))
    flat = x.flatten(2)
    shuffled = flat.clone()
    shuffled[..., index] = flat[..., index[order]]
    found = uma(shuffled.view_as(x), picked).flatten(2)
    torch.testing.assert_close(found[..., index], uma(x, picked).flatten(2)[..., index[order]], atol=1e-5, rtol=1e-5)


def disc(radius: float, row: float = 32, col: float = 32) -> torch.Tensor:
    axis = torch.arange(SIDE)
    return ((axis[:, None] - row) ** 2 + (axis - col) ** 2 <= radius**2).float()


def clip(*frames: torch.Tensor) -> torch.Tensor:
    return torch.stack(frames)[None, :, None]


def smooth(seed: int, length: int = 4) -> torch.Tensor:
    noise = torch.rand(2, length, 3, 20, 24, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.avg_pool2d(noise.flatten(0, 1), 5, stride=1, padding=2).view_as(noise)


def test_dilation_is_scipys_maximum_filter():
    image = smooth(0)[0]
    expected = [[ndimage.maximum_filter(x.numpy(), 2 * K + 1, mode="nearest") for x in frame] for frame in image]
    np.testing.assert_array_equal(dilate(image, K).numpy(), np.array(expected))


def test_the_ring_of_a_square_is_k_pixels_wide_on_both_sides():
    image = torch.zeros(1, 1, SIDE, SIDE)
    image[..., 20:40, 20:40] = 1
    expected = torch.zeros_like(image)
    expected[..., 20 - K : 40 + K, 20 - K : 40 + K] = 1
    expected[..., 20 + K : 40 - K, 20 + K : 40 - K] = 0
    assert torch.equal(boundary_ring(image, K), expected)


def test_identical_frames_cost_nothing():
    image = smooth(1)[:, :1].expand(-1, 5, -1, -1, -1)
    assert float(boundary_constraint(image, K)) == 0


@pytest.mark.parametrize("growth", range(K))
def test_a_boundary_may_move_by_less_than_k_pixels(growth):
    assert float(boundary_constraint(clip(disc(12), disc(12 + growth), disc(12)), K)) == 0


def test_a_jump_costs_the_pixels_that_no_ring_covers():
    one, other = disc(10, 20, 20), disc(10, 44, 44)
    found = float(boundary_constraint(clip(one, other), K))
    rings = [
        ndimage.grey_dilation(x.numpy(), size=2 * K + 1) - ndimage.grey_erosion(x.numpy(), size=2 * K + 1)
        for x in (one, other)
    ]
    expected = ((one - other).abs().numpy() * (1 - np.maximum(*rings))).sum() / SIDE**2
    assert found == pytest.approx(expected)
    assert found > 0


def test_a_disc_that_moves_by_more_than_twice_k_costs_something():
    assert float(boundary_constraint(clip(disc(14, 26), disc(14, 26 + 2 * K + 2)), K)) > 0


@pytest.mark.parametrize("seed", range(4))
def test_never_negative_and_the_same_in_reverse_time(seed):
    prob = smooth(seed)
    found = boundary_constraint(prob, 2)
    assert float(found) > 0
    torch.testing.assert_close(boundary_constraint(prob.flip(1), 2), found)


def test_the_rings_carry_no_gradient():
    """Else a wide, unsure boundary would lower the loss."""
    prob = smooth(5, 2).requires_grad_()
    boundary_constraint(prob, 2).backward()
    with torch.no_grad():
        ring = boundary_ring(prob.flatten(0, 1), 2).view_as(prob)
        free = 1 - torch.maximum(ring[:, 0], ring[:, 1])
        expected = free * (prob[:, 1] - prob[:, 0]).sign() / free.numel()
    torch.testing.assert_close(prob.grad[:, 1], expected)
    torch.testing.assert_close(prob.grad[:, 0], -expected)


def test_a_single_frame_costs_nothing_and_has_a_graph():
    prob = smooth(6, 1).requires_grad_()
    value = boundary_constraint(prob, 2)
    value.backward()
    assert float(value.detach()) == 0
    assert float(prob.grad.abs().sum()) == 0
