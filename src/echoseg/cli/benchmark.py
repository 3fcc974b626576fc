"""`echoseg benchmark`: methods, seeds and label budgets on one data set, and one table of them all."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from echoseg.cli.info import cpu_count
from echoseg.cli.meter import Meter
from echoseg.cli.optional import require
from echoseg.cli.options import Flag, OutFolder, ShardOption, parse
from echoseg.cli.output import complain, printable, say, write_json
from echoseg.errors import PartialFailureError, UsageError

if TYPE_CHECKING:
    from echoseg.benchmark import Finished, SuiteRun
    from echoseg.recipes.suites import Cell

SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class BenchmarkOptions:
    """Train and score every method of a suite on the same cines, labels and number of steps, each beside its supervised control.

    Every run is a folder in OUT/cells. A call that was stopped is repeated as it was: finished cells are not run again, an unfinished one goes on
    at its last checkpoint. benchmark.md, .csv, .json and .svg are written after every cell. Several calls may share a folder.

    Attributes:
        suite: lite: every method, small, 112 px, 20 labelled cines; labels: the same with 4, 8, 15 and 30; ablations: parts of the methods; paper:
            the published sizes, for a GPU.
        out: folder for the cells and the summary.
        data: data folder with training, validation and test cines; without it the set of the suite is simulated into OUT/data.
        have: folder with records of cells that were run elsewhere, as OUT/cells holds them; they are not run again.
        methods: methods or variants to run, each with its control.
        seeds: of every variant.
        steps: optimiser steps of every run, the same for all.
        device: auto, cpu, cuda or cuda:N.
        threads: CPU threads of each process.
        workers: processes, each with a cell of its own.
        shard: share of the cells, for several machines with a folder each.
        only: one cell by name.
        list: show the cells and what is done of them.
        dry_run: take three steps of every variant and say how long the suite would take.
        json: write one line of JSON to stdout in place of the text.
    """

    suite: Annotated[Positional[Literal["lite", "labels", "ablations", "paper"]], arg(metavar="SUITE")]
    out: OutFolder
    data: Annotated[Path | None, arg(metavar="DIR", help_behavior_hint="(default: simulated)")] = None
    have: Annotated[Path | None, arg(metavar="DIR", help_behavior_hint="(default: none)")] = None
    methods: Annotated[tuple[str, ...], arg(metavar="NAME", help_behavior_hint="(default: all)")] = ()
    seeds: Annotated[tuple[int, ...], arg(metavar="S")] = SEEDS
    steps: Annotated[int | None, arg(metavar="N", help_behavior_hint="(default: the suite's)")] = None
    device: str = "auto"
    threads: int = 1
    workers: int = 1
    shard: ShardOption = None
    only: Annotated[str | None, arg(metavar="CELL", help_behavior_hint="(default: all cells)")] = None
    list: Flag = False
    dry_run: Flag = False
    json: Flag = False

    def __post_init__(self) -> None:
        for name in ("threads", "workers"):
            if getattr(self, name) < 1:
                raise UsageError(f"--{name} {getattr(self, name)}: give at least 1")
        if not self.seeds or min(self.seeds) < 0 or len(set(self.seeds)) < len(self.seeds):
            raise UsageError(f"--seeds {' '.join(map(str, self.seeds))}: give numbers from 0 on, each once")


def run(args: Sequence[str]) -> int:
    """Run what a command line asks for."""
    options = parse(BenchmarkOptions, "benchmark", args)
    require("train", "benchmark")
    from echoseg.benchmark import SuiteRun, run_suite
    from echoseg.recipes.suites import suite

    chosen = suite(options.suite, options.steps)
    if options.methods:
        chosen = chosen.only(options.methods)
    data = options.data or options.out / "data" / chosen.set_name
    task = SuiteRun(chosen, options.seeds, data, options.out, options.device, options.threads, options.have)
    cells = choose_cells(task, options)
    if options.list:
        return _list(task, cells, options)
    with Meter() as meter:
        if options.data is None:
            _simulate(data, chosen.set_name, meter)
        if options.dry_run:
            return _dry_run(task, cells, options, meter)
        found = run_suite(task, cells, workers=options.workers, progress=meter.show, tell=complain)
    return _report(task, found, options)


def choose_cells(task: SuiteRun, options: BenchmarkOptions) -> tuple[Cell, ...]:
    """The cells that a call is about."""
    cells = task.cells
    if options.only is not None:
        named = tuple(cell for cell in cells if cell.name == options.only)
        if not named:
            raise UsageError(
                f"--only {options.only}: no such cell; `echoseg benchmark {options.suite} --list` names all"
            )
        return named
    return cells if options.shard is None else options.shard.take(cells)


def _simulate(data: Path, name: str, meter: Meter) -> None:
    from echoseg.simulator import write_set

    if not (data / "simulation.json").is_file():
        write_set(data, name, workers=cpu_count(), progress=lambda done, total: meter.show("simulate", done, total))


def _list(task: SuiteRun, cells: Sequence[Cell], options: BenchmarkOptions) -> int:
    from echoseg.benchmark.cells import finished

    rows = [
        (cell.name, cell.config.method, "done" if finished(task.out, cell, have=task.have) else "to do")
        for cell in cells
    ]
    if options.json:
        write_json({"suite": task.suite.name, "cells": [{"cell": a, "method": b, "state": c} for a, b, c in rows]})
        return 0
    width = max(len(name) for name, _, _ in rows)
    for name, method, state in rows:
        say(f"{name:<{width}}  {method:<12}  {state}")
    return 0


def _dry_run(task: SuiteRun, cells: Sequence[Cell], options: BenchmarkOptions, meter: Meter) -> int:
    from echoseg.benchmark import estimate
    from echoseg.benchmark.cells import finished

    costs = estimate(task, meter.show)
    left = [cell for cell in cells if finished(task.out, cell, have=task.have) is None]
    total = sum(costs[cell.variant.name][1] for cell in left if cell.variant.name in costs)
    if options.json:
        rows = {name: {"step_s": c.step_s, "frame_s": c.frame_s, "cell_s": s} for name, (c, s) in costs.items()}
        write_json({"suite": task.suite.name, "variants": rows, "cells": len(left), "total_s": total})
        return 0
    width = max(map(len, costs))
    say(f"{'variant':<{width}}  s/step  ms/frame  min/cell")
    for name, (cost, seconds) in costs.items():
        say(f"{name:<{width}}  {cost.step_s:6.2f}  {1000 * cost.frame_s:8.1f}  {seconds / 60:8.1f}")
    untimed = sum(cell.variant.name not in costs for cell in left)
    more = f"; {untimed} of them are built on other runs and not timed" if untimed else ""
    say(f"{len(left)} cells to do, {total / 3600:.1f} hours in one process{more}")
    return 0


def _report(task: SuiteRun, found: Finished, options: BenchmarkOptions) -> int:
    if options.json:
        write_json(
            {"out": str(task.out), "done": found.done, "failed": found.failed, "elsewhere": found.elsewhere}
        )  # fmt: skip
    else:
        say((task.out / "benchmark.md").read_text(encoding="utf-8"))
        if found.elsewhere:
            say(f"left to other processes: {', '.join(found.elsewhere)}")
        say(f"table    {printable(shlex.quote(str(task.out / 'benchmark.md')))}")
        say(f"figure   {printable(shlex.quote(str(task.out / 'benchmark.svg')))}")
    return PartialFailureError.exit_code if found.failed else 0
