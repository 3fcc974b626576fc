"""Encoders: from timm, and one of our own for slow machines."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import timm
import torch
from jaxtyping import Float
from torch import Tensor, nn

from echoseg.errors import ModelError, UsageError
from echoseg.nn.plain import CHANNELS, PLAIN, STRIDES, PlainEncoder


class Encoder(nn.Module):
    """Multi-scale features of gray frames.

    Attributes:
        channels: channels of each feature map, fine to coarse.
        strides: their strides.
    """

    def __init__(
        self,
        backbone: str = "resnet18",
        *,
        weights: str = "none",
        output_stride: int = 32,
        levels: tuple[int, ...] = (1, 2, 3, 4),
    ) -> None:
        """Build the encoder.

        Args:
            backbone: a timm name, or `plain` (`nn.plain`).
            weights: `none`, `hub` (ImageNet, needs the network) or the path of a state dict.
            output_stride: stride of the deepest level; smaller than 32 dilates instead.
            levels: timm's feature levels (0 = stride 2, 1 = stride 4, ...; of `plain` 0 = stride 4).

        Raises:
            UsageError: `plain` with weights, another output stride or levels that it does not have.
            ModelError: weights cannot be had.
        """
        super().__init__()
        if backbone == PLAIN:
            self._build_plain(weights, output_stride, levels)
            return
        try:
            self.body = timm.create_model(
                backbone,
                pretrained=weights == "hub",
                features_only=True,
                in_chans=1,
                output_stride=output_stride,
                out_indices=levels,
            )
        except (OSError, RuntimeError) as error:
            raise ModelError(
                f"{backbone}: {error}. Give weights=none, the path of a file, or weights=hub where the network is reached"
            ) from error
        info: Any = self.body.feature_info
        self.channels: list[int] = list(info.channels())
        self.strides: list[int] = list(info.reduction())
        if weights not in ("none", "hub"):
            load_backbone_weights(self.body, Path(weights))

    def _build_plain(self, weights: str, output_stride: int, levels: tuple[int, ...]) -> None:
        if weights != "none":
            raise UsageError(f"weights={weights}: there are none for backbone={PLAIN}; give weights=none")
        if output_stride != STRIDES[-1] or levels != tuple(range(len(levels))) or len(levels) > len(STRIDES):
            raise UsageError(
                f"backbone={PLAIN}: has strides {', '.join(map(str, STRIDES))} alone; use one stage fewer, or a ResNet"
            )
        self.body = PlainEncoder(len(levels))
        self.channels, self.strides = list(CHANNELS[: len(levels)]), list(STRIDES[: len(levels)])

    def forward(self, frames: Float[Tensor, "N 1 H W"]) -> list[Tensor]:
        """Feature maps, fine to coarse, each (N, C_i, H / stride_i, W / stride_i)."""
        features: list[Tensor] = self.body(frames)
        return features


def load_backbone_weights(body: nn.Module, path: Path) -> None:
    """Load a plain ResNet state dict; a 3-channel stem is summed to gray, the classifier left out."""
    if not path.is_file():
        raise UsageError(f"{path}: no such file; backbone weights are none, hub or a state dict on disk")
    try:
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise ModelError(f"{path}: cannot be read; give a state dict as torch.save writes it") from error
    if not isinstance(state, dict):
        raise ModelError(f"{path}: holds a {type(state).__name__}; give a state dict")
    own = body.state_dict()
    kept = {}
    for name, value in state.items():
        if name not in own:
            continue
        if value.ndim == 4 and value.shape[1] == 3 and own[name].shape[1] == 1:
            value = value.sum(1, keepdim=True)
        if value.shape != own[name].shape:
            raise ModelError(
                f"{path}: {name} is {tuple(value.shape)}, the backbone's {tuple(own[name].shape)}; take its own weights"
            )
        kept[name] = value
    missing = set(own) - set(kept)
    if missing:
        raise ModelError(f"{path}: {len(missing)} weights of the backbone are missing, {min(missing)} among them")
    body.load_state_dict(kept)
