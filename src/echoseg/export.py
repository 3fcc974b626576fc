"""A trained method -> a model folder that needs no torch; the export is refused unless both agree."""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from echoseg.engine import CARD_FILE, CONFIG_FILE, MODEL_FILE, EfConfig, ModelConfig
from echoseg.errors import ModelError, OutputError
from echoseg.methods import ExportGraph, Method

Config = TypeVar("Config", ModelConfig, EfConfig)

PARITY = 1e-4
"""Largest difference of a probability, or of a state relative to its largest value, between torch and ONNX Runtime (fp32).

Not of a logit: where a probability is within rounding of 0 or 1 its logit is large and its last digits mean nothing.
"""

ROUNDING = 5e-3
"""The same for weights in 16 bits.

The rounded weights are not the method's own: batch normalisation is folded into the convolutions before.
"""


@dataclass(frozen=True)
class Card:
    """What `card.md` says; every number in it was measured by the caller.

    Attributes:
        summary: one paragraph: what the model is for.
        data: what it was trained on, and the data's licence.
        metrics: name -> value with its interval, as text.
        limits: known failure modes.
        made_by: recipe, seed and version that made it.
    """

    summary: str
    data: str
    metrics: Mapping[str, str] = field(default_factory=dict)
    limits: tuple[str, ...] = ()
    made_by: str = ""

    def text(self, config: ModelConfig | EfConfig) -> str:
        """Markdown."""
        rows = "\n".join(f"| {name} | {value} |" for name, value in self.metrics.items())
        table = f"## Measured\n\n| metric | value |\n|---|---|\n{rows}\n\n" if rows else ""
        limits = "\n".join(f"* {limit}" for limit in (*self.limits, "Research use; not a medical device."))
        return (
            f"# {config.name} {config.version}\n\n{self.summary}\n\n"
            f"{_input_and_output(config)}"
            f"* Licence of the weights: {config.licence}\n* Made by: {self.made_by}\n\n"
            f"## Data\n\n{self.data}\n\n{table}## Limits\n\n{limits}\n"
        )


def _input_and_output(config: ModelConfig | EfConfig) -> str:
    pixels = f"{config.height} x {config.width} gray pixels"
    if isinstance(config, EfConfig):
        clip = f"clips of {config.clip_length} frames, {config.step_s * 1000:g} ms apart"
        return f"* Output: ejection fraction, percent, regressed; no masks, no volumes\n* Input: {clip}, {pixels}\n"
    structures = ", ".join(config.structures.values())
    return f"* Structures: {structures}\n* Input: {pixels}, {config.temporal.kind} model\n"


def export_method(method: Method, config: ModelConfig, card: Card, folder: Path, *, half: bool = False) -> ModelConfig:
    """Write the model folder of a method that draws masks, see `export_graph`; it is moved to the CPU and set to evaluate."""
    method = method.cpu().eval()
    return export_graph(method.export_graph(config.height, config.width), config, card, folder, half=half)


def export_graph(graph: ExportGraph, config: Config, card: Card, folder: Path, *, half: bool = False) -> Config:
    """Write `model.onnx`, `config.json` and `card.md`; the folder appears whole or not at all.

    Args:
        graph: the trained network, on the CPU and in evaluation mode.
        config: name, size, normalisation; checksum and parity are filled in here.
        card: text about it.
        folder: where; an existing model folder there is replaced.
        half: store weights in 16 bits; the runtime widens them when it loads the file.

    Returns:
        The configuration as written.

    Raises:
        ModelError: ONNX Runtime and torch differ by more than `PARITY`, or, with weights in 16 bits, by more than `ROUNDING`.
        OutputError: `folder` holds something that is no part of a model.
    """
    refuse_other_content(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        write_onnx(graph, temporary / MODEL_FILE)
        parity = checked_parity(graph, temporary / MODEL_FILE, PARITY, folder)
        compared = "max_abs_probability" if "logits" in graph.output_names else "max_relative"
        details = {**config.details, f"parity_{compared}": parity}
        if half:
            halve_weights(temporary / MODEL_FILE)
            details[f"rounding_{compared}"] = checked_parity(graph, temporary / MODEL_FILE, ROUNDING, folder)
        digest = hashlib.sha256((temporary / MODEL_FILE).read_bytes()).hexdigest()
        written = replace(config, sha256={MODEL_FILE: digest}, details=details)
        (temporary / CONFIG_FILE).write_text(written.to_json(), encoding="utf-8")
        (temporary / CARD_FILE).write_text(card.text(written), encoding="utf-8")
        temporary.chmod(0o755)
        if folder.exists():
            shutil.rmtree(folder)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return written


def refuse_other_content(folder: Path) -> None:
    """An export replaces a model folder, but nothing else that a user may have named by mistake."""
    if not folder.exists():
        return
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else [folder.name]
    other = sorted(set(names) - {MODEL_FILE, CONFIG_FILE, CARD_FILE})
    if other:
        raise OutputError(f"{folder}: holds {other[0]}, which is no part of a model; choose another folder")


def write_onnx(graph: ExportGraph, path: Path) -> None:
    """Trace a graph to ONNX; weights inside the file."""
    batch = torch.export.Dim("batch", min=1, max=1024)
    shapes: tuple[Any, ...] | None = None
    if graph.dynamic_batch:
        shapes = ({0: batch}, *(None for _ in graph.inputs[1:]))
    with _quiet():
        program = torch.onnx.export(
            graph.module.eval(),
            graph.inputs,
            dynamo=True,
            input_names=list(graph.input_names),
            output_names=list(graph.output_names),
            dynamic_shapes=shapes,
            external_data=False,
            verbose=False,
        )
        if program is None:
            raise ModelError(f"{path}: torch could not export the graph")
        program.save(str(path), external_data=False)
    strip_metadata(path)


def strip_metadata(path: Path) -> None:
    """Remove what the exporter notes beside the graph: stack traces with the paths of this machine, among others.

    Without them the same weights give the same bytes, whoever called the export.
    """
    import onnx

    model = onnx.load(str(path))
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del part.metadata_props[:]
        part.ClearField("doc_string")
    onnx.save(model, str(path))


def halve_weights(path: Path) -> None:
    """Store the large weights of an ONNX file as float16, each followed by a cast to float32.

    The runtime folds the casts when it loads the file: half the bytes on disk, the same arithmetic.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(str(path))
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or int(np.prod(tensor.dims)) < 256:
            continue
        name = tensor.name
        narrow = numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), f"{name}_half")
        tensor.CopyFrom(narrow)
        casts.append(helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.save(model, str(path))


def checked_parity(graph: ExportGraph, path: Path, limit: float, folder: Path) -> float:
    """Difference between torch and ONNX Runtime to three digits, refused above a limit."""
    parity = measure_parity(graph, path)
    if not parity <= limit:
        raise ModelError(
            f"{folder}: ONNX and torch differ by {parity:.2g} in a probability or relative to a value, more than {limit:g}; "
            "nothing was exported"
        )
    return float(f"{parity:.3g}")


@torch.no_grad()
def measure_parity(graph: ExportGraph, path: Path, trials: int = 3) -> float:
    """Largest difference over random inputs, see `PARITY`; states are fed back, so that a stream is really run."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    states: list[Tensor] = list(graph.inputs[1:])
    worst = 0.0
    for trial in range(trials):
        image = torch.from_numpy(rng.standard_normal(tuple(graph.inputs[0].shape), dtype=np.float32))
        if graph.dynamic_batch and trial == trials - 1:
            image = image[:1]
        inputs = (image, *states)
        ours = graph.module(*inputs)
        ours = ours if isinstance(ours, tuple) else (ours,)
        feed = {name: value.numpy() for name, value in zip(graph.input_names, inputs, strict=True)}
        theirs = session.run(list(graph.output_names), feed)
        outputs = zip(graph.output_names, ours, map(torch.from_numpy, theirs), strict=True)
        gaps = [_difference(name, a, b) for name, a, b in outputs]
        worst = float(np.max([worst, *gaps]))  # NaN stays NaN, which the built-in max may drop
        if len(states) > 1:  # a stream: [first, state_0, ...]
            states = [torch.zeros_like(states[0]), *ours[1:]]
    return worst


def _difference(name: str, ours: Tensor, theirs: Tensor) -> float:
    if name == "logits":
        one = ours.shape[-3] == 1
        ours, theirs = (x.sigmoid() if one else x.softmax(-3) for x in (ours, theirs))
        return float((ours - theirs).abs().max())
    return float((ours - theirs).abs().max() / ours.abs().max().clamp(min=1))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter prints and warns about its own internals; neither is for users."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
