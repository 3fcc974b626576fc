"""Independent random streams of one seed, so that a change in one part of the simulator leaves the others as they were."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from echoseg.cine import View


class Stream(IntEnum):
    """What a random stream is used for."""

    PATIENT = 11
    VIEW = 22
    RHYTHM = 33
    SCANNER = 44
    TISSUE = 55
    ACOUSTICS = 66
    NOISE = 77
    LABELS = 88
    DISPLAY = 99
    STYLE = 110
    LAYOUT = 121


_VIEW_KEY = {View.A4C: 4, View.A2C: 2}


def stream(seed: int, purpose: Stream, view: View | None = None) -> np.random.Generator:
    """Generator for one purpose; streams with `view` differ between the two views of a patient."""
    key = (int(purpose),) if view is None else (int(purpose), _VIEW_KEY[view])
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def uniform(rng: np.random.Generator, limits: tuple[float, float]) -> float:
    """A uniform number between two limits."""
    return float(rng.uniform(*limits))


def smooth_noise(rng: np.random.Generator, size: int, sigma: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Gaussian noise (size,) of standard deviation 1, correlated over `sigma` samples."""
    from scipy.ndimage import gaussian_filter1d

    margin = int(np.ceil(4 * sigma))
    noise = gaussian_filter1d(rng.standard_normal(size + 2 * margin), sigma)[margin : margin + size]
    return np.asarray(noise / noise.std(), dtype=np.float64)
