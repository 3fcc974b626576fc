"""Everything that a report shows of the frames, gathered in one pass over the cine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from echoseg.cine import Segmentation, UInt8
from echoseg.clinical import Indices
from echoseg.errors import InputError
from echoseg.report.page_reel import Reel
from echoseg.report.pictures import InstantPicture, frames_needed, instant_pictures, keep


@dataclass
class Gallery:
    """Pictures for the reports.

    Attributes:
        segmentation: masks of every frame.
        indices: what was measured.
        reel: frames of the player, None where no page is written.
    """

    segmentation: Segmentation
    indices: Indices
    reel: Reel | None
    _kept: dict[int, UInt8] = field(default_factory=dict)

    @classmethod
    def of(cls, segmentation: Segmentation, indices: Indices, *, player: bool = True) -> Gallery:
        """An empty gallery, with or without the frames of the player."""
        return cls(segmentation, indices, Reel.of(segmentation, indices) if player else None)

    def watch(self, frames: Iterable[UInt8]) -> Iterator[UInt8]:
        """Pass frames through and keep what is shown of them."""
        kept = keep(islice(frames, len(self.segmentation.masks)), frames_needed(self.indices), self._kept)
        return kept if self.reel is None else self.reel.record(kept)

    def fill(self, frames: Iterable[UInt8]) -> None:
        """Take what is needed, and read no further."""
        for _ in self.watch(frames):
            if self.is_full:
                break

    @property
    def is_full(self) -> bool:
        """Whether every frame that is shown has come by."""
        return len(self._kept) == len(frames_needed(self.indices)) and (self.reel is None or self.reel.is_full)

    def check(self) -> None:
        """Refuse a cine that was too short.

        Raises:
            InputError: frames are missing.
        """
        if self.is_full:
            return
        missing = set(frames_needed(self.indices)) - set(self._kept)
        if self.reel is not None:
            missing |= set(self.reel.missing)
        meta = self.segmentation.meta
        raise InputError(
            f"{meta.source}: {meta.n_frames} masks, but frame {max(missing)} cannot be read; give the cine that was segmented"
        )

    def instants(self) -> tuple[InstantPicture, ...]:
        """ED and ES of the beat that the numbers stand for."""
        return instant_pictures(self._kept, self.segmentation, self.indices)
