"""Many cases, one after the other: what fails is recorded and the others go on, then the tables of the whole call."""

from __future__ import annotations

import errno
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from statistics import median
from types import FrameType
from typing import TypeVar

from echoseg.cine import Segmentation
from echoseg.cli.meter import Meter
from echoseg.cli.options import Shard
from echoseg.cli.outcome import Outcome, exit_code, show_outcome
from echoseg.cli.output import complain, printable
from echoseg.cli.sources import Source, listed
from echoseg.cli.studies import StudyBook
from echoseg.cli.worker import Watch, Watched, Worker
from echoseg.errors import EchosegError, InputError, OutputError
from echoseg.report import RESULT_FILE, CaseRecord, RunInfo, read_result, write_run, write_studies, write_summary
from echoseg.report.result import Document
from echoseg.report.run import Status
from echoseg.report.studies import StudyRecord

__all__ = ["Batch", "Watch", "make_folder", "run_batch", "with_full_source"]

# Full or read-only: the cases that follow could not be written either.
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
T = TypeVar("T")


@dataclass(frozen=True)
class Batch:
    """A call over many cases.

    Attributes:
        verb: what is done, for the progress bar.
        call: the words of the command line.
        cases: what it is done with.
        out: folder of the results.
        skip_existing: leave alone cases that have a result.
        shard: the share of the cases that `cases` is, None for all.
        as_json: one line on stdout for another program in place of the table.
        left_alone: names of files that were found and not worked on, each with a noun for what it is.
        studies: measures studies when their last cine is done; None where no study is known.
        check: reads a case whole and raises an `InputError` if it is damaged. With `skip_existing` the worker is prepared
            when the first case proves readable, so that a call that has nothing left but damaged files ends at once.
        finish: writes further tables of the call from the records of its cases.
        deliver: sends the results of a call of which every case has one, and gives the names of what it sent.
    """

    verb: str
    call: tuple[str, ...]
    cases: tuple[Source, ...]
    out: Path
    skip_existing: bool = False
    shard: Shard | None = None
    as_json: bool = False
    left_alone: tuple[tuple[str, str], ...] = ()
    studies: StudyBook | None = None
    check: Callable[[Source], None] | None = None
    finish: Callable[[Path, Sequence[CaseRecord], Sequence[StudyRecord]], None] | None = None
    deliver: Callable[[Sequence[CaseRecord], Sequence[StudyRecord]], Sequence[str]] | None = None

    @property
    def record_dir(self) -> Path:
        """Where `run.json` and `summary.csv` go; each share has its own, so that none overwrites another's."""
        return self.out if self.shard is None else self.out / f"shard-{self.shard.number}-of-{self.shard.of}"


@dataclass
class _Run:
    """What has happened so far in a call."""

    batch: Batch
    prepare: Callable[[], Worker]
    started: datetime
    kept: Mapping[str, CaseRecord]
    worker: Worker | None = None
    done: dict[str, CaseRecord] = field(default_factory=dict)
    failures: list[EchosegError] = field(default_factory=list)

    def ready(self) -> Worker:
        """The worker, prepared when it is first needed."""
        if self.worker is None:
            self.worker = self.prepare()
            if self.worker.model is not None:
                _warn_of_other_models(self.kept, self.worker.model)
        return self.worker

    @property
    def model(self) -> str | None:
        """Name and version of the model, None where none was loaded."""
        return None if self.worker is None else self.worker.model

    @property
    def studies(self) -> list[StudyRecord]:
        """What came of the studies that are complete."""
        return [] if self.batch.studies is None else self.batch.studies.records

    def settle(self, one: CaseRecord) -> CaseRecord:
        """The record of a case with its study, which is measured if this was the last of its cines."""
        if self.batch.studies is None:
            return one
        book, one = self.batch.studies, replace(one, study=self.batch.studies.study_of(one.case))
        failure = _attempt(self, f"study {one.study}", lambda: book.settle(one))
        if isinstance(failure, OutputError):
            raise failure
        return one

    def record(self) -> list[CaseRecord]:
        """Write the tables of the call as far as it has come."""
        batch = self.batch
        every = {**self.kept, **self.done}
        records = [every[case.name] for case in batch.cases if case.name in every]
        info = RunInfo(batch.call, self.model, self.started, datetime.now().astimezone(), batch.left_alone)
        write_summary(batch.record_dir, records)
        if any(study.has_results for study in self.studies):
            write_studies(batch.record_dir, self.studies)
        if batch.finish is not None:
            batch.finish(batch.record_dir, records, self.studies)
        write_run(batch.record_dir, info, records)
        return records

    def deliver(self, records: Sequence[CaseRecord]) -> tuple[Sequence[str] | None, EchosegError | None]:
        """Names of what was sent, None where nothing is to be sent; and why it was not."""
        send = self.batch.deliver
        if send is None:
            return None, None
        failed = [one.case for one in records if one.status == "failed"]
        try:
            if failed:
                raise OutputError(
                    f"nothing was stored: {len(failed)} of {len(records)} cines failed ({listed(failed)}), and a study is stored "
                    "whole or not at all; mend what failed and repeat the call with --skip-existing"
                )
            return send(records, self.studies), None
        except EchosegError as error:
            complain(str(error))
            return (), error


def run_batch(batch: Batch, prepare: Callable[[], Worker]) -> int:
    """Work on all cases and show what came of them.

    Args:
        batch: the call.
        prepare: makes the worker, which may take long (a model is loaded); called once, and only if there is work to do.

    Returns:
        0, 5 if some cases failed, or the exit code of the first error if all did.

    Raises:
        OutputError: the disk is full or read-only, so that no later case can be written; those before are kept.
    """
    kept = _existing(batch) if batch.skip_existing else {}
    run = _Run(batch, prepare, datetime.now().astimezone(), kept)
    todo = [case for case in batch.cases if case.name not in kept]
    if todo and not (batch.skip_existing and batch.check):
        run.ready()
    make_folder(batch.record_dir)
    try:
        run.kept = {name: run.settle(one) for name, one in kept.items()}
        for one in _work(run, todo):
            run.done[one.case] = run.settle(one)
    except KeyboardInterrupt:
        _record_late(run, todo)
        run.record()
        raise KeyboardInterrupt(
            f"interrupted, {len(run.done)} of {len(todo)} cases are done; repeat the call with --skip-existing to go on"
        ) from None
    except OutputError:
        with suppress(OutputError):  # the tables may have no room either
            run.record()
        raise
    records = run.record()
    sent, refusal = run.deliver(records)
    shard = None if batch.shard is None else str(batch.shard)
    show_outcome(
        Outcome(batch.out, batch.record_dir, run.model, shard, len(batch.left_alone), records, run.studies, sent),
        as_json=batch.as_json,
    )
    return exit_code(records, run.failures) or (0 if refusal is None else refusal.exit_code)


def with_full_source(segmentation: Segmentation, path: Path) -> Segmentation:
    """The same with the full path as its source, by which a later call knows the result again."""
    return replace(segmentation, meta=replace(segmentation.meta, source=str(path.absolute())))


def make_folder(folder: Path) -> None:
    """Make the folder of the results before the work, so that a wrong `-o` is found out at once."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "a file of this name is in the way" if isinstance(error, FileExistsError) else error.strerror
        raise OutputError(f"{folder}: cannot be made ({reason}); choose another folder with -o") from error


def _existing(batch: Batch) -> dict[str, CaseRecord]:
    """Records of cases that have a result; one that was made from another file of that name is none."""
    kept = {}
    for case in batch.cases:
        result = _earlier_result(batch.out / case.name)
        if result is None or not _is_of(result, case):
            continue
        if batch.studies is None or not batch.studies.must_repeat(case.name, result):
            kept[case.name] = _record(case, "skipped", result)
    return kept


def _record_late(run: _Run, todo: Sequence[Source]) -> None:
    """Record the case that was written a moment before the call was stopped and is not recorded yet."""
    batch = run.batch
    for case in [case for case in todo if case.name not in run.done][:1]:
        file = batch.out / case.name / RESULT_FILE
        if not file.is_file() or file.stat().st_mtime < run.started.timestamp():
            continue  # none, or that of an earlier call
        result = _earlier_result(file.parent)
        if result is not None and _is_of(result, case):
            study = None if batch.studies is None else batch.studies.study_of(case.name)
            run.done[case.name] = replace(_record(case, "done", result), study=study)


def _record(case: Source, status: Status, result: Document) -> CaseRecord:
    """The record of a case that has a result, without what would fill the memory in a call over thousands of cases."""
    confidence = [frame["confidence"] for frame in result.get("frames", ()) if frame["confidence"] is not None]
    slim = {key: value for key, value in result.items() if key != "frames"}
    return CaseRecord(case.name, case.shown, status, result=slim, confidence=median(confidence) if confidence else None)


def _earlier_result(case_dir: Path) -> Document | None:
    """The result of an earlier call; None where there is none, or a damaged one that is made anew."""
    try:
        return read_result(case_dir)
    except InputError:
        return None


def _is_of(result: Document, case: Source) -> bool:
    """Whether a result was made from the file of a case, through links or not, or from its address."""
    before = str(result["source"])
    if case.origin is not None or before == case.full:
        return before == case.full
    first, second = Path(before), case.path
    return first.exists() and second.exists() and first.samefile(second)


def _check_free(case_dir: Path, case: Source) -> None:
    """Refuse to replace the result of another file that is still there: two patients may both have a `cine.avi`."""
    result = _earlier_result(case_dir)
    if result is None or _is_of(result, case):
        return
    before = str(result["source"])
    if "://" in before or Path(before).exists():
        raise InputError(
            f"{case.shown}: {case_dir} holds the result of {before}; choose another folder with -o, or remove it"
        )


def _warn_of_other_models(kept: Mapping[str, CaseRecord], model: str) -> None:
    others = [name for name, one in kept.items() if one.result is not None and one.result["model"] != model]
    if others:
        complain(
            f"warning: {listed(others)}: kept, but made by another model than {model}; remove what you do not want"
        )


@contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """Tells whether the user has asked to stop, even where a library swallowed the KeyboardInterrupt or made another error of it."""
    asked = False

    def stop(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        asked = True
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False  # only the main thread is interrupted
        return
    before = signal.signal(signal.SIGINT, stop)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)


def _work(run: _Run, todo: Sequence[Source]) -> Iterator[CaseRecord]:
    batch, failures = run.batch, run.failures
    with Meter() as meter, _interrupts() as interrupted:
        for number, case in enumerate(todo):
            what = f"{batch.verb} {printable(case.name)}"

            def show(share: float, what: str = what, number: int = number) -> None:
                meter.show(what, number + share, len(todo))

            show(0.0)
            start = time.monotonic()
            one = _one(run, case, partial(Watched, show=show))
            one = replace(one, seconds=time.monotonic() - start)
            if interrupted() and one.status == "failed":
                raise KeyboardInterrupt
            if not meter.visible and len(todo) > 1 and one.status == "done":
                complain(f"{number + 1}/{len(todo)} {case.name}: done in {one.seconds:.1f} s")
            yield one
            if interrupted():
                raise KeyboardInterrupt
            if failures and _is_unwritable(failures[-1]):
                raise failures[-1]


def _one(run: _Run, case: Source, watch: Watch) -> CaseRecord:
    """The record of one case."""
    case_dir = run.batch.out / case.name
    problem = _attempt(run, case.shown, lambda: _check_case(run, case, case_dir))
    if problem is not None:
        return _failed(case, problem)
    worker = run.ready()
    result = _attempt(run, case.shown, lambda: worker(case, case_dir, watch))
    return _failed(case, result) if isinstance(result, EchosegError) else _record(case, "done", result)


def _attempt(run: _Run, what: str, action: Callable[[], T]) -> T | EchosegError:
    """What an action gives, or why it failed, which is added to the failures: one case must not cost the others their results."""
    try:
        return action()
    except EchosegError as error:
        run.failures.append(error)
    except Exception as error:  # noqa: BLE001 - a bug met in one case
        complain(f"{what}: a bug of echoseg; please report it with the lines below")
        traceback.print_exc()
        run.failures.append(EchosegError(f"{what}: {type(error).__name__}: {error}"))
    return run.failures[-1]


def _check_case(run: _Run, case: Source, case_dir: Path) -> None:
    """Refuse a case of which is known before the work that it will fail."""
    if case.problem is not None:
        raise InputError(case.problem)
    _check_free(case_dir, case)
    if run.worker is None and run.batch.check is not None:
        run.batch.check(case)


def _failed(case: Source, error: EchosegError) -> CaseRecord:
    message = printable(str(error))
    if case.origin is not None:  # the user knows the address, not where the file was put for a moment
        message = message.replace(str(case.path), case.shown)
    if not _is_unwritable(error):
        complain(message)
    return CaseRecord(case.name, case.shown, "failed", error=message)


def _is_unwritable(error: EchosegError) -> bool:
    return isinstance(error, OutputError) and getattr(error.__cause__, "errno", None) in UNWRITABLE
