"""How a doctor's tracing is filed in EchoNet-Dynamic: a long axis and the diameters of discs on it."""

from __future__ import annotations

import numpy as np

from echoseg.cine import Float64

N_DISCS = 20


def trace_discs(contour: Float64, n_discs: int = N_DISCS) -> Float64:
    """Long axis and disc diameters of a ventricle.

    Args:
        contour: (M, 2) points in any Cartesian coordinates with equal units, annulus - apex - annulus.
        n_discs: number of discs.

    Returns:
        (1 + n_discs, 2, 2) end points: first the long axis (apex, middle of the mitral plane), then the diameters from apex to
        base, perpendicular to it, through the middle of each disc; all start on the same side.
    """
    base = 0.5 * (contour[0] + contour[-1])
    apex_index = int(np.argmax(np.linalg.norm(contour - base, axis=1)))
    apex = contour[apex_index]
    length = np.linalg.norm(base - apex)
    axis = (base - apex) / length
    across = np.array([-axis[1], axis[0]])
    along, aside = (contour - apex) @ axis, (contour - apex) @ across
    levels = (np.arange(n_discs) + 0.5) / n_discs * length
    ends = []
    for side in (slice(apex_index, None, -1), slice(apex_index, None)):
        order = np.argsort(along[side], kind="stable")
        reach = np.interp(levels, along[side][order], aside[side][order])
        ends.append(apex + levels[:, None] * axis + reach[:, None] * across)
    return np.concatenate([np.stack([apex, base])[None], np.stack(ends, axis=1)])
