"""TSF, its memory and the head: what the equations promise."""

import pytest
import torch
import torch.nn.functional as F

from echoseg.methods.echoforge import EchoForge, EchoForgeConfig
from echoseg.methods.echoforge.network import EchoForgeNet, LiteralHead, StreamGraph, WeightedHead
from echoseg.methods.echoforge.tsf import Guidance, InContextFusion, attention_mask, mask_pool, sine_position

TINY = EchoForgeConfig(backbone="resnet10t", width=32, hidden=32, layers=2, queries=4)


@pytest.fixture
def net() -> EchoForgeNet:
    torch.manual_seed(0)
    return EchoForgeNet(TINY).eval()


@pytest.fixture
def clip() -> torch.Tensor:
    return torch.randn(2, 5, 1, 64, 64, generator=torch.Generator().manual_seed(0))


def test_all_ones_pool_to_the_mean():
    features = torch.randn(2, 8, 5, 5)
    torch.testing.assert_close(mask_pool(features, torch.ones(2, 1, 5, 5))[:, 0], features.mean((2, 3)))


def test_disjoint_masks_find_constant_regions_whatever_their_scale():
    features, masks = torch.zeros(1, 8, 4, 4), torch.zeros(1, 2, 4, 4)
    left, right = torch.randn(8), torch.randn(8)
    features[0, :, :, :2], features[0, :, :, 2:] = left[:, None, None], right[:, None, None]
    masks[0, 0, :, :2], masks[0, 1, :, 2:] = 1, 0.3
    torch.testing.assert_close(mask_pool(features, masks)[0], torch.stack([left, right]))
    torch.testing.assert_close(mask_pool(features, 7 * masks), mask_pool(features, masks))


def test_fusion_matches_torchs_own_decoder_layer():
    """Post-norm self-attention, cross-attention, FFN: torch's TransformerDecoderLayer with the same weights."""
    torch.manual_seed(0)
    ours = InContextFusion(16, 24, 4).eval()
    theirs = torch.nn.TransformerDecoderLayer(16, 4, 24, dropout=0.0, batch_first=True, norm_first=False).eval()
    with torch.no_grad():
        for mine, other in ((ours.self_attention, theirs.self_attn), (ours.cross_attention, theirs.multihead_attn)):
            other.in_proj_weight.copy_(torch.cat([mine.to_q.weight, mine.to_k.weight, mine.to_v.weight]))
            other.in_proj_bias.copy_(torch.cat([mine.to_q.bias, mine.to_k.bias, mine.to_v.bias]))
            other.out_proj.load_state_dict(mine.out.state_dict())
    theirs.linear1.load_state_dict(ours.ffn[0].state_dict())
    theirs.linear2.load_state_dict(ours.ffn[2].state_dict())
    for i, norm in enumerate((theirs.norm1, theirs.norm2, theirs.norm3)):
        torch.nn.init.normal_(ours.norms[i].weight)
        norm.load_state_dict(ours.norms[i].state_dict())
    x, y = torch.randn(2, 5, 16), torch.randn(2, 9, 16)
    torch.testing.assert_close(ours(x, y), theirs(x, y), atol=1e-5, rtol=1e-5)


def test_a_fully_blocked_query_is_unblocked():
    logits = torch.full((1, 2, 8, 8), -5.0)
    logits[0, 1, :4, :4] = 5
    allowed = attention_mask(logits, (4, 4))
    assert bool(allowed[0, 0].all())
    assert int(allowed[0, 1].sum()) == 4


def test_hopeless_masks_give_no_nan(net, clip):
    for parameter in net.head.mask_mlp[-1].parameters():
        torch.nn.init.constant_(parameter, -50.0)
    assert bool(torch.isfinite(net(clip).logits).all())


def test_later_frames_never_change_earlier_ones(net, clip):
    before = net(clip).logits
    for changed in range(1, 5):
        other = clip.clone()
        other[:, changed] = torch.randn_like(other[:, changed])
        after = net(other).logits
        assert torch.equal(before[:, :changed], after[:, :changed])
        assert not torch.equal(before[:, changed:], after[:, changed:])


def test_first_frame_alone_is_the_first_frame_of_the_clip(net, clip):
    torch.testing.assert_close(net(clip[:, :1]).logits, net(clip).logits[:, :1], atol=1e-5, rtol=1e-5)


def test_streaming_equals_the_clip(net, clip):
    graph, whole = StreamGraph(net), net(clip[:1]).logits
    state = [torch.zeros(1, c, 4, 4) for c in (32, 1, 32, 1)]
    for t in range(5):
        logits, *state = graph(clip[:1, t], torch.tensor([float(t == 0)]), *state)
        torch.testing.assert_close(logits, whole[:, t], atol=1e-4, rtol=1e-4)


def test_previous_only_memory_forgets_the_first_frame(clip):
    torch.manual_seed(0)
    net = EchoForgeNet(EchoForgeConfig(**{**TINY.__dict__, "references": "previous"})).eval()
    frame, _ = net.encode(clip[:, 0])
    assert net.tokens(net.begin(frame)).shape == (2, 2, 32)


def test_weighted_head_is_a_convex_mix_of_query_masks():
    torch.manual_seed(0)
    head = WeightedHead(16)
    guidance = Guidance(torch.randn(2, 5, 16), torch.randn(2, 4, 16))
    embedding = torch.randn(2, 8, 6, 6)
    prob = head(guidance, embedding).sigmoid()
    masks = head.query_masks(guidance.queries, embedding).sigmoid()
    assert bool((prob <= masks.max(1, keepdim=True).values + 1e-5).all())
    assert bool((prob >= masks.min(1, keepdim=True).values - 1e-5).all())
    cosine = F.cosine_similarity(guidance.queries[:, :, None], guidance.prototypes[:, None], dim=-1) / 0.07
    omega = (cosine[..., 0::2].logsumexp(-1) - cosine[..., 1::2].logsumexp(-1)).softmax(-1)
    torch.testing.assert_close(prob[:, 0], torch.einsum("bq,bqhw->bhw", omega, masks), atol=1e-4, rtol=1e-4)


def test_sure_pixels_have_finite_logits_in_half_precision():
    """1 - 1e-6 rounds to 1 in bf16: the first runs in mixed precision ended in an infinite loss."""
    head = WeightedHead(16)
    torch.nn.init.constant_(head.mask_mlp[-1].bias, 100.0)
    with torch.autocast("cpu", torch.bfloat16):
        logits = head(Guidance(torch.randn(2, 5, 16), torch.randn(2, 4, 16)), torch.ones(2, 8, 6, 6))
    assert bool(torch.isfinite(logits).all())


def test_literal_head_gives_one_map():
    head = LiteralHead(16)
    out = head(Guidance(torch.randn(2, 5, 16), torch.randn(2, 4, 16)), torch.randn(2, 8, 6, 6))
    assert out.shape == (2, 1, 6, 6)


def test_sine_positions_differ_everywhere():
    position = sine_position(4, 6, 32, torch.zeros(1))[0]
    distance = torch.cdist(position, position) + torch.eye(24)
    assert float(distance.min()) > 0.01


@pytest.mark.parametrize(
    ("switches", "absent"),
    [({"tsf": False}, "decoder"), ({"arc": False}, "arc"), ({"cpr": False}, "reforge")],
)
def test_ablation_switches_remove_their_module(switches, absent, clip):
    method = EchoForge(EchoForgeConfig(**{**TINY.__dict__, **switches})).eval()
    assert getattr(method.net, absent) is None
    assert method(clip).shape == (2, 5, 1, 64, 64)
    assert (method.teacher is None) == (absent == "reforge")
    assert method.temporal == ("frame" if absent == "decoder" else "stream")


@pytest.mark.parametrize("anchors", [1, 2, 3, 4])
def test_any_number_of_anchors_runs(anchors, clip):
    method = EchoForge(EchoForgeConfig(**{**TINY.__dict__, "anchors": anchors})).eval()
    assert bool(torch.isfinite(method(clip)).all())
