"""Many independent jobs on several processes, with results in the order of the jobs."""

from __future__ import annotations

import functools
import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

from echoseg.errors import UsageError

Job = TypeVar("Job")
Result = TypeVar("Result")


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _named(function: Callable[[Job], Result], job: Job) -> Result:
    try:
        return function(job)
    except Exception as error:
        error.add_note(f"while working on {job}")
        raise


def check_workers(workers: int) -> None:
    """Refuse a number of processes that is none, before an earlier folder is emptied.

    Raises:
        UsageError: `workers` is below 1.
    """
    if workers < 1:
        raise UsageError(f"{workers} workers: give 1 or more")


def in_order(function: Callable[[Job], Result], jobs: Iterable[Job], workers: int) -> Iterator[Result]:
    """Results of `function` for all jobs, in their order, whichever process finishes first.

    With one worker everything runs in this process. Otherwise processes are spawned, not forked, so that the function and
    the jobs must be picklable. If a job fails its error is raised here, with a note that names the job; then, and when the
    caller stops, jobs that have not started are dropped.
    """
    check_workers(workers)
    named = functools.partial(_named, function)
    if workers == 1:
        yield from map(named, jobs)
        return
    executor = ProcessPoolExecutor(workers, get_context("spawn"), _leave_interrupts_to_the_parent)
    try:
        yield from executor.map(named, jobs)
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
