"""Does a network take and give what its `config.json` says?"""

from __future__ import annotations

from collections.abc import Mapping

from echoseg.engine.backends import Backend, Shape
from echoseg.engine.config import ModelConfig
from echoseg.errors import ModelError


def check_signature(backend: Backend, config: ModelConfig, source: str) -> None:
    """ModelError unless names and shapes of inputs and outputs are those of the config's temporal kind.

    Args:
        backend: the loaded network.
        config: its config.
        source: the model file, for messages.
    """
    inputs, outputs = _expected(backend, config)
    _compare(backend.inputs, inputs, source, "input")
    _compare(backend.outputs, outputs, source, "output")


def _expected(backend: Backend, config: ModelConfig) -> tuple[dict[str, Shape], dict[str, Shape]]:
    height, width = config.size
    channels = config.n_channels
    match config.temporal.kind:
        case "frame":
            return {"frames": (None, 1, height, width)}, {"logits": (None, channels, height, width)}
        case "window":
            length = config.temporal.clip_length
            return {"clip": (1, length, 1, height, width)}, {"logits": (1, length, channels, height, width)}
        case "stream":
            states = {name: shape for name, shape in backend.inputs.items() if name.startswith("state_")}
            return (
                {"frame": (1, 1, height, width), "first": (1,), **states},
                {"logits": (1, channels, height, width), **{f"next_{name}": shape for name, shape in states.items()}},
            )


def _compare(found: Mapping[str, Shape], wanted: Mapping[str, Shape], source: str, what: str) -> None:
    if set(found) != set(wanted):
        raise ModelError(
            f"{source}: {what}s {', '.join(sorted(found)) or 'none'}, but config.json asks for {', '.join(sorted(wanted))}; "
            "export the model again"
        )
    for name, shape in wanted.items():
        if not _compatible(found[name], shape):
            raise ModelError(
                f"{source}: {what} {name!r} of shape {found[name]}, but config.json asks for {shape}; export the model again"
            )


def _compatible(found: Shape, wanted: Shape) -> bool:
    """Same rank, and same size wherever both say one. A free batch in the config must be free in the network."""
    return len(found) == len(wanted) and all(f is None or f == w for f, w in zip(found, wanted, strict=True))
