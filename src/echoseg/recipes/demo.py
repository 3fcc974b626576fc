"""The demonstration: simulate, train EchoForge and its frame-wise baseline, evaluate both, segment a real cine."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from echoseg.clinical import measure_cine
from echoseg.datasets import open_dataset
from echoseg.engine import Segmenter
from echoseg.evaluation import evaluate_model
from echoseg.io import atomic_write_text, open_cine
from echoseg.methods.echoforge import EchoForgeConfig
from echoseg.methods.framewise import FrameWiseConfig
from echoseg.recipes.base import DataConfig, ModelInfo, RunConfig
from echoseg.recipes.echoforge import PAPER_AUGMENT
from echoseg.recipes.run import train_run
from echoseg.report import write_case
from echoseg.simulator import ClipOptions, write_echonet
from echoseg.train import TrainConfig

Progress = Callable[[str, int, int], None]

PRESET, SEED = "mid", 7
CINES = {"TRAIN": 24, "VAL": 6, "TEST": 16}
CLIP = ClipOptions(fps=50.0, duration_s=1.2)
SCHEDULE = TrainConfig(steps=250, steps_per_epoch=5, lr=1e-3, warmup_steps=20, validate_every=10, checkpoint_every=5)
SHIPPED_MODEL = "a4c"
RESULT_FILE = "demo.json"


def demo_echoforge() -> RunConfig:
    """EchoForge lite for a few minutes on two cores: six frames a clip, 250 steps."""
    return RunConfig(
        "echoforge",
        EchoForgeConfig.lite(),
        DataConfig(size=128, batch=2, clip_length=6, augment=PAPER_AUGMENT),
        SCHEDULE,
        ModelInfo("demo-echoforge", summary="EchoForge lite, trained by the demonstration.", licence="Apache-2.0"),
    )


def demo_framewise() -> RunConfig:
    """The baseline with as many steps on the same labelled cines."""
    return RunConfig(
        "framewise",
        FrameWiseConfig(),
        DataConfig(size=128, batch=2, clip_length=2, augment=PAPER_AUGMENT),
        SCHEDULE,
        ModelInfo("demo-framewise", summary="Frame-wise U-Net, trained by the demonstration.", licence="Apache-2.0"),
    )


@dataclass(frozen=True)
class DemoResult:
    """What the demonstration measured.

    Attributes:
        rows: header and rows of the table.
        cases: (cine, EF, quality flag) of the segmented cines.
        report: page of the real cine.
    """

    rows: tuple[tuple[str, ...], ...]
    cases: tuple[tuple[str, str, str], ...]
    report: Path


def run_demo(out: Path, progress: Progress | None = None) -> DemoResult:
    """Run everything; an interrupted demonstration goes on where it stopped.

    Args:
        out: folder for the simulated data, both runs, their scores and the segmented cines.
        progress: called with (what, done, total).
    """
    show = progress or (lambda what, done, total: None)
    data = out / "simulated"
    write_echonet(
        data, CINES, seed=SEED, preset=PRESET, workers=os.cpu_count() or 1, clip=CLIP,
        progress=partial(show, "simulating cines"),
    )  # fmt: skip
    documents = {}
    for name, config in (("frame-wise U-Net", demo_framewise()), ("EchoForge lite", demo_echoforge())):
        run_dir = out / f"train-{config.method}"
        model = train_run(config, data, run_dir, device="cpu", resume=True, progress=show)
        documents[name] = evaluate_model(
            Segmenter.load(model), open_dataset(data), split="test", frames="all", out=out / f"scores-{config.method}",
            progress=partial(show, f"evaluating {name}"),
        )  # fmt: skip
    rows = (HEADER, *(_row(name, document) for name, document in documents.items()))
    cases = segment_examples(data, out / "segmented", show)
    result = DemoResult(rows, tuple(cases), out / "segmented" / "real_a4c" / "report.html")
    atomic_write_text(out / RESULT_FILE, json.dumps({"table": rows, "segmented": cases}, indent=1) + "\n")
    return result


HEADER = ("trained on ED and ES only", "Dice ED/ES", "Dice all frames", "HD95 px", "EF MAE points", "area roughness")


def _row(name: str, document: dict[str, Any]) -> tuple[str, ...]:
    lv = document["LV"]
    everything = lv["all"]
    labelled = (lv["ED"]["dice"]["mean"] + lv["ES"]["dice"]["mean"]) / 2
    low, high = everything["dice"]["interval"]
    ef = document["ef"].get("found beats against published", {"mae": None})
    return (
        name,
        _shown(labelled, 1, 100),
        f"{_shown(everything['dice']['mean'], 1, 100)} ({_shown(low, 1, 100)} to {_shown(high, 1, 100)})",
        _shown(everything["distances"]["hd95_pooled"]["mean"], 1),
        _shown(ef["mae"], 1),
        _shown(document["area_roughness"], 3),
    )


def _shown(value: float | None, digits: int, scale: float = 1.0) -> str:
    """A number of the table; a model that draws nothing has no distance and no ejection fraction."""
    return "none" if value is None else f"{scale * value:.{digits}f}"


def segment_examples(data: Path, out: Path, show: Progress) -> list[tuple[str, str, str]]:
    """Segment the real four-chamber cine that pydicom brings along and two simulated ones with the shipped model."""
    import pydicom.examples

    dataset = open_dataset(data)
    sources: list[tuple[str, Path]] = [("real_a4c", Path(pydicom.examples.get_path("ybr_color")))]
    sources += [
        (f"simulated_{i}", data / "Videos" / f"{case.id}.avi") for i, case in enumerate(dataset.cases("test")[:2])
    ]
    segmenter = Segmenter.load(SHIPPED_MODEL)
    found = []
    for i, (name, path) in enumerate(sources):
        with open_cine(path) as cine:
            segmentation = segmenter(cine)
            indices = measure_cine(segmentation)
            write_case(out / name, segmentation, indices, cine, licence=segmenter.config.licence)
        ef = "none" if indices.summary is None else f"{indices.summary.ef_percent:.0f} %"
        found.append((name, ef, indices.quality.flag.value))
        show("segmenting with the shipped model", i + 1, len(sources))
    return found


__all__ = ["DemoResult", "demo_echoforge", "demo_framewise", "run_demo"]
