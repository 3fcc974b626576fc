"""A beating synthetic ventricle with known masks, as small as the reports allow."""

from __future__ import annotations

import numpy as np
import pytest

from echoseg.cine import Cine, CineMeta, MaskStack, Segmentation, Spacing, View
from echoseg.clinical import measure_cine


def beating(n_frames: int, shape: tuple[int, int], period: float, *, walls: bool) -> np.ndarray:
    """Label masks, uint8 (T, H, W): a cut ellipse that is largest at frame 0, with wall and atrium if asked for."""
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    scale = min(shape) / 112
    masks = np.zeros((n_frames, *shape), np.uint8)
    for t, mask in enumerate(masks):
        beat = np.cos(2 * np.pi * t / period)
        tall, wide, top = 30 * scale * (1 + 0.06 * beat), 16 * scale * (1 + 0.2 * beat), 50 * scale
        base = top + 0.8 * tall

        def inside(extra: float, tall: float = tall, wide: float = wide, top: float = top) -> np.ndarray:
            return ((rows - top) / (tall + extra)) ** 2 + ((cols - shape[1] / 2) / (wide + extra)) ** 2 <= 1

        if walls:
            mask[inside(7 * scale) & (rows <= base)] = 2
            mask[
                ((rows - base - 12 * scale) ** 2 + (cols - shape[1] / 2) ** 2 <= (12 * scale) ** 2) & (rows > base)
            ] = 3
        mask[inside(0) & (rows <= base)] = 1
    return masks


class Maker:
    """Makes cases: (cine, segmentation, indices)."""

    beating = staticmethod(beating)

    @staticmethod
    def case(
        n_frames: int = 40,
        shape: tuple[int, int] = (112, 112),
        *,
        spacing: Spacing | None = Spacing(0.8, 0.8),  # noqa: B008 - frozen
        fps: float | None = 25.0,
        walls: bool = True,
        source: str = "made.avi",
        empty: range = range(0),
        confident: bool = True,
        warnings: tuple[str, ...] = (),
        aspect: float | None = None,
    ):
        rng = np.random.default_rng(0)
        masks = beating(n_frames, shape, 18.0, walls=walls)
        masks[list(empty)] = 0
        frames = np.where(masks == 1, 20, 120).astype(np.uint8) + rng.integers(0, 40, masks.shape, dtype=np.uint8)
        meta = CineMeta(
            source, *shape, n_frames, fps=fps, spacing=spacing, view=View.A4C, warnings=warnings, aspect=aspect
        )
        confidence = np.linspace(0.7, 0.95, n_frames).astype(np.float32) if confident else None
        segmentation = Segmentation(meta, MaskStack.from_array(masks), confidence, "tiny 1.0")
        return Cine(meta, frames), segmentation, measure_cine(segmentation)


@pytest.fixture(scope="session")
def make() -> type[Maker]:
    return Maker
