"""All scatterers of a cine, and how they move with the heart."""

from __future__ import annotations

import numpy as np

from echoseg.cine import Float64
from echoseg.simulator.anatomy import N_CONTOUR
from echoseg.simulator.cavity import CavityTissue, Valves
from echoseg.simulator.deformation import TissueMotion
from echoseg.simulator.geometry import Pose
from echoseg.simulator.heart import Heart
from echoseg.simulator.presets import Preset
from echoseg.simulator.randomness import smooth_noise, uniform
from echoseg.simulator.scatterers import Amplitudes, Echoes, Region, scatter
from echoseg.simulator.surroundings import Surroundings

_WALL_LAYERS = 6


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
        level_db = self._echogenicity_db(rng, place, within, preset)
        self._amplitude = Amplitudes(rng, level_db)
        self._anisotropy = np.float32(0.75 * uniform(rng, preset.anisotropy))
        thick = lv.thickness[..., None] * lv.normal
        self._fields = np.concatenate([lv.endo, thick, lv.normal], axis=-1).astype(np.float32)  # (T, M, 6)

    @staticmethod
    def _echogenicity_db(rng: np.random.Generator, place: Float64, within: Float64, preset: Preset) -> Float64:
        """Patchy; weaker laterally and at the apex as A4C views are; bright at both surfaces."""
        patches = preset.wall_variation_db * smooth_noise(rng, N_CONTOUR, 9)
        usual = (
            -uniform(rng, preset.weak_lateral_db) * np.exp(-0.5 * ((place - 0.72) / 0.13) ** 2)
            - uniform(rng, preset.weak_apex_db) * np.exp(-0.5 * ((place - 0.50) / 0.10) ** 2)
            + uniform(rng, (0, 7)) * np.exp(-0.5 * ((place - 0.20) / 0.15) ** 2)
        )
        inner, outer = uniform(rng, (0, 5)), uniform(rng, (0, 5))
        usual += np.interp(place * (N_CONTOUR - 1), np.arange(N_CONTOUR), patches)
        usual += inner * (within < 0.15) + outer * (within > 0.88)
        return np.asarray(usual, dtype=np.float64)

    def echoes(self, frame: int, pose: Pose, out_of_plane_rad: float) -> Echoes:
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
        return Echoes(x, z, self._amplitude.at(out_of_plane_rad) * (1 - self._anisotropy * (1 - facing) ** 2))


class FreeTissue:
    """Scatterers outside the left ventricle, uniform in depth and angle at rest."""

    def __init__(self, rng: np.random.Generator, preset: Preset, heart: Heart, region: Region) -> None:
        """Fill the sector with tissue, leaving the cavities and the wall of the ventricle empty."""
        r, angle = scatter(rng, region)
        p, q = heart.rest_pose.to_heart(r * np.sin(angle), r * np.cos(angle))
        surroundings = Surroundings(rng, preset, heart.lv, heart.geometry)
        level, empty = surroundings.level_db(p, q)
        self._amplitude = Amplitudes(rng, level[~empty])
        self._motion = TissueMotion(heart.lv, p[~empty], q[~empty], surroundings.roof_q)

    def echoes(self, frame: int, pose: Pose, out_of_plane_rad: float) -> Echoes:
        """Scatterers on a frame."""
        x, z = pose.to_sector(*self._motion.at(frame))
        return Echoes(x, z, self._amplitude.at(out_of_plane_rad))


class Tissue:
    """All scatterers of a cine."""

    def __init__(self, rng: np.random.Generator, heart: Heart, region: Region, preset: Preset) -> None:
        """Fill the sector."""
        self._heart = heart
        self._wall = WallTissue(rng, heart, region, preset)
        self._free = FreeTissue(rng, preset, heart, region)
        self._cavity = CavityTissue(rng, preset, heart, region)
        self._valves = Valves(rng, heart, heart.lv.rest_length + heart.geometry.atrium_height_mm)
        self._out_of_plane_rad = uniform(rng, preset.out_of_plane_rad)

    def echoes(self, frame: int) -> Echoes:
        """Every scatterer on a frame."""
        pose = self._heart.poses[frame]
        left_rad = self._out_of_plane_rad * float(self._heart.lv.emptied[frame])
        parts = [
            self._wall.echoes(frame, pose, left_rad),
            self._free.echoes(frame, pose, left_rad),
            self._cavity.echoes(frame, pose),
            self._valves.echoes(frame, pose),
        ]
        return Echoes(
            np.concatenate([part.x for part in parts]),
            np.concatenate([part.z for part in parts]),
            np.concatenate([part.amplitude for part in parts]),
        )
