"""PKEcho-Net: encoder, kernels on its deepest map, affinities of its maps in place of a decoder."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from echoseg.methods.pkecho.affinity import AffinityEstimator, propagate
from echoseg.methods.pkecho.config import STRIDES, PKEchoConfig
from echoseg.methods.pkecho.kss import KernelSegmentation
from echoseg.nn import Encoder


def channels_last(frames: Float[Tensor, "N 1 H W"]) -> Float[Tensor, "N 1 H W"]:
    """The same memory with the strides of channels-last, which torch does not set of itself for a single channel."""
    height, width = frames.shape[-2:]
    return frames.contiguous().as_strided(frames.shape, (height * width, 1, width, 1))


class PKEchoNet(nn.Module):
    """Logits of every stage, at the input's size."""

    def __init__(self, config: PKEchoConfig) -> None:
        """Build from a configuration."""
        super().__init__()
        self.encoder = Encoder(config.backbone, weights=config.weights)
        self.kss = KernelSegmentation(self.encoder.channels[-1], config)
        self.levels = tuple(STRIDES.index(stride) for stride in config.region_proxies)
        finer = (*config.region_proxies, 1)[1:]
        self.affinity = nn.ModuleList(
            AffinityEstimator(self.encoder.channels[level], STRIDES[level] // to)
            for level, to in zip(self.levels, finer, strict=True)
        )

    def encode(self, clip: Float[Tensor, "B T 1 H W"]) -> tuple[list[Tensor], list[Tensor]]:
        """Feature maps of all frames, fine to coarse, and the coarse logits of every stage."""
        frames = rearrange(clip, "b t c h w -> (b t) c h w")
        # faster in 16 bits; in 32 it gains little, and its batch statistics are rounded more
        if frames.device.type != "meta" and torch.is_autocast_enabled(frames.device.type):
            frames = channels_last(frames)
        features = self.encoder(frames)
        return features, self.kss(features[-1], clip.shape[0])

    def enlarge(
        self,
        coarse: Float[Tensor, "M K h w"],
        features: list[Tensor],
        size: tuple[int, int],
        chosen: Bool[Tensor, " N"] | None = None,
    ) -> Float[Tensor, "M K H W"]:
        """Eq. 5: logits from the deepest map to the frame's size, in fp32, one affinity after the other.

        Maps of a side that is no multiple of 32 are rounded up by the encoder, so that what hangs over is cut off.

        Args:
            coarse: logits of the chosen frames at the deepest map.
            features: maps of all N frames.
            size: rows and columns of the frames.
            chosen: frames that `coarse` belongs to; None = all.
        """
        logits = coarse.float()
        sizes = [(features[level].shape[-2], features[level].shape[-1]) for level in self.levels] + [size]
        if (logits.shape[-2], logits.shape[-1]) != sizes[0]:
            logits = F.interpolate(logits, size=sizes[0], mode="bilinear", align_corners=False)
        for estimator, level, (height, width) in zip(self.affinity, self.levels, sizes[1:], strict=True):
            logits = propagate(logits, estimator(features[level], chosen))[..., :height, :width]
        return logits

    def forward(self, clip: Float[Tensor, "B T 1 H W"]) -> Float[Tensor, "B T K H W"]:
        """Logits of the last stage, every frame."""
        features, stages = self.encode(clip)
        logits = self.enlarge(stages[-1], features, (clip.shape[-2], clip.shape[-1]))
        return rearrange(logits, "(b t) k h w -> b t k h w", b=clip.shape[0])

    def stage_logits(self, clip: Float[Tensor, "B T 1 H W"], chosen: Bool[Tensor, "B T"]) -> Float[Tensor, "M S K H W"]:
        """Logits of all stages of the chosen frames; all frames take part in attention and in batch statistics."""
        features, stages = self.encode(clip)
        flat = rearrange(chosen, "b t -> (b t)")
        coarse = torch.stack(stages, 1)[flat]
        together = rearrange(coarse, "m s k h w -> m (s k) h w")
        logits = self.enlarge(together, features, (clip.shape[-2], clip.shape[-1]), flat)
        return rearrange(logits, "m (s k) h w -> m s k h w", s=len(stages))
