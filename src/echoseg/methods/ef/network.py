"""R(2+1)D: 3-D convolutions split into a spatial and a temporal one; torchvision's blocks, and its names of parameters."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torchvision.models.video import R2Plus1D_18_Weights
from torchvision.models.video.resnet import BasicBlock, Conv2Plus1D

from echoseg.errors import ModelError, UsageError

RGB = 3


@dataclass(frozen=True)
class R2Plus1DConfig:
    """Size of the network.

    Attributes:
        width: channels of the first stage; each of the three others doubles them. 64 is R(2+1)D-18.
        blocks: residual blocks of each stage.
        weights: `none`, `hub` (Kinetics-400, needs the network) or the path of a state dict of torchvision's `r2plus1d_18`.
        start_percent: initial bias of the last layer, a mean ejection fraction.
    """

    width: int = 64
    blocks: tuple[int, int, int, int] = (2, 2, 2, 2)
    weights: str = "none"
    start_percent: float = 55.6

    def __post_init__(self) -> None:
        if self.width < 2 or min(self.blocks) < 1:
            raise UsageError(f"width={self.width}, blocks={self.blocks}: need at least 2 channels and a block a stage")


class R2Plus1D(nn.Module):
    """Ejection fraction of clips whose channel 0 is gray; it is shown to three input channels, as a pretrained stem expects."""

    def __init__(self, config: R2Plus1DConfig, channels: int) -> None:
        """`channels` of the clips: 1, or 2 with masks."""
        super().__init__()
        self.config, self.channels = config, channels
        width = config.width
        between = 45 * width // 64  # 45 in torchvision's stem of 64 channels
        first = nn.Conv3d(RGB + channels - 1, between, (1, 7, 7), stride=(1, 2, 2), padding=(0, 3, 3), bias=False)
        self.stem = nn.Sequential(
            first,
            nn.BatchNorm3d(between),
            nn.ReLU(inplace=True),
            nn.Conv3d(between, width, (3, 1, 1), padding=(1, 0, 0), bias=False),
            nn.BatchNorm3d(width),
            nn.ReLU(inplace=True),
        )
        inputs = width
        for stage, count in enumerate(config.blocks):
            outputs = width * 2**stage
            self.add_module(f"layer{stage + 1}", _stage(inputs, outputs, count, stride=1 if stage == 0 else 2))
            inputs = outputs
        self.avgpool = nn.AdaptiveAvgPool3d(1)
        self.fc = nn.Linear(inputs, 1)
        self._initialise()
        if channels > 1:
            nn.init.uniform_(first.weight.data[:, RGB:], -1.0, 1.0)

    def forward(self, clip: Float[Tensor, "B T C H W"]) -> Float[Tensor, " B"]:
        """Ejection fraction, percent."""
        gray = clip[:, :, :1].expand(-1, -1, RGB, -1, -1)
        x = rearrange(torch.cat([gray, clip[:, :, 1:]], 2), "b t c h w -> b c t h w")
        x = self.stem(x)
        for stage in range(1, 5):
            x = getattr(self, f"layer{stage}")(x)
        found: Tensor = self.fc(self.avgpool(x).flatten(1))
        return found.squeeze(1)

    def _initialise(self) -> None:
        """He initialisation, pretrained weights if asked for, a mean ejection fraction as the last bias."""
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if self.config.weights != "none":
            load_video_weights(self, self.config.weights)
        nn.init.constant_(self.fc.bias, self.config.start_percent)


def _stage(inputs: int, outputs: int, count: int, stride: int) -> nn.Sequential:
    """Residual blocks of one size, the first of which halves space and time where `stride` is 2."""
    downsample = None
    if stride != 1 or inputs != outputs:
        downsample = nn.Sequential(
            nn.Conv3d(inputs, outputs, 1, stride=(stride,) * 3, bias=False), nn.BatchNorm3d(outputs)
        )
    first = BasicBlock(inputs, outputs, Conv2Plus1D, stride, downsample)
    return nn.Sequential(first, *(BasicBlock(outputs, outputs, Conv2Plus1D) for _ in range(count - 1)))


def load_video_weights(network: R2Plus1D, weights: str) -> None:
    """Load torchvision's weights; the classifier is left out, and a stem with a mask channel gets its three others.

    Raises:
        UsageError: there is no such file.
        ModelError: they cannot be fetched or read, or are of another network.
    """
    state = _video_state(weights)
    own = network.state_dict()
    for name, value in own.items():
        if name.startswith("fc."):
            continue
        given = state.get(name)
        shown = value[:, :RGB] if name == "stem.0.weight" else value  # a channel of masks is not among them
        if given is None or given.shape != shown.shape:
            found = "missing" if given is None else f"{tuple(given.shape)}, here {tuple(shown.shape)}"
            raise ModelError(f"{weights}: {name} is {found}; pretrained weights fit width 64 and blocks 2 2 2 2 alone")
        shown.copy_(given)
    network.load_state_dict(own)


def _video_state(weights: str) -> dict[str, Tensor]:
    cure = "Give weights=none, the path of a file, or weights=hub where the network is reached"
    try:
        if weights == "hub":
            fetched: dict[str, Tensor] = R2Plus1D_18_Weights.KINETICS400_V1.get_state_dict(progress=False)
            return fetched
        if not Path(weights).is_file():
            raise UsageError(f"{weights}: no such file; weights are none, hub or a state dict on disk")
        state: Any = torch.load(weights, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, LookupError, pickle.UnpicklingError) as error:
        raise ModelError(f"r2plus1d_18 from {weights}: {error}. {cure}") from error
    if not isinstance(state, dict):
        raise ModelError(f"{weights}: holds a {type(state).__name__}; give a state dict")
    return state
