"""A progress bar on stderr; nothing where stderr is no terminal."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Meter:
    """One bar at a time. It appears when it is first shown and goes when it is full or the block ends."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bar: Progress | None = None
        self._task = TaskID(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    @property
    def visible(self) -> bool:
        """Whether anybody can see it."""
        return self._console.is_terminal

    def show(self, what: str, done: float, total: float) -> None:
        """Move the bar.

        Args:
            what: what is going on, in front of the bar.
            done: how much of it is done; may be a fraction of one.
            total: how much there is to do.
        """
        if not self.visible:
            return
        count = f"{int(done)}/{int(total)}"
        if self._bar is None:
            self._bar = Progress(
                TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.fields[count]}"),
                TimeElapsedColumn(), TimeRemainingColumn(), console=self._console, transient=True,
            )  # fmt: skip
            self._task = self._bar.add_task(what, total=total, count=count)
            self._bar.start()
        self._bar.update(self._task, completed=done, total=total, description=what, count=count)
        if done >= total:
            self._stop()

    def _stop(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
