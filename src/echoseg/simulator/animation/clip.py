"""Two labelled stills, end-diastole and end-systole, as a clip of the beat between them.

The result is semi-synthetic: real gray values, moved and mixed as no scanner did.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from echoseg.cine import Cine, CineMeta, Float64, Instant, Spacing, UInt8, View
from echoseg.errors import InputError, UsageError
from echoseg.simulator.animation.blend import Blender, Mixture, Stills
from echoseg.simulator.animation.contours import HeartArcs, divide, heart_arcs, match_points, reach
from echoseg.simulator.animation.flow import make_flow
from echoseg.simulator.animation.masks import MaskBlender
from echoseg.simulator.motion import HeartBeat, VolumeCurve
from echoseg.simulator.patient import Rhythm

Beat = Literal["half", "whole"]

SEMI_SYNTHETIC = "semi-synthetic"
_RR_S = 60 / 70
"""Beat whose volume curve is stretched to the length that is asked for."""
_TABLE = 65
_N_PLANE = 12
_VALVE_PART = 0.3
"""Part of the ejection in which the mitral valve has shut, and of the filling in which it has opened."""


@dataclass(frozen=True, eq=False)
class AnimatedClip:
    """A semi-synthetic clip.

    Attributes:
        frames: uint8 (T, H, W); `ed_frame`, `es_frame` and the last frame are the stills, bit for bit.
        labels: uint8 (T, H, W), `Structure` values on every frame; on those frames the stills' own masks.
        ed_frame: 0.
        es_frame: the end-systolic still; the last frame of a half beat.
        fps: frames per second.
        phases: (T,) how far each frame is moved from end-diastole (0) to end-systole (1).
        least_jacobian: smallest area factor of the motion; positive, so nothing folds.
        spacing: pixel size, if the stills have one.
    """

    frames: UInt8
    labels: UInt8
    ed_frame: int
    es_frame: int
    fps: float
    phases: Float64
    least_jacobian: float
    spacing: Spacing | None = None

    def to_cine(self, source: str, labelled: Literal["edes", "all"] = "edes", view: View = View.UNKNOWN) -> Cine:
        """The clip as a reader would give it; its source says that it is semi-synthetic."""
        frames = range(len(self.frames)) if labelled == "all" else (self.ed_frame, self.es_frame)
        height, width = self.frames.shape[1:]
        return Cine(
            CineMeta(
                f"{SEMI_SYNTHETIC}: {source}", height, width, len(self.frames), fps=self.fps, spacing=self.spacing, view=view
            ),
            self.frames,
            {frame: self.labels[frame] for frame in frames},
            {Instant.ED: self.ed_frame, Instant.ES: self.es_frame},
        )  # fmt: skip


@dataclass(frozen=True)
class ClipMotion:
    """How a clip moves.

    Attributes:
        n_frames: frames from ED to ES, both included; None = as many as `ejection_s` and `fps` ask for.
        fps: frames per second.
        ejection_s: time from end-diastole to end-systole.
        beat: "half": ED to ES; "whole": on to the next ED, which is the same still again.
        sway_px: how far the heart drifts aside and comes back, as in breathing, pixels.
    """

    n_frames: int | None = None
    fps: float = 50.0
    ejection_s: float = 0.31
    beat: Beat = "half"
    sway_px: float = 0.0

    def __post_init__(self) -> None:
        if self.beat not in ("half", "whole"):
            raise UsageError(f"beat {self.beat!r}: choose half or whole")
        if self.n_frames is not None and self.n_frames < 2:
            raise UsageError(f"n_frames={self.n_frames}: a clip holds at least ED and ES")
        if not (self.fps > 0 and self.ejection_s > 0 and self.sway_px >= 0):
            raise UsageError(
                f"fps={self.fps}, ejection_s={self.ejection_s}, sway_px={self.sway_px}: give positive numbers"
            )

    @property
    def half(self) -> int:
        """Frames from ED to ES."""
        return max(2, round(self.ejection_s * self.fps) + 1) if self.n_frames is None else self.n_frames


@dataclass(frozen=True, eq=False)
class _Timeline:
    """What every frame of a clip is made of.

    Attributes:
        emptied: (T,) part of the stroke volume that has left the ventricle.
        shares: (T,) of the end-systolic still in the mixture: it grows evenly in time, so that the speckle changes evenly.
        valve_shares: (T,) the same around the mitral valve.
        es_frame: the end-systolic still.
    """

    emptied: Float64
    shares: Float64
    valve_shares: Float64
    es_frame: int


def animate(
    ed: UInt8,
    ed_mask: UInt8,
    es: UInt8,
    es_mask: UInt8,
    *,
    motion: ClipMotion | None = None,
    seed: int = 0,
    spacing: Spacing | None = None,
) -> AnimatedClip:
    """Make a clip of two labelled stills of one heart; the same arguments give the same bytes.

    Args:
        ed: end-diastolic still, uint8 (H, W).
        ed_mask: its labels, uint8 (H, W); at least the ventricle.
        es: end-systolic still.
        es_mask: its labels.
        motion: length and timing; 50 frames per second from ED to ES in 0.31 s if None.
        seed: of the direction of the sway.
        spacing: pixel size; None = unknown, pixels are taken as square.

    Raises:
        InputError: the four arrays are not of one size, or a mask shows no ventricle.
    """
    motion = motion or ClipMotion()
    _check(ed, ed_mask, es, es_mask)
    aspect = 1.0 if spacing is None else spacing.row_mm / spacing.col_mm
    ed_arcs, es_arcs = heart_arcs(ed_mask, aspect, "ED mask"), heart_arcs(es_mask, aspect, "ES mask")
    length = max(reach(ed_arcs.endo), reach(es_arcs.endo))
    flow = make_flow((ed.shape[0], ed.shape[1]), aspect, *match_points(ed_arcs, es_arcs), length)
    planes = np.stack([divide(arcs.plane, _N_PLANE) for arcs in (ed_arcs, es_arcs)])
    blender, masks = Blender(Stills(ed, es, flow, planes, length)), MaskBlender(ed_mask, es_mask, flow)
    timeline = _timeline(motion)
    phases = phases_of_volume(ed_arcs, es_arcs, timeline.emptied)
    angle = 2 * np.pi * np.random.default_rng(seed).random()
    sway = motion.sway_px * np.sin(np.pi * timeline.shares) ** 2
    frames, labels = [], []
    for phase, share, valve_share, away in zip(phases, timeline.shares, timeline.valve_shares, sway, strict=True):
        if share in (0, 1):
            frames.append(es if share else ed)
            labels.append(es_mask if share else ed_mask)
            continue
        shift = float(away * np.sin(angle)), float(away * np.cos(angle))
        frames.append(blender.frame(Mixture(float(phase), float(share), float(valve_share), shift)))
        labels.append(masks.mask(float(phase), shift))
    return AnimatedClip(
        frames=np.stack(frames),
        labels=np.stack(labels),
        ed_frame=0,
        es_frame=timeline.es_frame,
        fps=motion.fps,
        phases=phases,
        least_jacobian=flow.least_jacobian(),
        spacing=spacing,
    )


def phases_of_volume(ed: HeartArcs, es: HeartArcs, emptied: Float64) -> Float64:
    """Phases at which the outlines have lost given parts of the stroke volume.

    Volumes are 8 A^2 / (3 pi L) of the outline on its way (area-length method). Where it does not shrink all the way, a phase is the part itself.
    """
    points = [np.concatenate([divide(arcs.endo, _TABLE), divide(arcs.plane, _TABLE)[1:-1]]) for arcs in (ed, es)]
    table = np.linspace(0, 1, _TABLE)
    volumes = np.array([_volume((1 - s) * points[0] + s * points[1]) for s in table])
    lost = (volumes - volumes[0]) / (volumes[-1] - volumes[0]) if volumes[-1] != volumes[0] else table
    if np.any(np.diff(lost) <= 0):
        return emptied.copy()
    return np.asarray(np.interp(emptied, lost, table), dtype=np.float64)


def _volume(outline: Float64) -> float:
    """Area-length volume of an endocardium and its plane, up to a constant factor."""
    y, x = outline.T
    area = 0.5 * abs(float(np.sum(y * np.roll(x, -1) - x * np.roll(y, -1))))
    return area**2 / reach(outline[:_TABLE])


def _timeline(motion: ClipMotion) -> _Timeline:
    """Frames at equal steps of time along the simulator's own volume curve, stretched to the ejection time that is asked for."""
    beat = HeartBeat(0.0, _RR_S, 1.0, 0.0)
    curve = VolumeCurve((beat, HeartBeat(_RR_S, _RR_S, 1.0, 0.0)), Rhythm.SINUS)
    es_s = float(beat.phases_s[:2].sum())
    shares = np.linspace(0, 1, motion.half)
    times, valve = shares * es_s, np.minimum(1, shares / _VALVE_PART)
    if motion.beat == "whole":
        filling = max(2, round((motion.half - 1) * (_RR_S - es_s) / es_s))
        back = np.linspace(1, 0, filling + 1)[1:]
        times = np.append(times, _RR_S - back * (_RR_S - es_s))
        shares, valve = np.append(shares, back), np.append(valve, np.maximum(0, 1 - (1 - back) / _VALVE_PART))
    emptied = np.clip(1 - curve.volume_ml(times), 0, 1)
    at_still = (shares == 0) | (shares == 1)
    emptied[at_still] = shares[at_still]
    return _Timeline(emptied, shares, valve, motion.half - 1)


def _check(ed: UInt8, ed_mask: UInt8, es: UInt8, es_mask: UInt8) -> None:
    for name, array in (("ED still", ed), ("ED mask", ed_mask), ("ES still", es), ("ES mask", es_mask)):
        if array.dtype != np.uint8 or array.shape != ed.shape or array.ndim != 2:
            raise InputError(
                f"{name}: {array.dtype} {array.shape}; both stills and both masks must be uint8 of one size (H, W)"
            )
