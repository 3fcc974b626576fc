"""The moving heart of one cine: geometry only, no ultrasound."""

from __future__ import annotations

import numpy as np

from echoseg.cine import Float64
from echoseg.simulator.anatomy import LeftVentricle, atrium_outline
from echoseg.simulator.deformation import TissueMotion
from echoseg.simulator.geometry import Pose
from echoseg.simulator.motion import VolumeCurve
from echoseg.simulator.patient import Patient, ViewGeometry

Outlines = tuple[Float64, Float64, Float64]


class Heart:
    """Left ventricle, atrium, valve and pose on every frame."""

    def __init__(
        self,
        patient: Patient,
        geometry: ViewGeometry,
        curve: VolumeCurve,
        times_s: Float64,
        a4c: ViewGeometry | None = None,
    ) -> None:
        """Compute the motion at all frame times (T,); `a4c` as in `LeftVentricle`."""
        self.geometry = geometry
        self.volume_ml = curve.volume_ml(times_s)
        self.lv = LeftVentricle(patient, geometry, self.volume_ml, a4c)
        self.opening = curve.mitral_opening(times_s)
        self.poses = [Pose.at(geometry, float(time)) for time in times_s]
        self.rest_pose = Pose(geometry.apex_x_mm, geometry.apex_z_mm, geometry.tilt_rad)
        outline = atrium_outline(self.lv, geometry)
        roof_q = self.lv.rest_length + geometry.atrium_height_mm
        self._atrium = TissueMotion(self.lv, outline[:, 0], outline[:, 1], roof_q)
        self._epi = self.lv.epi

    def outlines(self, frame: int) -> Outlines:
        """Endocardium, epicardium and atrium on a frame, (M, 2) points (x, z) of the sector.

        The atrium begins and ends on the hinges of the mitral valve, so that it shares the mitral plane with the ventricle.
        """
        endo = self.lv.endo[frame]
        atrium = np.stack(self._atrium.at(frame), axis=-1).astype(np.float64)
        atrium[0], atrium[-1] = endo[0], endo[-1]
        pose = self.poses[frame]
        endo_xz, epi_xz, atrium_xz = (
            np.stack(pose.to_sector(points[:, 0], points[:, 1]), axis=-1) for points in (endo, self._epi[frame], atrium)
        )
        return endo_xz, epi_xz, atrium_xz
