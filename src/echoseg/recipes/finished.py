"""What a run left behind: its record, its best weights, and how sure they may be."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from echoseg.errors import ModelError
from echoseg.io import atomic_write_text
from echoseg.methods import Method, build_method
from echoseg.methods.ef import EF_METHODS
from echoseg.recipes.base import RunConfig, config_from_json, without_pretrained
from echoseg.recipes.ef_base import ef_config_from_json
from echoseg.recipes.stores import Stores
from echoseg.train import BEST, Validator, load_checkpoint

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


def calibrate_run(run_dir: Path, stores: Stores) -> float:
    """Fit the temperature of a run's best weights on the validation cines, and keep it in the run's folder.

    Args:
        run_dir: folder of a run that was validated at least once.
        stores: the data, those of the run or of the place where its model will be used.

    Returns:
        What the logits are to be divided by.
    """
    run = load_run(run_dir, read_record(run_dir))
    data, notes = run.config.data, run.best["notes"]
    store = stores.load("val", data.size, data.resize).labelled()
    check = Validator(store, data.clip_length, notes["mean"], notes["std"])
    temperature = round(check.temperature(run.method), 4)
    document = {"temperature": temperature, "fingerprint": stores.dataset.fingerprint(), "cines": len(store)}
    atomic_write_text(run_dir / CALIBRATION_FILE, json.dumps(document, indent=2) + "\n")
    return temperature


def read_temperature(run_dir: Path) -> float:
    """The temperature that was fitted for a run, 1 where none was."""
    path = run_dir / CALIBRATION_FILE
    return float(json.loads(path.read_text(encoding="utf-8"))["temperature"]) if path.is_file() else 1.0
