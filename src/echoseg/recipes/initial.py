"""Where a run may start in place of random weights: at the best weights of another run, or at a model folder."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from echoseg.engine import MODEL_FILE, find_model
from echoseg.errors import ModelError, UsageError
from echoseg.methods import Method
from echoseg.methods.cps import CPS
from echoseg.nn import UNet, UNetConfig
from echoseg.train import BEST, load_checkpoint

FRESH = ("classifier.", "reforge.")
"""Stay random where the other network's do not fit: the last layer, since a model of four channels may start one of the LV alone; EchoForge's
reforging, which a run without it lacks."""

ROLES = ("student", "teacher", "net", "model", "first", "second")
"""What methods call a whole network; the names within it are the same."""

COUNTER = "num_batches_tracked"
"""Of batch normalisation; other whole numbers (epoch, length of clips) belong to a run, not to its weights."""

GRAPH_PREFIX, HALF, FOLDED_BIAS = "method.", "_half", ".weight_bias"
"""How the graph of a frame-wise network names its weights: all, those in 16 bits, and the shift of a folded normalisation."""


@dataclass(frozen=True)
class InitialWeights:
    """Weights to start from.

    Attributes:
        source: as the user named it.
        path: the best checkpoint of a run, or the graph of a model folder.
    """

    source: str
    path: Path

    @classmethod
    def find(cls, source: str) -> InitialWeights:
        """Those of a run's folder, of a model folder, or of a shipped model by its name.

        Raises:
            ModelError: there is no such thing.
        """
        checkpoint = Path(source) / BEST
        return cls(source, checkpoint if checkpoint.is_file() else find_model(source).path / MODEL_FILE)

    def sha256(self) -> str:
        """What tells these weights from others."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()

    def load_into(self, method: Method, frames: Float[Tensor, "N 1 S S"]) -> None:
        """Give the weights to a method that was just built.

        Args:
            method: it is changed.
            frames: normalised frames of the training. The graph of a model folder holds no statistics for batch normalisation; they are measured
                on these.

        Raises:
            UsageError: the weights are of another network.
            ModelError: the file is broken.
        """
        if self.path.name != MODEL_FILE:
            found = load_checkpoint(self.path)["method"]
            self._refuse_twins(method, found)
            self._fill(method, found)
            return
        self._refuse_twins(method, {})
        config = getattr(method, "config", None)
        if not isinstance(config, UNetConfig):
            raise UsageError(f"--init {self.source}: a model folder starts a U-Net of single frames only; name a run")
        unet = UNet(config).eval()
        pairs = normalised_convolutions(unet, frames[:1])
        graph = graph_weights(find_model(self.source).read_weights(), self.source)
        self._fill(unet, unfolded(graph, unet, pairs))
        measure_statistics([unet.get_submodule(name) for name in pairs.values()], unet, frames)
        self._fill(method, unet.state_dict())

    def _refuse_twins(self, method: Method, found: Mapping[str, Tensor]) -> None:
        if isinstance(method, CPS) and not set(found) >= set(method.state_dict()):
            raise UsageError(
                f"--init {self.source}: the two networks of cross pseudo supervision would start alike and stay alike; "
                "name another run of cps"
            )

    def _fill(self, network: nn.Module, found: Mapping[str, Tensor]) -> None:
        """Load every tensor of a network, a teacher's too; where the other has no network of that role, its first one serves."""
        by_role: dict[str, Tensor] = {}
        for name, value in found.items():
            by_role.setdefault(_without_role(name), value)
        fitting: dict[str, Tensor] = {}
        for name, value in network.state_dict().items():
            theirs = found.get(name, by_role.get(_without_role(name)))
            if not value.is_floating_point() and not name.endswith(COUNTER):
                continue
            if theirs is not None and theirs.shape == value.shape:
                fitting[name] = theirs
            elif not any(part in name for part in FRESH):
                has = "has none" if theirs is None else f"has {tuple(theirs.shape)}"
                raise UsageError(
                    f"--init {self.source}: {name} is {tuple(value.shape)} here, the other network {has}; "
                    "take a recipe and --network flags like those which made it"
                )
        network.load_state_dict(fitting, strict=False)


def _without_role(name: str) -> str:
    """teacher.model.encoder.weight -> encoder.weight."""
    return ".".join(itertools.dropwhile(ROLES.__contains__, name.split(".")))


def graph_weights(graph: bytes, source: str) -> dict[str, Tensor]:
    """Weights of an exported frame-wise network, fp32, by the names that they have in the method; `source` names it in messages."""
    try:
        initializers = onnx.load_from_string(graph).graph.initializer
    except (ValueError, DecodeError) as error:
        raise ModelError(f"{source}: {MODEL_FILE} cannot be read ({error}); export the model again") from error
    return {
        one.name.removeprefix(GRAPH_PREFIX).removesuffix(HALF): torch.from_numpy(
            onnx.numpy_helper.to_array(one).astype(np.float32)
        )
        for one in initializers
        if one.name.startswith(GRAPH_PREFIX)
    }


def normalised_convolutions(network: nn.Module, frames: Float[Tensor, "N 1 S S"]) -> dict[str, str]:
    """Convolution -> the batch normalisation that takes its output, by name."""
    made_by: dict[int, str] = {}
    kept: list[Tensor] = []  # an address may be used again as soon as its tensor is gone
    pairs: dict[str, str] = {}

    def after(name: str, output: Tensor) -> None:
        made_by[id(output)] = name
        kept.append(output)

    def before(name: str, given: Tensor) -> None:
        if id(given) in made_by:
            pairs[made_by[id(given)]] = name

    hooks = []
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            hooks.append(module.register_forward_hook(lambda _module, _in, out, name=name: after(name, out)))
        elif isinstance(module, nn.BatchNorm2d):
            hooks.append(module.register_forward_pre_hook(lambda _module, given, name=name: before(name, given[0])))
    _run(network, frames, hooks)
    return pairs


def unfolded(folded: Mapping[str, Tensor], network: nn.Module, pairs: Mapping[str, str]) -> dict[str, Tensor]:
    """Weights of a network whose export folded every batch normalisation into the convolution before it.

    Args:
        folded: those of the graph.
        network: of the same architecture.
        pairs: convolution -> batch normalisation.

    Returns:
        Weights with which the network computes what the graph computes; its batch normalisations only add their bias.
    """
    found = {name: value for name, value in folded.items() if not name.endswith(FOLDED_BIAS)}
    found |= {name: value for name, value in network.state_dict().items() if name.endswith(COUNTER)}
    for convolution, norm in pairs.items():
        bias = folded.get(convolution + FOLDED_BIAS, torch.empty(0))
        ones = torch.ones_like(bias)
        eps = cast(nn.BatchNorm2d, network.get_submodule(norm)).eps
        found |= {f"{norm}.weight": ones * (1 + eps) ** 0.5, f"{norm}.bias": bias}
        found |= {f"{norm}.running_mean": torch.zeros_like(bias), f"{norm}.running_var": ones}
    return found


def measure_statistics(norms: Sequence[nn.Module], network: nn.Module, frames: Float[Tensor, "N 1 S S"]) -> None:
    """Give batch normalisations that only add their bias the statistics of what they see, and the scale and shift that undo them.

    Args:
        norms: mean 0, variance 1.
        network: theirs, in evaluation mode; what it computes does not change, and in training it begins at nearly the same.
        frames: normalised frames.
    """
    seen: dict[nn.Module, tuple[Tensor, ...]] = {}
    hooks = [
        norm.register_forward_pre_hook(
            lambda _module, given, norm=norm: seen.update({norm: torch.var_mean(given[0], (0, 2, 3))})
        )
        for norm in norms
    ]
    _run(network, frames, hooks)
    for module, (variance, mean) in seen.items():
        norm = cast(nn.BatchNorm2d, module)
        norm.running_var, norm.running_mean = variance, mean
        norm.weight.data = (variance + norm.eps).sqrt()
        norm.bias.data += mean


def _run(network: nn.Module, frames: Float[Tensor, "N 1 S S"], hooks: Sequence[RemovableHandle]) -> None:
    """One pass for what its hooks see, and the hooks are gone."""
    try:
        with torch.no_grad():
            network(frames.unsqueeze(1))
    finally:
        for hook in hooks:
            hook.remove()
