"""ARC: what the equations promise."""

import pytest
import torch
import torch.nn.functional as F

from echoseg.methods.echoforge.arc import (
    AnchorRecalibration,
    nearest_pixels,
    recalibrate,
    similarity,
    uncertain_and_weight,
    weighted_pool,
)

TEMPERATURE = 0.1


@pytest.fixture
def features() -> torch.Tensor:
    return torch.randn(3, 16, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def anchors() -> torch.Tensor:
    return torch.randn(3, 2, 16, generator=torch.Generator().manual_seed(1))


def by_patch(x: torch.Tensor, patch: int) -> torch.Tensor:
    """(N, P, pixels, C)."""
    n, c = x.shape[:2]
    return x.unfold(2, patch, patch).unfold(3, patch, patch).permute(0, 2, 3, 4, 5, 1).reshape(n, -1, patch * patch, c)


@pytest.mark.parametrize("patch", [1, 2])
def test_confident_patches_are_bit_identical(features, anchors, patch):
    out, _, uncertain = recalibrate(features, anchors, TEMPERATURE, patch)
    assert bool(uncertain.any()) and not bool(uncertain.all())
    assert torch.equal(by_patch(out, patch)[~uncertain], by_patch(features, patch)[~uncertain])
    assert not torch.equal(by_patch(out, patch)[uncertain], by_patch(features, patch)[uncertain])


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_assignment_sums_to_one(features, count):
    anchors = torch.randn(3, count, 16)
    assignment = recalibrate(features, anchors, TEMPERATURE, 2)[1]
    torch.testing.assert_close(assignment.sum(-1), torch.ones(3, 16))


def test_a_tie_changes_nothing(features):
    anchor = torch.randn(3, 1, 16)
    out, assignment, uncertain = recalibrate(features, anchor.expand(3, 2, 16), TEMPERATURE, 2)
    assert bool(uncertain.all())
    assert bool((assignment == 0.5).all())
    assert torch.equal(out, features)


def test_uncertain_pixels_move_towards_the_winner_by_the_lead(features, anchors):
    out, assignment, uncertain = recalibrate(features, anchors, TEMPERATURE, 2)
    lead = (assignment[..., 0] - assignment[..., 1]).abs()
    winner = anchors.gather(1, assignment.argmax(-1)[..., None].expand(-1, -1, 16)).unsqueeze(2)
    before = (by_patch(features, 2) - winner).norm(dim=-1)
    after = (by_patch(out, 2) - winner).norm(dim=-1)
    expected = (1 - lead)[..., None] * before
    torch.testing.assert_close(after[uncertain], expected[uncertain])


def test_band_and_largest_weight():
    foreground = torch.linspace(0, 1, 1001)[None]
    uncertain, weight = uncertain_and_weight(torch.stack([foreground, 1 - foreground], -1))
    inside = (foreground > 0.4005) & (foreground < 0.5995)
    outside = (foreground < 0.3995) | (foreground > 0.6005)
    assert bool(uncertain[inside].all()) and not bool(uncertain[outside].any())
    assert float(weight[uncertain].max()) <= 0.2 + 1e-6


def test_empty_band_is_the_identity_with_identity_gradient(features, anchors):
    x = features.clone().requires_grad_()
    out, _, uncertain = recalibrate(x, anchors, 1e-4, 2)
    assert not bool(uncertain.any())
    assert torch.equal(out, x)
    out.sum().backward()
    assert x.grad is not None and torch.equal(x.grad, torch.ones_like(x))


@pytest.mark.parametrize("count", [2, 3, 4])
def test_permuting_anchors_permutes_the_assignment_only(features, count):
    anchors = torch.randn(3, count, 16)
    order = torch.randperm(count)
    one, s_one, _ = recalibrate(features, anchors, TEMPERATURE, 2)
    two, s_two, _ = recalibrate(features, anchors[:, order], TEMPERATURE, 2)
    torch.testing.assert_close(s_one[..., order], s_two)
    torch.testing.assert_close(one, two)


def test_constant_features_pool_to_themselves():
    value = torch.randn(2, 16)
    features = value[:, :, None, None].expand(2, 16, 8, 8)
    weights = torch.rand(2, 2, 8, 8)
    torch.testing.assert_close(weighted_pool(features, weights), value[:, None].expand(2, 2, 16), atol=1e-5, rtol=1e-5)


def test_all_pixels_as_neighbours_equal_attention_over_the_map(features):
    arc = AnchorRecalibration(16, 2, neighbours=64, patch=2, temperature=TEMPERATURE)
    pixels = features.flatten(2).transpose(1, 2)
    initial = weighted_pool(features, arc.weights(features).softmax(1)) + arc.offset
    expected = arc.norm(initial + arc.fusion(initial, pixels, pixels))
    torch.testing.assert_close(arc.anchors(features), expected, atol=1e-5, rtol=1e-5)


def test_neighbours_are_the_nearest_by_cosine(features, anchors):
    near = nearest_pixels(features, anchors, 5)
    for n in range(3):
        for a in range(2):
            pixels = features[n].flatten(1).T
            order = F.cosine_similarity(pixels, anchors[n, a][None]).argsort(descending=True)[:5]
            torch.testing.assert_close(near[n, a], pixels[order])


def test_patch_of_one_equals_an_explicit_loop(features, anchors):
    out, _, _ = recalibrate(features, anchors, TEMPERATURE, 1)
    for n in range(3):
        for y in range(8):
            for x in range(8):
                pixel = features[n, :, y, x]
                s = (F.cosine_similarity(pixel[None], anchors[n]) / TEMPERATURE).softmax(0)
                lead, best = (s[0] - s[1]).abs(), int(s.argmax())
                uncertain = 0.4 <= float(s[0]) <= 0.6
                expected = (1 - lead) * pixel + lead * anchors[n, best] if uncertain else pixel
                torch.testing.assert_close(out[n, :, y, x], expected)


def test_a_single_anchor_only_pulls_what_leans_to_it(features):
    anchor = torch.randn(3, 1, 16)
    assignment = similarity(by_patch(features, 2).mean(2), anchor, TEMPERATURE)
    assert assignment.shape[-1] == 2
    uncertain = recalibrate(features, anchor, TEMPERATURE, 2)[2]
    assert bool((assignment[uncertain][:, 0] >= 0.5).all())


def test_patches_that_do_not_tile_are_refused(features, anchors):
    with pytest.raises(ValueError, match="patch=1"):
        recalibrate(features[..., :7], anchors, TEMPERATURE, 2)
