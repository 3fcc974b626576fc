"""The network: encoder, NCM-local, NCM-cross-scale, coarse head, UMA."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from echoseg.methods.ncm.config import NCMConfig
from echoseg.methods.ncm.deformable import CrossScale
from echoseg.methods.ncm.local import LocalCorrelation
from echoseg.methods.ncm.uma import UnreliableAttention, unreliable
from echoseg.nn import Encoder

SCALES = 3
"""Feature maps that NCM-cross-scale joins: strides 8, 16, 32."""


@dataclass(frozen=True, eq=False)
class ClipLogits:
    """Logits of a clip before and after UMA, and the fraction of its pixels that were unreliable."""

    coarse: Float[Tensor, "B T K H W"]
    refined: Float[Tensor, "B T K H W"]
    unreliable: Float[Tensor, ""]


class NCMNet(nn.Module):
    """Clips in, logits of every frame out; a frame sees its two neighbours."""

    def __init__(self, config: NCMConfig) -> None:
        """Build from a configuration."""
        super().__init__()
        self.config = config
        width = config.width
        self.encoder = Encoder(config.backbone, weights=config.weights, levels=(1, 2, 3, 4))
        self.project = nn.ModuleList(
            nn.Sequential(nn.Conv2d(count, width, 1), nn.GroupNorm(32, width)) for count in self.encoder.channels
        )
        self.local = LocalCorrelation(width, config.local_heads, config.radius) if config.local else None
        self.cross_scale = (
            CrossScale(width, config.hidden, config.heads, SCALES, config.points, config.scale_layers)
            if config.scale_layers
            else None
        )
        self.smooth = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.GroupNorm(32, width), nn.ReLU())
        self.coarse = nn.Conv2d(width, config.channels, 1)
        self.uma = UnreliableAttention(width, config.heads) if config.uma else None
        self.refine = nn.Conv2d(width, config.channels, 1, bias=False) if config.uma else None
        if self.refine is not None:
            nn.init.zeros_(self.refine.weight)

    def correlate(self, frames: Float[Tensor, "N 1 H W"], length: int) -> list[Tensor]:
        """Projected feature maps at strides 4, 8, 16, 32 of clips of `length` frames, after both correlations."""
        stages = zip(self.project, self.encoder(frames), strict=True)
        finest, *maps = [project(stage) for project, stage in stages]
        if self.local is not None:
            clips = rearrange(maps[1], "(b t) c h w -> b t c h w", t=length)
            maps[1] = rearrange(self.local(clips), "b t c h w -> (b t) c h w")
        if self.cross_scale is not None:
            maps = self.cross_scale(maps)
        return [finest, *maps]

    def forward_all(self, clip: Float[Tensor, "B T 1 H W"]) -> ClipLogits:
        """Everything that the loss looks at."""
        batch, length = clip.shape[:2]
        frames = rearrange(clip, "b t c h w -> (b t) c h w")
        finest, *maps = self.correlate(frames, length)
        merged = maps[-1]
        for finer in maps[-2::-1]:  # down to stride 8
            merged = finer + enlarge(merged, finer)
        coarse = self.coarse(self.smooth(finest + enlarge(merged, finest)))
        refined, share = coarse, torch.zeros((), device=clip.device)
        if self.uma is not None and self.refine is not None:
            chosen = unreliable(enlarge(coarse, merged), self.config.reliable)
            added = self.refine(self.uma(merged, chosen) - merged)
            refined, share = coarse + enlarge(added, coarse), chosen.float().mean()
        full = [rearrange(enlarge(x.float(), frames), "(b t) k h w -> b t k h w", b=batch) for x in (coarse, refined)]
        return ClipLogits(full[0], full[1], share)

    def forward(self, clip: Float[Tensor, "B T 1 H W"]) -> Float[Tensor, "B T K H W"]:
        """Final logits of every frame."""
        return self.forward_all(clip).refined


def enlarge(x: Float[Tensor, "N C h w"], like: Float[Tensor, "N D H W"]) -> Float[Tensor, "N C H W"]:
    """Bilinear to the size of another map, which may be smaller, too."""
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)
