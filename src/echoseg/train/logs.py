"""What a run leaves behind while it goes: JSON lines, TensorBoard, a progress bar."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from echoseg.io import atomic_write_text


class RunLog:
    """Numbers of a run; after a resume the lines of steps that were lost are dropped first."""

    def __init__(self, run_dir: Path, *, total_steps: int, first_step: int, tensorboard: bool = True) -> None:
        """Open the logs of `run_dir`, continuing at `first_step`."""
        self.path = run_dir / "metrics.jsonl"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._drop_after(first_step)
        self._file = self.path.open("a", encoding="utf-8")
        self._board = None
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(run_dir / "tensorboard"), purge_step=first_step)
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[numbers]}"),
            TimeElapsedColumn(), TimeRemainingColumn(), console=Console(stderr=True),
        )  # fmt: skip
        self._task = self._bar.add_task("train", total=total_steps, completed=first_step, numbers="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bar.stop()
        self._file.close()
        if self._board is not None:
            self._board.close()

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        """One line; values are rounded to six significant digits, what is not finite becomes null."""
        row = {"step": step, **{k: float(f"{v:.6g}") if math.isfinite(v) else None for k, v in numbers.items()}}
        self._file.write(json.dumps(row, allow_nan=False) + "\n")
        self._file.flush()
        if self._board is not None:
            for name, value in numbers.items():
                self._board.add_scalar(name, value, step)

    def show(self, step: int, numbers: Mapping[str, float]) -> None:
        """Move the progress bar."""
        text = " ".join(f"{k} {v:.3f}" for k, v in numbers.items())
        self._bar.update(self._task, completed=step, numbers=text)

    def _drop_after(self, step: int) -> None:
        if not self.path.exists():
            return
        kept = []
        for line in self.path.read_text(encoding="utf-8").splitlines():
            try:
                if json.loads(line)["step"] < step:
                    kept.append(line)
            except (json.JSONDecodeError, KeyError, TypeError):
                continue  # the line that was being written when the run was killed
        atomic_write_text(self.path, "".join(line + "\n" for line in kept))
