"""SSCF's calibration and fusion: what the equations promise, and naive loops beside them."""

import itertools

import pytest
import torch
import torch.nn.functional as F

from echoseg.methods.sscf import calibration
from echoseg.methods.sscf.calibration import (
    CalibratedFusion,
    Calibration3x3,
    PlainFusion,
    calibration_kernels,
    channel_affinity,
    convolve_each,
    convolve_factored,
    summarise,
)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def module(form: str = "factored", dilations: tuple[int, ...] = (1,), channels: int = 8) -> Calibration3x3:
    torch.manual_seed(0)
    built = Calibration3x3(channels, dilations, form)
    torch.nn.init.normal_(built.motion, 0, 0.1)
    return built


def test_a_channel_is_summarised_by_84_numbers():
    summary = summarise(random(2, 3, 21, 14))
    assert summary.shape == (2, 3, 1 + 9 + 25 + 49)


def test_summaries_are_maxima_over_cells_that_cover_the_map():
    x = random(1, 1, 11, 8)
    summary = summarise(x)[0, 0]
    assert float(summary[0]) == float(x.max())
    # 3 x 3 cells of 11 rows: 0-3, 3-7, 7-10; of 8 columns: 0-2, 2-5, 5-7
    rows, columns = ((0, 4), (3, 8), (7, 11)), ((0, 3), (2, 6), (5, 8))
    cells = [x[0, 0, a:b, c:d].max() for (a, b), (c, d) in itertools.product(rows, columns)]
    assert torch.equal(summary[1:10], torch.stack(cells))


@pytest.mark.parametrize("size", [(1, 2), (2, 2), (5, 7), (6, 13), (30, 14)])
def test_the_exported_pooling_gives_the_same_numbers(size, monkeypatch):
    x = random(2, 3, *size)
    wanted = summarise(x)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    monkeypatch.setattr(calibration.F, "adaptive_max_pool2d", None)
    assert torch.equal(summarise(x), wanted)


def test_affinity_is_the_sigmoid_of_the_unscaled_product():
    query, key = random(2, 5, 84), random(2, 5, 84, seed=1)
    affinity = channel_affinity(query, key)
    for n, o, j in itertools.product(range(2), range(5), range(5)):
        product = sum(float(a) * float(b) for a, b in zip(query[n, o], key[n, j], strict=True))
        assert float(affinity[n, o, j]) == pytest.approx(1 / (1 + 2.718281828459045 ** (-product)), abs=1e-5)


def test_with_g_of_ones_every_kernel_is_the_row_sum_of_alpha():
    alpha = torch.randint(0, 65, (2, 16, 16), generator=torch.Generator().manual_seed(0)) / 64  # sums are exact
    kernels = calibration_kernels(alpha, torch.ones(16, 16, 3, 3))
    assert torch.equal(kernels, alpha.sum(2)[..., None, None, None].expand(2, 16, 16, 3, 3))


def test_identity_and_a_centred_delta_give_the_neighbour_back():
    neighbour, alpha = random(2, 6, 9, 7), torch.eye(6).expand(2, 6, 6)
    delta = torch.zeros(6, 6, 3, 3)
    delta[range(6), range(6), 1, 1] = 1
    assert torch.equal(convolve_each(neighbour, calibration_kernels(alpha, delta), (1,)), neighbour)
    assert torch.equal(convolve_factored(neighbour, alpha, delta, (1,)), neighbour)


@pytest.mark.parametrize("dilations", [(1,), (2,), (1, 2, 4)])
def test_both_forms_equal_a_loop_over_samples_and_pixels(dilations):
    neighbour, alpha, motion = random(2, 3, 6, 5), random(2, 3, 3, seed=1).sigmoid(), random(3, 3, 3, 3, seed=2)
    wanted = torch.zeros_like(neighbour)
    for n, o, y, x in itertools.product(range(2), range(3), range(6), range(5)):
        for d, j, i, u, v in itertools.product(dilations, range(3), range(3), range(3), range(3)):
            row, column = y + d * (u - 1), x + d * (v - 1)
            if 0 <= row < 6 and 0 <= column < 5:
                wanted[n, o, y, x] += alpha[n, o, j] * motion[j, i, u, v] * neighbour[n, i, row, column]
    wanted /= len(dilations)
    torch.testing.assert_close(convolve_each(neighbour, calibration_kernels(alpha, motion), dilations), wanted)
    torch.testing.assert_close(convolve_factored(neighbour, alpha, motion, dilations), wanted)


def test_both_forms_have_the_same_gradients():
    grads = []
    for form in ("kernels", "factored"):
        built, neighbour = module(form, (1, 2)), random(2, 8, 10, 10).requires_grad_()
        built(neighbour, random(2, 8, 10, 10, seed=1)).square().sum().backward()
        grads.append([neighbour.grad, *(p.grad for p in built.parameters())])
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4 * float(one.abs().max()))


@pytest.mark.parametrize("form", ["kernels", "factored"])
def test_a_batch_of_two_equals_two_batches_of_one(form):
    built, neighbour, current = module(form), random(2, 8, 12, 12), random(2, 8, 12, 12, seed=1)
    apart = [built(neighbour[i : i + 1], current[i : i + 1]) for i in range(2)]
    torch.testing.assert_close(built(neighbour, current), torch.cat(apart), rtol=1e-5, atol=1e-5)


def test_g_starts_at_one_and_the_transformations_have_no_padding():
    built = Calibration3x3(8, (1,), "factored")
    assert torch.equal(built.motion, torch.ones(8, 8, 3, 3))
    assert built.to_q(random(1, 8, 12, 10)).shape == built.to_k(random(1, 8, 12, 10)).shape == (1, 8, 10, 8)


def test_random_features_saturate_alpha_and_blow_the_map_up():
    """What makes full precision and the normalisation after the fusion necessary (C = 64)."""
    torch.manual_seed(0)
    built = Calibration3x3(64, (1,), "factored")
    neighbour, current = random(2, 64, 32, 32).relu(), random(2, 64, 32, 32, seed=1).relu()
    alpha = built.affinity(neighbour, current)
    assert float(neighbour.std()) == pytest.approx(0.58, abs=0.01)
    assert float(((alpha < 0.01) | (alpha > 0.99)).float().mean()) > 0.98
    assert float(built(neighbour, current).detach().std()) == pytest.approx(2e3, rel=0.15)


@pytest.mark.parametrize("kind", [PlainFusion, CalibratedFusion])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_fusion_is_in_full_precision_under_autocast(kind, dtype):
    """A half-precision sum of calibrated maps and features would drop the current frame, or overflow."""
    torch.manual_seed(0)
    built = kind(8) if kind is PlainFusion else kind(8, (1,), "kernels")
    maps = [1e5 * random(2, 8, 8, 8, seed=i).relu() for i in range(3)]
    with torch.autocast("cpu", dtype):
        mixed = built(*maps)
    assert mixed.dtype == torch.float32
    assert torch.equal(mixed, built(*maps))


def test_fusion_normalises_a_1x1_convolution_of_previous_current_following():
    torch.manual_seed(0)
    built = CalibratedFusion(8, (1,), "factored")
    previous, current, following = (random(2, 8, 8, 8, seed=i) for i in range(3))
    sides = built.from_previous(previous, current), built.from_following(following, current)
    mixed = F.conv2d(torch.cat([sides[0], current, sides[1]], 1), built.mix.weight)
    mean, var = mixed.mean((0, 2, 3), keepdim=True), mixed.var((0, 2, 3), keepdim=True, unbiased=False)
    torch.testing.assert_close(built(previous, current, following), (mixed - mean) / (var + 1e-5).sqrt())
    assert float(built(previous, current, following).detach().min()) < 0  # no ReLU


def test_fusion_without_calibration_is_the_1x1_convolution_alone():
    built = PlainFusion(8)
    assert [name for name, _ in built.named_children()] == ["mix", "norm"]
    maps = [random(2, 8, 4, 4, seed=i) for i in range(3)]
    mixed = F.conv2d(torch.cat(maps, 1), built.mix.weight)
    torch.testing.assert_close(built(*maps), F.batch_norm(mixed, None, None, training=True))
