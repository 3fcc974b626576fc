"""A cell of a suite: one run folder, trained, scored, and beside it a record of what came out.

The record is small and all that the statistics read: a cell is finished where its record lies, whether or not its run folder does.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from echoseg.benchmark.cost import giga_multiply_adds, machine
from echoseg.benchmark.ejection import ejection_cost, score_ejection, with_stage, without_stage
from echoseg.benchmark.scoring import Progress, Scores, TestCines, score
from echoseg.datasets import Dataset, Simulation
from echoseg.engine import CONFIG_FILE, Segmenter
from echoseg.errors import InputError, UsageError
from echoseg.io import atomic_write_text
from echoseg.recipes.base import RunConfig
from echoseg.recipes.ef_base import EfRunConfig
from echoseg.recipes.finished import RUN_FILE, as_of_today, load_run, read_record
from echoseg.recipes.run import MODEL_DIR, first_difference, git_state, train_run
from echoseg.recipes.stores import Stores
from echoseg.recipes.suites import Cell
from echoseg.train import BEST, LAST, load_checkpoint
from echoseg.version import __version__

CELLS, SCORES = "cells", "scores"
SCHEMA, DIGITS = 1, 6

Record = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Workplace:
    """What all cells of a process share.

    Attributes:
        out: folder of the suite.
        stores: training and validation cines.
        test: test cines.
        data: `data_record` of all of them.
        device: auto, cpu or cuda:N.
        threads: CPU threads of a network that is scored.
        progress: called with (what, done, total).
    """

    out: Path
    stores: Stores
    test: TestCines
    data: Record
    device: str = "auto"
    threads: int = 1
    progress: Progress | None = None

    @property
    def dataset(self) -> Dataset:
        """The data set of all cells."""
        return self.stores.dataset


def folder_of(out: Path, cell: Cell) -> Path:
    """The run folder of a cell."""
    return out / CELLS / cell.name


def settings(cell: Cell) -> dict[str, Any]:
    """The whole configuration of a cell as JSON values, without the folder of the run that it is built on."""
    found: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(cell.config)))
    return found


def settings_hash(config: Mapping[str, Any]) -> str:
    """SHA-256 of a configuration."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def record_of(out: Path, cell: Cell) -> Path:
    """The record of a cell, once it is finished."""
    return out / CELLS / f"{cell.name}.json"


def data_record(dataset: Dataset, simulation: Simulation | None) -> dict[str, Any]:
    """What says later which data a cell has seen."""
    signed: dict[str, str | int | None] = {"set": None, "sha256": None, "truth_sha256": None, "changed": 0}
    if simulation is not None:
        signed = {
            "set": simulation.set_name,
            "sha256": simulation.sha256,
            "truth_sha256": simulation.truth_sha256,
            "changed": len(simulation.changed),
        }
    return {"layout": dataset.name, "fingerprint": dataset.fingerprint(), **signed}


def same_data(one: Record, other: Record) -> bool:
    """Whether two records mean the same data: the same files, or the same simulated set made on two machines.

    Processors differ by a gray value here and there, so that files of equal sets differ; a set in which a file was changed is only equal to itself.
    """
    if one["fingerprint"] == other["fingerprint"]:
        return True
    truths = [found.get("truth_sha256") for found in (one, other)]
    return truths[0] is not None and truths[0] == truths[1] and not (one["changed"] or other["changed"])


def finished(out: Path, cell: Cell, data: Record | None = None, have: Path | None = None) -> Record | None:
    """The record of a cell that is done; None if it is not.

    Args:
        out: folder of the suite.
        cell: the cell.
        data: `data_record` of what it must have seen; None accepts any.
        have: another folder with records, which is asked where the suite has none.

    Raises:
        UsageError: the cell was run with another setting, or on other data; the message names the first difference.
        InputError: the file cannot be read.
    """
    folder, own = folder_of(out, cell), record_of(out, cell)
    places = [own, *([] if have is None else [have / own.name]), folder / RUN_FILE]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        return None
    cure = f"give another -o, or delete {folder} and {own.name} beside it"
    if have is not None and path.parent == have:
        cure = "leave --have out, or give the records of this suite"
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        before, seen = without_stage(as_of_today(record["config"])), record["data"]
        fits = data is None or same_data(seen, data)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); {cure}") from error
    now = settings(cell)
    if before != now:
        raise UsageError(f"{path}: {first_difference(before, now, 'config')} was changed since; {cure}")
    if not fits:
        raise UsageError(f"{path}: was trained on other data ({seen['fingerprint'][:12]}); {cure}")
    return record if path.name != RUN_FILE else None


def take_over(out: Path, cells: Sequence[Cell], data: Record, have: Path) -> int:
    """Copy the records of another folder that the suite has none of; returns how many.

    Raises:
        UsageError: the folder holds no record of these cells, or one that does not fit (see `finished`).
    """
    found = [cell for cell in cells if (have / record_of(out, cell).name).is_file()]
    if not found:
        raise UsageError(f"--have {have}: holds no record of a cell of this suite, such as {cells[0].name}.json")
    missing = [cell for cell in found if not record_of(out, cell).is_file()]
    for cell in missing:
        finished(out, cell, data, have)
        own = record_of(out, cell)
        own.parent.mkdir(parents=True, exist_ok=True)
        atomic_write_text(own, (have / own.name).read_text(encoding="utf-8"))
    return len(missing)


def run_cell(cell: Cell, place: Workplace, tell: Callable[[str], None]) -> Record:
    """Train, resume, or only score a cell, whatever is left to do, and write its record.

    Args:
        cell: the cell.
        place: data and folder.
        tell: called with a line for a human.

    Returns:
        Its content.
    """
    before = finished(place.out, cell, place.data)
    if before is not None:
        return before
    folder = folder_of(place.out, cell)
    config = _built_on(cell, place.out)
    seconds = _trained(cell.name, config, place, folder, tell)
    if isinstance(config, EfRunConfig):
        scores = score_ejection(folder / MODEL_DIR, place.dataset, folder / SCORES, place.threads)
    else:
        segmenter = Segmenter.load(folder / MODEL_DIR, threads=place.threads)
        scores = score(segmenter, place.test, folder / SCORES, place.progress)
    record = _record(cell, place, folder, scores) | {"train_s": seconds}
    atomic_write_text(record_of(place.out, cell), record_text(record))
    (folder / LAST).unlink(missing_ok=True)  # two thirds of the folder, and of no use to a run that is over
    return record


def _built_on(cell: Cell, out: Path) -> RunConfig | EfRunConfig:
    """The run of a cell, with the folder of the run that it needs."""
    config = cell.config
    if not isinstance(config, EfRunConfig) or cell.needs is None:
        return config
    stage = out / CELLS / cell.needs
    record = stage.with_name(f"{cell.needs}.json")
    if not record.is_file():
        raise UsageError(f"{cell.name}: is built on {cell.needs}, which is not finished; repeat the call when it is")
    if not (stage / BEST).is_file():
        raise UsageError(
            f"{cell.name}: is built on the weights of {cell.needs}, of which only the record is here; delete {record} to train it again"
        )
    return with_stage(config, stage)


def _trained(
    name: str, config: RunConfig | EfRunConfig, place: Workplace, folder: Path, tell: Callable[[str], None]
) -> float | None:
    """Train unless that is done; wall time in seconds, None where it was not done in one go."""
    resume = (folder / RUN_FILE).is_file()
    if resume and (folder / MODEL_DIR / CONFIG_FILE).is_file():
        tell(f"{name}: trained already")
        return None
    tell(f"{name}: {'resumed' if resume else 'training'}, {config.train.steps} steps")
    started = time.perf_counter()
    train_run(config, place.stores, folder, device=place.device, resume=resume, progress=place.progress)
    return None if resume else round(time.perf_counter() - started, 1)


def record_text(record: Record) -> str:
    """A record as JSON, a line for each of its parts: small enough to be kept in a repository."""
    parts = (f"{json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in record.items())
    return "{\n" + ",\n".join(parts) + "\n}\n"


def rounded(value: Any) -> Any:  # noqa: ANN401
    """The same JSON value with fewer digits in its floats."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, (list, tuple)) else value


def _record(cell: Cell, place: Workplace, folder: Path, scores: Scores) -> dict[str, Any]:
    config = settings(cell)
    best = load_checkpoint(folder / BEST)
    results = {
        "val_dice": best.get("val_dice"),
        "best_step": best["step"],
        "cost": _cost(cell.config, folder, scores),
        "unit": scores.document["LV"]["all"]["distance_unit"] if "LV" in scores.document else None,
        "frames": scores.frames,
        "empty": scores.empty,
        "cases": scores.cases,
        "ef": scores.ef,
    }
    return {
        "schema": SCHEMA,
        "cell": cell.name,
        "variant": cell.variant.name,
        "method": cell.variant.method,
        "seed": cell.seed,
        "config": config,
        "config_sha256": settings_hash(config),
        "data": dict(place.data),
        "labelled": best["notes"]["labelled"],
        "echoseg": __version__,
        "git": git_state(),
        "machine": dict(machine(place.device)),
        **rounded(results),
    }


def _cost(config: RunConfig | EfRunConfig, folder: Path, scores: Scores) -> dict[str, float | None]:
    """Of the trained network: parameters, multiply-adds of a frame, milliseconds of a frame as they were spent on scoring."""
    if isinstance(config, EfRunConfig):
        return ejection_cost(config)
    method = load_run(folder, read_record(folder)).method
    cpu, wall = scores.seconds
    return {
        "parameters": method.inference_parameters(),
        "gmac": giga_multiply_adds(method, config.data.size),
        "cpu_ms": 1000 * cpu / scores.frames,
        "wall_ms": 1000 * wall / scores.frames,
    }
