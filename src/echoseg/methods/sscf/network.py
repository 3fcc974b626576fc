"""SSCF's network: three encoders, one for each place in a triplet (TCE), fusion at four scales, a LinkNet-like decoder."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import torch
from einops import rearrange
from jaxtyping import Float
from timm.models.resnet import BasicBlock
from torch import Tensor, nn

from echoseg.methods.sscf.calibration import CalibratedFusion, PlainFusion
from echoseg.methods.sscf.config import SSCFConfig
from echoseg.nn import Encoder

BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3)}
STRIDE = 16
SMALLEST = 3 * STRIDE
"""Side below which the 3x3 convolutions of ASSC, which have no padding, find nothing in the deepest map."""

Triplet = tuple[int, int, int]
"""Numbers of the previous, the current and the next frame among the frames that the network is given."""


def clip_triplets(clips: int, length: int, first: int = 0) -> list[Triplet]:
    """The triplet of each frame of each clip; the end frames of a clip stand in for what lies beyond them.

    Args:
        clips: number of clips, whose frames are numbered one clip after the other.
        length: frames of a clip.
        first: number of the first frame of the first clip.

    >>> clip_triplets(1, 4)
    [(0, 0, 1), (0, 1, 2), (1, 2, 3), (2, 3, 3)]
    """
    return [
        (start + max(t - 1, 0), start + t, start + min(t + 1, length - 1))
        for start in range(first, first + clips * length, length)
        for t in range(length)
    ]


class Trunk(nn.Module):
    """A ResNet without max-pooling and without classifier; names as in timm and torchvision, so that their weights fit."""

    def __init__(self, blocks: Sequence[int], widths: Sequence[int]) -> None:
        """Blocks and channels of each stage."""
        super().__init__()
        self.conv1 = nn.Conv2d(1, widths[0], 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        before = (widths[0], *widths[:-1])
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            _stage(count, inputs, outputs, stride=1 if i == 0 else 2)
            for i, (count, inputs, outputs) in enumerate(zip(blocks, before, widths, strict=True))
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module is not self.conv1:
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, frames: Float[Tensor, "N 1 H W"]) -> list[Tensor]:
        """Four feature maps, fine to coarse, of strides 2, 4, 8 and 16."""
        x = self.bn1(self.conv1(frames)).relu()
        maps = []
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
            maps.append(x)
        return maps


def _stage(blocks: int, inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """Residual blocks, the first of which changes size and channels where they change."""
    shortcut = None
    if stride != 1 or inputs != outputs:
        shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs))
    first = BasicBlock(inputs, outputs, stride=stride, downsample=shortcut)
    return nn.Sequential(first, *(BasicBlock(outputs, outputs) for _ in range(blocks - 1)))


class DecoderBlock(nn.Module):
    """1x1 to a quarter of the channels, transposed 3x3 of stride 2, 1x1 to the outputs; normalisation and ReLU after each."""

    def __init__(self, inputs: int, outputs: int) -> None:
        """Channels before and after; the size doubles."""
        super().__init__()
        narrow = inputs // 4
        self.reduce, self.norm1 = nn.Conv2d(inputs, narrow, 1), nn.BatchNorm2d(narrow)
        self.enlarge = nn.ConvTranspose2d(narrow, narrow, 3, stride=2, padding=1, output_padding=1)
        self.norm2 = nn.BatchNorm2d(narrow)
        self.expand, self.norm3 = nn.Conv2d(narrow, outputs, 1), nn.BatchNorm2d(outputs)

    def forward(self, x: Float[Tensor, "N C h w"]) -> Float[Tensor, "N D H W"]:
        """Features of twice the size."""
        x = self.norm1(self.reduce(x)).relu()
        x = self.norm2(self.enlarge(x)).relu()
        enlarged: Tensor = self.norm3(self.expand(x)).relu()
        return enlarged


class SSCFNet(nn.Module):
    """The student and, as a moving average, the teacher."""

    def __init__(self, config: SSCFConfig) -> None:
        """Build from a configuration; pretrained weights are the same in all encoders."""
        super().__init__()
        widths = [config.width * 2**i for i in range(4)]
        self.encoders = nn.ModuleList(Trunk(BLOCKS[config.backbone], widths) for _ in range(3 if config.tce else 1))
        if config.weights != "none":
            pretrained = Encoder(config.backbone, weights=config.weights).body.state_dict()
            for encoder in self.encoders:
                encoder.load_state_dict(pretrained)
        self.fusions = nn.ModuleList(
            CalibratedFusion(c, config.dilations, config.calibration) if config.bssf else PlainFusion(c) for c in widths
        )
        outputs = [config.width // 2, *widths[:-1]]
        self.decoder = nn.ModuleList(DecoderBlock(c, d) for c, d in zip(widths, outputs, strict=True))
        self.head = nn.Sequential(
            nn.Conv2d(outputs[0], outputs[0], 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs[0], config.channels, 3, padding=1),
        )

    def segment(self, frames: Float[Tensor, "N 1 H W"], triplets: Sequence[Triplet]) -> Float[Tensor, "M K H W"]:
        """Logits of the current frame of each of M triplets.

        Args:
            frames: frames that the triplets name. Each goes through an encoder at most once, however many triplets hold it
                at that encoder's place.
            triplets: numbers of frames.
        """
        height, width = frames.shape[-2:]
        if height % STRIDE or width % STRIDE or min(height, width) < SMALLEST:
            raise ValueError(
                f"frames of {height}x{width} pixels; choose a multiple of {STRIDE}, at least {SMALLEST}, each way"
            )
        previous, current, following = self.encode(frames, triplets)
        fused = [fusion(*maps) for fusion, *maps in zip(self.fusions, previous, current, following, strict=True)]
        x = fused[-1]
        for block, skip in zip(self.decoder[:0:-1], fused[-2::-1], strict=True):
            x = block(x) + skip
        logits: Tensor = self.head(self.decoder[0](x))
        return logits

    def encode(self, frames: Float[Tensor, "N 1 H W"], triplets: Sequence[Triplet]) -> list[list[Tensor]]:
        """Feature maps of the previous, the current and the next frames of all triplets (TCE)."""
        places = [list(column) for column in zip(*triplets, strict=True)]
        if len(self.encoders) == 3:
            return [_encoded(encoder, frames, wanted) for encoder, wanted in zip(self.encoders, places, strict=True)]
        maps = _encoded(self.encoders[0], frames, list(chain(*places)))
        return [list(chunks) for chunks in zip(*(m.chunk(3) for m in maps), strict=True)]

    def forward(self, clip: Float[Tensor, "B T 1 H W"]) -> Float[Tensor, "B T K H W"]:
        """Logits of every frame of each clip."""
        clips, length = clip.shape[:2]
        logits = self.segment(rearrange(clip, "b t c h w -> (b t) c h w"), clip_triplets(clips, length))
        return rearrange(logits, "(b t) k h w -> b t k h w", b=clips)


def _encoded(encoder: nn.Module, frames: Float[Tensor, "N 1 H W"], wanted: list[int]) -> list[Tensor]:
    """Feature maps of the wanted frames, in that order, each frame encoded once."""
    once = sorted(set(wanted))
    maps: list[Tensor] = encoder(_taken(frames, once))
    order = [once.index(i) for i in wanted]
    return [_taken(m, order) for m in maps]


def _taken(x: Float[Tensor, "N C h w"], index: list[int]) -> Float[Tensor, "M C h w"]:
    if index == list(range(len(x))):
        return x
    return x.index_select(0, torch.tensor(index, device=x.device))
