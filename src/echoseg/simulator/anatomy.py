"""What lies in the sector: left ventricle, its wall, the atria, the right ventricle, valves and papillary muscles.

Points are (p, q) in mm in the heart's frame (see `geometry.Pose`). Contours of the left ventricle run from the septal annulus
over the apex to the lateral annulus and are not closed: the mitral plane is the straight line between the ends.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from echoseg.cine import Float64
from echoseg.simulator.patient import Patient, ViewGeometry

N_CONTOUR = 161
"""Points of a contour; the apex is the middle one."""
_APEX = N_CONTOUR // 2
_N_DISCS = 400
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


class LeftVentricle:
    """The cavity and its wall at given volumes.

    The cavity is a stack of elliptic discs on the long axis: V = pi k L mean(radius^2), solved for the radius, so that the disc
    summation of the (unforeshortened, straight) contour is the volume itself. The wall keeps its volume: where the
    cavity shrinks and shortens, it thickens.

    Attributes:
        endo: (T, M, 2) cavity contour.
        thickness: (T, M) wall thickness along the normal.
        normal: (T, M, 2) outward unit normals.
        length: (T,) apparent length apex to annulus.
        radius: (T,) radius of a freely moving disc of profile 1.
        rest_endo, rest_thickness, rest_normal, rest_length: the same at end-diastole.
        widest: place of the largest diameter, 0 apex to 1 annulus.
    """

    def __init__(self, patient: Patient, geometry: ViewGeometry, volume_ml: Float64) -> None:
        """Shape the ventricle so that it holds `volume_ml` (T,)."""
        self.widest = patient.widest
        last_angle = np.arccos(1 - 1 / self.widest)
        angle = np.linspace(-last_angle, last_angle, N_CONTOUR)
        along = self.widest * (1 - np.cos(angle))  # 0 at the apex, 1 at the annulus
        across = np.sin(angle) * (1 + patient.egg * (along - 0.5))  # signed: septum negative
        volumes = np.append(volume_ml, patient.edv_ml)  # the last state is the state of rest
        stiffness = self._stiffness(geometry)
        true_length, self.radius, rest_radius = self._solve(patient, along, stiffness, volumes)
        radii = rest_radius * stiffness + self.radius[:, None] * (1 - stiffness)  # (T, M)
        bend = 4 * geometry.bow * along * (1 - along)
        bend += geometry.septal_bulge * np.exp(-0.5 * ((along - 0.85) / 0.08) ** 2) * (across < 0)
        endo = np.stack([bend * true_length[:, None] + radii * across,
                         along * true_length[:, None] * geometry.foreshortening], axis=-1)  # fmt: skip
        normal = _outward(endo)
        thickness = self._wall(patient, endo, normal, np.abs(radii * across))
        length = true_length * geometry.foreshortening
        self.radius = self.radius[:-1]
        self.endo, self.rest_endo = endo[:-1], endo[-1]
        self.thickness, self.rest_thickness = thickness[:-1], thickness[-1]
        self.normal, self.rest_normal = normal[:-1], normal[-1]
        self.length, self.rest_length = length[:-1], float(length[-1])
        self.rest_radius = rest_radius

    @staticmethod
    def _stiffness(geometry: ViewGeometry) -> Float64:
        """Part of the inward motion that is lost, along the contour (M,)."""
        segment = geometry.hypokinesia
        if segment is None:
            return np.zeros(N_CONTOUR)
        place = np.linspace(0, 1, N_CONTOUR)
        return segment.loss * np.exp(-0.5 * ((place - segment.place) / segment.width) ** 2)

    def _solve(
        self, patient: Patient, along: Float64, stiffness: Float64, volumes_ml: Float64
    ) -> tuple[Float64, Float64, float]:
        """True length (T,), free radius (T,) and radius at rest from V = pi k L mean(profile^2 r^2)."""
        discs = (np.arange(_N_DISCS) + 0.5) / _N_DISCS
        profile = np.sqrt(np.clip(1 - ((discs - self.widest) / self.widest) ** 2, 0, 1))
        profile *= 1 + patient.egg * (discs - 0.5)
        septal = np.interp(discs, along[: _APEX + 1][::-1], stiffness[: _APEX + 1][::-1])
        lateral = np.interp(discs, along[_APEX:], stiffness[_APEX:])
        stiff = 0.5 * (septal + lateral)
        slenderness, roundness = patient.length_to_diameter, patient.roundness
        full_mm3 = 1e3 * patient.edv_ml
        rest_radius = float(np.cbrt(full_mm3 / (2 * np.pi * roundness * slenderness * np.mean(profile**2))))
        stroke = patient.edv_ml * patient.ef_percent / 100
        emptied = np.clip((patient.edv_ml - volumes_ml) / stroke, -0.3, 1.3)
        length = 2 * rest_radius * slenderness * (1 - patient.longitudinal_strain * emptied)
        # mean((profile (stiff rest + (1 - stiff) r))^2) = square r^2 + linear r + constant
        square = np.mean((profile * (1 - stiff)) ** 2)
        linear = 2 * rest_radius * np.mean(profile**2 * stiff * (1 - stiff))
        constant = rest_radius**2 * np.mean((profile * stiff) ** 2)
        wanted = 1e3 * volumes_ml / (np.pi * roundness * length)
        root = np.sqrt(np.maximum(linear**2 - 4 * square * (constant - wanted), 0))
        return length, (root - linear) / (2 * square), rest_radius

    @staticmethod
    def _wall(patient: Patient, endo: Float64, normal: Float64, radius: Float64) -> Float64:
        """Wall thickness (T, M) from the thickness at rest, the last state, at constant volume of the revolved wall.

        Each place keeps its own volume but for the smoothing along the contour, which the last step makes up for.
        """
        septal, apical, lateral = patient.wall_mm
        place = np.linspace(0, 1, N_CONTOUR)
        knots = [0, 0.12, 0.35, 0.5, 0.65, 0.88, 1]
        values = [0.75 * septal, septal, 0.95 * septal, apical, 0.95 * lateral, lateral, 0.75 * lateral]
        rest = gaussian_filter1d(np.interp(place, knots, values), 6, mode="nearest")
        step = np.linalg.norm(_derivative(endo), axis=-1)
        inner = radius + _THIN_MM
        ring = (inner[-1] + rest) ** 2 - inner[-1] ** 2
        thickness = np.sqrt(inner**2 + ring * step[-1] / step) - inner
        thickness = gaussian_filter1d(thickness, 5, axis=-1, mode="nearest")
        for _ in range(2):
            volume = revolved_mm3(endo + thickness[..., None] * normal) - revolved_mm3(endo)
            thickness *= (volume[-1] / volume)[:, None]
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


def atrium_outline(lv: LeftVentricle, geometry: ViewGeometry, grow_mm: float = 0.0, n_side: int = 40) -> Float64:
    """Left atrium at rest (2 n_side, 2), from the septal to the lateral end of the mitral plane.

    It hangs on the annulus, bulges below it and closes in a round roof.
    """
    (septal_p, _), (lateral_p, _) = lv.rest_endo[0], lv.rest_endo[-1]
    neck, height = (lateral_p - septal_p) / 2, geometry.atrium_height_mm + grow_mm
    belly = neck + geometry.atrium_bulge_mm
    level = np.sin(np.linspace(0, np.pi / 2, n_side))  # 0 annulus, 1 roof; dense where the roof turns
    widest = 0.45
    bulging = neck + (belly - neck) * np.sin(np.pi / 2 * np.clip(level / widest, 0, 1))
    closing = belly * np.sqrt(np.clip(1 - ((level - widest) / (1 - widest)) ** 2, 0, 1))
    half = np.where(level < widest, bulging, closing) + grow_mm * (level < 1)
    centre, q = (septal_p + lateral_p) / 2, lv.rest_length + level * height
    septal = np.stack([centre - half, q], axis=-1)
    lateral = np.stack([centre + half, q], axis=-1)
    return np.concatenate([septal, lateral[::-1]])


def mitral_leaflets(annulus: Float64, opening: float, n_points: int) -> Float64:
    """Points (2 n_points, 2) on the anterior and posterior mitral leaflet.

    Args:
        annulus: (2, 2) septal and lateral hinge.
        opening: 0 closed, 1 wide open.
        n_points: points of each leaflet.
    """
    width = float(np.linalg.norm(annulus[1] - annulus[0]))
    place = np.linspace(0, 1, n_points)[:, None]
    towards_apex = np.array([0.0, -1.0])
    angle = np.deg2rad(opening * 72 + (1 - opening) * 10)
    leaflets = []
    for hinge, opposite, relative_length in ((annulus[0], annulus[1], 0.62), (annulus[1], annulus[0], 0.42)):
        length = relative_length * width
        direction = np.cos(angle) * (opposite - hinge) / width + np.sin(angle) * towards_apex
        belly = place * (1 - place) * 0.25 * (1 - opening) * towards_apex
        leaflets.append(hinge + length * (place * direction + belly))
    return np.concatenate(leaflets)
