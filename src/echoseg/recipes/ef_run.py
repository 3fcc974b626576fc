"""Stages 2 and 3 of CSS: from a finished run of the stage before to a model that regresses the ejection fraction.

A run keeps a copy of its stage 1 in `masks/`, itself a run folder, so that it can be exported, and be a teacher, wherever it
is moved.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import seed_everything
from torch import Tensor

from echoseg.cine import UInt8, View
from echoseg.data import CineStore, EfClips, EfStream, ef_cines
from echoseg.datasets import Dataset
from echoseg.engine import EfConfig
from echoseg.errors import UsageError
from echoseg.export import Card, export_graph
from echoseg.io import atomic_path
from echoseg.methods.ef import build_ef_method
from echoseg.methods.ef.base import EfMethod, LvProbability, ef_graph
from echoseg.methods.ef.distilled import DistilledEf
from echoseg.methods.ef.guided import GuidedEf
from echoseg.recipes.base import without_pretrained
from echoseg.recipes.ef_base import EfDataConfig, EfRunConfig, ef_config_from_json
from echoseg.recipes.finished import RUN_FILE, LoadedRun, load_run, read_record
from echoseg.recipes.labels import split_labels
from echoseg.recipes.run import build_fabric, cines_text
from echoseg.recipes.stores import Progress, Stores
from echoseg.train import BEST, EfValidator, Goal, Training, load_checkpoint

MASKS_DIR = "masks"
FRAMES = 64
"""Frames that stage 1 segments at a time."""


@dataclass(frozen=True, eq=False)
class Stages:
    """The earlier stages of a run.

    Attributes:
        masks: stage 1.
        teacher: stage 2, None where this run is stage 2 itself.
    """

    masks: LoadedRun
    teacher: GuidedEf | None = None


def build_ef_training(
    config: EfRunConfig, data: Dataset | Stores, run_dir: Path, *, device: str, progress: Progress | None = None
) -> Training:
    """Earlier stages, masks, streams, network and loop of a run; seeds torch's generator first."""
    seed_everything(config.train.seed, verbose=False)
    stores = data if isinstance(data, Stores) else Stores(data)
    dataset, size, resize = stores.dataset, config.data.size, config.data.resize
    stages = load_stages(config, dataset, run_dir)
    fabric = build_fabric(config.train, device)
    train, val = (stores.load(split, size, resize, progress) for split in ("train", "val"))
    own = stages.masks.config
    labelled, rest = split_labels(train, dataset, own.data, own.train.seed)
    method = build_ef_method(config.method, config.network)
    if isinstance(method, DistilledEf) and stages.teacher is not None:
        method.adopt(stages.teacher.net)
    segment = MaskMaker(stages.masks, fabric.device, progress)
    mean, std = stores.gray_statistics("train", size, resize)
    clips = EfClips(config.data.clip_length, config.data.step_s, mean, std, config.data.pad)
    wanted, seed = config.data, config.train.seed
    seen = ef_cines(
        labelled, segment(labelled, "train") if method.guided else None, labelled=True, traced=wanted.traced != "none"
    )
    unlabelled = None
    if wanted.unlabelled_batch and len(rest):
        compat = wanted.traced == "code_compat"
        others = ef_cines(
            train.named({cine.case.id for cine in rest}) if compat else rest,
            segment(rest, "unlabelled"),
            labelled=False,
            traced=compat,
        )
        unlabelled = EfStream(others, clips, wanted.unlabelled_batch, seed + 1)
    held_out = ef_cines(val, segment(val, "val") if method.guided else None, labelled=True)
    return Training(
        method,
        EfStream(seen, clips, wanted.batch, seed),
        unlabelled,
        config.train,
        EfValidator(held_out, replace(clips, pad=0)),
        run_dir,
        fabric,
        {"mean": mean, "std": std, "labelled": len(seen), "view": single_view(train).value},
        Goal("val_mse", "best val MSE", lowest=True),
    )


def load_stages(config: EfRunConfig, dataset: Dataset, run_dir: Path) -> Stages:
    """The earlier stages of a run, checked against it; stage 1 is copied into the run's folder.

    Raises:
        UsageError: a stage is not named, or does not fit.
    """
    data = config.data
    if config.method == "css-ef-m":
        _required(data.masks, "masks", "stage 1, such as `echoseg train css-lite`")
        copy_run(Path(data.masks), run_dir / MASKS_DIR)
        return Stages(_checked_masks(run_dir / MASKS_DIR, data, dataset))
    _required(data.teacher, "teacher", "stage 2, `echoseg train css-ef-m`")
    folder = Path(data.teacher)
    record = read_record(folder)
    if record["config"].get("method") != "css-ef-m":
        raise UsageError(
            f"{folder}: is a run of {record['config'].get('method')}; --data.teacher takes one of css-ef-m"
        )
    teacher = ef_config_from_json(record["config"])
    _check_same(data, teacher.data, folder, ("size", "resize", "clip_length", "step_s"), "data")
    _check_same(config.network, teacher.network, folder, ("width", "blocks"), "network")
    copy_run(folder / MASKS_DIR, run_dir / MASKS_DIR)
    network = GuidedEf(without_pretrained(teacher.network))
    network.load_state_dict(load_checkpoint(folder / BEST)["method"])
    return Stages(_checked_masks(run_dir / MASKS_DIR, data, dataset), network)


def _required(value: str, name: str, what: str) -> None:
    if not value:
        raise UsageError(f"data.{name}: is not given; name the folder of a run of {what} with --data.{name} RUN")


def _check_same(ours: object, theirs: object, folder: Path, names: tuple[str, ...], part: str) -> None:
    for name in names:
        own, other = getattr(ours, name), getattr(theirs, name)
        if own != other:
            flag = f"--{part}.{name.replace('_', '-')}"
            value = " ".join(map(str, other)) if isinstance(other, tuple) else other
            raise UsageError(f"{part}.{name}={own}: the earlier stage in {folder} has {other}; set {flag} {value}")


def _checked_masks(folder: Path, data: EfDataConfig, dataset: Dataset) -> LoadedRun:
    masks = load_run(folder, read_record(folder))
    _check_same(data, masks.config.data, folder, ("size", "resize"), "data")
    if masks.record["data"]["fingerprint"] != dataset.fingerprint():
        raise UsageError(
            f"{dataset.root}: stage 1 was trained on other data, so that its labelled cines are not known here; train it on "
            "this folder"
        )
    return masks


def copy_run(source: Path, target: Path) -> None:
    """Record and best weights of a run, as a run folder of its own; one that is there already is kept."""
    for name in (BEST, RUN_FILE):
        path = target / name
        if path.is_file():
            continue
        read_record(source)
        path.parent.mkdir(parents=True, exist_ok=True)
        if not (source / name).is_file():
            raise UsageError(f"{source}: holds no {name}; let that run get to its first validation")
        with atomic_path(path) as temporary:
            shutil.copyfile(source / name, temporary)


class MaskMaker:
    """Runs stage 1 on every frame of stored cines."""

    def __init__(self, masks: LoadedRun, device: torch.device, progress: Progress | None) -> None:
        """`masks` moves to the device while it works."""
        own = gray_of(masks)
        self.network = LvProbability(masks.method, own, own).to(device)
        self.mean, self.std = own
        self.device, self.progress = device, progress

    def __call__(self, store: CineStore, what: str) -> list[UInt8]:
        """LV probability of every frame in steps of 1/255, uint8 (T, S, S) for each cine."""
        found = []
        for i, cine in enumerate(store):
            parts = [self._segment(cine.frames[t : t + FRAMES]) for t in range(0, len(cine.frames), FRAMES)]
            found.append(np.concatenate(parts))
            if self.progress is not None:
                self.progress(f"masks of {what} cines", i + 1, len(store))
        return found

    @torch.no_grad()
    def _segment(self, frames: UInt8) -> UInt8:
        gray: Tensor = (torch.from_numpy(frames).to(self.device).float() / 255 - self.mean) / self.std
        probability = self.network(gray[None, :, None])[0, :, 0]
        steps: UInt8 = (probability * 255).round().to(torch.uint8).cpu().numpy()
        return steps


def gray_of(run: LoadedRun) -> tuple[float, float]:
    """Gray mean and standard deviation that a run was trained with."""
    notes = run.best["notes"]
    return float(notes["mean"]), float(notes["std"])


def single_view(store: CineStore) -> View:
    """The view of all cines, UNKNOWN where there are several."""
    views = {cine.case.view for cine in store}
    return views.pop() if len(views) == 1 else View.UNKNOWN


def export_ef_run(run_dir: Path, record: Mapping[str, Any], out: Path) -> Path:
    """Write the best weights of a run as a model folder; that of stage 2 holds its stage 1, too."""
    config = ef_config_from_json(record["config"])
    best = load_checkpoint(run_dir / BEST)
    notes = best["notes"]
    method = build_ef_method(config.method, without_pretrained(config.network))
    method.load_state_dict(best["method"])
    masks = None
    if method.guided:
        stage = load_run(run_dir / MASKS_DIR, read_record(run_dir / MASKS_DIR))
        masks = LvProbability(stage.method, gray_of(stage), (notes["mean"], notes["std"]))
    size = (config.data.size, config.data.size)
    graph = ef_graph(method.cpu().eval(), masks, config.data.clip_length, size)
    export_graph(
        graph, ef_model_config(config, method, notes), ef_card(config, record, best), out, half=config.model.half
    )
    return out


def ef_model_config(config: EfRunConfig, method: EfMethod, notes: Mapping[str, Any]) -> EfConfig:
    """What the engine has to know of a trained method."""
    return EfConfig(
        name=config.model.name,
        version=config.model.version,
        height=config.data.size,
        width=config.data.size,
        mean=notes["mean"],
        std=notes["std"],
        clip_length=config.data.clip_length,
        step_s=config.data.step_s,
        resize=config.data.resize,
        view=View(notes["view"]),
        licence=config.model.licence,
        details={"method": config.method, "parameters": method.inference_parameters()},
    )


def ef_card(config: EfRunConfig, record: Mapping[str, Any], best: Mapping[str, Any]) -> Card:
    """The recipe's card with what the run measured."""
    info, data = config.model, record["data"]
    limits = (
        *info.limits,
        "A number without masks: it cannot be looked at and checked. Read it beside the EF from volumes.",
    )
    return Card(
        info.summary,
        (info.data or f"{data['layout']} layout, fingerprint {data['fingerprint'][:16]}") + cines_text(best["notes"]),
        {"Root of the mean squared EF error on the validation split, points": f"{best['val_mse'] ** 0.5:.2f}"},
        limits,
        f"echoseg {record['echoseg']}, method {config.method}, seed {config.train.seed}, step {best['step']}",
    )
