"""KSS: one segmentation kernel per frame, refined by what its own mask covers and by the other frames' kernels."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from einops import rearrange, repeat
from jaxtyping import Float
from torch import Tensor, nn

from echoseg.methods.pkecho.affinity import initialise
from echoseg.methods.pkecho.config import PKEchoConfig

HEAD = 32
"""Channels of an attention head (public code)."""


def attention(channels: int, dropout: float) -> nn.MultiheadAttention:
    """Eq. 3: linear maps psi_1 .. psi_4 around softmax(Q K' / sqrt(d)) V."""
    return nn.MultiheadAttention(channels, channels // HEAD, dropout, batch_first=True)


class SelfAttention(nn.Module):
    """x <- LN(x + attention(x, x, x)) over the middle axis: eq. 4, frames or clips."""

    def __init__(self, channels: int, dropout: float) -> None:
        """Post-norm block."""
        super().__init__()
        self.attention = attention(channels, dropout)
        self.drop = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(channels)

    def forward(self, tokens: Float[Tensor, "n m d"]) -> Float[Tensor, "n m d"]:
        """Every token looks at all tokens of its row."""
        mixed = self.attention(tokens, tokens, tokens, need_weights=False)[0]
        out: Tensor = self.norm(tokens + self.drop(mixed))
        return out


class FeedForward(nn.Module):
    """x <- LN(x + W_2 ReLU(W_1 x)): eq. 4, last line."""

    def __init__(self, channels: int, dropout: float) -> None:
        """Post-norm block with 4 `channels` hidden units."""
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(channels, 4 * channels), nn.ReLU(), nn.Dropout(dropout), nn.Linear(4 * channels, channels)
        )
        self.drop = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(channels)

    def forward(self, tokens: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        """Each token for itself."""
        out: Tensor = self.norm(tokens + self.drop(self.layers(tokens)))
        return out


class HybridAttention(nn.Module):
    """Eq. 2: features look at the kernel, the kernel looks at the features, both are added.

    With 1x1 kernels each attention has a single key, so that its softmax is 1 and it is a linear map of that key. The layers
    are kept as published: their parameters count.
    """

    def __init__(self, channels: int, dropout: float) -> None:
        """Two attentions, a norm after the residual of each."""
        super().__init__()
        self.to_kernels = attention(channels, dropout)
        self.to_features = attention(channels, dropout)
        self.kernel_drop, self.feature_drop = nn.Dropout(dropout), nn.Dropout(dropout)
        self.kernel_norm, self.feature_norm = nn.LayerNorm(channels), nn.LayerNorm(channels)

    def forward(self, features: Float[Tensor, "n m d"], kernels: Float[Tensor, "n m d"]) -> Float[Tensor, "n m d"]:
        """LN(F(F_g; k, k) + F_g) + LN(F(k; F_g, F_g) + k)."""
        at_kernels = self.to_kernels(features, kernels, kernels, need_weights=False)[0]
        at_features = self.to_features(kernels, features, features, need_weights=False)[0]
        grouped = self.kernel_norm(features + self.kernel_drop(at_kernels))
        refined = self.feature_norm(kernels + self.feature_drop(at_features))
        out: Tensor = grouped + refined
        return out


class ReleasedHybridAttention(HybridAttention):
    """What the public code computes instead: the second residual is the first one's sum, and a projection follows."""

    def __init__(self, channels: int, dropout: float) -> None:
        """As `HybridAttention`, and a linear layer with norm and ReLU."""
        super().__init__(channels, dropout)
        self.project = nn.Sequential(nn.Linear(channels, channels), nn.LayerNorm(channels), nn.ReLU())

    def forward(self, features: Float[Tensor, "n m d"], kernels: Float[Tensor, "n m d"]) -> Float[Tensor, "n m d"]:
        """ReLU(LN(W (LN(f') + LN(k')))) with f' = k + F(k; F_g, F_g) and k' = f' + F(F_g; k, k)."""
        at_features = self.to_features(kernels, features, features, need_weights=False)[0]
        at_kernels = self.to_kernels(features, kernels, kernels, need_weights=False)[0]
        first = kernels + self.feature_drop(at_features)
        second = first + self.kernel_drop(at_kernels)
        out: Tensor = self.project(self.feature_norm(first) + self.kernel_norm(second))
        return out


class NormalisedSum(nn.Module):
    """Eq. 2 without its attentions, for the ablation."""

    def __init__(self, channels: int) -> None:
        """A norm each."""
        super().__init__()
        self.kernel_norm, self.feature_norm = nn.LayerNorm(channels), nn.LayerNorm(channels)

    def forward(self, features: Float[Tensor, "n m d"], kernels: Float[Tensor, "n m d"]) -> Float[Tensor, "n m d"]:
        """LN(F_g) + LN(k)."""
        out: Tensor = self.kernel_norm(features) + self.feature_norm(kernels)
        return out


def hybrid_attention(kind: Literal["paper", "code_compat", "off"], channels: int, dropout: float) -> nn.Module:
    """The block that a configuration names."""
    if kind == "off":
        return NormalisedSum(channels)
    chosen = HybridAttention if kind == "paper" else ReleasedHybridAttention
    return chosen(channels, dropout)


class KernelUpdate(nn.Module):
    """One refinement of all kernels: within the frame, over the frames, over the clips, feed-forward."""

    def __init__(self, config: PKEchoConfig) -> None:
        """See `PKEchoConfig`."""
        super().__init__()
        width, dropout = config.width, config.dropout
        self.hybrid = hybrid_attention(config.hybrid, width, dropout)
        self.over_frames = SelfAttention(width, dropout) if config.temporal_attention else None
        self.over_clips = SelfAttention(width, dropout) if config.cross_video else None
        self.feed_forward = FeedForward(width, dropout)

    def forward(
        self,
        kernels: Float[Tensor, "B T K d"],
        grouped: Float[Tensor, "B T K d"],
        position: Float[Tensor, "1 T d"] | None,
    ) -> Float[Tensor, "B T K d"]:
        """The next kernels; `position` is added before the frames look at each other."""
        batch, length, classes, _ = kernels.shape
        tokens = self.hybrid(
            rearrange(grouped, "b t k d -> (b t k) 1 d"), rearrange(kernels, "b t k d -> (b t k) 1 d")
        )  # eq. 2
        tokens = rearrange(tokens, "(b t k) 1 d -> (b k) t d", b=batch, t=length)
        if self.over_frames is not None:
            tokens = self.over_frames(tokens if position is None else tokens + position)  # eq. 4, k_t
        if self.over_clips is not None:
            across = self.over_clips(rearrange(tokens, "(b k) t d -> (t k) b d", b=batch))  # eq. 4, k_b
            tokens = rearrange(across, "(t k) b d -> (b k) t d", t=length)
        tokens = self.feed_forward(tokens)  # eq. 4, k_p
        refined: Tensor = rearrange(tokens, "(b k) t d -> b t k d", b=batch, k=classes)
        return refined


class KernelSegmentation(nn.Module):
    """Coarse logits of every stage from the deepest feature map."""

    position: nn.Parameter | None

    def __init__(self, channels: int, config: PKEchoConfig) -> None:
        """`channels` of the deepest feature map."""
        super().__init__()
        width = config.width
        self.reduce = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        self.predict = nn.Conv2d(width, config.channels, 1)
        # only attention over the frames reads it
        placed = config.temporal_attention and config.iterations > 0
        self.position = nn.Parameter(torch.randn(1, config.frames, width)) if placed else None
        self.updates = nn.ModuleList(KernelUpdate(config) for _ in range(config.iterations))
        self.biases = nn.ParameterList(torch.zeros(config.channels) for _ in range(config.iterations))
        self.apply(initialise)

    def position_of(self, length: int) -> Float[Tensor, "1 T d"] | None:
        """Position embedding of a clip: as learned, or interpolated with its first and last frame kept in place."""
        if self.position is None or length == self.position.shape[1]:
            return self.position
        along = F.interpolate(self.position.transpose(1, 2), size=length, mode="linear", align_corners=True)
        return along.transpose(1, 2)

    def forward(self, features: Float[Tensor, "N C h w"], batch: int) -> list[Float[Tensor, "N K h w"]]:
        """P^0 .. P^S of the frames of `batch` clips, clip after clip."""
        reduced = self.reduce(features)
        logits: Tensor = self.predict(reduced)
        stages = [logits]
        length = features.shape[0] // batch
        kernels = repeat(self.predict.weight, "k d 1 1 -> b t k d", b=batch, t=length)
        for i, (update, bias) in enumerate(zip(self.updates, self.biases, strict=True)):
            grouped = torch.einsum("nkhw,ndhw->nkd", probabilities(logits), reduced)  # eq. 1: a sum, not a mean
            position = self.position_of(length) if i == 0 else None
            kernels = update(kernels, rearrange(grouped, "(b t) k d -> b t k d", b=batch), position)
            own = rearrange(kernels, "b t k d -> (b t) k d")
            logits = torch.einsum("nkd,ndhw->nkhw", own, reduced) + rearrange(bias, "k -> 1 k 1 1")
            stages.append(logits)
        return stages


def probabilities(logits: Float[Tensor, "N K h w"]) -> Float[Tensor, "N K h w"]:
    """Sigmoid for the LV alone, softmax over the labels."""
    return logits.sigmoid() if logits.shape[1] == 1 else logits.softmax(1)
