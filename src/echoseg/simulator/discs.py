"""The left ventricle as a stack of elliptic discs on its long axis, solved so that it holds a given volume.

Half a diameter of a disc in a view is profile (stiff rest + (1 - stiff) r) - narrow L, with the radius r of a freely moving disc of
profile 1, the radius at rest, the length L of the long axis, and what the septal bulge takes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from echoseg.cine import Float64
from echoseg.simulator.patient import Patient, ViewGeometry, waves

_N_DISCS = 400


def profile_at(patient: Patient, geometry: ViewGeometry, along: Float64) -> Float64:
    """Half diameters relative to the radius, at places 0 (apex) to 1 (annulus): an egg, a little irregular."""
    ellipse = np.sqrt(np.clip(1 - ((along - patient.widest) / patient.widest) ** 2, 0, 1))
    shape = (1 + patient.egg * (along - 0.5)) * (1 + waves(geometry.profile_waves, along))
    return np.asarray(ellipse * shape, dtype=np.float64)


def bulge_at(geometry: ViewGeometry, along: Float64) -> Float64:
    """How far the septum bulges into the cavity at places 0 (apex) to 1 (annulus), as a part of the long axis."""
    return np.asarray(geometry.septal_bulge * np.exp(-0.5 * ((along - 0.85) / 0.08) ** 2), dtype=np.float64)


def stiffness_at(geometry: ViewGeometry, n_points: int) -> Float64:
    """Part of the inward motion that is lost, along a contour (n_points,) from the septal to the lateral annulus."""
    segment = geometry.hypokinesia
    if segment is None:
        return np.zeros(n_points)
    place = np.linspace(0, 1, n_points)
    return segment.loss * np.exp(-0.5 * ((place - segment.place) / segment.width) ** 2)


@dataclass(frozen=True)
class Solution:
    """A ventricle at T states, of which the last is the state of rest.

    Attributes:
        length: (T,) true long axis, mm.
        radius: (T,) radius of a freely moving disc of profile 1, mm.
        rest_radius: the same at rest.
        emptied: (T,) ejected part of the stroke volume.
    """

    length: Float64
    radius: Float64
    rest_radius: float
    emptied: Float64


class Discs:
    """The discs as one view cuts them."""

    def __init__(self, patient: Patient, geometry: ViewGeometry, along: Float64) -> None:
        """Cut the ventricle of a patient.

        Args:
            patient: as examined, not yet `in_view`.
            geometry: the view.
            along: (M,) places of the contour's points, 0 at the apex and 1 at both ends.
        """
        self.patient = patient.in_view(geometry.view)
        self._place = (np.arange(_N_DISCS) + 0.5) / _N_DISCS
        self._profile = profile_at(self.patient, geometry, self._place)
        apex, stiffness = len(along) // 2, stiffness_at(geometry, len(along))
        septal = np.interp(self._place, along[: apex + 1][::-1], stiffness[: apex + 1][::-1])
        lateral = np.interp(self._place, along[apex:], stiffness[apex:])
        self._stiff = 0.5 * (septal + lateral)
        # the bulge of one wall takes half of its height from half a diameter
        self._narrow = 0.5 * bulge_at(geometry, self._place) * geometry.bulge_balanced

    def alone(self, volumes_ml: Float64) -> Solution:
        """The ventricle whose discs keep their ratio of diameters everywhere: V = pi k L mean(half^2); volumes (T,), the last at rest."""
        patient, profile, stiff, narrow = self.patient, self._profile, self._stiff, self._narrow
        slenderness, roundness = patient.length_to_diameter, patient.roundness
        full_mm3 = 1e3 * patient.edv_ml
        rest_half = profile - 2 * slenderness * narrow  # relative to the radius at rest
        rest_radius = float(np.cbrt(full_mm3 / (2 * np.pi * roundness * slenderness * np.mean(rest_half**2))))
        stroke = patient.edv_ml * patient.ef_percent / 100
        emptied = np.clip((patient.edv_ml - volumes_ml) / stroke, -0.3, 1.3)
        length = 2 * rest_radius * slenderness * (1 - patient.longitudinal_strain * emptied)
        # mean(half^2) = square r^2 + linear r + constant
        lost = length / rest_radius
        square = np.mean((profile * (1 - stiff)) ** 2)
        linear = np.mean(profile**2 * stiff * (1 - stiff)) - lost * np.mean(profile * (1 - stiff) * narrow)
        linear = 2 * rest_radius * linear
        constant = np.mean((profile * stiff) ** 2) - 2 * lost * np.mean(profile * stiff * narrow)
        constant = rest_radius**2 * (constant + lost**2 * np.mean(narrow**2))
        wanted = 1e3 * volumes_ml / (np.pi * roundness * length)
        root = np.sqrt(np.maximum(linear**2 - 4 * square * (constant - wanted), 0))
        return Solution(length, (root - linear) / (2 * square), rest_radius, emptied)

    def beside(self, other: Discs, volumes_ml: Float64) -> Solution:
        """The ventricle whose discs have the diameters of `other`, a view across this one, in the other direction.

        V = pi L mean(half other half): biplane summation of discs gives the volume even where an infarct or the bulge makes the
        diameters of the two views unlike, and both views show the same long axis.
        """
        solved = other.alone(volumes_ml)
        across = other._halves(solved)  # (T, discs)
        length = solved.length
        wanted = 1e3 * volumes_ml / (np.pi * length) + length * np.mean(across * self._narrow, axis=-1)
        rest_radius = float(wanted[-1] / np.mean(across[-1] * self._profile))
        held = rest_radius * np.mean(across * self._profile * self._stiff, axis=-1)
        radius = (wanted - held) / np.mean(across * self._profile * (1 - self._stiff), axis=-1)
        return Solution(length, radius, rest_radius, solved.emptied)

    def _halves(self, solved: Solution) -> Float64:
        """Half diameters (T, discs)."""
        radii = solved.rest_radius * self._stiff + solved.radius[:, None] * (1 - self._stiff)
        return np.asarray(self._profile * radii - self._narrow * solved.length[:, None], dtype=np.float64)
