"""The volume of the ventricle over a cine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from echoseg.cine import CineMeta, Float64, Spacing
from echoseg.clinical.discs import MM3_PER_ML
from echoseg.clinical.frames import METHODS, SIMPSON_SINGLE_PLANE, FrameSeries, measure_frames
from echoseg.errors import InputError, UsageError

Unit = Literal["mL", "px3"]
AreaUnit = Literal["mm2", "px2"]


@dataclass(frozen=True, eq=False)
class VolumeCurve:
    """Volume of every frame, in mL where the pixel size is known and in cubic pixels where it is not.

    Attributes:
        values: float64 (T,), volume; NaN where a frame cannot be measured.
        unit: unit of the values.
        method: formula, e.g. "simpson_single_plane".
        areas: float64 (T,), area of the ventricle; 0 for an empty mask.
        lengths: float64 (T,), long axis in mm or px; NaN where there is none.
        area_unit: unit of the areas.
        times_s: float64 (T,), seconds from the first frame, None when the frame rate is unknown.
    """

    values: Float64
    unit: Unit
    method: str
    areas: Float64
    lengths: Float64
    area_unit: AreaUnit
    times_s: Float64 | None = None

    def __post_init__(self) -> None:
        for name in ("values", "areas", "lengths", "times_s"):
            array = getattr(self, name)
            if array is None:
                continue
            array = np.asarray(array, np.float64).view()
            if array.ndim != 1 or len(array) != len(self.values):
                raise InputError(f"{name} of shape {array.shape} for {len(self.values)} volumes; need one per frame")
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        if len(self.values) < 1:
            raise InputError("volume curve without a frame; segment at least one")
        if np.isinf(self.values).any() or (self.values < 0).any():
            raise InputError("volumes must be positive, or NaN where a frame cannot be measured")
        if (self.unit == "mL") != (self.area_unit == "mm2"):
            raise InputError(f"volumes in {self.unit} with areas in {self.area_unit}; use mL with mm2 or px3 with px2")

    def __len__(self) -> int:
        return len(self.values)


def spacing_to_measure(meta: CineMeta) -> Spacing:
    """Pixel size to measure with: the cine's own, else one pixel.

    Raises:
        InputError: pixels are known not to be square and their size is not known; even an ejection fraction would be wrong.
    """
    if meta.spacing is not None:
        return meta.spacing
    if not meta.square_pixels:
        raise InputError(
            f"{meta.source}: pixels are not square (rows / columns = {meta.aspect:.3g}) and their size is unknown, so that "
            "neither volume nor ejection fraction can be measured; give the pixel size with --spacing-mm"
        )
    return Spacing(1.0, 1.0)


def curve_of(series: FrameSeries, meta: CineMeta, method: str) -> VolumeCurve:
    """Volume curve of frames that were measured with `spacing_to_measure(meta)`.

    Raises:
        UsageError: the method is none of `METHODS`.
    """
    if method not in METHODS:
        raise UsageError(f"volume method {method!r} is unknown; choose one of {', '.join(METHODS)}")
    calibrated = meta.spacing is not None
    values = series.volume_ml(method)
    return VolumeCurve(
        values=values if calibrated else values * MM3_PER_ML,
        unit="mL" if calibrated else "px3",
        method=method,
        areas=series.area_mm2,
        lengths=series.length_mm,
        area_unit="mm2" if calibrated else "px2",
        times_s=None if meta.fps is None else np.arange(len(values)) / meta.fps,
    )


def volume_curve(masks: Iterable[NDArray[np.uint8]], meta: CineMeta, method: str = SIMPSON_SINGLE_PLANE) -> VolumeCurve:
    """Volume of the left ventricle in every frame.

    Args:
        masks: label masks (H, W) of all frames, at the size that the cine's spacing belongs to.
        meta: the cine; without its spacing the curve is in cubic pixels.
        method: "simpson_single_plane" or "area_length".

    Example:
        >>> y, x = np.mgrid[0:112, 0:112]
        >>> masks = [(((y - 56) / 45) ** 2 + ((x - 56) / r) ** 2 <= 1).astype(np.uint8) for r in (25, 20, 17)]
        >>> meta = CineMeta("demo", 112, 112, 3, fps=50.0, spacing=Spacing(1.0, 1.0))
        >>> curve = volume_curve(masks, meta)
        >>> curve.unit, [round(float(v)) for v in curve.values]
        ('mL', [117, 75, 54])
    """
    return curve_of(measure_frames(masks, spacing_to_measure(meta)), meta, method)
