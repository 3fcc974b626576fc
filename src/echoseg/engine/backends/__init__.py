"""What runs a network: one class per runtime, loaded when asked for.

A new runtime is a class with the methods of `Backend` in a file of its own and one line in `BACKENDS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Protocol

from echoseg.cine import Float32
from echoseg.errors import UsageError

Shape = tuple[int | None, ...]

BACKENDS = {
    "onnx": "echoseg.engine.backends.onnx:OnnxBackend",
    "openvino": "echoseg.engine.backends.openvino:OpenVinoBackend",
    "openvino-bf16": "echoseg.engine.backends.openvino:OpenVinoBf16Backend",
}


class Backend(Protocol):
    """A loaded network.

    Attributes:
        inputs: name -> shape of what it takes, None where a dimension is free.
        outputs: name -> shape of what it gives.
    """

    inputs: Mapping[str, Shape]
    outputs: Mapping[str, Shape]

    def run(self, feeds: Mapping[str, Float32]) -> dict[str, Float32]:
        """Outputs by name for inputs by name."""
        ...


def load_backend(backend: str, model: bytes, source: str, threads: int | None) -> Backend:
    """Load a network.

    Args:
        backend: a key of `BACKENDS`.
        model: content of the model file.
        source: its path, for messages.
        threads: CPU threads, None = as many as the machine has.
    """
    if backend not in BACKENDS:
        raise UsageError(f"backend {backend!r}: unknown; use one of {', '.join(BACKENDS)}")
    if threads is not None and threads < 1:
        raise UsageError(f"threads={threads}: must be at least 1")
    module, name = BACKENDS[backend].split(":")
    loaded: Backend = getattr(import_module(module), name)(model, source, threads)
    return loaded


def brief(error: Exception) -> str:
    """First line of a runtime's message, which can run over pages."""
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200] if str(error).strip() else 'no message'}"


__all__ = ["BACKENDS", "Backend", "Shape", "brief", "load_backend"]
