"""`overlay.mp4`: contours on every frame, and below them the volume curve with a cursor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice, pairwise
from pathlib import Path

import numpy as np

from echoseg.cine import CineMeta, Float64, Segmentation, UInt8
from echoseg.clinical import Indices
from echoseg.errors import InputError
from echoseg.io import write_video
from echoseg.report.paint import Painter, video_size

OVERLAY_FILE = "overlay.mp4"
UNKNOWN_FPS = 25.0  # a video needs one; the bar then counts frames and gives no times

_TEXT_ROWS, _CURVE_ROWS, _MARGIN = 20, 44, 8
_INK, _FAINT, _CURSOR = 235, 130, (255, 255, 255)
_FONT_PX = 13


def write_overlay(path: Path, frames: Iterable[UInt8], segmentation: Segmentation, indices: Indices) -> None:
    """Write the overlay video, streamed.

    Args:
        path: where to.
        frames: frames of the cine, uint8 (H, W), in order.
        segmentation: their masks.
        indices: what was measured.
    """
    meta = segmentation.meta
    size = video_size(meta)
    shape = size[0] + _TEXT_ROWS + _CURVE_ROWS, size[1]
    write_video(path, overlay_frames(frames, segmentation, indices), meta.fps or UNKNOWN_FPS, shape, codec="h264")


def overlay_frames(frames: Iterable[UInt8], segmentation: Segmentation, indices: Indices) -> Iterator[UInt8]:
    """RGB frames, uint8, of the overlay: the picture, a line of text, the volume curve."""
    meta, masks = segmentation.meta, segmentation.masks
    painter = Painter(meta.shape, video_size(meta))
    bar = _Bar(meta, indices, painter.size[1])
    rows = painter.size[0]
    count = 0
    for frame in islice(frames, len(masks)):
        picture = np.empty((rows + _TEXT_ROWS + _CURVE_ROWS, painter.size[1], 3), np.uint8)
        painter.paint_into(picture[:rows], frame, masks[count])
        bar.draw(picture[rows:], count)
        yield picture
        count += 1
    if count < len(masks):
        raise InputError(f"{meta.source}: {count} frames for {len(masks)} masks; give the cine that was segmented")


class _Bar:
    """The text and the curve below the picture."""

    def __init__(self, meta: CineMeta, indices: Indices, width: int) -> None:
        self._letters = _Letters()
        self._width, self._n_frames, self._indices = width, meta.n_frames, indices
        self._marks = {beat.ed_frame: "ED" for beat in indices.beats} | {beat.es_frame: "ES" for beat in indices.beats}
        self._marks |= {beat.next_ed_frame: "ED" for beat in indices.beats if beat.next_ed_frame is not None}
        self._curve = self._draw_curve(indices.curve.values)

    def draw(self, bar: UInt8, number: int) -> None:
        """Fill the rows below the picture for one frame."""
        bar[:_TEXT_ROWS] = 0
        line = self._letters.line(self._text(number))[:, : self._width - 2 * _MARGIN]
        bar[:_TEXT_ROWS, _MARGIN : _MARGIN + line.shape[1]] = line[..., None]
        if number in self._marks:
            mark = 255 - self._letters.line(f" {self._marks[number]} ")  # dark on light
            bar[:_TEXT_ROWS, self._width - mark.shape[1] :] = mark[..., None]
        bar[_TEXT_ROWS:] = self._curve[..., None]
        bar[_TEXT_ROWS:, self._column(number) - 1 : self._column(number) + 1] = _CURSOR

    def _column(self, number: int) -> int:
        return _MARGIN + round(number * (self._width - 2 * _MARGIN - 1) / max(1, self._n_frames - 1))

    def _text(self, number: int) -> str:
        curve = self._indices.curve
        text = f"frame {number}"
        if curve.times_s is not None:
            text += f"   {curve.times_s[number]:.2f} s"
        if curve.unit == "mL" and np.isfinite(curve.values[number]):
            text += f"   {curve.values[number]:.0f} mL"
        return text

    def _draw_curve(self, values: Float64) -> UInt8:
        from PIL import Image, ImageDraw

        picture = Image.new("L", (self._width, _CURVE_ROWS))
        pen = ImageDraw.Draw(picture)
        rows = _curve_rows(values)
        for frame, (y0, y1) in enumerate(pairwise(rows)):
            if y0 is not None and y1 is not None:
                pen.line((self._column(frame), y0, self._column(frame + 1), y1), fill=_FAINT, width=2)
        for frame in self._marks:
            if (y := rows[frame]) is not None:
                x = self._column(frame)
                pen.ellipse((x - 3, y - 3, x + 3, y + 3), fill=_INK)
        return np.asarray(picture)


def _curve_rows(values: Float64) -> list[int | None]:
    """Row of each volume in the picture of the curve; None where it could not be measured."""
    measured = np.isfinite(values)
    if not measured.any():
        return [None] * len(values)
    low, high = float(values[measured].min()), float(values[measured].max())
    share = (np.where(measured, values, low) - low) / ((high - low) or 1.0)
    rows = np.rint(_CURVE_ROWS - 6 - share * (_CURVE_ROWS - 12)).astype(int).tolist()
    return [row if ok else None for row, ok in zip(rows, measured, strict=True)]


class _Letters:
    """Lines of text put together from letters that are drawn once: a line costs microseconds instead of a millisecond."""

    def __init__(self) -> None:
        from PIL import ImageFont

        self._font = ImageFont.load_default(_FONT_PX)
        self._drawn: dict[str, UInt8] = {}

    def line(self, text: str) -> UInt8:
        """A line of text, uint8 (_TEXT_ROWS, n), light on black."""
        return np.concatenate([self._letter(letter) for letter in text], axis=1)

    def _letter(self, letter: str) -> UInt8:
        from PIL import Image, ImageDraw

        if letter not in self._drawn:
            picture = Image.new("L", (max(1, round(self._font.getlength(letter))), _TEXT_ROWS))
            ImageDraw.Draw(picture).text((0, 3), letter, fill=_INK, font=self._font)
            self._drawn[letter] = np.asarray(picture)
        return self._drawn[letter]
