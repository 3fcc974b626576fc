"""UMA: attention among unreliable pixels, reliable ones masked (our reading of the abstract)."""

from __future__ import annotations

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from echoseg.nn import Attention


def unreliable(logits: Float[Tensor, "N K h w"], reliable: float) -> Bool[Tensor, "N h w"]:
    """U: pixels whose most probable label has a probability below `reliable`; no gradient.

    For one channel and 0.8 that is |2p - 1| < 0.6.
    """
    logits = logits.detach().float()
    if logits.shape[1] == 1:
        prob = logits.sigmoid().squeeze(1)
        return torch.maximum(prob, 1 - prob) < reliable
    return logits.softmax(1).amax(1) < reliable


class UnreliableAttention(nn.Module):
    """Self-attention in which only unreliable pixels ask and answer; reliable ones keep their features bit for bit."""

    def __init__(self, channels: int, heads: int) -> None:
        """One layer, pre-norm, residual."""
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.attention = Attention(channels, heads)

    def forward(self, features: Float[Tensor, "N C h w"], chosen: Bool[Tensor, "N h w"]) -> Float[Tensor, "N C h w"]:
        """Features after attention among the `chosen` pixels of each frame."""
        height, width = features.shape[-2:]
        pixels, picked = rearrange(features, "n c h w -> n (h w) c"), rearrange(chosen, "n h w -> n (h w)")
        # where no pixel is chosen all are keys: what comes of it is not used, but must not be NaN
        keys = picked | ~picked.any(-1, keepdim=True)
        normed = self.norm(pixels)
        allowed = keys.unsqueeze(1).expand(-1, pixels.shape[1], -1)
        attended = pixels + self.attention(normed, normed, normed, allowed)
        kept = torch.where(picked.unsqueeze(-1), attended, pixels)
        return rearrange(kept, "n (h w) c -> n c h w", h=height, w=width)
