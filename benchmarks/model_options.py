"""What could be done with a trained model at run time, and what it costs: mirror averaging, a second size, 8-bit and 16-bit arithmetic, OpenVINO.

    python benchmarks/model_options.py RUN CAMUS_FOLDER [--out NAME] [--calibrate 64]

RUN is the folder of a training, so that the network can be exported at another size and run in torch. Scored on the validation stills of
CAMUS at their native size, which are not part of the repository. Times are processor time of the network alone on one core, in chunks as
the engine makes them, interleaved; ONNX Runtime has no bfloat16 convolutions on the CPU, so those are torch's and OpenVINO's.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

import numpy as np
import torch
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from echoseg.benchmark.cost import machine
from echoseg.cine import Float32, Structure
from echoseg.datasets import Dataset, open_dataset
from echoseg.engine import Geometry, ModelConfig, Segmenter
from echoseg.engine.backends import Backend, Shape, load_backend
from echoseg.engine.postprocess import activate
from echoseg.engine.segmenter import CHUNK
from echoseg.export import write_onnx
from echoseg.methods import Method
from echoseg.metrics import dice
from echoseg.recipes.finished import load_run, read_record
from echoseg.recipes.run import model_config

RESULTS = Path(__file__).parent / "results"
Feeds = Mapping[str, Float32]


class Wrapped:
    """A backend that is another one with something around it."""

    def __init__(self, inner: Backend, run: Callable[[Feeds], dict[str, Float32]]) -> None:
        self.inputs: Mapping[str, Shape] = inner.inputs
        self.outputs: Mapping[str, Shape] = inner.outputs
        self.run = run


def log_mean(config: ModelConfig, *logits: Float32) -> Float32:
    """Logits whose probabilities are the means of those of several, (N, K, H, W) each."""
    mean = sum(np.stack([activate(one, config.activation) for one in batch]) for batch in logits) / len(logits)
    floor = np.clip(mean, 1e-7, 1 - 1e-7)
    return np.asarray(np.log(floor) - (np.log1p(-floor) if config.activation == "sigmoid" else 0), np.float32)


def mirrored(inner: Backend, config: ModelConfig) -> Backend:
    """Mean of a frame's probabilities and those of its mirror image."""

    def run(feeds: Feeds) -> dict[str, Float32]:
        other = inner.run({"frames": np.ascontiguousarray(feeds["frames"][..., ::-1])})["logits"][..., ::-1]
        return {"logits": log_mean(config, inner.run(feeds)["logits"], other)}

    return Wrapped(inner, run)


def two_sizes(inner: Backend, larger: Backend, side: int, config: ModelConfig) -> Backend:
    """Mean of a frame's probabilities at the network's own size and at another one."""

    def resized(array: Float32, to: int) -> Float32:
        return torch.nn.functional.interpolate(
            torch.from_numpy(array), size=(to, to), mode="bilinear", align_corners=False, antialias=True
        ).numpy()

    def run(feeds: Feeds) -> dict[str, Float32]:
        other = larger.run({"frames": resized(feeds["frames"], side)})["logits"]
        return {"logits": log_mean(config, inner.run(feeds)["logits"], resized(other, config.height))}

    return Wrapped(inner, run)


def in_torch(inner: Backend, method: Method, dtype: torch.dtype | None) -> Backend:
    """The network in torch, in 16 bits if asked for."""
    network = method.eval().to(memory_format=torch.channels_last)

    def run(feeds: Feeds) -> dict[str, Float32]:
        with torch.inference_mode(), torch.autocast("cpu", dtype or torch.bfloat16, enabled=dtype is not None):
            return {"logits": network(torch.from_numpy(feeds["frames"])[:, None])[:, 0].float().numpy()}

    return Wrapped(inner, run)


class Stills(CalibrationDataReader):  # type: ignore[misc]  # the runtime's class has no types
    """Training stills, as the network sees them, from which the ranges of 8-bit numbers are taken."""

    def __init__(self, dataset: Dataset, config: ModelConfig, count: int) -> None:
        self._images = (
            (Geometry.fit(frame.shape, config.size, config.resize).apply(frame) / np.float32(255) - config.mean)
            / config.std
            for case in dataset.cases("train")[:count]
            for frame in dataset.load(case, "edes").frames
        )

    def get_next(self) -> dict[str, Float32] | None:
        """The next still, None after the last."""
        image = next(self._images, None)
        return None if image is None else {"frames": image[None, None].astype(np.float32)}


def eight_bits(onnx: Path, dataset: Dataset, config: ModelConfig, count: int) -> Path:
    """The same file with 8-bit convolutions: weights by channel, ranges from training stills."""
    prepared, out = onnx.with_name("prepared.onnx"), onnx.with_name("int8.onnx")
    quant_pre_process(str(onnx), str(prepared), skip_symbolic_shape=True)
    quantize_static(
        str(prepared),
        str(out),
        Stills(dataset, config, count),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        calibrate_method=CalibrationMethod.Percentile,
    )
    return out


def scores(segmenter: Segmenter, dataset: Dataset) -> dict[str, float]:
    """Mean LV Dice over the validation stills at their native size."""
    found: dict[str, list[float]] = {"ED": [], "ES": []}
    for case in dataset.cases("val"):
        cine = dataset.load(case, "edes")
        masks = segmenter(cine).masks
        for instant, frame in cine.instants.items():
            found[instant.name].append(dice(masks[frame] == Structure.LV, cine.masks[frame] == Structure.LV))
    return {
        "all": float(np.mean(found["ED"] + found["ES"])),
        **{key: float(np.mean(value)) for key, value in found.items()},
    }


def milliseconds(backends: Mapping[str, Backend], config: ModelConfig, rounds: int = 7, chunks: int = 3) -> dict:
    """Median processor time of a frame, all backends in turn."""
    images = np.random.default_rng(0).standard_normal((CHUNK, 1, *config.size)).astype(np.float32)
    times: dict[str, list[float]] = {name: [] for name in backends}
    for _ in range(rounds):
        for name, backend in backends.items():
            started = time.process_time()
            for _ in range(chunks):
                backend.run({"frames": images})
            times[name].append(1000 * (time.process_time() - started) / chunks / CHUNK)
    return {name: median(values) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("camus", type=Path)
    parser.add_argument("--out", help="name of the result, else that of the run's model")
    parser.add_argument("--calibrate", type=int, default=64, help="patients whose stills calibrate the 8-bit network")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    dataset, record = open_dataset(arguments.camus), read_record(arguments.run)
    run = load_run(arguments.run, record)
    method = run.method.cpu().eval()
    config = model_config(run.config, method, run.best)
    side = round(config.height * 1.25 / 16) * 16
    with tempfile.TemporaryDirectory() as name:
        own, larger = Path(name) / "own.onnx", Path(name) / "larger.onnx"
        write_onnx(method.export_graph(*config.size), own)
        write_onnx(method.export_graph(side, side), larger)
        files = {"fp32": own, "int8": eight_bits(own, dataset, config, arguments.calibrate), "larger": larger}
        loaded = {key: load_backend("onnx", file.read_bytes(), str(file), 1) for key, file in files.items()}
        in_openvino = {
            "openvino fp32": load_backend("openvino", own.read_bytes(), str(own), 1),
            "openvino bf16": load_backend("openvino-bf16", own.read_bytes(), str(own), 1),
            "openvino int8": load_backend("openvino", files["int8"].read_bytes(), str(files["int8"]), 1),
        }
        megabytes = {key: files[key].stat().st_size / 1e6 for key in ("fp32", "int8")}
    plain = loaded["fp32"]
    backends: dict[str, Backend] = {
        "fp32": plain,
        "mirrored": mirrored(plain, config),
        "two sizes": two_sizes(plain, loaded["larger"], side, config),
        "int8": loaded["int8"],
        **in_openvino,
        "torch fp32": in_torch(plain, method, None),
        "torch bf16": in_torch(plain, method, torch.bfloat16),
    }
    times = milliseconds(backends, config)
    document = {
        "model": f"{config.name} {config.version}",
        "size": config.height,
        "second_size": side,
        "megabytes": megabytes,
        "patients": len(dataset.cases("val")),
        "processor": machine("cpu")["processor"],
        "options": {
            key: {
                "dice": scores(Segmenter(config, backend), dataset),
                "ms": round(times[key], 2),
                "ratio": round(times[key] / times["fp32"], 2),
            }
            for key, backend in backends.items()
        },
    }
    out = RESULTS / f"model_options_{arguments.out or config.name}.json"
    out.write_text(json.dumps(document, indent=1) + "\n")


if __name__ == "__main__":
    main()
