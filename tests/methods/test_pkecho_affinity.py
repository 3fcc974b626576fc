"""Region proxies: what an affinity is, and what enlarging with it keeps."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from echoseg.methods.pkecho import PKEchoConfig
from echoseg.methods.pkecho.affinity import AffinityEstimator, normalise_affinity, outside_map, propagate
from echoseg.methods.pkecho.network import PKEchoNet


def random_affinity(height: int, width: int, scale: int, frames: int = 2) -> Tensor:
    torch.manual_seed(0)
    return normalise_affinity(3 * torch.randn(frames, 9 * scale**2, height, width), scale)


def slow_enlarge(logits: Tensor, affinity: Tensor) -> Tensor:
    """Equation 5 pixel by pixel."""
    scale, (frames, classes, height, width) = math.isqrt(affinity.shape[2]), logits.shape
    out = torch.zeros(frames, classes, height * scale, width * scale)
    for row in range(height * scale):
        for col in range(width * scale):
            y, x = row // scale, col // scale
            sub = (row % scale) * scale + col % scale
            for j in range(9):
                near_y, near_x = y + j // 3 - 1, x + j % 3 - 1
                if 0 <= near_y < height and 0 <= near_x < width:
                    out[:, :, row, col] += affinity[:, j, sub, y, x, None] * logits[:, :, near_y, near_x]
    return out


def test_border_pixels_do_not_look_outside():
    outside = outside_map(4, 5, torch.device("cpu"))[:, 0]
    expected = torch.zeros(9, 4, 5, dtype=torch.bool)
    expected[[0, 1, 2], 0], expected[[6, 7, 8], -1] = True, True
    expected[[0, 3, 6], :, 0], expected[[2, 5, 8], :, -1] = True, True
    assert torch.equal(outside, expected)
    assert int((~outside[:, 0, 0]).sum()) == 4


@pytest.mark.parametrize(("height", "width"), [(4, 5), (1, 6), (6, 1), (1, 1)])
@pytest.mark.parametrize("scale", [2, 4])
def test_affinities_sum_to_one_and_are_exactly_zero_outside(height, width, scale):
    affinity = random_affinity(height, width, scale)
    assert affinity.shape == (2, 9, scale**2, height, width)
    torch.testing.assert_close(affinity.sum(1), torch.ones(2, scale**2, height, width))
    outside = outside_map(height, width, affinity.device).expand_as(affinity)
    assert float(affinity[outside].abs().sum()) == 0
    assert bool((affinity[~outside] > 0).all())


def test_channels_are_neighbour_first_and_sub_pixel_second():
    scores = torch.zeros(1, 36, 3, 3)
    scores[:, 5 * 4 + 2] = 100.0  # neighbour 5 (right) of sub-pixel 2 (below, left)
    affinity = normalise_affinity(scores, 2)
    assert float(affinity[0, 5, 2, 1, 1]) == pytest.approx(1)
    torch.testing.assert_close(affinity[0, :, 1, 1, 1], torch.full((9,), 1 / 9))


def test_a_constant_stays_constant():
    enlarged = propagate(torch.full((2, 3, 4, 5), 1.7), random_affinity(4, 5, 4))
    assert enlarged.shape == (2, 3, 16, 20)
    torch.testing.assert_close(enlarged, torch.full_like(enlarged, 1.7), atol=1e-6, rtol=0)


def test_nothing_leaves_the_range_of_the_neighbours():
    logits = torch.randn(2, 1, 4, 5, generator=torch.Generator().manual_seed(1))
    enlarged = propagate(logits, random_affinity(4, 5, 2))
    padded = F.pad(logits, (1, 1, 1, 1), value=-math.inf)
    highest = F.interpolate(F.max_pool2d(padded, 3, 1), scale_factor=2)
    lowest = -F.interpolate(F.max_pool2d(F.pad(-logits, (1, 1, 1, 1), value=-math.inf), 3, 1), scale_factor=2)
    assert bool((enlarged <= highest + 1e-6).all())
    assert bool((enlarged >= lowest - 1e-6).all())


@pytest.mark.parametrize("scale", [2, 4])
def test_affinity_to_the_pixel_itself_is_nearest_neighbour_enlargement(scale):
    logits = torch.randn(2, 2, 3, 4)
    affinity = torch.zeros(2, 9, scale**2, 3, 4)
    affinity[:, 4] = 1
    assert torch.equal(propagate(logits, affinity), F.interpolate(logits, scale_factor=scale, mode="nearest"))


@pytest.mark.parametrize("scale", [2, 4])
def test_enlarging_is_the_sum_over_neighbours(scale):
    logits, affinity = torch.randn(2, 2, 3, 4), random_affinity(3, 4, scale)
    torch.testing.assert_close(propagate(logits, affinity), slow_enlarge(logits, affinity))


def test_gradients_reach_logits_and_scores():
    scores = torch.randn(1, 36, 3, 3, dtype=torch.float64, requires_grad=True)
    logits = torch.randn(1, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda p, s: propagate(p, normalise_affinity(s, 2)), (logits, scores))


def test_chosen_frames_have_the_affinities_that_all_frames_would_give_them():
    """In training, too: batch statistics are of all frames."""
    torch.manual_seed(0)
    estimator, features = AffinityEstimator(16, 2), torch.randn(5, 16, 4, 4)
    chosen = torch.tensor([True, False, False, True, True])
    torch.testing.assert_close(estimator(features, chosen), estimator(features)[chosen])
    estimator.eval()
    torch.testing.assert_close(estimator(features, chosen), estimator(features)[chosen])


@pytest.mark.parametrize(
    ("proxies", "scales"),
    [((32, 16, 8, 4), [2, 2, 2, 4]), ((32, 8), [4, 8]), ((32, 4), [8, 4]), ((4,), [4]), ((), [])],
)
@pytest.mark.parametrize("size", [(32, 64), (40, 56)])
def test_maps_are_taken_coarse_to_fine_and_what_hangs_over_is_cut(proxies, scales, size):
    torch.manual_seed(0)
    net = PKEchoNet(PKEchoConfig("resnet10t", region_proxies=proxies)).eval()
    assert [module.scale for module in net.affinity] == scales
    with torch.no_grad():
        features, stages = net.encode(torch.randn(1, 2, 1, *size))
        expected, level = stages[-1], {32: 3, 16: 2, 8: 1, 4: 0}
        if proxies[:1] != (32,):
            first = features[level[proxies[0]]].shape[-2:] if proxies else size
            expected = F.interpolate(expected, size=tuple(first), mode="bilinear", align_corners=False)
        for module, stride in zip(net.affinity, proxies, strict=True):
            finer = proxies[proxies.index(stride) + 1 :][:1]
            rows, cols = features[level[finer[0]]].shape[-2:] if finer else size
            expected = slow_enlarge(expected, module(features[level[stride]]))[..., :rows, :cols]
        torch.testing.assert_close(net.enlarge(stages[-1], features, size), expected, atol=1e-5, rtol=1e-4)
