"""How the tissue around the left ventricle follows it."""

from __future__ import annotations

import numpy as np

from echoseg.cine import Float32, Float64
from echoseg.simulator.anatomy import N_CONTOUR, LeftVentricle

_STILL_ABOVE_APEX_MM = -10.0
_ATRIAL_DECAY_MM = 30.0


class TissueMotion:
    """Displacement of points around the ventricle.

    Along the axis the annulus descends and takes the atria and the right ventricle with it; the atrial roof and everything
    far aside stay. Across, tissue follows the outer contour of the nearer wall, less and less with distance. All weights
    depend on the place at rest only and are computed once.
    """

    def __init__(self, lv: LeftVentricle, p: Float64, q: Float64, roof_q: float) -> None:
        """Prepare to move the points (p, q) (N,), given at rest; at `roof_q` nothing moves along the axis."""
        annulus_q = lv.rest_length
        septal_p, lateral_p = lv.rest_epi[0, 0], lv.rest_epi[-1, 0]
        beyond_septum = np.clip(septal_p - p, 0, None)
        beyond_lateral = np.clip(p - lateral_p, 0, None)
        below = np.clip((roof_q - q) / (roof_q - annulus_q), 0, 1)
        along = np.where(q < annulus_q, np.clip(q / annulus_q, 0, 1) ** 1.2, below)
        right_heart = (1 + 0.4 * np.clip(beyond_septum / 20, 0, 1)) * np.exp(
            -((np.clip(beyond_septum - 25, 0, None) / 45) ** 2)
        )
        aside = np.where(p < 0, right_heart, np.exp(-((beyond_lateral / 22) ** 2)))
        across = np.exp(-np.clip(np.abs(p) - 20, 0, None) / 30) * (q > _STILL_ABOVE_APEX_MM)
        across *= np.where(q > annulus_q, np.clip(1 - (q - annulus_q) / _ATRIAL_DECAY_MM, 0, 1), 1)
        index = np.where(p > 0, lv.split_index(q, lateral=True), lv.split_index(q, lateral=False))
        lower = np.clip(index.astype(np.intp), 0, N_CONTOUR - 2)
        self._p, self._q = p.astype(np.float32), q.astype(np.float32)
        self._along, self._lower = (along * aside).astype(np.float32), lower
        upper_share = index - lower
        self._lower_weight = (across * (1 - upper_share)).astype(np.float32)
        self._upper_weight = (across * upper_share).astype(np.float32)
        self._wall_shift = (lv.epi[..., 0] - lv.rest_epi[:, 0]).astype(np.float32)
        self._descent = (lv.rest_length - lv.length).astype(np.float32)

    def at(self, frame: int) -> tuple[Float32, Float32]:
        """(p, q) of the points on a frame."""
        shift = self._wall_shift[frame]
        p = self._p + shift[self._lower] * self._lower_weight + shift[self._lower + 1] * self._upper_weight
        return p, self._q - self._descent[frame] * self._along
