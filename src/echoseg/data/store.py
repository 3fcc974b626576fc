"""Cines of a split, decoded once, resized to the network's size and kept in memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from echoseg.cine import Cine, Instant, UInt8
from echoseg.datasets import Case, Dataset
from echoseg.engine import Geometry
from echoseg.errors import InputError

ResizeMode = Literal["letterbox", "stretch"]


@dataclass(frozen=True, eq=False)
class StoredCine:
    """A cine at the network's size.

    Attributes:
        case: where it comes from.
        frames: uint8 (T, S, S).
        masks: labelled frame -> uint8 (S, S).
        ed_frame: end-diastolic frame, None for a cine without labels.
        es_frame: end-systolic frame.
        fps: frames per second if known.
    """

    case: Case
    frames: UInt8
    masks: dict[int, UInt8]
    ed_frame: int | None
    es_frame: int | None
    fps: float | None

    @property
    def labelled(self) -> bool:
        """Whether both ED and ES have a mask."""
        return self.ed_frame in self.masks and self.es_frame in self.masks

    @property
    def ends(self) -> tuple[int, int]:
        """ED and ES frame; InputError for a cine without."""
        if self.ed_frame is None or self.es_frame is None:
            raise InputError(f"{self.case.id}: ED and ES are not known; run `echoseg data check`")
        return self.ed_frame, self.es_frame

    def without_labels(self) -> StoredCine:
        """The same cine as a member of the unlabelled stream."""
        return StoredCine(self.case, self.frames, {}, None, None, self.fps)


def store_cine(case: Case, cine: Cine, size: int, resize: ResizeMode) -> StoredCine:
    """Resize a cine; frames outside ED..ES are kept, since unlabelled clips may start anywhere."""
    geometry = Geometry.fit(cine.meta.shape, size, resize)
    frames = np.stack([geometry.apply(frame) for frame in cine.frames])
    masks = {frame: geometry.apply_mask(mask) for frame, mask in cine.masks.items()}
    return StoredCine(case, frames, masks, cine.instants.get(Instant.ED), cine.instants.get(Instant.ES), cine.fps)


class CineStore(Sequence[StoredCine]):
    """The cines of one split. Only ED and ES carry masks, whatever the folder holds."""

    def __init__(self, cines: Sequence[StoredCine]) -> None:
        """A store of cines that are resized already."""
        self._cines = tuple(cines)

    @classmethod
    def load(
        cls,
        dataset: Dataset,
        split: str,
        *,
        size: int,
        resize: ResizeMode = "letterbox",
        progress: Callable[[int, int], None] | None = None,
    ) -> CineStore:
        """Decode a split.

        Args:
            dataset: where from.
            split: train, val or test.
            size: side of the stored frames, pixels.
            resize: how a frame that is not square becomes square.
            progress: called with (done, total).
        """
        cases = dataset.cases(split)
        if not cases:
            raise InputError(
                f"{dataset.root}: split {split!r} is empty; it has {', '.join(dataset.splits()) or 'none'}"
            )
        cines = []
        for i, case in enumerate(cases):
            cines.append(store_cine(case, dataset.load(case), size, resize))
            if progress is not None:
                progress(i + 1, len(cases))
        return cls(cines)

    def __len__(self) -> int:
        return len(self._cines)

    def __getitem__(self, index: int) -> StoredCine:  # type: ignore[override]
        return self._cines[index]

    def __iter__(self) -> Iterator[StoredCine]:
        return iter(self._cines)

    def labelled(self) -> CineStore:
        """The cines with both ED and ES labelled."""
        return CineStore([cine for cine in self._cines if cine.labelled])

    def split_budget(self, labelled: int | None, seed: int) -> tuple[CineStore, CineStore]:
        """(labelled, unlabelled) cines under a label budget: the first in the data set's order of labels, else drawn by `seed`; None = all that have labels."""
        able = [i for i, cine in enumerate(self._cines) if cine.labelled]
        if not able:
            raise InputError("no training cine has both ED and ES labelled; run `echoseg data check` on the folder")
        chosen = set(self._label_order(able, seed)[:labelled])
        rest = [cine.without_labels() for i, cine in enumerate(self._cines) if i not in chosen]
        return CineStore([cine for i, cine in enumerate(self._cines) if i in chosen]), CineStore(rest)

    def _label_order(self, able: list[int], seed: int) -> list[int]:
        """The labelled cines in the data set's own order, or in one drawn by `seed` where it has none."""
        orders = {i: order for i in able if (order := self._cines[i].case.label_order) is not None}
        if len(orders) == len(able):
            return sorted(able, key=orders.__getitem__)
        drawn: list[int] = np.random.default_rng([seed, 0x1AB]).permutation(able).tolist()
        return drawn

    def named(self, cases: Collection[str]) -> CineStore:
        """The cines of these names, in the order of the store; names that it does not hold are passed over."""
        wanted = frozenset(cases)
        return CineStore([cine for cine in self._cines if cine.case.id in wanted])

    def without_labels(self) -> CineStore:
        """The same cines as members of the unlabelled stream."""
        return CineStore([cine.without_labels() for cine in self._cines])

    def gray_statistics(self) -> tuple[float, float]:
        """Mean and standard deviation of all gray values, in 0..1."""
        total = count = square = 0.0
        for cine in self._cines:
            values = cine.frames.astype(np.float64) / 255
            total, square, count = total + values.sum(), square + (values**2).sum(), count + values.size
        mean = float(total / count)
        return mean, max(1e-3, math.sqrt(square / count - mean**2))

    def label_values(self) -> set[int]:
        """All labels that occur in the masks."""
        return {int(v) for cine in self._cines for mask in cine.masks.values() for v in np.unique(mask)}
