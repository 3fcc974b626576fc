"""The cine of the report's player: its frames as small JPEG pictures, and the contours that are drawn on them."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from echoseg.cine import Segmentation, Structure, UInt8
from echoseg.clinical import Indices
from echoseg.report.page_contours import FINE, Tracer
from echoseg.report.paint import picture_size
from echoseg.report.pictures import Box, beat_shown, surroundings

MAX_FRAMES = 360
"""A longer cine plays every second, third... frame, the last one and those of ED and ES."""
MAX_BYTES = 6_000_000
"""All JPEG pictures together; in the page they take a third more."""
_LONG_SIDE = 480
_BYTES_PER_PIXEL = 0.2  # of a speckled frame at the best quality below, to choose a size that keeps it
_QUALITIES = (80, 65, 50, 35, 20, 8)
_NAMES = {Structure.LV: "lv", Structure.MYOCARDIUM: "myo", Structure.LA: "la"}


def reel_frames(n_frames: int, indices: Indices) -> tuple[int, ...]:
    """Frames that are played."""
    step = math.ceil(n_frames / MAX_FRAMES)
    ends = {beat.next_ed_frame for beat in indices.beats if beat.next_ed_frame is not None}
    marked = {beat.ed_frame for beat in indices.beats} | {beat.es_frame for beat in indices.beats} | ends
    if len(marked) > MAX_FRAMES // 4:  # thousands of beats: the frames at hand do
        marked = set()
    return tuple(sorted({*range(0, n_frames, step), n_frames - 1, *marked}))


@dataclass
class Reel:
    """Gathers pictures while the cine passes by.

    Attributes:
        segmentation: masks of all frames.
        numbers: frames that are played.
        box: the part of a frame that is shown.
        size: (rows, columns) in which the contours are given; shapes are true.
        pixels: (rows, columns) of the pictures.
    """

    segmentation: Segmentation
    numbers: tuple[int, ...]
    box: Box
    size: tuple[int, int]
    pixels: tuple[int, int]
    _pictures: list[bytes] = field(default_factory=list)
    _quality: int = 0
    _spent: int = 0

    @classmethod
    def of(cls, segmentation: Segmentation, indices: Indices) -> Reel:
        """An empty reel for a cine."""
        meta = segmentation.meta
        numbers = reel_frames(meta.n_frames, indices)
        box = surroundings((segmentation.masks[number] for number in numbers), meta.shape)
        shape = box[0].stop - box[0].start, box[1].stop - box[1].start
        size = picture_size(meta, shape, _LONG_SIDE)
        affordable = MAX_BYTES / len(numbers) / _BYTES_PER_PIXEL
        # Never more pixels than the frame has: a browser enlarges as well.
        factor = min(1.0, max(shape) / _LONG_SIDE, math.sqrt(affordable / (size[0] * size[1])))
        pixels = max(1, round(size[0] * factor)), max(1, round(size[1] * factor))
        return cls(segmentation, numbers, box, size, pixels)

    def record(self, frames: Iterable[UInt8]) -> Iterator[UInt8]:
        """Pass frames through and keep a small picture of those that are played."""
        wanted = frozenset(self.numbers)
        for number, frame in enumerate(frames):
            if number in wanted:
                self._keep(frame)
            yield frame

    @property
    def is_full(self) -> bool:
        """Whether every frame that is played has come by."""
        return len(self._pictures) == len(self.numbers)

    @property
    def missing(self) -> tuple[int, ...]:
        """Frames that have not come by."""
        return self.numbers[len(self._pictures) :]

    def _keep(self, frame: UInt8) -> None:
        left = (MAX_BYTES - self._spent) / (len(self.numbers) - len(self._pictures))
        data = self._jpeg(frame)
        while len(data) > left and self._quality < len(_QUALITIES) - 1:
            self._quality += 1
            data = self._jpeg(frame)
        self._spent += len(data)
        self._pictures.append(data)

    def _jpeg(self, frame: UInt8) -> bytes:
        from PIL import Image

        rows, cols = self.pixels
        picture = Image.fromarray(np.ascontiguousarray(frame[self.box]))
        if picture.size != (cols, rows):
            picture = picture.resize((cols, rows), Image.Resampling.BILINEAR)
        data = io.BytesIO()
        picture.save(data, "JPEG", quality=_QUALITIES[self._quality])
        return data.getvalue()

    def poster(self, indices: Indices) -> int:
        """Place in the reel of the frame that is shown first: end-diastole of the beat that the numbers stand for."""
        beat = beat_shown(indices)
        wanted = 0 if beat is None else beat.ed_frame
        return int(np.abs(np.array(self.numbers) - wanted).argmin())

    def address(self, place: int) -> str:
        """Data address of a picture."""
        return "data:image/jpeg;base64," + base64.b64encode(self._pictures[place]).decode("ascii")

    @cached_property
    def contours(self) -> tuple[dict[str, str], ...]:
        """Of every frame that is played: name of the structure -> path, in units of 1 / FINE of `size`."""
        shape = self.box[0].stop - self.box[0].start, self.box[1].stop - self.box[1].start
        tracer = Tracer((self.size[0] / shape[0], self.size[1] / shape[1]))
        masks = (self.segmentation.masks[number][self.box] for number in self.numbers)
        return tuple({_NAMES[structure]: path for structure, path in tracer.paths(mask).items()} for mask in masks)

    def data(self) -> dict[str, Any]:
        """What the player's script needs."""
        return {
            "numbers": list(self.numbers),
            "size": [self.size[1], self.size[0]],
            "pictures": [base64.b64encode(one).decode("ascii") for one in self._pictures],
            "contours": {
                name: [one.get(name, "") for one in self.contours]
                for name in _NAMES.values()
                if any(name in one for one in self.contours)
            },
        }

    @property
    def view_box(self) -> str:
        """View box of the contours."""
        return f"0 0 {self.size[1] * FINE} {self.size[0] * FINE}"
