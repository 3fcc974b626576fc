"""Where a run may start in place of random weights: at the best weights of another run, or at a model folder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from jaxtyping import Float
from torch import Tensor, nn

from echoseg.engine import MODEL_FILE, find_model
from echoseg.errors import ModelError, UsageError
from echoseg.methods import Method
from echoseg.train import BEST, load_checkpoint

LAST_LAYER = "classifier."
"""Stays random where the structures differ: a model of four channels may start one of the LV alone."""

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
            method: it is changed, and left in training mode.
            frames: normalised frames of the training. The graph of a model folder holds no statistics for batch normalisation; they are measured
                on these.

        Raises:
            UsageError: the weights are of another network.
            ModelError: the file is broken.
        """
        if self.path.name == MODEL_FILE:
            self._unfold(method, frames)
        else:
            self._fill(method, load_checkpoint(self.path)["method"])
        method.train()

    def _fill(self, method: Method, found: Mapping[str, Tensor]) -> None:
        """Load all of a method's tensors; the last layer may be missing or differ."""
        own = method.state_dict()
        for name, value in own.items():
            if name in found and found[name].shape == value.shape:
                continue
            if LAST_LAYER in name:
                continue
            theirs = f"has it as {tuple(found[name].shape)}" if name in found else "has none"
            raise UsageError(
                f"--init {self.source}: this run's network has {name} {tuple(value.shape)}, that one {theirs}; "
                "choose the recipe that made those weights"
            )
        fitting = {name: found[name] for name, value in own.items() if name in found and found[name].shape == value.shape}
        method.load_state_dict(fitting, strict=False)

    def _unfold(self, method: Method, frames: Float[Tensor, "N 1 S S"]) -> None:
        """Undo the export, which folded every batch normalisation into the convolution before it.

        A normalisation gets the statistics that the frames have there, and the scale and shift that undo them: in evaluation the
        network computes what the graph computes, and in training it starts at nearly the same.
        """
        method.eval()
        folded = graph_weights(self.path)
        pairs = normalised_convolutions(method, frames[:1])
        found = {name: value for name, value in folded.items() if not name.endswith(FOLDED_BIAS)}
        found |= {name: value for name, value in method.state_dict().items() if name.endswith("num_batches_tracked")}
        norms: list[nn.BatchNorm2d] = []
        for convolution, name in pairs.items():
            norm = method.get_submodule(name)
            assert isinstance(norm, nn.BatchNorm2d)
            norms.append(norm)
            bias = folded.get(convolution + FOLDED_BIAS, torch.empty(0))
            ones, zeros = torch.ones_like(bias), torch.zeros_like(bias)
            as_shift = {
                "weight": ones * (1 + norm.eps) ** 0.5, "bias": bias, "running_mean": zeros, "running_var": ones,
            }  # fmt: skip
            found |= {f"{name}.{key}": value for key, value in as_shift.items()}
        self._fill(method, found)
        measure_statistics(method, norms, frames)


def graph_weights(path: Path) -> dict[str, Tensor]:
    """Weights of an exported frame-wise network, fp32, by the names that they have in the method."""
    try:
        initializers = onnx.load(path).graph.initializer
    except Exception as error:  # onnx says what is wrong with a file in exceptions of protobuf, of its own and of the system
        raise ModelError(f"{path}: cannot be read ({error}); export or download the model again") from error
    return {
        one.name.removeprefix(GRAPH_PREFIX).removesuffix(HALF): torch.from_numpy(
            onnx.numpy_helper.to_array(one).astype(np.float32)
        )
        for one in initializers
        if one.name.startswith(GRAPH_PREFIX)
    }


def normalised_convolutions(method: Method, frames: Float[Tensor, "N 1 S S"]) -> dict[str, str]:
    """Convolution -> the batch normalisation that takes its output, by name."""
    outputs: dict[int, str] = {}
    kept: list[Tensor] = []  # an address may be used again as soon as its tensor is gone
    pairs: dict[str, str] = {}

    def after(name: str, output: Tensor) -> None:
        outputs[id(output)] = name
        kept.append(output)

    def before(name: str, value: Tensor) -> None:
        if id(value) in outputs:
            pairs[outputs[id(value)]] = name

    hooks = []
    for name, module in method.named_modules():
        if isinstance(module, nn.Conv2d):
            hooks.append(module.register_forward_hook(lambda _module, _in, out, name=name: after(name, out)))
        elif isinstance(module, nn.BatchNorm2d):
            hooks.append(module.register_forward_pre_hook(lambda _module, given, name=name: before(name, given[0])))
    with torch.no_grad():
        method(frames.unsqueeze(1))
    for hook in hooks:
        hook.remove()
    return pairs


def measure_statistics(method: Method, norms: list[nn.BatchNorm2d], frames: Float[Tensor, "N 1 S S"]) -> None:
    """Give batch normalisations that only add their bias the statistics of what they see, and the scale and shift that undo them.

    Args:
        method: in evaluation mode; what it computes does not change.
        norms: those of its batch normalisations; mean 0, variance 1.
        frames: normalised frames.
    """
    seen: dict[nn.BatchNorm2d, tuple[Tensor, ...]] = {}
    hooks = [
        norm.register_forward_pre_hook(
            lambda _module, given, norm=norm: seen.update({norm: torch.var_mean(given[0], (0, 2, 3))})
        )
        for norm in norms
    ]
    with torch.no_grad():
        method(frames.unsqueeze(1))
        for norm, (variance, mean) in seen.items():
            norm.running_var, norm.running_mean = variance, mean
            norm.weight.copy_((variance + norm.eps).sqrt())
            norm.bias.add_(mean)
    for hook in hooks:
        hook.remove()
