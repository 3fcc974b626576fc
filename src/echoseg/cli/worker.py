"""What is done with each case of a call, and frames that tell how far it has come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from echoseg.cine import CineMeta, UInt8
from echoseg.cli.sources import Source
from echoseg.io import CineStream
from echoseg.report.result import Document

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
