"""Pictures of the reports: ED and ES large with contours, long axis and discs; and the frames of the player."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import escape

import numpy as np

from echoseg.cine import Float64, Instant, Segmentation, Spacing, UInt8
from echoseg.clinical import Beat, Indices, measure_frame
from echoseg.report.paint import Painter, picture_size
from echoseg.report.text import UNIT_LABELS, volume_text

Box = tuple[slice, slice]

LONG_SIDE = 620
_INSTANTS = {Instant.ED: "End-diastole", Instant.ES: "End-systole"}


def beat_shown(indices: Indices) -> Beat | None:
    """The beat whose EF is nearest to the median: the one that the numbers stand for."""
    if indices.summary is None:
        return indices.beats[0] if indices.beats else None
    median = indices.summary.ef_percent
    nearest = min(indices.ejections, key=lambda e: (not e.complete, abs(e.ef_percent - median)))
    pairs = {(beat.ed_frame, beat.es_frame): beat for beat in indices.beats}
    return pairs.get((nearest.ed_frame, nearest.es_frame))


def frames_needed(indices: Indices) -> tuple[int, ...]:
    """Numbers of the frames that are shown large."""
    beat = beat_shown(indices)
    return () if beat is None else tuple(sorted({beat.ed_frame, beat.es_frame}))


def keep(frames: Iterable[UInt8], wanted: Iterable[int], kept: dict[int, UInt8]) -> Iterator[UInt8]:
    """Pass frames through and put copies of the wanted ones into `kept`, so that one pass over a file is enough."""
    numbers = frozenset(wanted)
    for number, frame in enumerate(frames):
        if number in numbers:
            kept[number] = frame.copy()
        yield frame


@dataclass(frozen=True, eq=False)
class InstantPicture:
    """The frame of end-diastole or end-systole.

    Attributes:
        instant: which of the two.
        caption: frame number, time, volume and length.
        jpeg: the frame with its contours.
        size: (rows, columns) of the picture.
        chords: float64 (20, 2, 2), ends (row, column) of the discs in the picture; None where the mask has none.
        axis: float64 (2, 2), ends of the long axis.
    """

    instant: Instant
    caption: str
    jpeg: bytes
    size: tuple[int, int]
    chords: Float64 | None
    axis: Float64 | None

    @property
    def name(self) -> str:
        """Name of the instant."""
        return _INSTANTS[self.instant]

    def figure(self) -> str:
        """HTML figure."""
        rows, cols = self.size
        return (
            f'<figure class="large"><svg viewBox="0 0 {cols} {rows}" role="img" aria-label="{self.name} with contours, long axis '
            f'and discs: {escape(self.caption)}"><image href="{jpeg_address(self.jpeg)}" width="{cols}" height="{rows}"/>'
            f"{self._lines()}</svg><figcaption><b>{self.name} ({self.instant.value})</b> {escape(self.caption)}</figcaption></figure>"
        )

    def _lines(self) -> str:
        if self.chords is None or self.axis is None:
            return ""
        chords = "".join(f"M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}" for (y0, x0), (y1, x1) in self.chords.tolist())
        (y0, x0), (y1, x1) = self.axis.tolist()
        return f'<path class="discs" d="{chords}"/><path class="longaxis" d="M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}"/>'


def instant_pictures(
    frames: Mapping[int, UInt8], segmentation: Segmentation, indices: Indices
) -> tuple[InstantPicture, ...]:
    """ED and ES of the beat that the numbers stand for; none where the cine has no beat.

    Args:
        frames: the frames that `frames_needed` names.
        segmentation: masks of every frame.
        indices: what was measured.
    """
    beat = beat_shown(indices)
    if beat is None:
        return ()
    box = surroundings([segmentation.masks[number] for number in frames], segmentation.meta.shape)
    shape = box[0].stop - box[0].start, box[1].stop - box[1].start
    painter = Painter(shape, picture_size(segmentation.meta, shape, LONG_SIDE))
    found = []
    for instant, number in ((Instant.ED, beat.ed_frame), (Instant.ES, beat.es_frame)):
        mask = segmentation.masks[number]
        chords, axis = _disc_lines(mask, segmentation.meta.spacing or Spacing(1.0, 1.0), box, painter)
        jpeg = jpeg_of(painter.paint(frames[number][box], mask[box]))
        found.append(InstantPicture(instant, caption(number, indices, long=True), jpeg, painter.size, chords, axis))
    return tuple(found)


def _disc_lines(
    mask: UInt8, spacing: Spacing, box: Box, painter: Painter
) -> tuple[Float64, Float64] | tuple[None, None]:
    """Discs and long axis in the picture; None where the mask has none."""
    discs = measure_frame(mask, spacing).discs
    if discs is None:
        return None, None
    enlargement = np.array(painter.size) / painter.shape
    per_mm = enlargement / (spacing.row_mm, spacing.col_mm)
    # Pixel (0, 0) has its centre at the origin of the millimetres, and its corner at that of the picture.
    start = (0.5 - np.array([box[0].start, box[1].start])) * enlargement
    return discs.chords * per_mm + start, np.stack([discs.apex, discs.base]) * per_mm + start


def surroundings(masks: Iterable[UInt8], shape: tuple[int, int], margin: float = 0.3) -> Box:
    """Box around the structures of some masks, `margin` of its longer side wider each way; all of the frame if they are empty."""
    marked = np.zeros(shape, bool)
    for mask in masks:
        marked |= mask > 0
    ends = [np.flatnonzero(marked.any(axis))[[0, -1]] for axis in (1, 0)] if marked.any() else []
    if not ends:
        return slice(0, shape[0]), slice(0, shape[1])
    extra = math.ceil(margin * max(int(last - first) + 1 for first, last in ends))
    rows, cols = (
        slice(max(0, int(first) - extra), min(n, int(last) + 1 + extra))
        for (first, last), n in zip(ends, shape, strict=True)
    )
    return rows, cols


def caption(number: int, indices: Indices, *, long: bool = False) -> str:
    """Frame number, time and volume; the long form has volumes in pixels and the length of the axis, too."""
    curve = indices.curve
    calibrated, volume = curve.unit == "mL", float(curve.values[number])
    words = [f"frame {number}"]
    if curve.times_s is not None:
        words.append(f"{curve.times_s[number]:.2f} s")
    if not math.isfinite(volume):
        words.append("not measurable")
    elif calibrated or long:
        words.append(f"{volume_text(volume)} {UNIT_LABELS[curve.unit]}")
    if long and math.isfinite(curve.lengths[number]):
        words.append(f"long axis {curve.lengths[number]:.0f} {'mm' if calibrated else 'px'}")
    return " · ".join(words)


def jpeg_of(picture: UInt8) -> bytes:
    """A picture, uint8 (rows, columns, 3), as JPEG."""
    from PIL import Image

    data = io.BytesIO()
    Image.fromarray(picture).save(data, "JPEG", quality=88, subsampling=0)
    return data.getvalue()


def jpeg_address(jpeg: bytes) -> str:
    """A picture as a data address."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")
