"""CPR: pseudo-labels reforged by channel attention, and FlameRise, the curriculum that lets them in."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from echoseg.errors import UsageError


@dataclass(frozen=True)
class FlameRise:
    """Weight and confidence threshold of the pseudo-labels as a function of the epoch.

    Nothing before `burn_in`; then both move linearly until `full`. All values are our choice.

    Attributes:
        burn_in: E0, last epoch without pseudo-labels.
        full: E1, first epoch at full weight.
        weight: lambda_max.
        strict: tau_0, threshold before the rise.
        lenient: tau_1, threshold after it.
    """

    burn_in: int = 5
    full: int = 30
    weight: float = 1.0
    strict: float = 0.95
    lenient: float = 0.75

    def __post_init__(self) -> None:
        if not 0 <= self.burn_in < self.full:
            raise UsageError(f"burn_in={self.burn_in}, full={self.full}: need 0 <= burn_in < full")
        if not 0.5 <= self.lenient <= self.strict <= 1:
            raise UsageError(f"strict={self.strict}, lenient={self.lenient}: need 0.5 <= lenient <= strict <= 1")

    def progress(self, epoch: int) -> float:
        """0 until E0, 1 from E1 on, linear between."""
        return min(1.0, max(0.0, (epoch - self.burn_in) / (self.full - self.burn_in)))

    def loss_weight(self, epoch: int) -> float:
        """lambda(e)."""
        return self.weight * self.progress(epoch)

    def threshold(self, epoch: int) -> float:
        """tau(e)."""
        return self.strict + (self.lenient - self.strict) * self.progress(epoch)


def channel_attention(
    query: Float[Tensor, "N n C"], key: Float[Tensor, "N n C"], eps: float = 1e-5
) -> Float[Tensor, "N C C"]:
    """A = softmax(IN(Q^T K)), rows sum to one; IN over the whole C x C map, without affine."""
    scores: Tensor = query.transpose(1, 2) @ key
    mean = scores.mean((1, 2), keepdim=True)
    variance = scores.var((1, 2), keepdim=True, unbiased=False)
    return ((scores - mean) * (variance + eps).rsqrt()).softmax(-1)


class Reforge(nn.Module):
    """Unlabelled features rebuilt from channels that labelled and unlabelled frames agree on."""

    def __init__(self, channels: int) -> None:
        """Bias-free projections; the output projection starts at zero, so that reforged = plain at first (our choice)."""
        super().__init__()
        self.to_q = nn.Linear(channels, channels, bias=False)
        self.to_k = nn.Linear(channels, channels, bias=False)
        self.to_v = nn.Linear(channels, channels, bias=False)
        self.out = nn.Linear(channels, channels, bias=False)
        for layer in (self.to_q, self.to_k, self.to_v):
            nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(self.out.weight)

    def rebuild(
        self, labelled: Float[Tensor, "N C h w"], unlabelled: Float[Tensor, "N C h w"]
    ) -> Float[Tensor, "N n C"]:
        """F_hat^U = A V^T, one row per pixel."""
        reference = labelled.flatten(2).transpose(1, 2)
        pixels = unlabelled.flatten(2).transpose(1, 2)
        # IN over C x C sums of hundreds of products: half precision would lose what the softmax lives on
        with torch.autocast(reference.device.type, enabled=False):
            attention = channel_attention(self.to_q(reference.float()), self.to_k(pixels.float()))
            rebuilt: Tensor = self.to_v(pixels.float()) @ attention.transpose(1, 2)
        return rebuilt

    def forward(
        self,
        references: Float[Tensor, "N R C h w"],
        weights: Float[Tensor, "N R"],
        unlabelled: Float[Tensor, "N C h w"],
    ) -> Float[Tensor, "N C h w"]:
        """F_tilde^U = F^U + W_o F_hat^U, F_hat^U averaged over the labelled references with the given weights."""
        rebuilt = sum(
            weights[:, r, None, None] * self.rebuild(references[:, r], unlabelled) for r in range(references.shape[1])
        )
        mixed: Tensor = self.out(rebuilt).transpose(1, 2)
        return unlabelled + mixed.reshape(unlabelled.shape)
