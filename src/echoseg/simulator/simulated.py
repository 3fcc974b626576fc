"""What the simulator returns: a cine, and everything that is true about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from echoseg.cine import Cine, CineMeta, Float32, Float64, Instant, Spacing, UInt8, View
from echoseg.simulator.geometry import Mask
from echoseg.simulator.patient import Patient

CLEAR_FROM = 0.8
"""Frames with at least this visibility are clear; the others are dropout frames."""


@dataclass(frozen=True, eq=False)
class SimulatedCine:
    """A cine, and everything that is true about it.

    Attributes:
        frames: uint8 (T, H, W).
        labels: uint8 (T, H, W), `Structure` values on every frame.
        volume_ml: (T,) true volume of the left ventricle.
        times_s: (T,) time of the frames.
        ed_frame: frame that a doctor would label as end-diastole.
        es_frame: frame that a doctor would label as end-systole; it may come before `ed_frame`.
        spacing: pixel size.
        contours_mm: (T, M, 2) endocardium as (y_mm, x_mm) from the centre of the upper left pixel: septal annulus, apex,
            lateral annulus; the mitral plane closes it. It may leave the sector, the labels do not.
        visibility: (T,) share of the endocardium that can be seen, 0..1: acoustic losses (shadows, closed windows) and the border of the
            sector take from it, weak echoes do not.
        inside_sector: bool (H, W), pixels that show anything.
        r_waves_s: times of the R-waves within the cine.
        fps: frames per second.
        view: A4C or A2C.
        seed: seed of the patient.
        preset: name of the preset.
        style: name of the scanner's style.
        patient: the patient.
    """

    frames: UInt8
    labels: UInt8
    volume_ml: Float64
    times_s: Float64
    ed_frame: int
    es_frame: int
    spacing: Spacing
    contours_mm: Float64
    visibility: Float32
    inside_sector: Mask
    r_waves_s: tuple[float, ...]
    fps: float
    view: View
    seed: int
    preset: str
    style: str
    patient: Patient

    @property
    def edv_ml(self) -> float:
        """True volume at the labelled end-diastole."""
        return float(self.volume_ml[self.ed_frame])

    @property
    def esv_ml(self) -> float:
        """True volume at the labelled end-systole."""
        return float(self.volume_ml[self.es_frame])

    @property
    def ef_percent(self) -> float:
        """True ejection fraction between the labelled frames."""
        return 100 * (1 - self.esv_ml / self.edv_ml)

    def to_cine(self, labelled: Literal["edes", "all"] = "edes") -> Cine:
        """The cine as a reader would give it, with the masks of ED and ES or of all frames."""
        frames = range(len(self.frames)) if labelled == "all" else (self.ed_frame, self.es_frame)
        height, width = self.frames.shape[1:]
        return Cine(
            meta=CineMeta(
                source=f"simulation {self.seed} ({self.preset}, {self.view.value})",
                height=height,
                width=width,
                n_frames=len(self.frames),
                fps=self.fps,
                spacing=self.spacing,
                view=self.view,
                r_waves_s=self.r_waves_s,
            ),
            frames=self.frames,
            masks={frame: self.labels[frame] for frame in frames},
            instants={Instant.ED: self.ed_frame, Instant.ES: self.es_frame},
        )
