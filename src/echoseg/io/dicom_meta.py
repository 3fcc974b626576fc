"""What an ultrasound DICOM header says about size, time and view, and what of it can be believed."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from echoseg.cine import Spacing, View
from echoseg.io.gray import NO_FPS, plausible_fps

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_2D, _TISSUE, _CM = 1, 1, 3  # PS3.3 C.8.5.5.1: RegionSpatialFormat, RegionDataType, PhysicalUnits
_UNEVEN = 0.1
Box = tuple[float, float, float, float]
NO_ML = "volumes in mL cannot be given; give the pixel size with --spacing-mm"
# PS3.16 CID 12226, SNOMED CT and its retired RT codes.
_VIEW_CODES = {"399214001": View.A4C, "G-A19C": View.A4C, "399232001": View.A2C, "G-A19B": View.A2C}
_VIEW_TEXT = {
    View.A4C: re.compile(r"\b(?:a4c|ap4|ap4c|a4ch|4ch|apical[ -]?(?:4|four)|(?:4|four)[ -]?chambers?)(?![a-z0-9])"),
    View.A2C: re.compile(r"\b(?:a2c|ap2|ap2c|a2ch|2ch|apical[ -]?(?:2|two)|(?:2|two)[ -]?chambers?)(?![a-z0-9])"),
}
_NOT_APICAL = re.compile(r"subcostal|parasternal|suprasternal|short axis|\bpsax\b|\bplax\b")


@dataclass(frozen=True)
class Calibration:
    """Pixel size as far as it can be trusted."""

    spacing: Spacing | None = None
    aspect: float | None = None
    warnings: tuple[str, ...] = ()


def numbers(dataset: Dataset, keyword: str) -> tuple[float, ...]:
    """Finite values of an element; empty when it is missing, empty or not numeric."""
    try:
        value = dataset.get(keyword)
        values = [] if value is None else [value] if isinstance(value, (int, float, str)) else list(value)
        found = tuple(float(item) for item in values)
    except (ValueError, TypeError, ArithmeticError):
        return ()
    return found if all(math.isfinite(item) for item in found) else ()


def number(dataset: Dataset, keyword: str) -> float | None:
    """First value of an element, None when there is no usable one."""
    found = numbers(dataset, keyword)
    return found[0] if found else None


def calibration(dataset: Dataset, height: int, width: int) -> Calibration:
    """Pixel size from the ultrasound regions, or from the elements of other modalities where there are no regions."""
    regions = dataset.get("SequenceOfUltrasoundRegions") or ()
    if not regions:
        return _plain_calibration(dataset)
    tissue = [region for region in regions if _is_tissue_in_cm(region)]
    if not tissue:
        return Calibration(
            aspect=_aspect_ratio(dataset), warnings=(f"no region of the image is calibrated 2D tissue, {NO_ML}",)
        )
    placed = [(box, region) for region in tissue if (box := _box(region)) is not None]
    if not placed:
        return Calibration(
            aspect=_aspect(tissue[0]),
            warnings=(
                "the calibrated region does not say where in the image it lies, so that its calibration cannot be checked: "
                f"{NO_ML}",
            ),
        )
    (left, top, right, bottom), region = max(placed, key=lambda item: _area(item[0]))
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        return Calibration(
            aspect=_aspect(region),
            warnings=(
                f"the calibrated region ends at ({right:.0f}, {bottom:.0f}), outside the image of {width} x {height} pixels: "
                f"the image was resized or cropped after it was calibrated, {NO_ML}",
            ),
        )
    row_mm, col_mm = _size_mm(region)
    return Calibration(spacing=Spacing(row_mm=row_mm, col_mm=col_mm))


def tissue_box(dataset: Dataset, height: int, width: int) -> tuple[int, int, int, int] | None:
    """(top, left, bottom, right) of the largest region of 2D tissue, the last two exclusive; None where none lies in the image."""
    regions = [region for region in dataset.get("SequenceOfUltrasoundRegions") or () if _is_tissue(region)]
    boxes = [box for region in regions if (box := _box(region)) is not None]
    if not boxes:
        return None
    left, top, right, bottom = max(boxes, key=_area)
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        return None
    return int(top), int(left), min(int(bottom) + 1, height), min(int(right) + 1, width)


def _size_mm(region: Dataset) -> tuple[float, float]:
    """(row, col) size of a pixel of a calibrated region."""
    row_mm, col_mm = (abs(number(region, f"PhysicalDelta{axis}") or 0) * 10 for axis in "YX")
    return row_mm, col_mm


def _aspect(region: Dataset) -> float:
    row_mm, col_mm = _size_mm(region)
    return row_mm / col_mm


def _is_tissue(region: Dataset) -> bool:
    return number(region, "RegionSpatialFormat") == _2D and number(region, "RegionDataType") == _TISSUE


def _is_tissue_in_cm(region: Dataset) -> bool:
    return (
        _is_tissue(region)
        and number(region, "PhysicalUnitsXDirection") == number(region, "PhysicalUnitsYDirection") == _CM
        and bool(number(region, "PhysicalDeltaX"))
        and bool(number(region, "PhysicalDeltaY"))
    )


def _box(region: Dataset) -> Box | None:
    """(left, top, right, bottom) in pixels, None where it is not said.

    Makers disagree whether the last column is right or right - 1.
    """
    edges = ("MinX0", "MinY0", "MaxX1", "MaxY1")
    left, top, right, bottom = (number(region, f"RegionLocation{edge}") for edge in edges)
    if left is None or top is None or right is None or bottom is None:
        return None
    return left, top, right, bottom


def _area(box: Box) -> float:
    left, top, right, bottom = box
    return max(right - left, 0) * max(bottom - top, 0)


def _plain_calibration(dataset: Dataset) -> Calibration:
    for keyword in ("PixelSpacing", "NominalScannedPixelSpacing"):
        steps = numbers(dataset, keyword)
        if len(steps) == 2 and min(steps) > 0:
            return Calibration(spacing=Spacing(row_mm=steps[0], col_mm=steps[1]))
    return Calibration(aspect=_aspect_ratio(dataset), warnings=(f"the file holds no calibration, {NO_ML}",))


def _aspect_ratio(dataset: Dataset) -> float | None:
    """PixelAspectRatio is vertical size / horizontal size of a pixel."""
    ratio = numbers(dataset, "PixelAspectRatio")
    return ratio[0] / ratio[1] if len(ratio) == 2 and min(ratio) > 0 else None


def timing(dataset: Dataset, n_frames: int) -> tuple[float | None, tuple[str, ...]]:
    """Frame rate and what is to be said about it."""
    if n_frames == 1:
        return None, ()
    warnings: tuple[str, ...] = ()
    frame_ms = [number(dataset, "FrameTime")]
    steps_ms = numbers(dataset, "FrameTimeVector")[1:]  # the first entry is the time of the first frame, 0
    if frame_ms == [None] and steps_ms and min(steps_ms) > 0:
        frame_ms.append(sum(steps_ms) / len(steps_ms))
        if max(steps_ms) - min(steps_ms) > _UNEVEN * min(steps_ms):
            warnings = (
                f"frames follow each other after {min(steps_ms):g} to {max(steps_ms):g} ms; their mean is taken for all, "
                "give another rate with --fps",
            )
    frame_ms.append(number(dataset, "ActualFrameDuration"))
    rates = [1000 / step for step in frame_ms if step]
    rates += [rate for key in ("CineRate", "RecommendedDisplayFrameRate") if (rate := number(dataset, key))]
    for rate in rates:
        if (fps := plausible_fps(rate)) is not None:
            return fps, warnings
    return None, (NO_FPS,)


def r_waves(dataset: Dataset) -> tuple[float, ...]:
    """Times of the R-waves in seconds from the first frame."""
    return tuple(time_ms / 1000 for time_ms in numbers(dataset, "RWaveTimeVector") if time_ms >= 0)


def view(dataset: Dataset) -> View:
    """Apical view where a code or a text says it without doubt."""
    codes = dataset.get("ViewCodeSequence") or ()
    for item in codes:
        found = _VIEW_CODES.get(str(item.get("CodeValue", "")))
        if found is not None:
            return found
    texts = [str(item.get("CodeMeaning", "")) for item in codes]
    texts += [str(dataset.get(keyword, "")) for keyword in ("SeriesDescription", "ProtocolName", "ImageComments")]
    said = " | ".join(texts).lower().replace("_", " ")
    if _NOT_APICAL.search(said):
        return View.UNKNOWN
    matches = [view for view, pattern in _VIEW_TEXT.items() if pattern.search(said)]
    return matches[0] if len(matches) == 1 else View.UNKNOWN
