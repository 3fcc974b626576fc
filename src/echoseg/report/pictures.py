"""Still pictures of the report: one beat at a glance, and ED and ES large with axis and discs."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import escape

import numpy as np

from echoseg.cine import Instant, Segmentation, Spacing, UInt8
from echoseg.clinical import Beat, Indices, measure_frame
from echoseg.report.paint import Painter, picture_size
from echoseg.report.text import UNIT_LABELS, volume_text

Box = tuple[slice, slice]

TILES = 10
TILE_LONG_SIDE, LARGE_LONG_SIDE = 360, 620


def beat_shown(indices: Indices) -> Beat | None:
    """The beat whose EF is nearest to the median: the one that the numbers stand for."""
    if indices.summary is None:
        return indices.beats[0] if indices.beats else None
    median = indices.summary.ef_percent
    nearest = min(indices.ejections, key=lambda e: (not e.complete, abs(e.ef_percent - median)))
    pairs = {(beat.ed_frame, beat.es_frame): beat for beat in indices.beats}
    return pairs.get((nearest.ed_frame, nearest.es_frame))


def frames_shown(n_frames: int, beat: Beat | None) -> tuple[int, ...]:
    """Frames of the contact sheet: evenly over the beat (else over the cine), ED and ES among them."""
    if beat is None:
        return tuple(sorted(set(np.linspace(0, n_frames - 1, TILES).round().astype(int).tolist())))
    end = beat.next_ed_frame if beat.next_ed_frame is not None else beat.es_frame
    first, last = min(beat.ed_frame, end), max(beat.ed_frame, end)
    spread = np.linspace(first, last, TILES).round().astype(int).tolist()
    inner = [frame for frame in spread if frame not in (first, last)]
    if beat.es_frame not in (first, last) and beat.es_frame not in inner and inner:
        inner[int(np.abs(np.array(inner) - beat.es_frame).argmin())] = beat.es_frame
    return tuple(sorted({first, last, beat.es_frame, beat.ed_frame, *inner}))


def keep(frames: Iterable[UInt8], wanted: Iterable[int], kept: dict[int, UInt8]) -> Iterator[UInt8]:
    """Pass frames through and put copies of the wanted ones into `kept`, so that one pass over a file is enough."""
    numbers = frozenset(wanted)
    for number, frame in enumerate(frames):
        if number in numbers:
            kept[number] = frame.copy()
        yield frame


@dataclass(frozen=True, eq=False)
class Album:
    """What the pictures of a report are made of.

    Attributes:
        frames: the frames to show, by number.
        segmentation: masks of all frames.
        indices: what was measured.
        box: the part of a frame that is shown.
    """

    frames: Mapping[int, UInt8]
    segmentation: Segmentation
    indices: Indices
    box: Box

    @classmethod
    def of(cls, frames: Mapping[int, UInt8], segmentation: Segmentation, indices: Indices) -> Album:
        """An album cut to the surroundings of the structures on the frames that are shown."""
        box = surroundings([segmentation.masks[number] for number in frames], segmentation.meta.shape)
        return cls(frames, segmentation, indices, box)

    def painter(self, long_side: int) -> Painter:
        """Painter of the part that is shown."""
        shape = (self.box[0].stop - self.box[0].start, self.box[1].stop - self.box[1].start)
        return Painter(shape, picture_size(self.segmentation.meta, shape, long_side))

    def address(self, painter: Painter, number: int) -> str:
        """Data address of a frame with its contours."""
        return jpeg_address(painter.paint(self.frames[number][self.box], self.segmentation.masks[number][self.box]))

    def contact_sheet(self) -> str:
        """HTML of small pictures of one beat."""
        beat, painter = beat_shown(self.indices), self.painter(TILE_LONG_SIDE)
        tiles = []
        for number in frames_shown(self.segmentation.meta.n_frames, beat):
            tag = _instant(number, beat)
            badge = f'<b class="badge">{tag.value}</b>' if tag else ""
            tiles.append(
                f'<figure class="tile{" instant" if tag else ""}">{badge}<img src="{self.address(painter, number)}" '
                f'width="{painter.size[1]}" height="{painter.size[0]}" alt="frame {number} with contours">'
                f"<figcaption>{caption(number, self.indices)}</figcaption></figure>"
            )
        return "\n".join(tiles)

    def instants(self) -> str:
        """HTML of the ED and the ES frame with long axis and discs; empty where the cine has no beat."""
        beat = beat_shown(self.indices)
        if beat is None:
            return ""
        painter = self.painter(LARGE_LONG_SIDE)
        rows, cols = painter.size
        figures = []
        for name, instant, number in (
            ("End-diastole", Instant.ED, beat.ed_frame),
            ("End-systole", Instant.ES, beat.es_frame),
        ):
            figures.append(
                f'<figure class="large"><svg viewBox="0 0 {cols} {rows}" role="img" aria-label="{name} with discs">'
                f'<image href="{self.address(painter, number)}" width="{cols}" height="{rows}"/>'
                f"{self._disc_lines(number, painter)}</svg>"
                f"<figcaption><b>{name} ({instant.value})</b> {caption(number, self.indices, long=True)}</figcaption>"
                "</figure>"
            )
        return "\n".join(figures)

    def _disc_lines(self, number: int, painter: Painter) -> str:
        """SVG lines of the long axis and the discs; empty where the mask has none."""
        spacing = self.segmentation.meta.spacing or Spacing(1.0, 1.0)
        discs = measure_frame(self.segmentation.masks[number], spacing).discs
        if discs is None:
            return ""
        enlargement = np.array(painter.size) / painter.shape
        per_mm = enlargement / (spacing.row_mm, spacing.col_mm)
        # Pixel (0, 0) has its centre at the origin of the millimetres, and its corner at that of the picture.
        start = (0.5 - np.array([self.box[0].start, self.box[1].start])) * enlargement
        chords = "".join(
            f"M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}" for (y0, x0), (y1, x1) in (discs.chords * per_mm + start).tolist()
        )
        (y0, x0), (y1, x1) = (np.stack([discs.apex, discs.base]) * per_mm + start).tolist()
        return f'<path class="discs" d="{chords}"/><path class="longaxis" d="M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}"/>'


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
    return escape(" · ".join(words))


def jpeg_address(picture: UInt8) -> str:
    """A picture as a data address."""
    from PIL import Image

    data = io.BytesIO()
    Image.fromarray(picture).save(data, "JPEG", quality=88, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode("ascii")


def _instant(number: int, beat: Beat | None) -> Instant | None:
    if beat is None:
        return None
    if number in (beat.ed_frame, beat.next_ed_frame):
        return Instant.ED
    return Instant.ES if number == beat.es_frame else None
