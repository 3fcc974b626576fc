"""TSF: semantic tokens of reference frames are fused with the current frame and guide learned queries."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from echoseg.nn import Attention, FeedForward


def mask_pool(features: Float[Tensor, "B C h w"], masks: Float[Tensor, "B N h w"]) -> Float[Tensor, "B N C"]:
    """Semantic tokens t_i = sum m_i F / sum m_i (paper, mask pooling)."""
    total = torch.einsum("bnhw,bchw->bnc", masks, features)
    return total / (masks.sum((2, 3)).unsqueeze(-1) + 1e-8)


def sine_position(height: int, width: int, channels: int, like: Tensor) -> Float[Tensor, "1 n C"]:
    """Two-dimensional sine position embedding (Carion et al., ECCV 2020), rows in the first half of the channels."""
    quarter = channels // 4
    rate = torch.exp(torch.arange(quarter, device=like.device) * (-math.log(10000.0) / quarter))
    rows = (torch.arange(height, device=like.device) + 0.5) / height * 2 * math.pi
    cols = (torch.arange(width, device=like.device) + 0.5) / width * 2 * math.pi
    by_row, by_col = rows[:, None] * rate, cols[:, None] * rate
    row_part = torch.cat([by_row.sin(), by_row.cos()], -1)[:, None].expand(height, width, 2 * quarter)
    col_part = torch.cat([by_col.sin(), by_col.cos()], -1)[None].expand(height, width, 2 * quarter)
    return torch.cat([row_part, col_part], -1).reshape(1, height * width, 4 * quarter).to(like.dtype)


class InContextFusion(nn.Module):
    """Phi(x; y) = FFN(CA(SA(x), y)), post-norm, a residual inside each."""

    def __init__(self, channels: int, hidden: int, heads: int) -> None:
        """One transformer block."""
        super().__init__()
        self.self_attention = Attention(channels, heads)
        self.cross_attention = Attention(channels, heads)
        self.ffn = FeedForward(channels, hidden)
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(3))

    def forward(self, x: Float[Tensor, "B n C"], y: Float[Tensor, "B m C"]) -> Float[Tensor, "B n C"]:
        """Phi(x; y)."""
        x = self.norms[0](x + self.self_attention(x, x, x))
        x = self.norms[1](x + self.cross_attention(x, y, y))
        out: Tensor = self.norms[2](x + self.ffn(x))
        return out


class DecoderLayer(nn.Module):
    """Queries and prototypes side by side: one shared self-attention, masked cross-attention for queries only, an FFN each."""

    def __init__(self, channels: int, hidden: int, heads: int, *, joint: bool) -> None:
        """`joint` concatenates both branches in the self-attention instead of running it on each apart."""
        super().__init__()
        self.joint = joint
        self.self_attention = Attention(channels, heads)
        self.cross_attention = Attention(channels, heads)
        self.query_ffn = FeedForward(channels, hidden)
        self.prototype_ffn = FeedForward(channels, hidden)
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(4))

    def attend_self(
        self, queries: Float[Tensor, "B q C"], prototypes: Float[Tensor, "B n C"], position: Float[Tensor, "1 q C"]
    ) -> tuple[Float[Tensor, "B q C"], Float[Tensor, "B n C"]]:
        """Pre-norm self-attention with residual; prototypes have no position."""
        q, p = self.norms[0](queries), self.norms[0](prototypes)
        if not self.joint:
            keyed = q + position
            return queries + self.self_attention(keyed, keyed, q), prototypes + self.self_attention(p, p, p)
        both, keyed = torch.cat([q, p], 1), torch.cat([q + position, p], 1)
        mixed = self.self_attention(keyed, keyed, both)
        split = queries.shape[1]
        return queries + mixed[:, :split], prototypes + mixed[:, split:]

    def forward(
        self,
        queries: Float[Tensor, "B q C"],
        prototypes: Float[Tensor, "B n C"],
        context: tuple[Tensor, Tensor, Tensor],
        allowed: Bool[Tensor, "B q m"],
    ) -> tuple[Float[Tensor, "B q C"], Float[Tensor, "B n C"]]:
        """One layer; `context` = (query position, image keys, image values)."""
        position, keys, values = context
        queries, prototypes = self.attend_self(queries, prototypes, position)
        queries = queries + self.cross_attention(self.norms[1](queries) + position, keys, values, allowed)
        queries = queries + self.query_ffn(self.norms[2](queries))
        return queries, prototypes + self.prototype_ffn(self.norms[3](prototypes))


def attention_mask(mask_logits: Float[Tensor, "B q H W"], size: tuple[int, int]) -> Bool[Tensor, "B q m"]:
    """Pixels a query may look at: its current mask above 0.5; a fully blocked row is unblocked (Mask2Former's rule)."""
    small = F.interpolate(mask_logits.detach(), size=size, mode="bilinear", align_corners=False).flatten(2)
    inside = small >= 0
    return inside | ~inside.any(-1, keepdim=True)


@dataclass(frozen=True, eq=False)
class Guidance:
    """What the decoder hands to the mask head: final queries and prototypes of a frame."""

    queries: Float[Tensor, "B q C"]
    prototypes: Float[Tensor, "B n C"]


class TemporalSemanticFusion(nn.Module):
    """Tokens of the reference frames -> fused features, queries and prototypes of the current frame."""

    def __init__(self, channels: int, hidden: int, layers: int, queries: int, heads: int, *, joint: bool) -> None:
        """See `EchoForgeConfig`."""
        super().__init__()
        self.fusion = InContextFusion(channels, hidden, heads)
        self.queries = nn.Parameter(torch.randn(1, queries, channels))
        self.position = nn.Parameter(torch.randn(1, queries, channels))
        self.layers = nn.ModuleList(DecoderLayer(channels, hidden, heads, joint=joint) for _ in range(layers))
        self.norm = nn.LayerNorm(channels)

    def fuse(
        self, features: Float[Tensor, "B C h w"], tokens: Float[Tensor, "B N C"]
    ) -> tuple[Float[Tensor, "B C h w"], Float[Tensor, "B N C"]]:
        """F'_t = X_t + Phi(X_t; T_sem) and P_sem = T_sem + Phi(T_sem; X_t), same weights, old inputs."""
        height, width = features.shape[-2:]
        pixels = rearrange(features, "b c h w -> b (h w) c")
        prototypes = tokens + self.fusion(tokens, pixels)
        fused = pixels + self.fusion(pixels, tokens)
        return rearrange(fused, "b (h w) c -> b c h w", h=height, w=width), prototypes
