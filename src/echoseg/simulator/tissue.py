"""Point scatterers: where they are at rest, how strongly they echo, and how they move with the tissue.

The number of scatterers per resolution cell is the same at every depth (their density falls as 1/r), so that speckle is
fully developed from the near field on. They are spread evenly, one at a random place of every cell of a lattice, and have
Rayleigh amplitudes, as if each were a cluster of many: so the second moment of the intensity is that of Rayleigh speckle
however few they are. Amplitudes are relative to myocardium.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from echoseg.cine import Float32, Float64, View
from echoseg.simulator.anatomy import N_CONTOUR, LeftVentricle, atrium_outline, mitral_leaflets
from echoseg.simulator.deformation import TissueMotion
from echoseg.simulator.geometry import Mask, Pose, contains
from echoseg.simulator.heart import Heart
from echoseg.simulator.patient import ViewGeometry
from echoseg.simulator.presets import Preset
from echoseg.simulator.randomness import smooth_noise, uniform

_MARGIN_DEG = 6.0
_MARGIN_MM = 10.0
_WALL_LAYERS = 6
_LEAFLET_POINTS = 220


@dataclass(frozen=True)
class Region:
    """Part of the sector that is filled with scatterers.

    Attributes:
        depth_mm: largest depth.
        sector_deg: opening angle.
        cell_mm: depth that holds one scatterer per `cell_rad`.
        cell_rad: angle that holds one scatterer per `cell_mm`.
    """

    depth_mm: float
    sector_deg: float
    cell_mm: float
    cell_rad: float

    @property
    def per_mm_rad(self) -> float:
        """Scatterers per mm of depth and radian of angle."""
        return 1 / (self.cell_mm * self.cell_rad)


@dataclass(frozen=True)
class Echoes:
    """Scatterers on one frame: sector coordinates in mm and amplitudes, float32 (N,)."""

    x: Float32
    z: Float32
    amplitude: Float32


def scatter(rng: np.random.Generator, region: Region) -> tuple[Float64, Float64]:
    """Depth in mm and angle in rad (N,) of scatterers that fill a region and a margin around it."""
    half_rad = np.deg2rad(region.sector_deg / 2 + _MARGIN_DEG)
    n_depths = int(np.ceil((region.depth_mm + _MARGIN_MM) / region.cell_mm))
    n_angles = int(np.ceil(2 * half_rad / region.cell_rad))
    row, col = np.indices((n_depths, n_angles)).reshape(2, -1)
    depth = (row + rng.random(row.size)) * region.cell_mm
    return depth, (col + rng.random(col.size)) * region.cell_rad - half_rad


def rayleigh_amplitudes(rng: np.random.Generator, level_db: Float64) -> Float32:
    """Amplitudes (N,) of scatterers whose mean power is `level_db`."""
    return np.asarray(rng.rayleigh(np.sqrt(0.5), len(level_db)) * 10 ** (level_db / 20), dtype=np.float32)


class WallTissue:
    """Scatterers of the myocardium, tied to a place along the contour and a depth within the wall."""

    def __init__(self, rng: np.random.Generator, heart: Heart, region: Region, preset: Preset) -> None:
        """Fill the wall at rest, in proportion to its area over the distance to the transducer."""
        lv, pose = heart.lv, heart.rest_pose
        depth = (np.arange(_WALL_LAYERS + 1) / _WALL_LAYERS)[:, None, None]
        nodes = lv.rest_endo + depth * (lv.rest_thickness[:, None] * lv.rest_normal)  # (layers + 1, M, 2)
        first, second = nodes[1:, 1:] - nodes[:-1, :-1], nodes[1:, :-1] - nodes[:-1, 1:]
        area = 0.5 * np.abs(first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0])  # of quadrilaterals
        centre = 0.25 * (nodes[1:, 1:] + nodes[:-1, :-1] + nodes[1:, :-1] + nodes[:-1, 1:])
        distance = np.hypot(*pose.to_sector(centre[..., 0], centre[..., 1]))
        expected = np.cumsum(region.per_mm_rad * area / distance)
        last = np.floor(expected + rng.random()).astype(
            np.intp
        )  # of each quadrilateral: spread as evenly as they can be
        quadrilateral = np.repeat(np.arange(area.size), np.diff(last, prepend=0))
        layer, segment = np.divmod(quadrilateral, area.shape[1])
        share = rng.random(len(segment))
        place = (segment + share) / (N_CONTOUR - 1)
        within = (layer + rng.random(len(layer))) / _WALL_LAYERS
        self._segment, self._share = segment, share.astype(np.float32)
        self._within = within.astype(np.float32)
        level_db = self._echogenicity_db(rng, place, within, preset.wall_variation_db)
        self._amplitude = rayleigh_amplitudes(rng, level_db)
        self._anisotropy = np.float32(0.75 * uniform(rng, preset.anisotropy))
        thick = lv.thickness[..., None] * lv.normal
        self._fields = np.concatenate([lv.endo, thick, lv.normal], axis=-1).astype(np.float32)  # (T, M, 6)

    @staticmethod
    def _echogenicity_db(rng: np.random.Generator, place: Float64, within: Float64, variation_db: float) -> Float64:
        """Patchy; weak laterally and at the apex as A4C views are; bright at both surfaces."""
        patches = variation_db * smooth_noise(rng, N_CONTOUR, 9)
        usual = (
            -7 * np.exp(-0.5 * ((place - 0.72) / 0.12) ** 2)
            - 3 * np.exp(-0.5 * ((place - 0.50) / 0.10) ** 2)
            + 2 * np.exp(-0.5 * ((place - 0.20) / 0.15) ** 2)
        )
        surface = 3.0 * ((within < 0.12) | (within > 0.9))
        usual += np.interp(place * (N_CONTOUR - 1), np.arange(N_CONTOUR), patches) + surface
        return np.asarray(usual, dtype=np.float64)

    def echoes(self, frame: int, pose: Pose) -> Echoes:
        """Scatterers on a frame; a wall that runs along the beam echoes less."""
        table = self._fields[frame]
        here = table[self._segment]
        here += self._share[:, None] * (table[self._segment + 1] - here)
        p = here[:, 0] + self._within * here[:, 2]
        q = here[:, 1] + self._within * here[:, 3]
        x, z = pose.to_sector(p, q)
        cos, sin = np.float32(np.cos(pose.tilt_rad)), np.float32(np.sin(pose.tilt_rad))
        normal_x, normal_z = cos * here[:, 4] - sin * here[:, 5], sin * here[:, 4] + cos * here[:, 5]
        facing = np.abs(normal_x * x + normal_z * z) / np.hypot(x, z)
        return Echoes(x, z, self._amplitude * (1 - self._anisotropy * (1 - facing) ** 2))


class Surroundings:
    """Echo level of everything around the left ventricle, at rest."""

    def __init__(self, rng: np.random.Generator, lv: LeftVentricle, geometry: ViewGeometry) -> None:
        """Draw the levels that vary between patients."""
        self._rng, self._lv, self._geometry = rng, lv, geometry
        self.roof_q = lv.rest_length + geometry.atrium_height_mm

    def level_db(self, p: Float64, q: Float64) -> tuple[Float64, Mask]:
        """Echo level at points (p, q), and which of them lie in a cavity or in the ventricle and hold no tissue."""
        lv, geometry = self._lv, self._geometry
        level = self._parenchyma_db(p, q)
        empty = contains(lv.rest_epi, p, q)
        if geometry.view is View.A4C:
            empty |= self._right_heart(p, q, level)
        empty |= self._left_atrium(p, q, level)
        self._annulus(p, q, level)
        self._pericardium(p, q, level)
        self._behind_the_heart(p, q, level)
        return level, empty

    def _parenchyma_db(self, p: Float64, q: Float64) -> Float64:
        """Unspecific background with blobs of a few cm."""
        blobs = gaussian_filter(self._rng.standard_normal((60, 60)), 3.5)
        blobs *= 5 / blobs.std()
        row = np.clip((q + 35) / 225 * 60, 0, 59).astype(np.intp)
        col = np.clip((p + 110) / 220 * 60, 0, 59).astype(np.intp)
        return np.asarray(-14 + blobs[row, col], dtype=np.float64)

    def _right_heart(self, p: Float64, q: Float64, level: Float64) -> Mask:
        """Right ventricle beside the septum, right atrium beside the left one; returns their cavities."""
        geometry, annulus_q = self._geometry, self._lv.rest_length
        septum = self._lv.rest_epi_p(q, lateral=False)
        begin = geometry.rv_apex * annulus_q
        widening = np.clip((q - begin) / (annulus_q - 7 - begin), 0, 1)
        width = geometry.rv_width_mm * np.sqrt(widening) * (1 - 0.15 * widening)
        ventricle = (q > begin) & (q < annulus_q - 6) & (p < septum) & (p > septum - width)
        free_wall = (q > begin - 4) & (q < annulus_q - 4) & (p < septum) & (p > septum - width - 5)
        size = geometry.right_atrium_mm
        centre_p, centre_q = self._lv.rest_endo[0, 0] - 7 - size, annulus_q + size

        def atrium(grow: float) -> Mask:
            return np.asarray(np.hypot((p - centre_p) / (size + grow), (q - centre_q) / (1.1 * size + grow)) < 1)

        level[free_wall & ~ventricle] = -5 + 2 * self._rng.standard_normal()
        level[atrium(3.0) & ~atrium(0.0)] = -5
        return ventricle | atrium(0.0)

    def _left_atrium(self, p: Float64, q: Float64, level: Float64) -> Mask:
        """Atrial wall, patchy around the circumference; returns the cavity."""
        cavity = contains(atrium_outline(self._lv, self._geometry), p, q)
        wall = contains(atrium_outline(self._lv, self._geometry, grow_mm=3.0), p, q) & ~cavity
        centre_q = self._lv.rest_length + self._geometry.atrium_height_mm / 2
        angle = np.arctan2(q - centre_q, p - self._lv.rest_endo[[0, -1], 0].mean())
        level[wall] = (-5 + 3.5 * np.cos(2 * angle + self._rng.uniform(0, 2 * np.pi)))[wall]
        return cavity

    def _annulus(self, p: Float64, q: Float64, level: Float64) -> None:
        """Bright fibrous hinges on both sides of the mitral valve."""
        for hinge_p, brightness in ((self._lv.rest_endo[0, 0] - 4, 7), (self._lv.rest_endo[-1, 0] + 4, 6)):
            distance = np.hypot((p - hinge_p) / 7, (q - self._lv.rest_length - 2) / 5)
            near = distance < 1
            level[near] = np.maximum(level, brightness * (1 - distance) + 2)[near]

    def _pericardium(self, p: Float64, q: Float64, level: Float64) -> None:
        """Bright band outside the lateral wall, and the fat of the atrioventricular groove."""
        lateral, annulus_q = self._lv.rest_epi_p(q, lateral=True), self._lv.rest_length
        band = (p > lateral + 1) & (p < lateral + 6) & (q > 0.25 * annulus_q) & (q < annulus_q + 8)
        level[band] = np.maximum(level[band], uniform(self._rng, (-3, 6)))
        groove_p = self._lv.rest_endo[-1, 0] + 16
        groove = np.exp(-0.5 * (((p - groove_p) / 12) ** 2 + ((q - annulus_q - 6) / 16) ** 2))
        level += 14 * uniform(self._rng, (0.3, 1)) * groove

    def _behind_the_heart(self, p: Float64, q: Float64, level: Float64) -> None:
        """Posterior pericardium behind the atrium, lung beside the heart, weak echoes beyond."""
        centre_p = self._lv.rest_endo[[0, -1], 0].mean()
        posterior = (np.abs(q - self.roof_q - 4 + 0.002 * (p - centre_p) ** 2) < 4) & (np.abs(p) < 80)
        level[posterior] = np.maximum(level[posterior], uniform(self._rng, (-4, 6)))
        lung = (p > self._lv.rest_epi_p(q, lateral=True) + 12) & (q < self._lv.rest_length)
        level[lung] += uniform(self._rng, (-14, 2))
        level[q > self.roof_q + 10] -= uniform(self._rng, (2, 12))


class FreeTissue:
    """Scatterers outside the left ventricle, uniform in depth and angle at rest."""

    def __init__(self, rng: np.random.Generator, heart: Heart, region: Region) -> None:
        """Fill the sector with tissue, leaving the cavities and the wall of the ventricle empty."""
        r, angle = scatter(rng, region)
        p, q = heart.rest_pose.to_heart(r * np.sin(angle), r * np.cos(angle))
        surroundings = Surroundings(rng, heart.lv, heart.geometry)
        level, empty = surroundings.level_db(p, q)
        self._amplitude = rayleigh_amplitudes(rng, level[~empty])
        self._motion = TissueMotion(heart.lv, p[~empty], q[~empty], surroundings.roof_q)

    def echoes(self, frame: int, pose: Pose) -> Echoes:
        """Scatterers on a frame."""
        x, z = pose.to_sector(*self._motion.at(frame))
        return Echoes(x, z, self._amplitude)


class CavityTissue:
    """Papillary muscles and trabeculae: echoes inside the cavity, which belong to its mask as in real labels."""

    def __init__(self, rng: np.random.Generator, heart: Heart, region: Region) -> None:
        """Draw a few clusters of scatterers that keep their relative place in the cavity."""
        lv, geometry = heart.lv, heart.geometry
        along, across, amplitude = [np.zeros(0)], [np.zeros(0)], [np.zeros(0, np.float32)]
        for _ in range(2 * geometry.papillary_muscles + int(rng.integers(0, 3))):
            level, side = uniform(rng, (0.30, 0.62)), float(rng.choice([-1, 1], p=[0.25, 0.75]))
            offset = side * uniform(rng, (0.35, 0.85))
            width_mm, length_mm = uniform(rng, (1.5, 4)), uniform(rng, (4, 12))
            distance_mm = geometry.apex_z_mm + level * lv.rest_length
            count = int(4 * region.per_mm_rad / distance_mm * width_mm * length_mm)
            profile = np.sqrt(np.clip(1 - ((level - lv.widest) / lv.widest) ** 2, 0, 1))
            along.append(level + length_mm / lv.rest_length * rng.normal(0, 0.5, count))
            across.append(offset * profile + width_mm / lv.rest_radius * rng.normal(0, 0.5, count))
            amplitude.append(rayleigh_amplitudes(rng, np.full(count, uniform(rng, (-8, 0)))))
        self._along = np.concatenate(along).astype(np.float32)
        self._across = np.concatenate(across).astype(np.float32)
        self._amplitude = np.concatenate(amplitude)
        self._radius, self._length = lv.radius.astype(np.float32), lv.length.astype(np.float32)

    def echoes(self, frame: int, pose: Pose) -> Echoes:
        """Scatterers on a frame."""
        x, z = pose.to_sector(self._radius[frame] * self._across, self._length[frame] * self._along)
        return Echoes(x, z, self._amplitude)


class Tissue:
    """All scatterers of a cine."""

    def __init__(self, rng: np.random.Generator, heart: Heart, region: Region, preset: Preset) -> None:
        """Fill the sector."""
        self._heart = heart
        self._parts = (
            WallTissue(rng, heart, region, preset),
            FreeTissue(rng, heart, region),
            CavityTissue(rng, heart, region),
        )
        self._leaflet_jitter = rng.normal(0, 0.35, (2 * _LEAFLET_POINTS, 2))
        level_db = uniform(rng, (-8, 2))
        self._leaflet_amplitude = rayleigh_amplitudes(rng, np.full(2 * _LEAFLET_POINTS, level_db))

    def echoes(self, frame: int) -> Echoes:
        """Every scatterer on a frame."""
        pose, annulus = self._heart.poses[frame], self._heart.lv.endo[frame][[0, -1]]
        leaflets = mitral_leaflets(annulus, float(self._heart.opening[frame]), _LEAFLET_POINTS) + self._leaflet_jitter
        x, z = pose.to_sector(*leaflets.astype(np.float32).T)
        parts = [part.echoes(frame, pose) for part in self._parts]
        parts.append(Echoes(x, z, self._leaflet_amplitude))
        return Echoes(
            np.concatenate([part.x for part in parts]),
            np.concatenate([part.z for part in parts]),
            np.concatenate([part.amplitude for part in parts]),
        )
