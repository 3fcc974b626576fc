"""Decoded cines that several runs on the same data share."""

from __future__ import annotations

from collections.abc import Callable

from echoseg.data import CineStore
from echoseg.data.store import ResizeMode
from echoseg.datasets import Dataset

Progress = Callable[[str, int, int], None]


class Stores:
    """The splits of a data set at the sizes that were asked for, each decoded once and then kept in memory."""

    def __init__(self, dataset: Dataset) -> None:
        """Nothing is decoded yet."""
        self.dataset = dataset
        self._kept: dict[tuple[str, int, ResizeMode], CineStore] = {}
        self._gray: dict[tuple[str, int, ResizeMode], tuple[float, float]] = {}

    def load(self, split: str, size: int, resize: ResizeMode, progress: Progress | None = None) -> CineStore:
        """A split, its frames resized.

        Args:
            split: train, val or test.
            size: side of the stored frames, pixels.
            resize: how a frame that is not square becomes square.
            progress: called with (what, done, total) while cines are decoded.
        """

        def report(done: int, total: int) -> None:
            if progress is not None:
                progress(f"reading {split} cines", done, total)

        key = (split, size, resize)
        if key not in self._kept:
            self._kept[key] = CineStore.load(self.dataset, split, size=size, resize=resize, progress=report)
        return self._kept[key]

    def gray_statistics(self, split: str, size: int, resize: ResizeMode) -> tuple[float, float]:
        """Mean and standard deviation of all gray values of a split, in 0..1."""
        key = (split, size, resize)
        if key not in self._gray:
            self._gray[key] = self.load(split, size, resize).gray_statistics()
        return self._gray[key]
