"""Echoes within the cavities: papillary muscles, trabeculae, leaflets of the valves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from echoseg.cine import View
from echoseg.simulator.anatomy import RightHeart, leaflets
from echoseg.simulator.deformation import TissueMotion
from echoseg.simulator.geometry import Pose
from echoseg.simulator.heart import Heart
from echoseg.simulator.patient import ViewGeometry
from echoseg.simulator.presets import Preset
from echoseg.simulator.randomness import uniform
from echoseg.simulator.scatterers import Echoes, Region, rayleigh_amplitudes

_LEAFLET_POINTS = 220


@dataclass(frozen=True)
class _Cluster:
    """A group of scatterers in the cavity.

    Attributes:
        level: place on the long axis, 0 apex to 1 annulus.
        offset: place across, as a part of the half diameter; septum negative.
        width_mm: extent across.
        length_mm: extent along.
        level_db: echo level.
    """

    level: float
    offset: float
    width_mm: float
    length_mm: float
    level_db: float


def _papillary_muscles(rng: np.random.Generator, geometry: ViewGeometry) -> list[_Cluster]:
    return [
        _Cluster(
            level=uniform(rng, (0.30, 0.62)),
            offset=float(rng.choice([-1, 1], p=[0.25, 0.75])) * uniform(rng, (0.35, 0.85)),
            width_mm=uniform(rng, (1.5, 4)),
            length_mm=uniform(rng, (4, 12)),
            level_db=uniform(rng, (-10, 0)),
        )
        for _ in range(2 * geometry.papillary_muscles + int(rng.integers(0, 3)))
    ]


def _trabeculae(rng: np.random.Generator, preset: Preset) -> list[_Cluster]:
    """Specks along the border, more of them at the apex and laterally; from none to many."""
    strength = uniform(rng, (-12, 0))
    return [
        _Cluster(
            level=float(rng.beta(1.3, 1.6)),
            offset=float(rng.choice([-1, 1], p=[0.3, 0.7])) * uniform(rng, preset.trabeculated),
            width_mm=uniform(rng, (0.5, 1.4)),
            length_mm=uniform(rng, (1, 5)),
            level_db=strength + float(rng.normal(0, 3)),
        )
        for _ in range(int(rng.integers(0, int(preset.trabeculae))))
    ]


class CavityTissue:
    """Papillary muscles and trabeculae: echoes inside the cavity, which belong to its mask as in real labels."""

    def __init__(self, rng: np.random.Generator, preset: Preset, heart: Heart, region: Region) -> None:
        """Draw clusters of scatterers that keep their relative place in the cavity."""
        lv, geometry = heart.lv, heart.geometry
        along, across, amplitude = [np.zeros(0)], [np.zeros(0)], [np.zeros(0, np.float32)]
        for cluster in _papillary_muscles(rng, geometry) + _trabeculae(rng, preset):
            distance_mm = geometry.apex_z_mm + cluster.level * lv.rest_length
            area_mm2 = 4 * cluster.width_mm * cluster.length_mm
            count = max(2, int(region.per_mm_rad / distance_mm * area_mm2))
            profile = np.sqrt(np.clip(1 - ((cluster.level - lv.widest) / lv.widest) ** 2, 0, 1))
            along.append(cluster.level + cluster.length_mm / lv.rest_length * rng.normal(0, 0.5, count))
            across.append(cluster.offset * profile + cluster.width_mm / lv.rest_radius * rng.normal(0, 0.5, count))
            amplitude.append(rayleigh_amplitudes(rng, np.full(count, cluster.level_db)))
        self._along = np.concatenate(along).astype(np.float32)
        self._across = np.concatenate(across).astype(np.float32)
        self._amplitude = np.concatenate(amplitude)
        self._radius, self._length = lv.radius.astype(np.float32), lv.length.astype(np.float32)

    def echoes(self, frame: int, pose: Pose) -> Echoes:
        """Scatterers on a frame."""
        x, z = pose.to_sector(self._radius[frame] * self._across, self._length[frame] * self._along)
        return Echoes(x, z, self._amplitude)


class Valves:
    """Leaflets of the mitral valve, and of the tricuspid valve where the view shows it."""

    def __init__(self, rng: np.random.Generator, heart: Heart, roof_q: float) -> None:
        """Draw their thickness and echo."""
        self._heart = heart
        self._tricuspid: TissueMotion | None = None
        if heart.geometry.view is View.A4C:
            hinges = RightHeart(heart.lv, heart.geometry).annulus
            self._tricuspid = TissueMotion(heart.lv, hinges[:, 0], hinges[:, 1], roof_q)
        count = 2 * _LEAFLET_POINTS * (1 + (self._tricuspid is not None))
        self._jitter = rng.normal(0, uniform(rng, (0.25, 0.6)), (count, 2))
        self._amplitude = rayleigh_amplitudes(rng, np.full(count, uniform(rng, (-10, 2))))

    def echoes(self, frame: int, pose: Pose) -> Echoes:
        """Scatterers on a frame."""
        opening = float(self._heart.opening[frame])
        points = leaflets(self._heart.lv.endo[frame][[0, -1]], opening, _LEAFLET_POINTS)
        if self._tricuspid is not None:
            annulus = np.stack(self._tricuspid.at(frame), axis=-1).astype(np.float64)
            points = np.concatenate([points, leaflets(annulus, opening, _LEAFLET_POINTS)])
        x, z = pose.to_sector(*(points + self._jitter).astype(np.float32).T)
        return Echoes(x, z, self._amplitude)
