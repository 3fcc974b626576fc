"""Volume of the left atrium from one apical view: largest at the end of systole, smallest at the end of diastole.

By discs, and by area-length beside it, both of one view (Lang et al. 2015; the biplane volume of a study is in `biplane.py`). An atrium
that is cut off by the edge of the image is not measured: nothing is known of what lies beyond.
"""

from __future__ import annotations

from collections.abc import Iterator

from echoseg.clinical.beats import Beat
from echoseg.clinical.chamber import Chamber, ChamberShape
from echoseg.clinical.frames import AREA_LENGTH, SIMPSON_SINGLE_PLANE
from echoseg.clinical.measures import Measured
from echoseg.clinical.per_beat import Number


def atrium_numbers(atrium: Chamber, beat: Beat) -> Iterator[Number]:
    """Largest and smallest atrial volume of a beat, mL; nothing where the atrium is missing or cut off.

    Args:
        atrium: the atrium, measured with a known pixel size.
        beat: the beat.
    """
    for key, frame in (("la_volume_max", beat.es_frame), ("la_volume_min", beat.ed_frame)):
        shape = atrium.at(frame)
        if shape is None or is_cut_off(shape):
            continue
        yield key, Measured(shape.simpson_ml, "mL", SIMPSON_SINGLE_PLANE, (frame,))
        yield f"{key}_area_length", Measured(shape.area_length_ml, "mL", AREA_LENGTH, (frame,))


def is_cut_off(shape: ChamberShape) -> bool:
    """Whether the image ends within the chamber."""
    return shape.figure.outline.touches_edge


def cut_off_frames(atrium: Chamber, frames: list[int]) -> list[int]:
    """Frames in which the atrium is cut off by the edge of the image."""
    return [frame for frame in frames if (shape := atrium.at(frame)) is not None and is_cut_off(shape)]
