"""Stored cines that need no file: a disc that beats on a gray sector, every frame telling its number."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
import pytest

from echoseg.cine import View
from echoseg.data import StoredCine
from echoseg.datasets import Case

SIDE = 48


def disc(radius: float, side: int = SIDE, centre: tuple[float, float] = (0.5, 0.5)) -> np.ndarray:
    """Bool (side, side); the centre as fractions of the side."""
    row, col = (np.indices((side, side)) + 0.5) / side
    return np.hypot(row - centre[0], col - centre[1]) * side <= radius


def stored_cine(
    name: str = "a",
    *,
    n_frames: int = 12,
    ed_frame: int | None = 2,
    es_frame: int | None = 9,
    fps: float | None = 50.0,
    labelled: Collection[int] | None = None,
) -> StoredCine:
    """A cine whose frame t is gray 40 + t around a bright disc; masks at ED and ES unless `labelled` says otherwise."""
    radii = 10 + 4 * np.cos(np.linspace(0, 2 * np.pi, n_frames))
    frames = np.stack([np.where(disc(r), 200, 40 + t) for t, r in enumerate(radii)]).astype(np.uint8)
    with_mask = {f for f in (ed_frame, es_frame) if f is not None} if labelled is None else labelled
    masks = {frame: disc(radii[frame]).astype(np.uint8) for frame in sorted(with_mask)}
    return StoredCine(Case(name, name, View.A4C, "train"), frames, masks, ed_frame, es_frame, fps)


@pytest.fixture(scope="session")
def make_cine() -> Callable[..., StoredCine]:
    return stored_cine


@pytest.fixture(scope="session")
def make_disc() -> Callable[..., np.ndarray]:
    return disc
