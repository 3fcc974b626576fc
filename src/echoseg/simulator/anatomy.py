"""What lies in the sector: left ventricle, its wall, the atria, the right ventricle and the valves.

Points are (p, q) in mm in the heart's frame (see `geometry.Pose`). Contours of the left ventricle run from the septal annulus
over the apex to the lateral annulus and are not closed: the mitral plane is the straight line between the ends.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from echoseg.cine import Float64
from echoseg.simulator.discs import Discs, bulge_at, profile_at, stiffness_at
from echoseg.simulator.patient import Patient, ViewGeometry, Waves, waves

N_CONTOUR = 161
"""Points of a contour; the apex is the middle one."""
_APEX = N_CONTOUR // 2
_THIN_MM = 4.0
"""Added to the radius in the wall's volume balance, so that the apex, where the radius is 0, stays finite."""


def _derivative(points: Float64) -> Float64:
    return np.asarray(np.gradient(points, axis=-2), dtype=np.float64)


def _outward(points: Float64) -> Float64:
    """Unit normals (..., M, 2), smoothed along the contour."""
    tangent = gaussian_filter1d(_derivative(points), 4, axis=-2, mode="nearest")
    normal = np.stack([tangent[..., 1], -tangent[..., 0]], axis=-1)
    return np.asarray(normal / (np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-9), dtype=np.float64)


def revolved_mm3(contour: Float64) -> Float64:
    """Volume (...) between the axis p = 0 and a contour (..., M, 2) revolved about it, mean of both sides."""
    p, q = contour[..., 0], contour[..., 1]
    area = np.pi * (0.5 * (p[..., 1:] + p[..., :-1])) ** 2
    step = np.diff(q, axis=-1)
    return np.asarray(0.5 * np.sum(area * np.concatenate([-step[..., :_APEX], step[..., _APEX:]], axis=-1), axis=-1))


_BALANCE = 0.65
"""Exponent of the correction of the wall's thickness: its volume grows with the thickness to a power between 1 (thin) and 2 (thick)."""


class LeftVentricle:
    """The cavity and its wall at given volumes.

    The cavity is a stack of elliptic discs on the long axis (`Discs`), so that the disc summation of the (unforeshortened) contour is the
    volume itself. The wall keeps its volume: where the
    cavity shrinks and shortens, it thickens. Foreshortening changes in proportion to what the ventricle has ejected: the heart
    twists and descends through an image plane that stays.

    Attributes:
        endo: (T, M, 2) cavity contour.
        thickness: (T, M) wall thickness along the normal.
        normal: (T, M, 2) outward unit normals.
        length: (T,) apparent length apex to annulus.
        radius: (T,) radius of a freely moving disc of profile 1.
        emptied: (T,) ejected part of the stroke volume.
        rest_endo, rest_thickness, rest_normal, rest_length: the same at end-diastole.
        widest: place of the largest diameter, 0 apex to 1 annulus.
    """

    def __init__(
        self, patient: Patient, geometry: ViewGeometry, volume_ml: Float64, a4c: ViewGeometry | None = None
    ) -> None:
        """Shape the ventricle so that it holds `volume_ml` (T,).

        Args:
            patient: the patient.
            geometry: the view.
            volume_ml: volume at each instant.
            a4c: the A4C view of a ventricle that is seen in A2C: the diameters of both then multiply to the volume. Without it, a view
                holds the volume by itself.
        """
        self.widest = patient.widest
        last_angle = np.arccos(1 - 1 / self.widest)
        angle = np.linspace(-last_angle, last_angle, N_CONTOUR)
        along = self.widest * (1 - np.cos(angle))  # 0 at the apex, 1 at the annulus
        discs, volumes = Discs(patient, geometry, along), np.append(volume_ml, patient.edv_ml)
        solved = discs.alone(volumes) if a4c is None else discs.beside(Discs(patient, a4c, along), volumes)
        patient = discs.patient
        across = np.sign(angle) * profile_at(patient, geometry, along)  # septum negative
        stiffness = stiffness_at(geometry, N_CONTOUR)
        true_length, self.radius, rest_radius, emptied = (
            solved.length, solved.radius, solved.rest_radius, solved.emptied
        )  # fmt: skip
        radii = rest_radius * stiffness + self.radius[:, None] * (1 - stiffness)  # (T, M)
        bend = 4 * geometry.bow * along * (1 - along) + waves(geometry.bend_waves, along)
        bend += bulge_at(geometry, along) * (across < 0)
        missing = (1 - geometry.foreshortening) * (1 - geometry.foreshortening_change * emptied)
        length = true_length * (1 - missing)
        endo = np.stack([bend * true_length[:, None] + radii * across, along * length[:, None]], axis=-1)
        normal = _outward(endo)
        thickness = self._wall(patient, geometry, endo, normal, np.abs(radii * across))
        self.radius = self.radius[:-1]
        self.endo, self.rest_endo = endo[:-1], endo[-1]
        self.thickness, self.rest_thickness = thickness[:-1], thickness[-1]
        self.normal, self.rest_normal = normal[:-1], normal[-1]
        self.length, self.rest_length = length[:-1], float(length[-1])
        self.rest_radius = rest_radius
        self.emptied = emptied[:-1]

    @staticmethod
    def _wall(patient: Patient, geometry: ViewGeometry, endo: Float64, normal: Float64, radius: Float64) -> Float64:
        """Wall thickness (T, M) from the thickness at rest, the last state, at constant volume of the revolved wall.

        Each place keeps its own volume but for the smoothing along the contour, which the last step makes up for.
        """
        septal, apical, lateral = patient.wall_mm
        place = np.linspace(0, 1, N_CONTOUR)
        knots = [0, 0.12, 0.35, 0.5, 0.65, 0.88, 1]
        values = [0.75 * septal, septal, 0.95 * septal, apical, 0.95 * lateral, lateral, 0.75 * lateral]
        rest = gaussian_filter1d(np.interp(place, knots, values), 6, mode="nearest")
        rest *= np.clip(1 + waves(geometry.wall_waves, place), 0.55, 1.6)
        step = np.linalg.norm(_derivative(endo), axis=-1)
        inner = radius + _THIN_MM
        ring = (inner[-1] + rest) ** 2 - inner[-1] ** 2
        thickness = np.sqrt(inner**2 + ring * step[-1] / step) - inner
        thickness = gaussian_filter1d(thickness, 5, axis=-1, mode="nearest")
        for _ in range(4):
            volume = revolved_mm3(endo + thickness[..., None] * normal) - revolved_mm3(endo)
            thickness *= ((volume[-1] / volume) ** _BALANCE)[:, None]
        return np.asarray(thickness, dtype=np.float64)

    @property
    def epi(self) -> Float64:
        """(T, M, 2) outer contour of the wall."""
        return self.endo + self.thickness[..., None] * self.normal

    @property
    def rest_epi(self) -> Float64:
        """(M, 2) outer contour of the wall at end-diastole."""
        return np.asarray(self.rest_endo + self.rest_thickness[:, None] * self.rest_normal, dtype=np.float64)

    def split_index(self, q: Float64, *, lateral: bool) -> Float64:
        """Fractional index of the contour point of one wall at the level `q` of the heart at rest."""
        if lateral:
            return _APEX + np.interp(q, self.rest_endo[_APEX:, 1], np.arange(N_CONTOUR - _APEX))
        return _APEX - 1 - np.interp(q, self.rest_endo[:_APEX, 1][::-1], np.arange(_APEX))

    def rest_epi_p(self, q: Float64, *, lateral: bool) -> Float64:
        """Where the outer contour of one wall lies at the level `q` of the heart at rest."""
        side = self.rest_epi[_APEX:] if lateral else self.rest_epi[:_APEX][::-1]
        return np.asarray(np.interp(q, side[:, 1], side[:, 0]), dtype=np.float64)


def atrium_outline(lv: LeftVentricle, geometry: ViewGeometry, grow_mm: float = 0.0) -> Float64:
    """Left atrium at rest (2 n_side, 2), from the septal to the lateral end of the mitral plane.

    It hangs on the annulus, bulges below it, more laterally than at the septum, and closes in a round roof.
    """
    hinges = lv.rest_endo[[0, -1]]
    return _chamber_below(
        hinges, geometry.atrium_height_mm, geometry.atrium_bulge_mm, geometry.atrium_lean_mm, geometry.atrium_waves, grow_mm
    )  # fmt: skip


def _chamber_below(
    hinges: Float64,
    height_mm: float,
    bulge_mm: tuple[float, float],
    lean_mm: float,
    side_waves: Waves,
    grow_mm: float,
    n_side: int = 40,
) -> Float64:
    """Outline (2 n_side, 2) of an atrium below a valve whose hinges (2, 2) come in the order of p."""
    height = height_mm + grow_mm
    level = np.sin(np.linspace(0, np.pi / 2, n_side))  # 0 annulus, 1 roof; dense where the roof turns
    widest = 0.45
    opening = np.sin(np.pi / 2 * np.clip(level / widest, 0, 1))
    closing = np.sqrt(np.clip(1 - ((level - widest) / (1 - widest)) ** 2, 0, 1))
    neck = (hinges[1, 0] - hinges[0, 0]) / 2
    centre = hinges.mean(0)[0] + lean_mm * level**2
    sides = []
    for sign, bulge in zip((-1, 1), bulge_mm, strict=True):
        belly = neck + bulge
        half = np.where(level < widest, neck + bulge * opening, belly * closing)
        half = half + (waves(side_waves, level) * sign + grow_mm) * (level < 1)
        hinge_q = hinges[0, 1] if sign < 0 else hinges[1, 1]
        sides.append(np.stack([centre + sign * half, hinge_q + level * height], axis=-1))
    return np.concatenate([sides[0], sides[1][::-1]])


class RightHeart:
    """Outlines of the right ventricle and atrium at rest, beside the septum of an A4C view.

    Attributes:
        annulus: (2, 2) lateral and septal hinge of the tricuspid valve.
        ventricle: (M, 2) cavity of the right ventricle.
        free_wall: (M, 2) the same with its free wall.
        atrium: (M, 2) cavity of the right atrium.
        atrium_wall: (M, 2) the same with its wall.
    """

    def __init__(self, lv: LeftVentricle, geometry: ViewGeometry) -> None:
        """A crescent from near the apex to the tricuspid annulus, and an atrium below it."""
        valve_q = lv.rest_length - geometry.tricuspid_mm
        begin = geometry.rv_apex * lv.rest_length
        level = np.linspace(0, 1, 60)
        q = begin + level * (valve_q - begin)
        septum = lv.rest_epi_p(q, lateral=False) - 0.5
        width = geometry.rv_width_mm * np.sin(np.pi / 2 * level**0.75) * (1 - 0.18 * level**4)
        width = width * np.clip(1 + waves(geometry.rv_waves, level), 0.5, 1.5)
        self.annulus = np.array([[septum[-1] - width[-1], valve_q], [septum[-1], valve_q]])
        inner = np.stack([septum - width, q], axis=-1)
        outer = inner - np.array([geometry.rv_wall_mm, 0.0])
        outer[0, 1] -= geometry.rv_wall_mm
        border = np.stack([septum, q], axis=-1)[::-1]
        self.ventricle = np.concatenate([inner, border])
        self.free_wall = np.concatenate([outer, border])
        size, height = geometry.right_atrium_mm
        aside = max(size - (self.annulus[1, 0] - self.annulus[0, 0]), 0.0)
        self.atrium, self.atrium_wall = (
            _chamber_below(self.annulus, height, (aside, 0.0), -2.0, geometry.atrium_waves[::-1], grow)
            for grow in (0.0, 3.0)
        )


def leaflets(annulus: Float64, opening: float, n_points: int) -> Float64:
    """Points (2 n_points, 2) on the two leaflets of an atrioventricular valve.

    Args:
        annulus: (2, 2) hinge of the longer leaflet (mitral: anterior, at the septum) and of the shorter one.
        opening: 0 closed, 1 wide open.
        n_points: points of each leaflet.
    """
    width = float(np.linalg.norm(annulus[1] - annulus[0]))
    place = np.linspace(0, 1, n_points)[:, None]
    towards_apex = np.array([0.0, -1.0])
    angle = np.deg2rad(opening * 72 + (1 - opening) * 10)
    drawn = []
    for hinge, opposite, relative_length in ((annulus[0], annulus[1], 0.62), (annulus[1], annulus[0], 0.42)):
        length = relative_length * width
        direction = np.cos(angle) * (opposite - hinge) / width + np.sin(angle) * towards_apex
        belly = place * (1 - place) * 0.25 * (1 - opening) * towards_apex
        drawn.append(hinge + length * (place * direction + belly))
    return np.concatenate(drawn)
