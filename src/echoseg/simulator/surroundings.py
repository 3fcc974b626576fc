"""What lies around the left ventricle, and how strongly it echoes."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from echoseg.cine import Float64, View
from echoseg.simulator.anatomy import LeftVentricle, RightHeart, atrium_outline
from echoseg.simulator.geometry import Mask, contains
from echoseg.simulator.patient import ViewGeometry
from echoseg.simulator.presets import Preset
from echoseg.simulator.randomness import uniform


class Surroundings:
    """Echo level of everything around the left ventricle, at rest."""

    def __init__(self, rng: np.random.Generator, preset: Preset, lv: LeftVentricle, geometry: ViewGeometry) -> None:
        """Draw the levels that vary between patients."""
        self._rng, self._lv, self._geometry = rng, lv, geometry
        self.roof_q = lv.rest_length + geometry.atrium_height_mm
        self._tissue_db = uniform(rng, preset.background_db)

    def level_db(self, p: Float64, q: Float64) -> tuple[Float64, Mask]:
        """Echo level at points (p, q), and which of them lie in a cavity or in the ventricle and hold no tissue."""
        lv, geometry = self._lv, self._geometry
        level = self._parenchyma_db(p, q)
        self._behind_the_heart(p, q, level)
        self._beside_the_heart(p, q, level)
        empty = contains(lv.rest_epi, p, q)
        if geometry.view is View.A4C:
            empty |= self._right_heart(p, q, level)
        empty |= self._left_atrium(p, q, level)
        self._annulus(p, q, level)
        return level, empty

    def _blobs(self, p: Float64, q: Float64, size_mm: float, stretch: float) -> Float64:
        """Smooth noise of unit standard deviation at the points, `stretch` times wider than high."""
        cells = 96
        noise = gaussian_filter(self._rng.standard_normal((cells, cells)), (size_mm / 2.6, stretch * size_mm / 2.6))
        row = np.clip((q + 40) / 250 * cells, 0, cells - 1).astype(np.intp)
        col = np.clip((p + 125) / 250 * cells, 0, cells - 1).astype(np.intp)
        return np.asarray((noise / noise.std())[row, col], dtype=np.float64)

    def _parenchyma_db(self, p: Float64, q: Float64) -> Float64:
        """Structured background: patches of some centimetres, and layers of some millimetres across the beam."""
        patches, layers = (
            uniform(self._rng, (4, 8)) * self._blobs(p, q, 16, 1.0),
            uniform(self._rng, (2, 6)) * self._blobs(p, q, 4, 3.0),
        )
        return np.asarray(self._tissue_db + patches + layers, dtype=np.float64)

    def _right_heart(self, p: Float64, q: Float64, level: Float64) -> Mask:
        """Right ventricle with a trabeculated apex, right atrium; returns their cavities."""
        rng, geometry = self._rng, self._geometry
        right = RightHeart(self._lv, geometry)
        ventricle, atrium = contains(right.ventricle, p, q), contains(right.atrium, p, q)
        level[contains(right.free_wall, p, q) & ~ventricle] = uniform(rng, (-8, 0))
        level[contains(right.atrium_wall, p, q) & ~atrium & ~ventricle] = uniform(rng, (-9, -2))
        towards_apex = np.clip(1 - (q - right.ventricle[:, 1].min()) / (0.75 * np.ptp(right.ventricle[:, 1])), 0, 1)
        trabeculae = ventricle & (self._blobs(p, q, 3, 0.7) > 2.6 - 2.2 * towards_apex)
        level[trabeculae] = uniform(rng, (-14, -5))
        return np.asarray((ventricle & ~trabeculae) | atrium)

    def _left_atrium(self, p: Float64, q: Float64, level: Float64) -> Mask:
        """Atrial wall, patchy around the circumference, with a weak fossa ovalis; returns the cavity."""
        lv, rng = self._lv, self._rng
        cavity = contains(atrium_outline(lv, self._geometry), p, q)
        wall = contains(atrium_outline(lv, self._geometry, grow_mm=uniform(rng, (2, 4))), p, q) & ~cavity
        centre_q = lv.rest_length + self._geometry.atrium_height_mm / 2
        centre_p = lv.rest_endo[[0, -1], 0].mean()
        angle = np.arctan2(q - centre_q, p - centre_p)
        around = uniform(rng, (-8, -1)) + 3.5 * np.cos(2 * angle + rng.uniform(0, 2 * np.pi))
        fossa = (p < centre_p) * np.exp(-0.5 * ((q - centre_q) / 8) ** 2)
        level[wall] = (around - uniform(rng, (0, 10)) * fossa)[wall]
        return cavity

    def _annulus(self, p: Float64, q: Float64, level: Float64) -> None:
        """Bright fibrous hinges of the mitral valve; at the septum they are the cross of the heart."""
        for hinge_p, aside, deep in ((self._lv.rest_endo[0, 0] - 4, 6, 8), (self._lv.rest_endo[-1, 0] + 5, 7, 5)):
            brightness = uniform(self._rng, (2, 14))
            distance = np.hypot((p - hinge_p) / aside, (q - self._lv.rest_length - 2) / deep)
            near = distance < 1
            level[near] = np.maximum(level, brightness * (1 - distance))[near]

    def _beside_the_heart(self, p: Float64, q: Float64, level: Float64) -> None:
        """Pericardium outside the lateral wall with its reverberations in the lung, fat of the atrioventricular groove."""
        rng, annulus_q = self._rng, self._lv.rest_length
        beyond = p - self._lv.rest_epi_p(q, lateral=True)
        level[(beyond > 12) & (q < annulus_q)] += uniform(rng, (-14, 4))
        begin_q, bright, thick = annulus_q * uniform(rng, (0.0, 0.5)), uniform(rng, (-5, 11)), uniform(rng, (1.5, 5))
        repeats_mm, decay_db = uniform(rng, (6, 14)), uniform(rng, (4, 9))
        for order in range(3):
            distance = np.abs(beyond - 1.5 - order * repeats_mm) / thick
            band = (distance < 1) & (q > begin_q) & (q < annulus_q + 8)
            level[band] = np.maximum(level[band], bright - order * decay_db - 6 * distance[band] ** 2)
        groove_p = self._lv.rest_endo[-1, 0] + 16
        groove = np.exp(-0.5 * (((p - groove_p) / 12) ** 2 + ((q - annulus_q - 6) / 16) ** 2))
        level += 14 * uniform(rng, (0.2, 1)) * groove

    def _behind_the_heart(self, p: Float64, q: Float64, level: Float64) -> None:
        """Bright layers of pericardium, descending aorta and spine behind the atria; weaker echoes beyond."""
        rng = self._rng
        deep = q > self.roof_q + 8
        level[deep] -= uniform(rng, (-3, 8))
        for _ in range(int(rng.integers(2, 7))):
            centre_p, half_mm = uniform(rng, (-70, 60)), uniform(rng, (12, 60))
            centre_q = self.roof_q + uniform(rng, (-2, 34))
            sag, thick, bright = uniform(rng, (-0.006, 0.003)), uniform(rng, (1.5, 5)), uniform(rng, (-2, 15))
            aside = (p - centre_p) / half_mm
            height = np.abs(q - centre_q - sag * (p - centre_p) ** 2) / thick
            echo = bright - 8 * height**2 - 6 * aside**4
            level[:] = np.where(height < 1.5, np.maximum(level, echo), level)
