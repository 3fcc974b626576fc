"""The whole chain from the masks of a cine to its clinical numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from echoseg.cine import CineMeta, Segmentation, Structure
from echoseg.clinical.atrium import cut_off_frames
from echoseg.clinical.beats import Beat, find_beats
from echoseg.clinical.chamber import Chamber
from echoseg.clinical.context import NOTHING_KNOWN, Context
from echoseg.clinical.curve import VolumeCurve, curve_of, spacing_to_measure
from echoseg.clinical.ejection import Ejection, EjectionSummary, ejections, heart_rate, summarise
from echoseg.clinical.frames import SIMPSON_SINGLE_PLANE, FrameSeries, measure_frames
from echoseg.clinical.measures import Measures
from echoseg.clinical.numbers import measures_of
from echoseg.clinical.per_beat import beat_frames
from echoseg.clinical.quality import Quality, assess
from echoseg.clinical.regressed import RegressedEf
from echoseg.clinical.rhythm import usual_beats
from echoseg.errors import InputError


@dataclass(frozen=True, eq=False)
class Indices:
    """Clinical numbers of a cine.

    Attributes:
        curve: volume of every frame.
        beats: beats of the cine.
        ejections: volumes of each beat.
        summary: volumes over all beats, None where no beat could be measured.
        quality: whether to trust them.
        warnings: sentences that a user must see, those of the cine included.
        regressed: ejection fraction that a network read off the frames, beside the one from the masks; None where none was asked.
        extras: numbers of each beat and their medians, with unit, formula and frames; None where none were asked.
    """

    curve: VolumeCurve
    beats: tuple[Beat, ...]
    ejections: tuple[Ejection, ...]
    summary: EjectionSummary | None
    quality: Quality
    warnings: tuple[str, ...]
    regressed: RegressedEf | None = None
    extras: Measures | None = None


def measure_cine(
    segmentation: Segmentation, *, method: str = SIMPSON_SINGLE_PLANE, context: Context = NOTHING_KNOWN
) -> Indices:
    """Volume curve, beats, ejection fraction, all other numbers and quality of a segmented cine.

    Args:
        segmentation: masks of every frame at the cine's native size.
        method: "simpson_single_plane" or "area_length".
        context: what is known of the cine beside its masks.

    Raises:
        InputError: pixels are known not to be square and their size is unknown, or the sector is not of the frames' size.
        UsageError: the method or the display is unknown.

    Example:
        >>> import numpy as np
        >>> from echoseg.cine import CineMeta, MaskStack, Spacing
        >>> y, x = np.mgrid[0:112, 0:112]
        >>> radii = 22 + 4 * np.cos(2 * np.pi * np.arange(60) / 25)
        >>> masks = np.stack([((y - 56) / 45) ** 2 + ((x - 56) / r) ** 2 <= 1 for r in radii]).astype(np.uint8)
        >>> meta = CineMeta("demo", 112, 112, 60, fps=25.0, spacing=Spacing(1.0, 1.0))
        >>> indices = measure_cine(Segmentation(meta, MaskStack.from_array(masks), None, "demo"))
        >>> len(indices.beats), round(indices.summary.ef_percent), indices.summary.unit, indices.quality.flag.value
        (2, 52, 'mL', 'pass')
    """
    meta, sector = segmentation.meta, context.sector
    if sector is not None and sector.shape != meta.shape:
        raise InputError(
            f"{meta.source}: sector of shape {sector.shape} for frames of {meta.shape}; find it on this cine"
        )
    series = measure_frames(segmentation.masks, spacing_to_measure(meta), sector=sector)
    curve = curve_of(series, meta, method)
    beats = find_beats(curve, meta.fps, meta.r_waves_s)
    usual = usual_beats(beats)
    summary = summarise(ejections(curve, usual), heart_rate(usual, meta.fps))
    extras = measures_of(segmentation, series, beats, method, context)
    quality = assess(segmentation, curve, beats, series, summary, context=context)
    warnings = (*meta.warnings, *_unknown(meta), *_left_out(segmentation, series, beats))
    return Indices(curve, beats, ejections(curve, beats), summary, quality, warnings, extras=extras)


def with_regressed(indices: Indices, regressed: RegressedEf) -> Indices:
    """The same with an ejection fraction that a network read off the frames, and its warnings."""
    warnings = tuple(dict.fromkeys((*indices.warnings, *regressed.warnings)))
    return replace(indices, regressed=regressed, warnings=warnings)


def _unknown(meta: CineMeta) -> Iterator[str]:
    """What the numbers lack, unless a warning of the cine has asked for it already."""
    said = "\n".join(meta.warnings)
    if meta.fps is None and meta.n_frames > 2 and "--fps" not in said:
        yield f"{meta.source}: frame rate unknown, so beats were found by counting frames; give the frame rate with --fps"
    if meta.spacing is None and "--spacing-mm" not in said:
        yield f"{meta.source}: pixel size unknown, so volumes are in cubic pixels; give the pixel size with --spacing-mm"


def _left_out(segmentation: Segmentation, series: FrameSeries, beats: Sequence[Beat]) -> Iterator[str]:
    """What could have been measured, were it whole."""
    meta = segmentation.meta
    if meta.spacing is None or not beats:
        return
    atrium = Chamber(segmentation.masks, meta.spacing, Structure.LV, series.towards_base).atrium()
    instants = sorted({frame for beat in beats for frame in beat_frames(beat)})
    cut = cut_off_frames(atrium, instants)
    if cut:
        yield (
            f"{meta.source}: left atrium cut off by the edge of the image at frames {', '.join(map(str, cut))}, so that its volume is "
            "left out there"
        )
