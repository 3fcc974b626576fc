"""What a run left behind: its record, its best weights, and how sure they may be."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from echoseg.errors import ModelError, UsageError
from echoseg.io import atomic_write_text
from echoseg.methods import Method, build_method
from echoseg.methods.ef import EF_METHODS
from echoseg.recipes.base import RunConfig, config_from_json, without_pretrained
from echoseg.recipes.ef_base import ef_config_from_json
from echoseg.recipes.stores import Stores
from echoseg.train import BEST, Calibration, Validator, load_checkpoint

RUN_FILE = "run.json"
CALIBRATION_FILE = "calibration.json"


@dataclass(frozen=True, eq=False)
class LoadedRun:
    """A run that was validated at least once.

    Attributes:
        config: its recipe.
        record: content of its `run.json`.
        best: its best checkpoint.
        method: with the best weights.
    """

    config: RunConfig
    record: Mapping[str, Any]
    best: Mapping[str, Any]
    method: Method


def read_record(run_dir: Path) -> dict[str, Any]:
    """Content of a run's `run.json`; ModelError where the folder holds no run."""
    path = run_dir / RUN_FILE
    if not path.is_file():
        raise ModelError(f"{run_dir}: holds no {RUN_FILE}; give the folder that `echoseg train -o` wrote")
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record


def load_run(run_dir: Path, record: Mapping[str, Any]) -> LoadedRun:
    """The method of a run with its best weights; ModelError where there are none yet."""
    config = config_from_json(record["config"])
    best = load_checkpoint(run_dir / BEST)
    method = build_method(config.method, without_pretrained(config.network))
    method.load_state_dict(best["method"])
    return LoadedRun(config, record, best, method)


def as_of_today(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """A configuration that was kept, with settings that came later at their defaults; unchanged where it cannot be read."""
    read = ef_config_from_json if config.get("method") in EF_METHODS else config_from_json
    try:
        found: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(read(config))))
    except ModelError:
        return config
    return found


def calibrate_run(run_dir: Path, stores: Stores) -> Calibration:
    """Fit to the validation cines how sure a run's best weights may be, and keep it in the run's folder.

    Args:
        run_dir: folder of a run that was validated at least once.
        stores: the data, those of the run or of the place where its model will be used.

    Raises:
        UsageError: the run is that of a network that draws no masks.
    """
    record = read_record(run_dir)
    if record["config"].get("method") in EF_METHODS:
        raise UsageError(f"{run_dir}: regresses the ejection fraction and has no probabilities; leave --calibrate out")
    run = load_run(run_dir, record)
    data, notes = run.config.data, run.best["notes"]
    store = stores.load("val", data.size, data.resize)
    found = Validator(store, data.clip_length, notes["mean"], notes["std"]).calibrate(run.method)
    document = {**dataclasses.asdict(found), "fingerprint": stores.dataset.fingerprint()}
    atomic_write_text(run_dir / CALIBRATION_FILE, json.dumps(document, indent=2) + "\n")
    return found


def read_calibration(run_dir: Path) -> Calibration:
    """What was fitted for a run; that of a run without any changes nothing."""
    path = run_dir / CALIBRATION_FILE
    if not path.is_file():
        return Calibration()
    document = json.loads(path.read_text(encoding="utf-8"))
    return Calibration(document["temperature"], document["doubtful_below"])
