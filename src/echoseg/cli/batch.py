"""Many cases, one after the other: what fails is recorded and the others go on, then the tables of the whole call."""

from __future__ import annotations

import errno
import signal
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Protocol

from echoseg.cine import CineMeta, Segmentation, UInt8
from echoseg.cli.meter import Meter
from echoseg.cli.options import Shard
from echoseg.cli.output import complain, printable, write_json
from echoseg.cli.sources import Source, listed
from echoseg.cli.table import show_cases
from echoseg.errors import EchosegError, InputError, OutputError, PartialFailureError
from echoseg.io import CineStream
from echoseg.report import CaseRecord, RunInfo, read_result, write_run, write_summary
from echoseg.report.result import Document

# Full or read-only: the cases that follow could not be written either.
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM)
PASSES = 2  # over the frames of a case: one for the masks, one for the pictures


class Watched:
    """Frames of a cine that say what share of the work on them is done."""

    def __init__(self, stream: CineStream, show: Callable[[float], None]) -> None:
        self._stream, self._show = stream, show
        self._taken = 0

    @property
    def meta(self) -> CineMeta:
        """What is known about the cine."""
        return self._stream.meta

    def __iter__(self) -> Iterator[UInt8]:
        for frame in self._stream:
            self._taken += 1
            self._show(min(0.99, self._taken / (PASSES * self.meta.n_frames)))
            yield frame


Watch = Callable[[CineStream], Watched]


class Worker(Protocol):
    """What is done with each case."""

    @property
    def model(self) -> str | None:
        """Name and version of the model, None where there is none."""
        ...

    def __call__(self, source: Source, case_dir: Path, watch: Watch) -> Document:
        """Write the results of a case; returns the content of its `result.json`."""
        ...


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
        ignored: number of files that were left alone.
    """

    verb: str
    call: tuple[str, ...]
    cases: tuple[Source, ...]
    out: Path
    skip_existing: bool = False
    shard: Shard | None = None
    as_json: bool = False
    ignored: int = 0

    @property
    def record_dir(self) -> Path:
        """Where `run.json` and `summary.csv` go; each share has its own, so that none overwrites another's."""
        return self.out if self.shard is None else self.out / f"shard-{self.shard.number}-of-{self.shard.of}"


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
    started = datetime.now().astimezone()
    kept = _existing(batch) if batch.skip_existing else {}
    todo = [case for case in batch.cases if case.name not in kept]
    worker = prepare() if todo else None
    make_folder(batch.record_dir)
    if worker is not None and worker.model is not None:
        _warn_of_other_models(kept, worker.model)
    failures: list[EchosegError] = []
    done: dict[str, CaseRecord] = {}

    def record() -> list[CaseRecord]:
        every = kept | done
        records = [every[case.name] for case in batch.cases if case.name in every]
        model = worker.model if worker is not None else None
        write_summary(batch.record_dir, records)
        write_run(batch.record_dir, RunInfo(batch.call, model, started, datetime.now().astimezone()), records)
        return records

    try:
        if worker is not None:
            for one in _work(batch, todo, worker, failures):
                done[one.case] = one
    except KeyboardInterrupt:
        record()
        raise KeyboardInterrupt(
            f"interrupted, {len(done)} of {len(todo)} cases are done; repeat the call with --skip-existing to go on"
        ) from None
    except OutputError:
        with suppress(OutputError):  # the tables may have no room either
            record()
        raise
    records = record()
    _show(batch, records, worker)
    return _exit_code(records, failures)


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
        if result is not None and _same(Path(str(result["source"])), case.path):
            kept[case.name] = CaseRecord(case.name, case.shown, "skipped", result=_without_frames(result))
    return kept


def _earlier_result(case_dir: Path) -> Document | None:
    """The result of an earlier call; None where there is none, or a damaged one that is made anew."""
    try:
        return read_result(case_dir)
    except InputError:
        return None


def _same(first: Path, second: Path) -> bool:
    """Whether two paths are one file, through links or not."""
    both_exist = first.exists() and second.exists()
    return first.samefile(second) if both_exist else first == second.absolute()


def _check_free(case_dir: Path, case: Source) -> None:
    """Refuse to replace the result of another file that is still there: two patients may both have a `cine.avi`."""
    result = _earlier_result(case_dir)
    before = None if result is None else Path(str(result["source"]))
    if before is not None and before.exists() and not _same(before, case.path):
        raise InputError(
            f"{case.path}: {case_dir} holds the result of {before}; choose another folder with -o, or remove it"
        )


def _warn_of_other_models(kept: dict[str, CaseRecord], model: str) -> None:
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


def _work(batch: Batch, todo: Sequence[Source], worker: Worker, failures: list[EchosegError]) -> Iterator[CaseRecord]:
    with Meter() as meter, _interrupts() as interrupted:
        for number, case in enumerate(todo):
            what = f"{batch.verb} {printable(case.name)}"

            def show(share: float, what: str = what, number: int = number) -> None:
                meter.show(what, number + share, len(todo))

            show(0.0)
            start = time.monotonic()
            one = _one(case, batch.out / case.name, worker, partial(Watched, show=show), failures)
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


def _one(case: Source, case_dir: Path, worker: Worker, watch: Watch, failures: list[EchosegError]) -> CaseRecord:
    """The record of one case; why it failed is added to `failures`, and said at once unless it ends the call."""
    try:
        if case.problem is not None:
            raise InputError(case.problem)
        _check_free(case_dir, case)
        return CaseRecord(case.name, case.shown, "done", result=_without_frames(worker(case, case_dir, watch)))
    except EchosegError as error:
        failures.append(error)
    except Exception as error:  # noqa: BLE001 - a bug met in one case must not cost the others their results
        complain(f"{case.shown}: a bug of echoseg; please report it with the lines below")
        traceback.print_exc()
        failures.append(EchosegError(f"{case.shown}: {type(error).__name__}: {error}"))
    message = printable(str(failures[-1]))
    if not _is_unwritable(failures[-1]):
        complain(message)
    return CaseRecord(case.name, case.shown, "failed", error=message)


def _is_unwritable(error: EchosegError) -> bool:
    return isinstance(error, OutputError) and getattr(error.__cause__, "errno", None) in UNWRITABLE


def _without_frames(document: Document) -> Document:
    """What the tables need of a result; the rest would fill the memory in a call over thousands of cases."""
    return {key: value for key, value in document.items() if key != "frames"}


def _exit_code(records: Sequence[CaseRecord], failures: Sequence[EchosegError]) -> int:
    if not failures:
        return 0
    written = any(one.result is not None for one in records)
    return PartialFailureError.exit_code if written else failures[0].exit_code


def _show(batch: Batch, records: Sequence[CaseRecord], worker: Worker | None) -> None:
    _show_warnings(records)
    failed = sum(one.status == "failed" for one in records)
    if failed and len(records) > 1:
        complain(f"{failed} of {len(records)} cases failed; see {batch.record_dir / 'summary.csv'}")
    if batch.as_json:
        write_json(_document(batch, records, worker))
    elif any(one.result is not None for one in records):
        show_cases(batch.out, batch.record_dir, records)


def _show_warnings(records: Sequence[CaseRecord]) -> None:
    """Every warning once, with the cases that it is about; those of kept cases were shown when they were made."""
    cases: dict[str, list[str]] = {}
    for one in records:
        if one.result is not None and one.status == "done":
            for warning in one.result["warnings"]:
                cases.setdefault(str(warning).removeprefix(f"{one.result['source']}: "), []).append(one.case)
    for warning, names in cases.items():
        about = names[0] if len(names) == 1 else f"{len(names)} cases ({listed(names)})"
        complain(f"warning: {about}: {warning}")


def _document(batch: Batch, records: Sequence[CaseRecord], worker: Worker | None) -> Document:
    """The line that `--json` writes."""
    keys = (
        "ef_percent",
        "ef_range",
        "ef_regressed",
        "edv",
        "esv",
        "unit",
        "method",
        "n_beats",
        "heart_rate_bpm",
        "quality",
        "warnings",
    )
    return {
        "out": str(batch.out),
        "model": worker.model if worker is not None else None,
        "shard": None if batch.shard is None else str(batch.shard),
        "counts": dict(sorted(Counter(one.status for one in records).items())),
        "ignored": batch.ignored,
        "summary": str(batch.record_dir / "summary.csv"),
        "run": str(batch.record_dir / "run.json"),
        "cases": [
            {"case": one.case, "source": one.source, "status": one.status, "error": one.error}
            | ({key: one.result.get(key) for key in keys} if one.result is not None else {})
            for one in records
        ],
    }
