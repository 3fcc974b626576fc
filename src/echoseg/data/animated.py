"""Frames between two labelled stills, made when a clip is first asked for and kept in bounded memory.

They are semi-synthetic (`echoseg.simulator.animate`). A clip depends on its stills alone, so a stream that animates is as repeatable
as one that does not.
"""

from __future__ import annotations

from collections import OrderedDict

from echoseg.data.store import StoredCine
from echoseg.errors import InputError
from echoseg.simulator import ClipMotion, animate

KEEP_BYTES = 256 << 20
"""1600 clips of ten frames at 128 x 128 pixels."""


def is_pair_of_stills(cine: StoredCine) -> bool:
    """Whether a cine is two labelled stills and nothing else, as CAMUS has without its half sequences."""
    return len(cine.frames) == 2 and cine.labelled


class AnimatedStills:
    """Turns pairs of labelled stills into clips; every other cine stays as it is."""

    def __init__(self, clip_length: int, keep_bytes: int = KEEP_BYTES) -> None:
        """Clips of `clip_length` frames from ED to ES; those used last are kept, up to `keep_bytes`."""
        self.clip_length, self.keep_bytes = clip_length, keep_bytes
        self._clips: OrderedDict[str, StoredCine] = OrderedDict()

    def __call__(self, cine: StoredCine) -> StoredCine:
        """The cine with the frames between its stills; only the stills carry masks.

        A pair that cannot be animated, as its mask shows next to no ventricle at this size, stays as it is.
        """
        if self.clip_length <= 2 or not is_pair_of_stills(cine):
            return cine
        clip = self._clips.get(cine.case.id)
        if clip is None:
            clip = self._clips[cine.case.id] = _animated(cine, self.clip_length)
            while len(self._clips) > 1 and self.kept_bytes > self.keep_bytes:
                self._clips.popitem(last=False)
        self._clips.move_to_end(cine.case.id)
        return clip

    @property
    def kept_bytes(self) -> int:
        """Bytes of the clips in memory."""
        return sum(clip.frames.nbytes for clip in self._clips.values())


def _animated(cine: StoredCine, length: int) -> StoredCine:
    ed, es = cine.ed_frame, cine.es_frame
    if ed is None or es is None:
        return cine
    try:
        clip = animate(
            cine.frames[ed], cine.masks[ed], cine.frames[es], cine.masks[es], motion=ClipMotion(n_frames=length)
        )
    except InputError:
        return cine
    masks = {clip.ed_frame: cine.masks[ed], clip.es_frame: cine.masks[es]}
    return StoredCine(cine.case, clip.frames, masks, clip.ed_frame, clip.es_frame, cine.fps)
