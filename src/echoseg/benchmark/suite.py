"""All cells of a suite: one after the other in a process, several processes beside each other, one summary of them all."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from echoseg.benchmark.cells import Record, Workplace, data_record, finished, run_cell, take_over
from echoseg.benchmark.cost import StepCost, measure_step
from echoseg.benchmark.figure import figure_svg
from echoseg.benchmark.scoring import Progress, TestCines
from echoseg.benchmark.statistics import comparison, variant_summary
from echoseg.benchmark.tables import csv_text, markdown_page
from echoseg.datasets import open_dataset, read_simulation
from echoseg.errors import EchosegError
from echoseg.io import atomic_write_text
from echoseg.io.locks import claimed
from echoseg.recipes.base import RunConfig
from echoseg.recipes.run import git_state
from echoseg.recipes.stores import Stores
from echoseg.recipes.suites import Cell, Suite
from echoseg.version import __version__

RESULT, PAGE, TABLE, FIGURE = "benchmark.json", "benchmark.md", "benchmark.csv", "benchmark.svg"
LOCKS = ".locks"

Tell = Callable[[str], None]


@dataclass(frozen=True)
class SuiteRun:
    """What is run, and where.

    Attributes:
        suite: variants and steps.
        seeds: of every variant.
        data: data folder.
        out: folder of cells and summary.
        device: auto, cpu or cuda:N.
        threads: CPU threads of each process.
        have: folder with records of cells that were run elsewhere.
    """

    suite: Suite
    seeds: tuple[int, ...]
    data: Path
    out: Path
    device: str = "auto"
    threads: int = 1
    have: Path | None = None

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All cells, seed after seed."""
        return self.suite.cells(self.seeds)


@dataclass
class Finished:
    """What a call did.

    Attributes:
        done: cells that are finished now.
        failed: cell -> what went wrong.
        elsewhere: cells that another process works on.
    """

    done: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    elsewhere: list[str] = field(default_factory=list)


def run_suite(
    run: SuiteRun,
    chosen: Sequence[Cell],
    *,
    workers: int = 1,
    progress: Progress | None = None,
    tell: Tell = lambda text: None,
) -> Finished:
    """Run the cells that are not finished, and write the summary after each.

    A cell that another process works on is left to it; its claim ends with that process. Records of `have` are copied first.

    Args:
        run: the suite.
        chosen: its cells that this call is about.
        workers: processes; each takes the next cell that nobody has.
        progress: called with (what, done, total), in a single process.
        tell: called with a line for a human.

    Raises:
        UsageError: a cell was run before with other settings or on other data; nothing is started then.
    """
    data = data_record(open_dataset(run.data), read_simulation(run.data))
    if run.have is not None:
        taken = take_over(run.out, run.cells, data, run.have)
        tell(f"{taken} finished cells taken from {run.have}")
    for cell in chosen:
        finished(run.out, cell, data)
    summarise(run)
    if workers > 1:
        return _in_processes(run, chosen, workers)
    return _in_this_process(run, chosen, progress, tell)


def _in_this_process(run: SuiteRun, chosen: Sequence[Cell], progress: Progress | None, tell: Tell) -> Finished:
    torch.set_num_threads(run.threads)
    found = Finished()
    place: Workplace | None = None
    for number, cell in enumerate(chosen, 1):
        with claimed(run.out / LOCKS / f"{cell.name}.lock") as ours:
            if not ours:
                found.elsewhere.append(cell.name)
                continue
            if finished(run.out, cell) is None:
                place = place or _workplace(run, progress)
                try:
                    record = run_cell(cell, place, _numbered(tell, number, len(chosen)))
                except (EchosegError, RuntimeError, ValueError) as error:  # the other cells are not worse for it
                    kind = "" if isinstance(error, EchosegError) else f"{type(error).__name__}: "
                    found.failed[cell.name] = f"{kind}{error}"
                    tell(f"{cell.name}: FAILED: {kind}{error}")
                    continue
                tell(f"{cell.name}: {_brief(record)}")
        found.done.append(cell.name)
        summarise(run)
    return found


def _numbered(tell: Tell, number: int, total: int) -> Tell:
    return lambda text: tell(f"[{number}/{total}] {text}")


def _workplace(run: SuiteRun, progress: Progress | None) -> Workplace:
    dataset = open_dataset(run.data)
    test = TestCines(dataset)
    data = data_record(dataset, test.simulation)
    return Workplace(run.out, Stores(dataset), test, data, run.device, run.threads, progress)


def _brief(record: Record) -> str:
    metric, what, scale = ("dice_all", "LV Dice", 100) if "dice_all" in record["cases"] else ("ef_error", "EF MAE", 1)
    values = list(record["cases"][metric].values())
    seconds = f", trained in {record['train_s']:.0f} s" if record["train_s"] is not None else ""
    return f"{what} {scale * sum(values) / max(1, len(values)):.2f} on {len(values)} test cines{seconds}"


def _in_processes(run: SuiteRun, chosen: Sequence[Cell], workers: int) -> Finished:
    context = multiprocessing.get_context("spawn")
    queue: Any = context.Queue()
    # each begins at another place, so that they meet late
    shares = [
        (*chosen[i::workers], *(c for j in range(workers) if j != i for c in chosen[j::workers]))
        for i in range(workers)
    ]
    processes = [context.Process(target=_work, args=(run, share, queue)) for share in shares]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    found = Finished()
    while not queue.empty():
        found.failed |= queue.get()
    found.done = [cell.name for cell in chosen if finished(run.out, cell) is not None]
    gone = {cell.name for cell in chosen} - set(found.done) - set(found.failed)
    codes = [process.exitcode for process in processes if process.exitcode]
    if codes:
        found.failed |= dict.fromkeys(sorted(gone), f"its process ended with code {codes[0]}; repeat the call to go on")
    else:
        found.elsewhere = sorted(gone)
    return found


def _work(run: SuiteRun, share: Sequence[Cell], queue: Any) -> None:  # noqa: ANN401
    import sys

    def tell(text: str) -> None:
        sys.stderr.write(f"echoseg: {text}\n")
        sys.stderr.flush()

    queue.put(_in_this_process(run, share, None, tell).failed)


def estimate(run: SuiteRun, progress: Progress | None = None) -> dict[str, tuple[StepCost, float]]:
    """Variant -> time of a step and of a frame, and of a whole cell, seconds; three real steps of each on this machine.

    Variants that are built on the run of another are left out: without it there is nothing to time.
    """
    torch.set_num_threads(run.threads)
    stores = Stores(open_dataset(run.data))
    found = {}
    variants = [variant for variant in run.suite.variants if isinstance(variant.config, RunConfig)]
    for i, variant in enumerate(variants):
        config = variant.config
        if not isinstance(config, RunConfig):
            continue
        cost = measure_step(config, stores, run.device)
        val = stores.load("val", config.data.size, config.data.resize)
        validated = sum(config.data.clip_length for _ in val.labelled())
        mean_length = sum(len(cine.frames) for cine in val) / len(val)
        tested = round(mean_length * len(stores.dataset.cases("test")))
        found[variant.name] = cost, cost.cell_s(config, validated, tested)
        if progress is not None:
            progress("timing", i + 1, len(variants))
    return found


def summarise(run: SuiteRun) -> dict[str, Any]:
    """Gather all finished cells and write `benchmark.json`, `.md`, `.csv` and `.svg`; returns the content of the first."""
    with claimed(run.out / LOCKS / "summary.lock", wait=True):
        records: dict[str, list[Record]] = {variant.name: [] for variant in run.suite.variants}
        missing = []
        for cell in run.cells:
            record = finished(run.out, cell)
            if record is None:
                missing.append(cell.name)
            else:
                records[cell.variant.name].append(record)
        document = _document(run, records, missing)
        atomic_write_text(run.out / RESULT, json.dumps(document, indent=1, allow_nan=False) + "\n")
        atomic_write_text(run.out / PAGE, markdown_page(document))
        atomic_write_text(run.out / TABLE, csv_text(document))
        atomic_write_text(run.out / FIGURE, figure_svg(document))
    return document


def _document(run: SuiteRun, records: Mapping[str, Sequence[Record]], missing: Sequence[str]) -> dict[str, Any]:
    variants = {}
    for variant in run.suite.variants:
        found = records[variant.name]
        if not found:
            continue
        summary = {"says": variant.says, **variant_summary(found)}
        control = records.get(variant.control or "", ())
        if variant.control is not None and control:
            summary["against"] = {"control": variant.control, **comparison(found, control)}
        variants[variant.name] = summary
    return {
        "schema": 1,
        "suite": run.suite.name,
        "steps": run.suite.steps,
        "seeds": list(run.seeds),
        "data": data_record(open_dataset(run.data), read_simulation(run.data)),
        "echoseg": __version__,
        "git": git_state(),
        "machines": machines([record for found in records.values() for record in found]),
        "cells": [record["cell"] for found in records.values() for record in found],
        "missing": list(missing),
        "variants": variants,
    }


def machines(records: Sequence[Record]) -> list[dict[str, str]]:
    """The machines on which cells were run, each once."""
    return [dict(pairs) for pairs in sorted({tuple(sorted(record["machine"].items())) for record in records})]
