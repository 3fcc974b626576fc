"""Multi-head attention and the feed-forward block, without dropout."""

from __future__ import annotations

import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head scaled dot-product attention (Vaswani et al., NeurIPS 2017) with separate projections."""

    def __init__(self, channels: int, heads: int = 8) -> None:
        """`channels` must be divisible by `heads`."""
        super().__init__()
        if channels % heads:
            raise ValueError(f"channels={channels} is not divisible by heads={heads}")
        self.heads = heads
        self.to_q = nn.Linear(channels, channels)
        self.to_k = nn.Linear(channels, channels)
        self.to_v = nn.Linear(channels, channels)
        self.out = nn.Linear(channels, channels)

    def forward(
        self,
        query: Float[Tensor, "B Nq C"],
        key: Float[Tensor, "B Nk C"],
        value: Float[Tensor, "B Nk C"],
        allowed: Bool[Tensor, "B Nq Nk"] | None = None,
    ) -> Float[Tensor, "B Nq C"]:
        """Attend; `allowed` is False where a query must not look. Each row needs at least one allowed key."""
        q, k, v = (
            rearrange(project(x), "b n (head c) -> b head n c", head=self.heads)
            for project, x in ((self.to_q, query), (self.to_k, key), (self.to_v, value))
        )
        mask = None if allowed is None else allowed.unsqueeze(1)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        joined: Tensor = self.out(rearrange(mixed, "b head n c -> b n (head c)"))
        return joined


class FeedForward(nn.Sequential):
    """Linear, ReLU, linear."""

    def __init__(self, channels: int, hidden: int) -> None:
        """A hidden layer of `hidden` units."""
        super().__init__(nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels))
