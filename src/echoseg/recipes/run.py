"""From a recipe and a data folder to a run folder with a model folder in it."""

from __future__ import annotations

import dataclasses
import json
import logging
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric, seed_everything
from torch import Tensor

from echoseg.cine import Structure
from echoseg.data import CineStore, ClipStream, MixedStream, StreamConfig, beat_step_s, is_pair_of_stills
from echoseg.datasets import Dataset, open_dataset
from echoseg.engine import MODEL_FILE, ModelConfig, Temporal, find_model, mean_gray
from echoseg.errors import UsageError
from echoseg.export import Card, export_method
from echoseg.io import atomic_write_text
from echoseg.methods import Method, build_method
from echoseg.methods.distilled import DistilledConfig
from echoseg.methods.ef import EF_METHODS
from echoseg.recipes.base import RunConfig
from echoseg.recipes.ef_base import EfRunConfig
from echoseg.recipes.finished import RUN_FILE, as_of_today, calibrate_run, load_run, read_calibration, read_record
from echoseg.recipes.initial import InitialWeights
from echoseg.recipes.labels import split_labels, unlabelled_cines
from echoseg.recipes.stores import Progress, Stores
from echoseg.train import TrainConfig, Training, Validator
from echoseg.version import __version__

MODEL_DIR = "model"


def train_run(
    config: RunConfig | EfRunConfig,
    data: Path | Stores,
    run_dir: Path,
    *,
    device: str = "auto",
    resume: bool = False,
    progress: Progress | None = None,
    also: Path | None = None,
) -> Path:
    """Train as a recipe says and export the best weights.

    Args:
        config: the resolved recipe.
        data: data folder in a layout that `open_dataset` knows; or its cines, some of them decoded already.
        run_dir: checkpoints, logs and the model folder go here.
        device: auto, cpu or cuda:N.
        resume: continue a run that was interrupted; the configuration and the data must be the same.
        progress: called with (what, done, total) while the cines are decoded.
        also: second data folder, which gives the share `data.also_share` of the labelled clips.

    Returns:
        The model folder.
    """
    stores = data if isinstance(data, Stores) else Stores(open_dataset(data))
    more = None if also is None else Stores(open_dataset(also))
    check_also(config, more)
    _claim(run_dir, run_record(config, stores.dataset, None if more is None else more.dataset), resume=resume)
    if isinstance(config, EfRunConfig):
        from echoseg.recipes.ef_run import build_ef_training

        training = build_ef_training(config, stores, run_dir, device=device, progress=progress)
    else:
        training = build_training(config, stores, run_dir, device=device, progress=progress, also=more)
    training.fit(resume=resume)
    if isinstance(config, RunConfig):
        calibrate_run(run_dir, stores)
    return export_run(run_dir, run_dir / MODEL_DIR)


def export_run(run_dir: Path, out: Path) -> Path:
    """Write the best weights of a run, finished or not, as a model folder.

    Args:
        run_dir: folder of a run.
        out: the model folder; an existing one is replaced.

    Returns:
        `out`.

    Raises:
        ModelError: `run_dir` holds no run, or none that was validated yet.
    """
    record = read_record(run_dir)
    if record["config"].get("method") in EF_METHODS:
        from echoseg.recipes.ef_run import export_ef_run

        return export_ef_run(run_dir, record, out)
    run = load_run(run_dir, record)
    config, method, best = run.config, run.method, run.best
    sure = read_calibration(run_dir)
    export_method(
        method,
        replace(model_config(config, method, best), temperature=sure.temperature, doubtful_below=sure.doubtful_below),
        model_card(config, record, best),
        out,
        half=config.model.half,
    )
    return out


def build_training(
    config: RunConfig,
    data: Dataset | Stores,
    run_dir: Path,
    *,
    device: str,
    progress: Progress | None = None,
    also: Stores | None = None,
) -> Training:
    """Stores, streams, network and loop of a run; seeds torch's generator first."""
    seed_everything(config.train.seed, verbose=False)
    stores = data if isinstance(data, Stores) else Stores(data)
    dataset, resize = stores.dataset, config.data.resize
    stored = config.data.stored_size or config.data.size
    train = stores.load("train", stored, resize, progress)
    val = stores.load("val", config.data.size, resize, progress)
    method = build_method(config.method, config.network)
    check_labels(train, method, dataset)
    check_stills(train, config, dataset)
    labelled, rest = split_labels(train, dataset, config.data, config.train.seed)
    mean, std = stores.gray_statistics("train", stored, resize)
    method.normalised_with(mean, std)
    stream = StreamConfig(
        config.data.clip_length, config.data.size, config.data.batch, config.train.seed, config.data.augment, mean, std,
        animate=config.data.animate,
    )  # fmt: skip
    unlabelled, too_short = _unlabelled_stream(labelled, rest, config, stream)
    clips = ClipStream(labelled, stream)
    others = None
    if also is not None:
        more = also.load("train", stored, resize, progress).labelled()
        check_labels(more, method, also.dataset)
        others = ClipStream(more, replace(stream, seed=config.train.seed + 2))
    stream_of_labels = clips if others is None else MixedStream(clips, others, config.data.also_share)
    if config.train.init is not None:
        InitialWeights.find(config.train.init).load_into(method, first_frames(stream_of_labels))
    return Training(
        method,
        stream_of_labels,
        unlabelled,
        config.train,
        Validator(val.labelled(), config.data.clip_length, mean, std),
        run_dir,
        build_fabric(config.train, device),
        {
            "mean": mean,
            "std": std,
            "gray_range": gray_range(stream_of_labels, mean, std),
            "step_s": beat_step_s(labelled, config.data.clip_length),
            "labelled": len(labelled),
            "unlabelled_too_short": too_short,
            "unused": len(rest) if unlabelled is None else 0,
        },
    )


def first_frames(stream: ClipStream | MixedStream, steps: int = 8) -> Tensor:
    """(N, 1, S, S): frames of a run's first labelled clips."""
    return torch.cat([stream.batch(step).clip.flatten(0, 1) for step in range(steps)])


def gray_range(stream: ClipStream | MixedStream, mean: float, std: float, images: int = 512) -> tuple[float, float]:
    """Mean gray values, 0..1, of the darkest and the brightest image that a run sees, of the first `images` of its clips' frames."""
    grays: list[float] = []
    step = 0
    while len(grays) < images:
        clips = (stream.batch(step).clip.flatten(0, 1) * std + mean).clamp(0, 1)
        grays += [mean_gray((255 * frame[0]).round().to(torch.uint8).numpy()) for frame in clips]
        step += 1
    return round(min(grays), 4), round(max(grays), 4)


def _unlabelled_stream(
    labelled: CineStore, rest: CineStore, config: RunConfig, like: StreamConfig
) -> tuple[ClipStream | None, int]:
    """The unlabelled stream, None where the run has none, and the number of cines that are too short for it."""
    data = config.data
    if not data.unlabelled_batch:
        return None, 0
    store, too_short = unlabelled_cines(labelled, rest, data)
    if not len(store):
        return None, 0
    own = replace(
        like,
        clip_length=data.unlabelled_clip_length or data.clip_length,
        batch=data.unlabelled_batch,
        seed=config.train.seed + 1,
        step_s=data.unlabelled_step_s,
        mirror=data.unlabelled_mirror,
    )
    return ClipStream(store, own), too_short


def build_fabric(config: TrainConfig, device: str) -> Fabric:
    """Fabric on one device."""
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # it greets at level INFO
    if device != "auto" and device != "cpu" and not device.startswith("cuda"):
        raise UsageError(f"--device {device}: choose auto, cpu or cuda:N")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(f"--device {device}: no CUDA device is visible; use --device cpu")
    if device.startswith("cuda"):
        index = int(device.partition(":")[2] or 0)
        return Fabric(accelerator="cuda", devices=[index], precision=config.precision)
    cuda = device == "auto" and torch.cuda.is_available()
    return Fabric(accelerator="cuda" if cuda else "cpu", devices=1, precision=config.precision)


def check_also(config: RunConfig | EfRunConfig, also: Stores | None) -> None:
    """A second data folder and the share of the clips that it gives come together."""
    share = config.data.also_share if isinstance(config, RunConfig) else 0.0
    if also is not None and not share:
        raise UsageError(
            f"--also {also.dataset.root}: say which share of the labelled clips it gives with --data.also-share"
        )
    if also is None and share:
        raise UsageError(f"data.also_share={share}: name the second data folder with --also")


def check_labels(store: CineStore, method: Method, dataset: Dataset) -> None:
    """A network with channels for structures that the labels do not have would learn that they are background."""
    present = store.label_values()
    missing = [Structure(k).name for k in range(1, method.channels) if k not in present] if method.channels > 1 else []
    if missing:
        raise UsageError(
            f"{dataset.root}: the masks hold no {', '.join(missing)}; train on the LV alone with --network.channels 1"
        )


def check_stills(store: CineStore, config: RunConfig, dataset: Dataset) -> None:
    """Whoever asks for animation means cines of two stills; cines with frames of their own are never animated."""
    if config.data.animate and not any(map(is_pair_of_stills, store)):
        raise UsageError(f"{dataset.root}: has no cine of two labelled stills; leave --data.animate out")


def model_config(config: RunConfig, method: Method, best: Mapping[str, Any]) -> ModelConfig:
    """What the engine has to know of a trained method."""
    return ModelConfig(
        name=config.model.name,
        version=config.model.version,
        structures={k: Structure(k).name for k in range(1, max(2, method.channels))},
        activation=method.activation,
        height=config.data.size,
        width=config.data.size,
        mean=best["notes"]["mean"],
        std=best["notes"]["std"],
        resize=config.data.resize,
        temporal=model_temporal(config, method, best["notes"].get("step_s")),
        gray_range=best["notes"].get("gray_range"),
        licence=config.model.licence,
        details={"method": config.method, "parameters": method.inference_parameters()},
    )


def model_temporal(config: RunConfig, method: Method, step_s: float | None) -> Temporal:
    """How the engine gives frames to a trained method: to one that sees windows, in the length and at the pace of its training clips."""
    if method.temporal != "window":
        return Temporal(method.temporal)
    return Temporal("window", config.data.clip_length, step_s)


def model_card(config: RunConfig, record: Mapping[str, Any], best: Mapping[str, Any]) -> Card:
    """The recipe's card with what the run measured."""
    info, data = config.model, record["data"]
    began = f", from weights {data['init'][:12]} (sha256)" if "init" in data else ""
    if "teacher" in data:
        began += f", taught by {Path(config.network.teacher).name} ({data['teacher'][:12]})"
    return Card(
        info.summary,
        (info.data or f"{data['layout']} layout, fingerprint {data['fingerprint'][:16]}").rstrip(".")
        + cines_text(best["notes"]),
        {"LV Dice on ED and ES of the validation split, at the network's size": f"{best['val_dice']:.4f}"},
        info.limits,
        f"echoseg {record['echoseg']}, method {config.method}, seed {config.train.seed}, step {best['step']}{began}",
    )


def cines_text(notes: Mapping[str, Any]) -> str:
    """How many cines had labels, how many were too short for an unlabelled clip, and how many took no part."""
    too_short, unused = (notes.get(key, 0) for key in ("unlabelled_too_short", "unused"))
    left_out = f" {too_short} cines were too short for an unlabelled clip and left out." if too_short else ""
    if unused:
        left_out += f" {unused} cines outside the label budget took no part (no unlabelled clips)."
    return f"; {notes['labelled']} cines with labels.{left_out}" if "labelled" in notes else ""


def run_record(config: RunConfig | EfRunConfig, dataset: Dataset, also: Dataset | None = None) -> dict[str, Any]:
    """What makes a run repeatable: configuration, versions, git state, data, first weights, teacher."""
    data = {"layout": dataset.name, "fingerprint": dataset.fingerprint()}
    if also is not None:
        data["also"] = also.fingerprint()
    if config.train.init is not None:
        data["init"] = InitialWeights.find(config.train.init).sha256()
    if isinstance(config.network, DistilledConfig):
        data["teacher"] = find_model(config.network.teacher).config.sha256[MODEL_FILE]
    packages = ("torch", "timm", "lightning-fabric", "numpy")
    return {
        "config": json.loads(json.dumps(dataclasses.asdict(config))),
        "data": data,
        "echoseg": __version__,
        "versions": {name: metadata.version(name) for name in packages} | {"python": platform.python_version()},
        "git": git_state(),
    }


def git_state() -> str | None:
    """Commit of the checkout that runs, with `+` where files differ from it; None outside a checkout."""
    here = Path(__file__).parent
    call = ["git", "-C", str(here), "describe", "--always", "--abbrev=40", "--dirty=+"]
    try:
        found = subprocess.run(call, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None


def _claim(run_dir: Path, record: dict[str, Any], *, resume: bool) -> None:
    """Write the run's record; refuse to mix two different runs in one folder."""
    path = run_dir / RUN_FILE
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        if not resume:
            raise UsageError(f"{run_dir}: holds a run already; add --resume to continue it, or choose another folder")
        kept = {"config": as_of_today(before.get("config", {})), "data": before.get("data")}
        for key, value in kept.items():
            if value != record[key]:
                changed = first_difference(value, record[key], key)
                raise UsageError(
                    f"{run_dir}: {changed} differs from the interrupted run; repeat it as it was or start anew"
                )
        return
    run_dir.mkdir(parents=True, exist_ok=True)
    atomic_write_text(path, json.dumps(record, indent=2) + "\n")


def first_difference(old: Any, new: Any, where: str) -> str:  # noqa: ANN401
    """The first setting that differs between two records, with both values."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in new:
            if old.get(key) != new[key]:
                return first_difference(old.get(key), new[key], f"{where}.{key}")
    return f"{where} ({old} before, {new} now)"
