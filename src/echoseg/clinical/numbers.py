"""Every number of a cine: per beat, and the median over the beats."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from echoseg.cine import Segmentation, Structure
from echoseg.clinical.atrium import atrium_numbers
from echoseg.clinical.beats import Beat
from echoseg.clinical.chamber import Chamber
from echoseg.clinical.context import Context
from echoseg.clinical.curve import curve_of, spacing_to_measure
from echoseg.clinical.frames import METHODS, FrameSeries
from echoseg.clinical.mass import mass_numbers
from echoseg.clinical.measures import INDEXED, PER_SURFACE, BeatMeasures, ContourStrain, Measures
from echoseg.clinical.per_beat import Number, beat_measures, median_numbers, rate_numbers, volume_numbers
from echoseg.clinical.reference import ranges_for
from echoseg.clinical.rhythm import ectopic_beats, rhythm_of
from echoseg.clinical.strain import contour_strain, strain_numbers


def measures_of(
    segmentation: Segmentation, series: FrameSeries, beats: Sequence[Beat], method: str, context: Context
) -> Measures:
    """Numbers of every beat and their medians.

    Args:
        segmentation: masks of every frame.
        series: measurements of every frame.
        beats: beats of the cine.
        method: formula of the volumes; the other ones stand beside it.
        context: body surface and display, where known.
    """
    strain = contour_strain(segmentation, beats, series.towards_base, context.display)
    found = []
    for beat in beats:
        numbers = [
            *_volumes(segmentation, series, beat, method),
            *_chambers(segmentation, series, beat),
            *strain_numbers(strain, beat),
        ]
        found.append(beat_measures(beat, [*numbers, *indexed(numbers, context.body_surface_m2)]))
    summed_up = _summed_up(found, beats, strain, segmentation.meta.fps)
    return replace(summed_up, body_surface_m2=context.body_surface_m2)


def _summed_up(
    found: Sequence[BeatMeasures], beats: Sequence[Beat], strain: ContourStrain | None, fps: float | None
) -> Measures:
    left_out = set(ectopic_beats(beats))
    median = median_numbers([one for number, one in enumerate(found) if number not in left_out])
    return Measures(
        beats=tuple(found), median=median, ranges=ranges_for(median), strain=strain, rhythm=rhythm_of(beats, fps)
    )


def _volumes(segmentation: Segmentation, series: FrameSeries, beat: Beat, method: str) -> Iterator[Number]:
    """Volumes by the case's own formula, then by the others."""
    meta = segmentation.meta
    own = curve_of(series, meta, method)
    yield from volume_numbers(own, beat)
    yield from rate_numbers(own, beat, meta.fps)
    for other in METHODS:
        if other != method:
            yield from volume_numbers(curve_of(series, meta, other), beat, f"_{other}")


def _chambers(segmentation: Segmentation, series: FrameSeries, beat: Beat) -> Iterator[Number]:
    """Atrial volumes and the mass of the wall, where the pixel size is known."""
    if segmentation.meta.spacing is None:
        return
    spacing = spacing_to_measure(segmentation.meta)
    ventricle = Chamber(segmentation.masks, spacing, Structure.LV, series.towards_base)
    yield from atrium_numbers(ventricle.atrium(), beat)
    yield from mass_numbers(segmentation.masks[beat.ed_frame], spacing, series.towards_base, beat.ed_frame)


def indexed(numbers: Iterable[Number], body_surface_m2: float | None) -> Iterator[Number]:
    """Volumes, output and mass per body surface.

    Example:
        >>> from echoseg.clinical.measures import Measured
        >>> dict(indexed([("edv", Measured(100.0, "mL", "area_length", (0,)))], 2.0))["edv_index"].value
        50.0
    """
    if body_surface_m2 is None:
        return
    for key, number in numbers:
        unit = PER_SURFACE.get(number.unit)
        if key in INDEXED and unit is not None:
            yield f"{key}_index", replace(number, value=number.value / body_surface_m2, unit=unit)
