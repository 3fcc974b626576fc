"""OpenVINO on the CPU (extra `openvino`), in fp32 or in 16 bits where the processor multiplies such numbers."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from echoseg.cine import Float32
from echoseg.engine.backends import Shape, brief
from echoseg.errors import ModelError, UsageError

_TELEMETRY = "openvino_telemetry"


@contextmanager
def _without_telemetry() -> Iterator[None]:
    """OpenVINO reports to its maker that it was imported, unless the package that does so cannot be."""
    if _TELEMETRY in sys.modules:
        yield
        return
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[_TELEMETRY]


try:
    with _without_telemetry():
        import openvino
except ImportError as error:
    raise UsageError("backend openvino: is not installed; pip install 'echoseg[openvino]'") from error


class OpenVinoBackend:
    """One compiled network; safe to call from several threads, each of which has a request of its own."""

    precision = "f32"
    """Said in any case: on processors with 16-bit units OpenVINO would take them unasked."""

    def __init__(self, model: bytes, source: str, threads: int | None) -> None:
        """Compile `model`, the content of an ONNX file that holds its weights."""
        settings = {
            "INFERENCE_PRECISION_HINT": self.precision,
            "INFERENCE_NUM_THREADS": threads or 0,
            "PERFORMANCE_HINT": "LATENCY",
            # several processes on a machine would be pinned to the same cores
            "ENABLE_CPU_PINNING": False,
        }
        self._source = source
        try:
            core = openvino.Core()
            self._compiled = core.compile_model(core.read_model(model), "CPU", settings)
        except Exception as error:  # the runtime's classes share no base
            raise ModelError(
                f"{source}: not a model that OpenVINO can load ({brief(error)}); run it with the backend onnx"
            ) from error
        self.inputs: Mapping[str, Shape] = {port.get_any_name(): _shape(port) for port in self._compiled.inputs}
        self.outputs: Mapping[str, Shape] = {port.get_any_name(): _shape(port) for port in self._compiled.outputs}
        self._own = threading.local()

    def run(self, feeds: Mapping[str, Float32]) -> dict[str, Float32]:
        """Outputs by name for inputs by name."""
        contiguous = {name: np.ascontiguousarray(value) for name, value in feeds.items()}
        if not hasattr(self._own, "request"):
            self._own.request = self._compiled.create_infer_request()
        try:
            values = self._own.request.infer(contiguous)
        except Exception as error:
            raise ModelError(
                f"{self._source}: the network failed ({brief(error)}); run it with the backend onnx"
            ) from error
        return {name: np.asarray(values[name], np.float32) for name in self.outputs}


class OpenVinoBf16Backend(OpenVinoBackend):
    """The same in 16 bits; where the processor has none, OpenVINO computes in fp32."""

    precision = "bf16"


def _shape(port: openvino.ConstOutput) -> Shape:
    return tuple(n.get_length() if n.is_static else None for n in port.partial_shape)
