"""ARC: uncertain patches of a noisy feature map are pulled towards reliable anchors (EchoForge, section "ASA")."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Bool, Float
from torch import Tensor, nn

from echoseg.nn import Attention

BAND = (0.4, 0.6)
"""Foreground probability between which a patch counts as uncertain (paper)."""


def weighted_pool(features: Float[Tensor, "N C h w"], weights: Float[Tensor, "N A h w"]) -> Float[Tensor, "N A C"]:
    """Initial anchors a_i = sum_p M_i(p) X(p) / sum_p M_i(p)."""
    total = torch.einsum("nahw,nchw->nac", weights, features)
    return total / (weights.sum((2, 3)).unsqueeze(-1) + 1e-6)


def nearest_pixels(
    features: Float[Tensor, "N C h w"], anchors: Float[Tensor, "N A C"], count: int
) -> Float[Tensor, "N A K C"]:
    """The `count` pixels nearest to each anchor by cosine distance; indices carry no gradient, features do."""
    pixels = rearrange(features, "n c h w -> n (h w) c")
    count = min(count, pixels.shape[1])
    with torch.no_grad():
        cosine = F.normalize(anchors, dim=-1) @ F.normalize(pixels, dim=-1).transpose(1, 2)
        index = cosine.topk(count, dim=-1).indices
    anchors_n = index.shape[1]
    flat = repeat(rearrange(index, "n a k -> n (a k)"), "n m -> n m c", c=pixels.shape[-1])
    return rearrange(pixels.gather(1, flat), "n (a k) c -> n a k c", a=anchors_n)


def similarity(
    patches: Float[Tensor, "N P C"], anchors: Float[Tensor, "N A C"], temperature: float
) -> Float[Tensor, "N P S"]:
    """Soft assignment s of each patch to the anchors; sums to one.

    A single anchor is the foreground's; the background gets the rest, so that S = max(A, 2).
    """
    cosine = F.normalize(patches, dim=-1) @ F.normalize(anchors, dim=-1).transpose(1, 2)
    if anchors.shape[1] == 1:
        foreground = (cosine / temperature).sigmoid()
        return torch.cat([foreground, 1 - foreground], -1)
    return (cosine / temperature).softmax(-1)


def uncertain_and_weight(assignment: Float[Tensor, "N P S"]) -> tuple[Bool[Tensor, "N P"], Float[Tensor, "N P"]]:
    """Which patches are uncertain, and how far each is pulled: the lead of its best anchor over the second.

    For two anchors this is the paper's band [0.4, 0.6] and |s_FG - s_BG|; for more the band scales as 1 / A (our choice).
    """
    count = assignment.shape[-1]
    best = assignment.topk(2, dim=-1).values
    half_width = (BAND[1] - BAND[0]) / count
    uncertain = (best[..., 0] - 1 / count).abs() <= half_width
    return uncertain, best[..., 0] - best[..., 1]


def recalibrate(
    features: Float[Tensor, "N C h w"], anchors: Float[Tensor, "N A C"], temperature: float, patch: int
) -> tuple[Float[Tensor, "N C h w"], Float[Tensor, "N P S"], Bool[Tensor, "N P"]]:
    """Pull uncertain patches towards their nearer anchor; all others keep their features bit for bit.

    Args:
        features: feature map X; `patch` must divide its height and width.
        anchors: updated anchors.
        temperature: of the soft assignment.
        patch: side of the non-overlapping patches.

    Returns:
        X', the soft assignment of the P patches and the map of uncertain ones.
    """
    height, width = features.shape[-2:]
    if height % patch or width % patch:
        raise ValueError(
            f"patches of {patch} do not tile a {height}x{width} feature map; choose patch=1 or another input size"
        )
    rows = height // patch
    blocks = rearrange(features, "n c (y a) (x b) -> n (y x) (a b) c", a=patch, b=patch)
    assignment = similarity(blocks.mean(2), anchors, temperature)
    uncertain, lead = uncertain_and_weight(assignment)
    winner = assignment.argmax(-1)
    # with a single anchor the background has none to be pulled to
    uncertain = uncertain & (winner < anchors.shape[1])
    index = repeat(winner.clamp(max=anchors.shape[1] - 1), "n p -> n p c", c=anchors.shape[-1])
    target = anchors.gather(1, index).unsqueeze(2)
    weight = lead[..., None, None]
    pulled = (1 - weight) * blocks + weight * target
    mixed = torch.where(uncertain[..., None, None], pulled, blocks)
    restored = rearrange(mixed, "n (y x) (a b) c -> n c (y a) (x b)", y=rows, a=patch)
    return restored, assignment, uncertain


class AnchorRecalibration(nn.Module):
    """ARC with learnable anchors: pooled, updated from their nearest pixels, then used to recalibrate."""

    def __init__(self, channels: int, anchors: int, neighbours: int, patch: int, temperature: float) -> None:
        """See `EchoForgeConfig` for the meaning of each argument."""
        super().__init__()
        self.neighbours, self.patch, self.temperature = neighbours, patch, temperature
        self.weights = nn.Conv2d(channels, anchors, 1)
        nn.init.kaiming_normal_(self.weights.weight)
        nn.init.constant_(self.weights.bias, 0.0)  # type: ignore[arg-type]
        # our choice: without it only the 1x1 convolution is learnable
        self.offset = nn.Parameter(torch.randn(anchors, channels) * 0.02)
        self.fusion = Attention(channels)
        self.norm = nn.LayerNorm(channels)

    def foreground_logits(self, features: Float[Tensor, "N C h w"]) -> Float[Tensor, "N 1 h w"]:
        """Logit of M_FG, anchor 0 being the foreground's."""
        logits: Tensor = self.weights(features)
        if logits.shape[1] == 1:
            return logits
        return logits[:, :1] - logits[:, 1:].logsumexp(1, keepdim=True)

    def anchors(self, features: Float[Tensor, "N C h w"]) -> Float[Tensor, "N A C"]:
        """Updated anchors a_i = LN(a_i0 + MHA(a_i0, N_i, N_i))."""
        logits = self.weights(features)
        weights = logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(1)
        initial = weighted_pool(features, weights) + self.offset
        near = nearest_pixels(features, initial, self.neighbours)
        count = initial.shape[1]
        query = rearrange(initial, "n a c -> (n a) 1 c")
        context = rearrange(near, "n a k c -> (n a) k c")
        update = rearrange(self.fusion(query, context, context), "(n a) 1 c -> n a c", a=count)
        normed: Tensor = self.norm(initial + update)
        return normed

    def forward(
        self, features: Float[Tensor, "N C h w"]
    ) -> tuple[Float[Tensor, "N C h w"], Float[Tensor, "N 1 h w"], Float[Tensor, ""]]:
        """Recalibrated features, foreground logits of M, and the fraction of uncertain patches."""
        recalibrated, _, uncertain = recalibrate(features, self.anchors(features), self.temperature, self.patch)
        return recalibrated, self.foreground_logits(features), uncertain.float().mean()
