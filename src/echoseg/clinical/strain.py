"""Contour strain: how much the ventricle's contour shortens within a beat, from masks alone.

    strain(t) = 100 (l(t) - l(ED)) / l(ED)        l the length of the contour, ED that of the beat that the frame lies in

The endocardium runs from one hinge of the mitral annulus over the apex to the other; the middle of the wall lies halfway between it
and the epicardium. A mask has no material points: a segment is what of a wall lies in a third of its height in that frame, so that its
strain tells shortening and shape of that third. It is neither speckle tracking nor to be compared with reference values of that.

Which wall is which cannot be told from the mask of a left ventricle. Without a word about the display, walls bear the name of the
side of the image on which they lie. On a standard display (Lang et al. 2015) the septum lies on the left of the four-chamber view
and the inferior wall on the left of the two-chamber view; on a mirrored one on the right.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from echoseg.cine import Float64, Segmentation, View
from echoseg.clinical.axis import Vector
from echoseg.clinical.beats import Beat
from echoseg.clinical.curve import spacing_to_measure
from echoseg.clinical.measures import ContourStrain, Measured
from echoseg.clinical.per_beat import PERCENT, Number, beat_frames
from echoseg.clinical.wall import Wall, find_wall, run_of
from echoseg.errors import GeometryError, UsageError

Display = Literal["standard", "mirrored"]
CONTOUR_STRAIN = "contour_strain"
N_SEGMENTS = 6
_LEVELS = ("basal", "mid", "apical")
_UNKNOWN_WALLS = (("left", "left"), ("right", "right"))
_WALLS = {
    View.A4C: (("inferoseptal", "septal"), ("anterolateral", "lateral")),
    View.A2C: (("inferior", "inferior"), ("anterior", "anterior")),
}
"""Walls on the left and on the right of a standard display: the name of basal and mid segments, and that of the apical one."""


@dataclass(frozen=True, eq=False)
class WallLengths:
    """Lengths of the contours of one frame, mm.

    Attributes:
        endocardium: from hinge to hinge.
        segments: float64 (6,), basal, mid and apical of the first wall, then apical, mid and basal of the second.
        middle: of the wall, NaN without a myocardium.
    """

    endocardium: float
    segments: Float64
    middle: float

    @classmethod
    def of(cls, wall: Wall) -> WallLengths:
        """Lengths of a wall."""
        arc, middle = wall.endocardium.arc, wall.middle
        return cls(
            float(run_of(arc)[-1]),
            segment_lengths(arc, wall.endocardium.axis.to_base),
            float(run_of(middle)[-1]) if middle is not None else np.nan,
        )


def segment_lengths(arc: Float64, to_base: Vector) -> Float64:
    """Lengths of the six segments of an arc, see `WallLengths.segments`.

    The walls part at the apex, the point farthest from the base. Each is cut at a third and at two thirds of its own height.

    Example:
        Two straight walls, 3 high and 1 apart:

        >>> arc = np.array([[3.0, 0.0], [0.0, 0.0], [0.0, 0.5], [0.0, 1.0], [3.0, 1.0]])
        >>> segment_lengths(arc, (1.0, 0.0)).tolist()
        [1.0, 1.0, 1.0, 2.0, 1.0, 1.0]
    """
    height = -(arc @ np.array(to_base))
    apex = int(height.argmax())
    if not 0 < apex < len(arc) - 1:
        raise GeometryError("contour whose apex is one of its hinges; the mask has no shape of a ventricle")
    first = _thirds(arc[apex::-1], height[apex::-1])
    second = _thirds(arc[apex:], height[apex:])
    return np.concatenate([first[::-1], second])


def _thirds(wall: Float64, height: Float64) -> Float64:
    """Apical, mid and basal length of a wall that is given from the apex to its hinge."""
    run = run_of(wall)
    depth = np.maximum.accumulate(height[0] - height)  # a wall that bulges back is not cut twice
    cuts = np.interp(np.array([1, 2]) / 3 * depth[-1], depth, run)
    return np.diff(np.concatenate([[0.0], cuts, run[-1:]]))


def segment_names(view: View, display: Display | None, *, first_is_left: bool) -> tuple[str, ...]:
    """Names of the six segments.

    Args:
        view: apical view.
        display: how the view is shown, None where nobody said.
        first_is_left: whether the first wall of the arc lies on the left of the image.

    Example:
        >>> segment_names(View.A4C, "standard", first_is_left=True)[:4]
        ('basal_inferoseptal', 'mid_inferoseptal', 'apical_septal', 'apical_lateral')
        >>> segment_names(View.A4C, None, first_is_left=True)[2:4]
        ('apical_left', 'apical_right')
    """
    walls = _WALLS.get(view) if display is not None else None
    first_comes_first = first_is_left != (walls is not None and display == "mirrored")
    one, two = walls or _UNKNOWN_WALLS
    walls = (one, two) if first_comes_first else (two, one)
    first, second = ([f"{level}_{wall[level == 'apical']}" for level in _LEVELS] for wall in walls)
    return (*first, *second[::-1])


def contour_strain(
    segmentation: Segmentation, beats: Sequence[Beat], towards_base: Vector | None, display: Display | None = None
) -> ContourStrain | None:
    """Contour strain of every frame that lies in a beat.

    Args:
        segmentation: masks of every frame.
        beats: its beats.
        towards_base: vector (y, x) that points roughly to the base.
        display: how the view is shown, None where nobody said.

    Returns:
        Strain, or None without a beat whose end-diastole has a contour.
    """
    if display is not None and display not in get_args(Display):
        raise UsageError(f"display {display!r} is unknown; choose one of {', '.join(get_args(Display))}")
    n_frames, found = len(segmentation.masks), _Lengths(segmentation, towards_base)
    rows = np.full((n_frames, N_SEGMENTS + 2), np.nan)
    for beat in beats:
        reference = found.row(beat.ed_frame)
        for frame in beat_span(beat):
            rows[frame] = 100 * (found.row(frame) / reference - 1)
    if np.isnan(rows[:, 0]).all():
        return None
    first_is_left = towards_base is None or towards_base[0] >= 0
    names = segment_names(segmentation.meta.view, display, first_is_left=first_is_left)
    middle = rows[:, -1]
    return ContourStrain(rows[:, 0], rows[:, 1:-1].T, names, None if np.isnan(middle).all() else middle)


class _Lengths:
    """Lengths of frames, each measured once."""

    def __init__(self, segmentation: Segmentation, towards_base: Vector | None) -> None:
        self._masks, self._spacing = segmentation.masks, spacing_to_measure(segmentation.meta)
        self._towards_base = towards_base
        self._rows: dict[int, Float64] = {}

    def row(self, frame: int) -> Float64:
        """Endocardium, six segments and middle, mm; NaN where there is no wall."""
        if frame not in self._rows:
            self._rows[frame] = self._measured(frame)
        return self._rows[frame]

    def _measured(self, frame: int) -> Float64:
        try:
            wall = find_wall(self._masks[frame], self._spacing, self._towards_base)
            lengths = WallLengths.of(wall)
        except GeometryError:
            return np.full(N_SEGMENTS + 2, np.nan)
        return np.array([lengths.endocardium, *lengths.segments, lengths.middle])


def beat_span(beat: Beat) -> range:
    """Frames of a beat: up to the one before the next begins, or from ED to ES of an incomplete one."""
    if beat.next_ed_frame is not None:
        return range(beat.ed_frame, beat.next_ed_frame)
    return range(min(beat_frames(beat)), max(beat_frames(beat)) + 1)


def strain_numbers(strain: ContourStrain | None, beat: Beat) -> Iterator[Number]:
    """End-systolic strain of a beat, negative where the contour shortens."""
    if strain is None:
        return
    rows = {"gcs_endo": strain.global_percent}
    if strain.mid_percent is not None:
        rows["gcs_mid"] = strain.mid_percent
    rows |= {f"strain_{name}": row for name, row in zip(strain.names, strain.segments_percent, strict=True)}
    for key, row in rows.items():
        value = float(row[beat.es_frame])
        if np.isfinite(value):
            yield key, Measured(value, PERCENT, CONTOUR_STRAIN, beat_frames(beat))
