"""Kernels of the frames: equations 1 to 4, what they depend on and what they must not."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from echoseg.methods.pkecho import PKEchoConfig
from echoseg.methods.pkecho.kss import (
    FeedForward,
    HybridAttention,
    KernelSegmentation,
    ReleasedHybridAttention,
    SelfAttention,
)

CHANNELS, SIDE = 8, 4
BASE = PKEchoConfig(frames=5)


def network(**changes: object) -> KernelSegmentation:
    torch.manual_seed(0)
    return KernelSegmentation(CHANNELS, dataclasses.replace(BASE, **changes)).eval()


def features(clips: int = 2, length: int = 5) -> Tensor:
    rng = torch.Generator().manual_seed(1)
    return torch.randn(clips * length, CHANNELS, SIDE, SIDE + 1, generator=rng)


def linear_map(attention: nn.MultiheadAttention, value: Tensor) -> Tensor:
    """What attention to a single key is: psi_4(psi_3(V))."""
    width = value.shape[-1]
    inner = F.linear(value, attention.in_proj_weight[2 * width :], attention.in_proj_bias[2 * width :])
    return attention.out_proj(inner)


def slow_kernels(net: KernelSegmentation, maps: Tensor, batch: int) -> list[Tensor]:
    """Equations 1 to 4 clip by clip and frame by frame, for one channel and without attention over clips."""
    reduced = net.reduce(maps)
    logits = net.predict(reduced)
    stages, length = [logits], len(maps) // batch
    kernels = net.predict.weight.view(1, -1).expand(len(maps), -1)
    for i, (update, bias) in enumerate(zip(net.updates, net.biases, strict=True)):
        embedded = []
        for n in range(len(maps)):
            grouped = (logits[n].sigmoid() * reduced[n]).sum((1, 2))  # eq. 1
            hybrid = update.hybrid
            at_kernel = hybrid.kernel_norm(grouped + linear_map(hybrid.to_kernels, kernels[n]))
            at_features = hybrid.feature_norm(kernels[n] + linear_map(hybrid.to_features, grouped))
            embedded.append(at_kernel + at_features)  # eq. 2
        clips = torch.stack(embedded).unflatten(0, (batch, length))
        if i == 0:
            clips = clips + net.position
        block = update.over_frames
        for b in range(batch):
            query, key, value = F.linear(clips[b], block.attention.in_proj_weight, block.attention.in_proj_bias).chunk(
                3, -1
            )
            mixed = (query @ key.T / 32**0.5).softmax(-1) @ value  # eq. 3
            clips[b] = block.norm(clips[b] + block.attention.out_proj(mixed))  # eq. 4
        first, _, _, second = update.feed_forward.layers
        kernels = update.feed_forward.norm(clips + second(F.relu(first(clips)))).flatten(0, 1)
        logits = torch.cat([F.conv2d(reduced[n : n + 1], kernels[n].view(1, -1, 1, 1), bias) for n in range(len(maps))])
        stages.append(logits)
    return stages


@torch.no_grad()
def test_stages_are_those_of_the_equations():
    net = network()
    for bias in net.biases:
        bias.normal_()
    found = net(features(), 2)
    assert len(found) == 4
    for ours, expected in zip(found, slow_kernels(net, features(), 2), strict=True):
        assert ours.shape == (10, 1, SIDE, SIDE + 1)
        torch.testing.assert_close(ours, expected, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_the_public_codes_hybrid_attention():
    torch.manual_seed(0)
    block = ReleasedHybridAttention(32, 0.0)
    grouped, kernels = torch.randn(6, 1, 32), torch.randn(6, 1, 32)
    first = kernels + linear_map(block.to_features, grouped)
    second = first + linear_map(block.to_kernels, kernels)
    linear, norm, _ = block.project
    expected = F.relu(norm(linear(block.feature_norm(first) + block.kernel_norm(second))))
    torch.testing.assert_close(block(grouped, kernels), expected)


@torch.no_grad()
@pytest.mark.parametrize("which", ["to_kernels", "to_features"])
def test_with_a_single_key_the_query_has_no_say(which):
    """A property of 1x1 kernels, not a bug; the layers stay because the published parameters count them."""
    attention = getattr(HybridAttention(32, 0.0).eval(), which)
    key = torch.randn(6, 1, 32)
    one, other = (attention(torch.randn(6, 1, 32), key, key)[0] for _ in range(2))
    assert float((one - other).abs().max()) == 0


@torch.no_grad()
def test_grouped_features_are_a_sum_and_grow_with_the_area(monkeypatch):
    net, seen = network(iterations=1), []
    monkeypatch.setattr(net.updates[0], "forward", lambda kernels, grouped, position: seen.append(grouped) or kernels)
    flat = torch.randn(1, CHANNELS, 1, 1)
    net.reduce = nn.Conv2d(CHANNELS, 32, 1)  # without padding, so that a constant map stays constant
    net(flat.expand(5, -1, 2, 2), 1)
    net(flat.expand(5, -1, 4, 6), 1)
    torch.testing.assert_close(seen[1], 6 * seen[0])


@torch.no_grad()
def test_permuting_frames_permutes_the_masks_without_positions_only():
    net, order = network(), torch.tensor([3, 0, 4, 1, 2])
    maps = features(1)
    moved = [net(maps[order], 1)[-1], net(maps, 1)[-1][order]]
    assert float((moved[0] - moved[1]).abs().max()) > 1e-3
    net.position.zero_()
    torch.testing.assert_close(net(maps[order], 1)[-1], net(maps, 1)[-1][order], atol=1e-4, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("cross_video", [False, True])
def test_only_the_papers_variant_lets_clips_of_a_batch_see_each_other(cross_video):
    net = network(cross_video=cross_video)
    maps = features(3)
    together, alone = net(maps, 3), net(maps[:5], 1)
    gaps = [float((a[:5] - b).abs().max()) for a, b in zip(together, alone, strict=True)]
    assert gaps[0] < 1e-5  # the first stage never does
    assert (max(gaps) > 1e-2) == cross_video


@torch.no_grad()
def test_without_temporal_attention_a_frame_is_on_its_own():
    net, maps = network(temporal_attention=False), features(1)
    torch.testing.assert_close(net(maps[2:3], 1)[-1], net(maps, 1)[-1][2:3], atol=1e-5, rtol=1e-4)
    assert net.position is None
    with_attention = network()
    assert float((with_attention(maps[2:3], 1)[-1] - with_attention(maps, 1)[-1][2:3]).abs().max()) > 1e-2


def test_positions_are_interpolated_between_fixed_ends():
    net = network()
    assert net.position_of(5) is net.position
    ends = [0, -1]
    for length in (2, 3, 7, 9):
        torch.testing.assert_close(net.position_of(length)[:, ends], net.position[:, ends])
    twice = net.position_of(9)
    torch.testing.assert_close(twice[:, ::2], net.position)
    torch.testing.assert_close(twice[:, 1::2], (net.position[:, 1:] + net.position[:, :-1]) / 2)
    assert net.position_of(1).shape == (1, 1, 32)


@torch.no_grad()
@pytest.mark.parametrize("length", [1, 3, 5, 12])
def test_any_clip_length_goes_through(length):
    stages = network()(features(2, length), 2)
    assert all(stage.shape == (2 * length, 1, SIDE, SIDE + 1) for stage in stages)


@torch.no_grad()
@pytest.mark.parametrize("iterations", [0, 1, 4])
def test_each_iteration_adds_a_stage_and_keeps_the_earlier_ones(iterations):
    net = network(iterations=iterations)
    stages = net(features(), 2)
    assert len(stages) == iterations + 1
    torch.testing.assert_close(stages[0], net.predict(net.reduce(features())))


@torch.no_grad()
def test_hybrid_attention_can_be_left_out():
    block = network(hybrid="off").updates[0].hybrid
    grouped, kernels = torch.randn(6, 1, 32), torch.randn(6, 1, 32)
    expected = F.layer_norm(grouped, (32,)) + F.layer_norm(kernels, (32,))
    torch.testing.assert_close(block(grouped, kernels), expected)


@torch.no_grad()
def test_four_labels_have_a_kernel_each():
    net = network(channels=4)
    stages = net(features(), 2)
    assert all(stage.shape == (10, 4, SIDE, SIDE + 1) for stage in stages)
    # a label's kernel comes from its own weights, not from another label's
    net.predict.weight[3] += 1
    changed = net(features(), 2)[0]
    assert torch.equal(changed[:, :3], stages[0][:, :3])
    assert not torch.equal(changed[:, 3], stages[0][:, 3])


@torch.no_grad()
def test_layers_start_as_published():
    """Kaiming-normal, biases zero, positions from N(0, 1); the projections inside attention keep torch's Xavier."""
    net = network(frames=500)
    weight = net.updates[0].feed_forward.layers[3].weight
    assert float(weight.std()) == pytest.approx((2 / 128) ** 0.5, rel=0.05)
    assert float(net.reduce[0].weight.std()) == pytest.approx((2 / (CHANNELS * 9)) ** 0.5, rel=0.05)
    assert float(net.position.std()) == pytest.approx(1, rel=0.05)
    inner = net.updates[0].over_frames.attention.in_proj_weight
    assert float(inner.abs().max()) <= (6 / (4 * 32)) ** 0.5
    assert all(float(m.bias.abs().max()) == 0 for m in net.modules() if isinstance(m, (nn.Linear, nn.Conv2d)))


@torch.no_grad()
def test_blocks_are_post_norm():
    for block in (SelfAttention(32, 0.1).eval(), FeedForward(32, 0.1).eval()):
        out = block(5 + 3 * torch.randn(4, 6, 32))
        torch.testing.assert_close(out.mean(-1), torch.zeros(4, 6), atol=1e-5, rtol=0)
        torch.testing.assert_close(out.var(-1, unbiased=False), torch.ones(4, 6), atol=1e-3, rtol=0)
