"""EchoForge's network: encoder, ARC, TSF with its memory, the mask head; one frame after the other."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from echoseg.methods.echoforge.arc import AnchorRecalibration
from echoseg.methods.echoforge.config import EchoForgeConfig
from echoseg.methods.echoforge.cpr import Reforge
from echoseg.methods.echoforge.tsf import Guidance, TemporalSemanticFusion, attention_mask, mask_pool, sine_position
from echoseg.nn import Encoder

EPS = 1e-6
OUTPUT_STRIDE = 16
"""Of the encoder; the deepest stage is dilated (our choice)."""


@dataclass(frozen=True, eq=False)
class Memory:
    """Recalibrated features and predicted foreground masks (detached) of the first and of the previous frame."""

    first: Float[Tensor, "B C h w"]
    first_mask: Float[Tensor, "B 1 h w"]
    last: Float[Tensor, "B C h w"]
    last_mask: Float[Tensor, "B 1 h w"]


@dataclass(frozen=True, eq=False)
class Frame:
    """Encoded frame: recalibrated features X', laterals for the head, foreground logits of the anchors' map M."""

    features: Float[Tensor, "B C h w"]
    laterals: tuple[Tensor, ...]
    coarse: Float[Tensor, "B 1 h w"]


@dataclass(frozen=True, eq=False)
class Decoded:
    """Result of one frame: logits and pixel embedding at stride 4, fused features F' and what the head was guided by."""

    logits: Float[Tensor, "B 1 H4 W4"]
    embedding: Float[Tensor, "B M H4 W4"]
    fused: Float[Tensor, "B C h w"]
    guidance: Guidance | None


@dataclass(frozen=True, eq=False)
class ClipOutput:
    """All frames of a clip; `frames` and `decoded` have one entry per frame."""

    logits: Float[Tensor, "B T 1 H W"]
    frames: tuple[Frame, ...]
    decoded: tuple[Decoded, ...]
    uncertain: Float[Tensor, ""]


class PixelEmbedding(nn.Module):
    """E at stride 4: fused features upsampled twice, each time joined by a lateral of the encoder stage of that stride.

    Our choice: with the stage-1 lateral alone, boundaries were learned more slowly.
    """

    def __init__(self, channels: int, lateral_channels: list[int]) -> None:
        """Embedding of `channels` / 2 channels; laterals fine to coarse, strides 4 and 8."""
        super().__init__()
        width = channels // 2
        self.laterals = nn.ModuleList(nn.Conv2d(count, width, 1) for count in lateral_channels)
        self.ups = nn.ModuleList(nn.ConvTranspose2d(inputs, width, 2, stride=2) for inputs in (width, channels))
        self.mixes = nn.ModuleList(
            nn.Sequential(nn.GroupNorm(1, width), nn.GELU(), nn.Conv2d(width, width, 3, padding=1))
            for _ in lateral_channels
        )

    def project(self, stages: list[Tensor]) -> tuple[Tensor, ...]:
        """Laterals of encoder stages, fine to coarse."""
        return tuple(lateral(stage) for lateral, stage in zip(self.laterals, stages, strict=True))

    def forward(self, fused: Float[Tensor, "B C h w"], laterals: tuple[Tensor, ...]) -> Float[Tensor, "B M H4 W4"]:
        """E of a frame; `laterals` have been through `project` already."""
        x: Tensor = fused
        for level in reversed(range(len(laterals))):
            x = self.ups[level](x) + laterals[level]
            x = x + self.mixes[level](x)
        return x


class PlainHead(nn.Module):
    """1x1 convolution on the pixel embedding: the head of a network without TSF."""

    def __init__(self, channels: int) -> None:
        """For embeddings of `channels` / 2 channels."""
        super().__init__()
        self.classifier = nn.Conv2d(channels // 2, 1, 1)

    def forward(self, guidance: Guidance | None, embedding: Float[Tensor, "B M H4 W4"]) -> Float[Tensor, "B 1 H4 W4"]:
        """Logits of the LV at stride 4; there is no guidance to follow."""
        logits: Tensor = self.classifier(F.gelu(embedding))
        return logits


class WeightedHead(nn.Module):
    """H1: softmax over the queries weighs their sigmoid masks (in the spirit of Mask2Former's semantic inference)."""

    def __init__(self, channels: int) -> None:
        """For embeddings of `channels` / 2 channels."""
        super().__init__()
        self.mask_mlp = nn.Sequential(
            nn.Linear(channels, channels),
            nn.ReLU(),
            nn.Linear(channels, channels),
            nn.ReLU(),
            nn.Linear(channels, channels // 2),
        )
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    def query_masks(
        self, queries: Float[Tensor, "B q C"], embedding: Float[Tensor, "B M H4 W4"]
    ) -> Float[Tensor, "B q H4 W4"]:
        """m_q = <MLP3(Q_q), E>."""
        return torch.einsum("bqm,bmhw->bqhw", self.mask_mlp(queries), embedding)

    def forward(self, guidance: Guidance, embedding: Float[Tensor, "B M H4 W4"]) -> Float[Tensor, "B 1 H4 W4"]:
        """Logits of the LV at stride 4: logit of sum_q omega_q sigmoid(m_q)."""
        masks = self.query_masks(guidance.queries, embedding).float().sigmoid()
        # in half precision 1 - EPS is 1, and the logit of a sure pixel infinite
        with torch.autocast(masks.device.type, enabled=False):
            queries, prototypes = guidance.queries.float(), guidance.prototypes.float()
            cosine = F.normalize(queries, dim=-1) @ F.normalize(prototypes, dim=-1).mT
            scores = self.log_scale.exp().clamp(max=100.0) * cosine
            # tokens alternate foreground, background; omega = softmax over queries of (l_FG - l_BG)
            omega = (scores[..., 0::2].logsumexp(-1) - scores[..., 1::2].logsumexp(-1)).softmax(-1)
            prob = torch.einsum("bq,bqhw->bhw", omega, masks).unsqueeze(1).clamp(EPS, 1 - EPS)
            return prob.log() - (-prob).log1p()


class LiteralHead(WeightedHead):
    """H2: the figure taken literally, one kernel from softmax(Q) gated by sigmoid of the foreground prototypes."""

    def __init__(self, channels: int) -> None:
        """For embeddings of `channels` / 2 channels."""
        super().__init__(channels)
        self.kernel = nn.Sequential(nn.Linear(channels, channels), nn.ReLU(), nn.Linear(channels, channels // 2))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, guidance: Guidance, embedding: Float[Tensor, "B M H4 W4"]) -> Float[Tensor, "B 1 H4 W4"]:
        """Logits of the LV at stride 4: <k, E> + b."""
        gate = guidance.prototypes[:, 0::2].mean(1, keepdim=True).sigmoid()
        mixed = (guidance.queries.softmax(1) * gate).mean(1)
        return torch.einsum("bm,bmhw->bhw", self.kernel(mixed), embedding).unsqueeze(1) + self.bias


def frames_of(encoded: Frame, batch: int) -> tuple[Frame, ...]:
    """Frames of a batch of clips that were encoded together, in the order of time."""

    def by_time(x: Tensor) -> Tensor:
        return rearrange(x, "(b t) c h w -> t b c h w", b=batch)

    features, coarse = by_time(encoded.features), by_time(encoded.coarse)
    laterals = [by_time(x) for x in encoded.laterals]
    return tuple(Frame(features[t], tuple(x[t] for x in laterals), coarse[t]) for t in range(len(features)))


class Decoder(nn.Module):
    """TSF and the head that it guides."""

    def __init__(self, config: EchoForgeConfig) -> None:
        """Build from a configuration with `tsf`."""
        super().__init__()
        self.tsf = TemporalSemanticFusion(
            config.width, config.hidden, config.layers, config.queries, config.heads, joint=config.joint_self_attention
        )
        self.head = LiteralHead(config.width) if config.head == "literal" else WeightedHead(config.width)

    def guide(
        self, fused: Float[Tensor, "B C h w"], prototypes: Float[Tensor, "B N C"], embedding: Float[Tensor, "B M H4 W4"]
    ) -> Guidance:
        """Run the query decoder; intermediate masks only steer the attention (no deep supervision)."""
        size = (fused.shape[-2], fused.shape[-1])
        values = rearrange(fused, "b c h w -> b (h w) c")
        keys = values + sine_position(*size, values.shape[-1], values)
        queries = self.tsf.queries.expand(fused.shape[0], -1, -1)
        for layer in self.tsf.layers:
            allowed = attention_mask(self.head.query_masks(self.tsf.norm(queries), embedding), size)
            queries, prototypes = layer(queries, prototypes, (self.tsf.position, keys, values), allowed)
        return Guidance(self.tsf.norm(queries), self.tsf.norm(prototypes))


class EchoForgeNet(nn.Module):
    """The student and, as a frozen copy, the teacher."""

    def __init__(self, config: EchoForgeConfig) -> None:
        """Build from a configuration."""
        super().__init__()
        self.config = config
        width = config.width
        self.encoder = Encoder(config.backbone, weights=config.weights, output_stride=OUTPUT_STRIDE, levels=(1, 2, 4))
        self.project = nn.Sequential(nn.Conv2d(self.encoder.channels[-1], width, 1), nn.GroupNorm(32, width))
        self.arc = (
            AnchorRecalibration(width, config.anchors, config.neighbours, config.patch, config.arc_temperature)
            if config.arc
            else None
        )
        # without ARC the first frame still needs a mask of its own to start the memory
        self.coarse = nn.Conv2d(width, 1, 1) if config.tsf and not config.arc else None
        self.embedding = PixelEmbedding(width, self.encoder.channels[:-1])
        self.decoder = Decoder(config) if config.tsf else None
        # without TSF the head; with it the auxiliary that teaches the embedding before the queries can
        self.plain = PlainHead(width)
        self.reforge = Reforge(width) if config.cpr else None

    def encode(self, frames: Float[Tensor, "N 1 H W"]) -> tuple[Frame, Float[Tensor, ""]]:
        """Features of single frames and the fraction of patches that ARC found uncertain."""
        *shallow, deep = self.encoder(frames)
        features = self.project(deep)
        coarse = torch.zeros_like(features[:, :1])
        uncertain = torch.zeros((), device=frames.device)
        if self.arc is not None:
            features, coarse, uncertain = self.arc(features)
        elif self.coarse is not None:
            coarse = self.coarse(features)
        return Frame(features, self.embedding.project(shallow), coarse), uncertain

    def begin(self, frame: Frame) -> Memory:
        """Memory before the first frame: the frame itself with the anchors' foreground map."""
        mask = frame.coarse.detach().float().sigmoid()
        return Memory(frame.features, mask, frame.features, mask)

    def tokens(self, memory: Memory) -> Float[Tensor, "B N C"]:
        """Semantic tokens, foreground and background of each reference in turn."""
        references = [(memory.last, memory.last_mask)]
        if self.config.references == "first_and_previous":
            references.insert(0, (memory.first, memory.first_mask))
        return torch.cat([mask_pool(x.float(), torch.cat([m, 1 - m], 1)) for x, m in references], 1)

    @property
    def head(self) -> nn.Module:
        """The head that turns pixel embeddings into logits."""
        return self.plain if self.decoder is None else self.decoder.head

    def step(self, frame: Frame, memory: Memory) -> tuple[Decoded, Memory]:
        """Segment one frame with what is remembered, and remember it."""
        if self.decoder is None:
            embedding = self.embedding(frame.features, frame.laterals)
            return Decoded(self.plain(None, embedding), embedding, frame.features, None), memory
        fused, prototypes = self.decoder.tsf.fuse(frame.features, self.tokens(memory))
        embedding = self.embedding(fused, frame.laterals)
        guidance = self.decoder.guide(fused, prototypes, embedding)
        logits = self.decoder.head(guidance, embedding)
        mask = F.interpolate(
            logits.detach().float().sigmoid(), size=fused.shape[-2:], mode="bilinear", align_corners=False
        )
        return Decoded(logits, embedding, fused, guidance), Memory(
            memory.first, memory.first_mask, frame.features, mask
        )

    def head_logits(
        self, fused: Float[Tensor, "B C h w"], laterals: tuple[Tensor, ...], guidance: Guidance | None
    ) -> Float[Tensor, "B 1 H4 W4"]:
        """Logits from fused features, guided by queries and prototypes where there is a decoder."""
        logits: Tensor = self.head(guidance, self.embedding(fused, laterals))
        return logits

    def reforged_logits(
        self, frame: Frame, decoded: Decoded, references: Float[Tensor, "B R C h w"], weights: Float[Tensor, "B R"]
    ) -> Float[Tensor, "B 1 H4 W4"]:
        """Logits of a frame whose features were rebuilt from labelled frames; same head, the frame's own guidance."""
        if self.reforge is None:
            raise ValueError("the configuration has no CPR")
        rebuilt = self.reforge(references, weights, decoded.fused)
        return self.head_logits(rebuilt, frame.laterals, decoded.guidance)

    def forward(self, clip: Float[Tensor, "B T 1 H W"]) -> ClipOutput:
        """All frames in order; frame t never sees frame t + 1."""
        batch = clip.shape[0]
        encoded, uncertain = self.encode(rearrange(clip, "b t c h w -> (b t) c h w"))
        frames = frames_of(encoded, batch)
        memory = self.begin(frames[0])
        decoded = []
        for frame in frames:
            result, memory = self.step(frame, memory)
            decoded.append(result)
        logits = torch.stack([upsample(d.logits, clip.shape[-2:]) for d in decoded], 1)
        return ClipOutput(logits, frames, tuple(decoded), uncertain)


def upsample(logits: Float[Tensor, "B 1 h w"], size: torch.Size | tuple[int, int]) -> Float[Tensor, "B 1 H W"]:
    """Bilinear to the input's size, in fp32."""
    return F.interpolate(logits.float(), size=tuple(size), mode="bilinear", align_corners=False)


class StreamGraph(nn.Module):
    """One frame and the memory in, logits and the next memory out: what the engine runs."""

    def __init__(self, net: EchoForgeNet) -> None:
        """Wrap a network in evaluation mode."""
        super().__init__()
        self.net = net

    def forward(
        self,
        frame: Float[Tensor, "1 1 H W"],
        first: Float[Tensor, " 1"],
        first_features: Float[Tensor, "1 C h w"],
        first_mask: Float[Tensor, "1 1 h w"],
        last_features: Float[Tensor, "1 C h w"],
        last_mask: Float[Tensor, "1 1 h w"],
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Logits (1, 1, H, W) and the four tensors of the next memory; `first` > 0.5 starts a new cine."""
        encoded, _ = self.net.encode(frame)
        own = self.net.begin(encoded)
        new = first.reshape(1, 1, 1, 1) > 0.5
        memory = Memory(
            torch.where(new, own.first, first_features),
            torch.where(new, own.first_mask, first_mask),
            torch.where(new, own.last, last_features),
            torch.where(new, own.last_mask, last_mask),
        )
        decoded, after = self.net.step(encoded, memory)
        logits = upsample(decoded.logits, (frame.shape[-2], frame.shape[-1]))
        return logits, after.first, after.first_mask, after.last, after.last_mask
