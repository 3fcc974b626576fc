"""Frames between two stills: both are moved to the same phase and mixed.

The speckle of two instants is independent. A plain mean of two independent patterns has 0.71 of their contrast. So
gray is divided into a smooth local mean, which is mixed linearly, and detail, which is mixed on the unit circle (cos, sin)
and then brought to the local contrast that lies between those of the stills.

The leaflets of the mitral valve are open at end-diastole and shut at end-systole; no displacement makes one of the other. So around
the mitral plane the mixture changes over sooner: the valve shuts before blood is ejected, and opens before the ventricle fills.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from echoseg.cine import Float32, Float64, UInt8
from echoseg.simulator.animation.flow import Flow, Places, bounding_box
from echoseg.simulator.geometry import Mask

_MEAN_SCALE = 0.022
"""Standard deviation of the local mean, as part of the ventricle's length: about 2 mm, two or three speckles."""
_CLOSED = 0.02
"""Half the width of the dark gaps that still belong to the sector, as part of the image's longer side."""
_SOFT_BORDER_PX = 2
_LARGEST_GAIN = 2.0
_VALVE_REACH = 0.22
"""Standard deviation of the valve's region around the mitral plane, as part of the ventricle's length."""
_LEAST_SCALE_PX = 3.0


@dataclass(frozen=True, eq=False)
class Stills:
    """Two stills of one heart and the motion between them.

    Attributes:
        ed: uint8 (H, W).
        es: uint8 (H, W).
        flow: the motion.
        planes: (2, M, 2) mitral plane at end-diastole and at end-systole, (y, x) in columns.
        length: of the ventricle, in columns.
    """

    ed: UInt8
    es: UInt8
    flow: Flow
    planes: Float64
    length: float


@dataclass(frozen=True)
class Mixture:
    """What a frame is made of.

    Attributes:
        phase: of the motion, 0 (end-diastole) to 1 (end-systole).
        share: of the end-systolic still, 0..1.
        valve_share: the same around the mitral plane.
        shift: (rows, columns) that everything inside the sector is moved by.
    """

    phase: float
    share: float
    valve_share: float
    shift: tuple[float, float] = (0.0, 0.0)


class Blender:
    """Mixes two stills; what can be known before the first frame is prepared once."""

    def __init__(self, stills: Stills) -> None:
        """Find the sector and prepare the texture of both stills."""
        self._stills = stills
        sector = find_sector(stills.ed, stills.es)
        self._places = Places(stills.flow, bounding_box(sector))
        box = self._places.box
        self._inside = np.flatnonzero(sector[box])
        columns = max(_LEAST_SCALE_PX, _MEAN_SCALE * stills.length)
        scale = max(_LEAST_SCALE_PX, columns / stills.flow.aspect), columns
        self._lattice = Lattice(sector[box], scale)
        mirror = _mirror_index(sector[box])
        self._ed, self._es = (
            Texture(np.take(still[box], mirror).astype(np.float32), scale) for still in (stills.ed, stills.es)
        )

    def frame(self, mixture: Mixture) -> UInt8:
        """One frame, uint8 (H, W); outside the sector, where nothing moves, the stills are mixed as they are."""
        places = self._places(mixture.phase, mixture.shift)
        share = self._local_share(mixture)
        angle = np.float32(0.5 * np.pi) * share.ravel()[self._inside]
        ed, es = (
            texture.detail_at(place.reshape(2, -1)[:, self._inside])
            for texture, place in zip((self._ed, self._es), places, strict=True)
        )
        detail = np.cos(angle) * ed + np.sin(angle) * es
        mean, gain = self._tone(places, share, detail)
        still = np.float32(mixture.share)
        gray = np.rint((1 - still) * self._stills.ed + still * self._stills.es).astype(np.uint8)
        part = gray[self._places.box].ravel()
        part[self._inside] = np.rint(np.clip(mean + gain * detail, 0, 255))
        gray[self._places.box] = part.reshape(share.shape)
        return gray

    def _tone(self, places: tuple[Float32, Float32], share: Float32, detail: Float32) -> tuple[Float32, Float32]:
        """Local mean, and the factor that brings the detail to its contrast, both (N,) in the pixels of the sector."""
        lattice = self._lattice
        (ed_mean, ed_contrast), (es_mean, es_contrast) = (
            texture.tone_at(lattice.pick(place)) for texture, place in zip((self._ed, self._es), places, strict=True)
        )
        part = lattice.pick(share)
        power = np.zeros(share.size, np.float32)
        power[self._inside] = detail**2
        found = np.sqrt(np.maximum(lattice.mean(power.reshape(share.shape)), 1e-3))
        gain = np.minimum((ed_contrast + part * (es_contrast - ed_contrast)) / found, _LARGEST_GAIN)
        mean, gain = (
            lattice.spread(field).ravel()[self._inside] for field in (ed_mean + part * (es_mean - ed_mean), gain)
        )
        return mean, gain

    def _local_share(self, mixture: Mixture) -> Float32:
        """Share (h, w) of end-systole in every pixel of the sector's box."""
        nodes = self._stills.flow.nodes
        plane = (1 - mixture.phase) * self._stills.planes[0] + mixture.phase * self._stills.planes[1]
        square = np.min(((nodes[:, :, None] - plane) ** 2).sum(-1), axis=-1)
        near = np.exp(-0.5 * square / (_VALVE_REACH * self._stills.length) ** 2)
        return np.clip(self._places.spread(mixture.share + (mixture.valve_share - mixture.share) * near), 0, 1)


class Texture:
    """Gray values of one still, ready to be read at moved pixels."""

    def __init__(self, gray: Float32, scale: tuple[float, float]) -> None:
        """Divide gray values (h, w) into local mean and detail; `scale` is the standard deviation of the mean, rows and columns."""
        from scipy.ndimage import gaussian_filter, spline_filter

        self._mean = gaussian_filter(gray, scale, mode="mirror", truncate=3.0)
        detail = gray - self._mean
        self._contrast = np.sqrt(gaussian_filter(detail**2, scale, mode="mirror", truncate=3.0))
        self._detail = spline_filter(detail, order=3, output=np.float32, mode="mirror")

    def detail_at(self, places: Float32) -> Float32:
        """Detail at places (2, ...); a cubic spline, since linear interpolation blurs speckle."""
        return _read(self._detail, places, order=3)

    def tone_at(self, places: Float32) -> tuple[Float32, Float32]:
        """Local mean and local contrast at places (2, ...)."""
        return _read(self._mean, places, order=1), _read(self._contrast, places, order=1)


class Lattice:
    """Blocks of pixels for quantities that are smooth: a coarse image has one value in the middle of each block."""

    def __init__(self, sector: Mask, scale: tuple[float, float]) -> None:
        """Blocks of half a standard deviation of the local mean, over a box with the sector, bool (h, w)."""
        blocks = tuple(max(1, int(s / 2)) for s in scale)
        self._smoothing = tuple(s / block for s, block in zip(scale, blocks, strict=True))
        self._starts = tuple(np.arange(0, size, block) for size, block in zip(sector.shape, blocks, strict=True))
        self._middles = tuple(
            np.minimum(start + block // 2, size - 1)
            for start, block, size in zip(self._starts, blocks, sector.shape, strict=True)
        )
        self._rows, self._cols = (
            _linear_weights(size, middle) for size, middle in zip(sector.shape, self._middles, strict=True)
        )
        self._weight = np.maximum(self._sum(sector.astype(np.float32)), 1e-3)

    def pick(self, image: Float32) -> Float32:
        """Values in the middle of the blocks of an image (..., h, w)."""
        return image[..., self._middles[0][:, None], self._middles[1]]

    def spread(self, coarse: Float32) -> Float32:
        """A coarse image at every pixel, by linear interpolation."""
        return self._rows @ coarse.astype(np.float32) @ self._cols.T

    def mean(self, image: Float32) -> Float32:
        """Local mean over the sector of an image (h, w) that is 0 outside."""
        return np.asarray(self._sum(image) / self._weight, dtype=np.float32)

    def _sum(self, image: Float32) -> Float32:
        from scipy.ndimage import gaussian_filter

        sums = np.add.reduceat(np.add.reduceat(image, self._starts[0], axis=0), self._starts[1], axis=1)
        return np.asarray(gaussian_filter(sums, self._smoothing, mode="mirror", truncate=3.0))


def find_sector(ed: UInt8, es: UInt8) -> Mask:
    """Pixels that show echoes in either still, dark cavities and gaps included; the largest such region.

    Its outermost pixels are left out: where the image was made smaller they are half black.
    """
    from scipy.ndimage import binary_erosion, binary_fill_holes, distance_transform_edt, label

    reach = max(1, round(_CLOSED * max(ed.shape)))
    shown = np.pad((ed > 0) | (es > 0), reach + 1)
    if not shown.any():
        return np.zeros(ed.shape, bool)
    grown = distance_transform_edt(~shown) <= reach
    closed = binary_fill_holes(distance_transform_edt(grown) > reach)
    closed = closed[reach + 1 : -reach - 1, reach + 1 : -reach - 1]
    components, count = label(binary_erosion(closed, np.ones((3, 3)), _SOFT_BORDER_PX, border_value=1))
    sizes = np.bincount(components.ravel(), minlength=count + 1)
    sizes[0] = 0
    return np.asarray((components == np.argmax(sizes)) & (components > 0))


def _mirror_index(sector: Mask) -> NDArray[np.intp]:
    """For every pixel of (h, w) the flat index of one within the sector: itself, else its mirror image across the sector's border.

    So tissue that enters the sector has the texture of its neighbours.
    """
    from scipy.ndimage import distance_transform_edt

    nearest: NDArray[np.intp] = distance_transform_edt(~sector, return_distances=False, return_indices=True)
    opposite = 2 * nearest.astype(np.intp) - np.indices(sector.shape)
    for axis, size in enumerate(sector.shape):
        np.clip(opposite[axis], 0, size - 1, out=opposite[axis])
    lost = ~sector[tuple(opposite)]
    opposite[:, lost] = nearest[:, lost]
    return np.asarray(opposite[0] * sector.shape[1] + opposite[1])


def _linear_weights(size: int, middles: NDArray[np.intp]) -> Float32:
    """Weights (size, blocks) that interpolate between the middles of blocks; constant beyond the outermost."""
    identity = np.eye(len(middles))
    return np.stack([np.interp(np.arange(size), middles, row) for row in identity], axis=1).astype(np.float32)


def _read(image: Float32, places: Float32, order: int) -> Float32:
    from scipy.ndimage import map_coordinates

    mode = "nearest" if order == 1 else "mirror"
    return np.asarray(map_coordinates(image, places, output=np.float32, order=order, mode=mode, prefilter=False))
