"""Attention against torch's own, and what a mask hides."""

import pytest
import torch

from echoseg.nn import Attention, FeedForward


@pytest.fixture
def attention() -> Attention:
    torch.manual_seed(0)
    return Attention(16, heads=4)


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(1)
    return tuple(torch.randn(2, n, 16, generator=rng) for n in (5, 7, 7))


def torchs_own(ours: Attention) -> torch.nn.MultiheadAttention:
    theirs = torch.nn.MultiheadAttention(16, ours.heads, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.to_q.weight, ours.to_k.weight, ours.to_v.weight]))
        theirs.in_proj_bias.copy_(torch.cat([ours.to_q.bias, ours.to_k.bias, ours.to_v.bias]))
    theirs.out_proj.load_state_dict(ours.out.state_dict())
    return theirs


@pytest.mark.parametrize("masked", [False, True])
def test_equals_torchs_multihead_attention(attention, masked):
    query, key, value = inputs()
    allowed = torch.rand(2, 5, 7, generator=torch.Generator().manual_seed(2)) < 0.6
    allowed[..., 0] = True
    theirs = torchs_own(attention)
    # torch's mask says what is forbidden, once for each head
    forbidden = (~allowed).repeat_interleave(attention.heads, 0) if masked else None
    expected, _ = theirs(query, key, value, attn_mask=forbidden)
    found = attention(query, key, value, allowed if masked else None)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_a_forbidden_key_has_no_influence(attention):
    query, key, value = inputs()
    allowed = torch.ones(2, 5, 7, dtype=torch.bool)
    allowed[..., 3] = False
    before = attention(query, key, value, allowed)
    key[:, 3], value[:, 3] = 100.0, -100.0
    torch.testing.assert_close(attention(query, key, value, allowed), before)


def test_order_of_the_keys_does_not_matter(attention):
    query, key, value = inputs()
    order = torch.randperm(7)
    torch.testing.assert_close(attention(query, key[:, order], value[:, order]), attention(query, key, value))


def test_channels_must_divide_among_the_heads():
    with pytest.raises(ValueError, match="channels=10 is not divisible by heads=4"):
        Attention(10, heads=4)


def test_feed_forward_is_two_linear_maps_with_a_relu_between():
    torch.manual_seed(0)
    block, x = FeedForward(6, 9), torch.randn(2, 3, 6)
    hidden = (x @ block[0].weight.T + block[0].bias).clamp(min=0)
    torch.testing.assert_close(block(x), hidden @ block[2].weight.T + block[2].bias)
