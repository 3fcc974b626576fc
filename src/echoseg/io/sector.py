"""What of a frame is ultrasound: the sector, told from text, scales, logos and ECG traces that machines draw around it.

Speckle changes from frame to frame over a large patch; what is drawn on the screen stands still, and where it moves (a clock, an ECG
sweep) it is thin. So the sector is the convex hull of the patch in which most pixels move, with the still tissue that goes on from
it. A region of 2D tissue in a DICOM header cuts it, where the two agree. Where this is in doubt there is no answer: for stills, for
two pictures side by side, for a patch whose hull is mostly empty.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from echoseg.cine import UInt8

Mask = NDArray[np.bool_]
Box = tuple[int, int, int, int]
"""(top, left, bottom, right) in pixels, the last two exclusive."""

SAMPLE_FRAMES = 32
"""How many frames of a cine are looked at: half a second to a second."""
_MIN_FRAMES = 4
_GRID = 200  # rows or columns, the fewer, of the coarse grid on which patches are found
_MOVES = 12  # gray levels between darkest and brightest; codecs make flat ground flicker by less
_SEEN = 10  # gray levels above the ground of the screen
_TISSUE = 20  # the same for still tissue, more than a codec smears around what moves
_DRAWN = 30  # the same for what was drawn there to be read
_STILL = 4
_EDGE = 3  # pixels
_DENSE, _SOLID = 0.4, 0.7  # share of the pixels around that move, that are not ground
_MIN_AREA = 0.05  # of the image
_MIN_SOLIDITY = 0.7  # patch / its convex hull: fans have 0.9 or more, a fan with an ECG strip below it has less
_PART = 0.01  # of the largest patch: smaller ones are no tissue
_RIVAL = 0.3  # of the largest patch: a second picture
_NEAR = 0.1  # of the shorter side: how far beyond the hull other tissue may lie
_STILL_REACH = 0.04  # of the shorter side: how far still tissue may go on beyond what moves
_AGREES = 0.95  # of the patch lies in the header's region
_APEX = 0.3  # of the height: angles nearer to the apex say little
_MAX_FAN = 1.4  # times the hull
_STROKE = 0.015  # of the shorter side: letters have thinner ones
# Gray levels of a stroke above the darkest tissue beside it, and its change next to what moves in a JPEG.
_OVER_TISSUE, _STEADY = 45, 28
_MIN_STROKE = 6  # pixels
_MARGIN = 0.02  # of the shorter side
_MIN_DRAWN = 1e-4  # of the image


@dataclass(frozen=True, eq=False)
class Sector:
    """Where the ultrasound is.

    Attributes:
        mask: bool (H, W), what is ultrasound for sure: the convex hull of what moves.
        fan: bool (H, W), the same with the dark parts of the fan that it belongs to, less the pixels that it is found to: a structure
            that the sector cuts off reaches beyond it.
        visible: bool (H, W), what may be seen: the fan with a margin of 2 % of the shorter side, without what is drawn there.
        has_graphics: whether something is drawn outside of `visible`. A cine that was cropped to its sector has nothing there.
    """

    mask: Mask
    fan: Mask
    visible: Mask
    has_graphics: bool


def find_sector(frames: Iterable[UInt8], region: Box | None = None) -> Sector | None:
    """The ultrasound sector of a cine.

    Args:
        frames: uint8 (H, W) frames in order; the first `SAMPLE_FRAMES` are looked at.
        region: where a header says that 2D tissue lies.

    Returns:
        The sector, or None where it cannot be told for sure.
    """
    views = _Views.of(islice(frames, SAMPLE_FRAMES))
    if views is None or views.n_frames < _MIN_FRAMES:
        return None
    shape, ground = views.darkest.shape, views.ground()
    step = max(1, min(shape) // _GRID)
    patch = _patch(views, ground, step)
    hull = None if patch is None else _hull(patch)
    if patch is None or hull is None or patch.sum() < _MIN_SOLIDITY * hull.sum():
        return None
    mask = _cut(_enlarged(hull, step, shape), region)
    fan = mask | _cut(_enlarged(_fan(hull), step, shape), region)
    above = np.abs(views.brightest.astype(np.int16) - ground)
    drawn = ((above > _SEEN) & (views.change <= 2 * _STILL)) | (views.darkest > min(ground + _DRAWN, 254))
    margin = _MARGIN * min(shape)
    visible = mask | (_widened(fan, margin) & ~_widened(drawn & ~mask, margin / 2))
    n_drawn = int(np.count_nonzero((above > _DRAWN + views.noise()) & ~visible))
    return Sector(mask, _narrowed(fan, step), visible, n_drawn > max(2, _MIN_DRAWN * mask.size))


def marks_inside(frames: Iterable[UInt8], sector: Mask) -> Mask:
    """What is written over the tissue: bright strokes in the sector that stand still while it moves.

    Args:
        frames: all frames of a cine, uint8 (H, W).
        sector: bool (H, W).

    Returns:
        bool (H, W), boxes around words; empty for fewer than eight frames, which may be still by chance.
    """
    from scipy import ndimage

    views = _Views.of(frames)
    if views is None or views.n_frames < 2 * _MIN_FRAMES:
        return np.zeros_like(sector)
    width = max(3, round(_STROKE * min(sector.shape)) | 1)
    # the darkest view of speckle is dark and smooth, so that strokes stand out of it
    strokes = ndimage.white_tophat(views.darkest, size=(width, width))
    sure = (strokes > 2 * _DRAWN) & (views.change <= 2 * _STILL)
    near_sure = _widened(sure, 3 * width) if sure.any() else sure
    found = sure | ((strokes > _OVER_TISSUE) & (views.change <= _STEADY) & near_sure)
    found &= sector
    words, _ = ndimage.label(ndimage.binary_dilation(found, np.ones((3, 3), bool), iterations=width))
    boxes = np.zeros_like(sector)
    for place in ndimage.find_objects(words):
        if np.count_nonzero(found[place]) >= _MIN_STROKE:
            boxes[place] = True  # all of it: letters that are cut out can be read, too
    return boxes & sector


@dataclass(frozen=True, eq=False)
class _Views:
    """What frames have in common: darkest and brightest value of each pixel, uint8 (H, W)."""

    darkest: UInt8
    brightest: UInt8
    n_frames: int

    @classmethod
    def of(cls, frames: Iterable[UInt8]) -> _Views | None:
        """Views of one pass over frames; None without any."""
        iterator = iter(frames)
        first = next(iterator, None)
        if first is None:
            return None
        darkest, brightest, count = first.copy(), first.copy(), 1
        for frame in iterator:
            np.minimum(darkest, frame, out=darkest)
            np.maximum(brightest, frame, out=brightest)
            count += 1
        return cls(darkest, brightest, count)

    @property
    def change(self) -> UInt8:
        """Brightest - darkest."""
        return np.asarray(self.brightest - self.darkest, np.uint8)

    def noise(self) -> int:
        """How much the empty screen changes, as captured analogue video does: lower quartile along the image's edge."""
        change = self.change
        edges = np.concatenate(
            [change[:_EDGE].ravel(), change[-_EDGE:].ravel(), change[:, :_EDGE].ravel(), change[:, -_EDGE:].ravel()]
        )
        return int(np.percentile(edges, 25))

    def ground(self) -> int:
        """Gray level of the empty screen: the commonest one where nothing changes; 0 where nearly everything does."""
        still = self.brightest[self.change <= _STILL]
        return int(np.bincount(still, minlength=256).argmax()) if len(still) > 0.02 * self.brightest.size else 0


def _patch(views: _Views, ground: int, step: int) -> Mask | None:
    """Tissue on the coarse grid, holes filled; None where there is none or more than one picture of it."""
    from scipy import ndimage

    moving = _share(views.change > max(_MOVES, 2 * views.noise() + _STILL), step) > _DENSE
    core = _parts(_opened(moving))
    if core is None:
        return None
    above = np.abs(views.brightest.astype(np.int16) - ground)
    seen = _opened(_share(above > _TISSUE + views.noise(), step) > _SOLID)
    hull = _hull(core)
    if hull is None:
        return None
    near = _widened(hull, _STILL_REACH * min(hull.shape))
    labels, _ = ndimage.label((seen & near) | core)
    going_on = np.isin(labels, np.unique(labels[core]))
    filled: Mask = ndimage.binary_fill_holes(going_on)
    return filled


def _share(pixels: Mask, step: int) -> NDArray[np.float32]:
    """Share of pixels that are set around each cell of the coarse grid, float (rows, cols)."""
    from scipy import ndimage

    rows, cols = (-(-size // step) for size in pixels.shape)
    padded = np.pad(pixels, ((0, rows * step - pixels.shape[0]), (0, cols * step - pixels.shape[1])), mode="edge")
    cells = padded.reshape(rows, step, cols, step).mean(axis=(1, 3), dtype=np.float32)
    smooth: NDArray[np.float32] = ndimage.uniform_filter(cells, 3 if step > 1 else 5, mode="nearest")
    return smooth


def _opened(cells: Mask) -> Mask:
    """Without what is thinner than five cells."""
    from scipy import ndimage

    padded = np.pad(cells, 3, mode="edge")  # a sector that the image cuts off goes on beyond it
    opened: Mask = ndimage.binary_opening(padded, np.ones((5, 5), bool))
    return opened[3:-3, 3:-3]


def _parts(cells: Mask) -> Mask | None:
    """The largest patch with smaller ones in or near its hull; None if it is small or has a rival."""
    from scipy import ndimage

    labels, n = ndimage.label(cells)
    if not n:
        return None
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    largest = int(sizes.argmax())
    if sizes[largest] < _MIN_AREA * cells.size:
        return None
    hull = _hull(labels == largest)
    if hull is None:
        return None
    inside = np.bincount(labels[hull], minlength=n + 1)
    near = np.bincount(labels[_widened(hull, _NEAR * min(cells.shape))], minlength=n + 1)
    if np.any((sizes > _RIVAL * sizes[largest]) & (near < sizes) & (np.arange(n + 1) != largest)):
        return None
    part = (sizes > _PART * sizes[largest]) & (near == sizes) & (sizes > 0) | (inside > 0) & (near == sizes)
    part[0], part[largest] = False, True
    return np.asarray(part[labels], bool)


def _hull(cells: Mask) -> Mask | None:
    """Convex hull of cells, None where they lie on a line."""
    from PIL import Image, ImageDraw
    from scipy.spatial import ConvexHull, QhullError

    rows, cols = np.nonzero(cells)
    if len(rows) < 3:
        return None
    points = np.stack([cols, rows], axis=1)
    try:
        corners = points[ConvexHull(points).vertices]
    except QhullError:
        return None
    image = Image.new("1", (cells.shape[1], cells.shape[0]))
    ImageDraw.Draw(image).polygon([(int(x), int(y)) for x, y in corners], fill=1, outline=1)
    return np.asarray(image, bool)


def _fan(hull: Mask) -> Mask:
    """The fan that a hull is part of, from the middle of its top; the hull itself where that is no fan by far."""
    rows, cols = np.nonzero(hull)
    top, middle = rows[0], cols[rows == rows[0]].mean()
    lower = rows > top + _APEX * (rows[-1] - top)
    angle = np.arctan2(cols - middle, rows - top + 1.0)[lower]
    reach = np.hypot(rows - top, cols - middle).max()
    down, across = (grid.astype(np.float32) for grid in np.indices(hull.shape))
    down, across = down - top, across - middle
    aslant = np.arctan2(across, down + 1.0)
    fan = (aslant >= angle.min()) & (aslant <= angle.max()) & (np.hypot(down, across) <= reach) & (down >= 0)
    whole: Mask = fan | hull
    return whole if whole.sum() <= _MAX_FAN * hull.sum() else hull


def _enlarged(cells: Mask, step: int, shape: tuple[int, ...]) -> Mask:
    """Cells of the coarse grid as pixels (H, W)."""
    pixels = cells.repeat(step, axis=0).repeat(step, axis=1)
    return np.asarray(pixels[: shape[0], : shape[1]], bool)


def _widened(mask: Mask, reach: float) -> Mask:
    """With everything up to `reach` pixels away."""
    from scipy import ndimage

    if mask.all() or not mask.any():
        return mask
    distance = ndimage.distance_transform_edt(~mask)
    return np.asarray(distance <= max(1.5, reach), bool)


def _narrowed(mask: Mask, reach: float) -> Mask:
    """Without what lies within `reach` pixels of its edge or of the image's."""
    from scipy import ndimage

    distance = ndimage.distance_transform_edt(np.pad(mask, 1))
    return np.asarray(distance[1:-1, 1:-1] > reach, bool)


def _cut(mask: Mask, region: Box | None) -> Mask:
    """What of a mask lies in the region of a header, where the region is about this picture."""
    if region is None:
        return mask
    top, left, bottom, right = region
    inside = np.zeros_like(mask)
    inside[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = True
    both = mask & inside
    return both if both.sum() >= _AGREES * mask.sum() else mask
