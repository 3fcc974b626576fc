"""ONNX Runtime on the CPU, fp32."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnxruntime as ort

from echoseg.cine import Float32
from echoseg.engine.backends import Shape, brief
from echoseg.errors import ModelError

_QUIET = 4  # fatal only: errors come as exceptions, and nothing else may write on stderr
ort.disable_telemetry_events()


class OnnxBackend:
    """One inference session; safe to call from several threads, since state is passed in and out."""

    def __init__(self, model: bytes, source: str, threads: int | None) -> None:
        """Load `model`, the content of an ONNX file; it must hold its weights (external data are not looked for)."""
        options = ort.SessionOptions()
        options.log_severity_level = _QUIET
        options.inter_op_num_threads = 1
        options.intra_op_num_threads = threads or 0
        # Threads that wait must not burn a core: the decoder and the other worker processes need it.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        self._source = source
        try:
            self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime's classes share no base
            raise ModelError(
                f"{source}: not a model that ONNX Runtime can load ({brief(error)}); export or download it again"
            ) from error
        self.inputs: Mapping[str, Shape] = {i.name: _shape(i.shape) for i in self._session.get_inputs()}
        self.outputs: Mapping[str, Shape] = {o.name: _shape(o.shape) for o in self._session.get_outputs()}
        self._names = list(self.outputs)

    def run(self, feeds: Mapping[str, Float32]) -> dict[str, Float32]:
        """Outputs by name for inputs by name."""
        contiguous = {name: np.ascontiguousarray(value) for name, value in feeds.items()}
        try:
            values = self._session.run(self._names, contiguous)
        except Exception as error:
            raise ModelError(f"{self._source}: the network failed ({brief(error)}); export it again") from error
        return dict(zip(self._names, values, strict=True))


def _shape(dimensions: list[int | str | None]) -> Shape:
    return tuple(n if isinstance(n, int) and n > 0 else None for n in dimensions)
