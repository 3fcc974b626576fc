"""Label masks from DICOM segmentation objects, ours and those of other programs.

Binary segments are told by their codes, else by their names. Each frame of the object says which segment it is and which frame of the
cine it lies on: by number where the source is one multi-frame object, else by its place in time. A program may leave out empty
frames; they come back empty, except those after the last frame with a mask, of which nothing in the file speaks.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import dcmread, uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_file_meta_info

from echoseg.cine import CineMeta, MaskStack, Spacing, Structure, UInt8
from echoseg.errors import InputError
from echoseg.io import dicom_meta, limits
from echoseg.io.dicom import DAMAGE
from echoseg.io.dicom_deflated import deflated_start, inflated
from echoseg.io.door import quiet, reading
from echoseg.io.reading import MASK_SOURCES

CURE = "export it as a binary segmentation, or as NIfTI"
# SNOMED CT, the retired SNOMED RT, and the Foundational Model of Anatomy.
_CODES = {
    **dict.fromkeys((("SCT", "87878005"), ("SRT", "T-32600"), ("FMA", "7101"), ("FMA", "9466")), Structure.LV),
    **dict.fromkeys(
        (("SCT", "49848007"), ("SCT", "74281007"), ("SRT", "T-32020"), ("FMA", "9462"), ("FMA", "9558")),
        Structure.MYOCARDIUM,
    ),
    **dict.fromkeys((("SCT", "82471001"), ("SRT", "T-32300"), ("FMA", "7097")), Structure.LA),
}
_NAMES = {  # in this order: "left ventricular myocardium" is one
    Structure.MYOCARDIUM: re.compile(r"myocard|epicard|\bwall\b"),
    Structure.LA: re.compile(r"left[ _-]?atri|\bla\b"),
    Structure.LV: re.compile(r"left[ _-]?ventric|\blv\b|endocard"),
}
_PAINTED = (Structure.MYOCARDIUM, Structure.LA, Structure.LV)  # a filled epicardium lies below the cavity
_NATIVE = (uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.DeflatedExplicitVRLittleEndian)
_MOST_INFLATED = 1 << 28
_MOST_EMPTY = 1000  # frames of the cine for each mask, so that a damaged number does not fill the memory
Planes = Mapping[tuple[int, Structure], int]


@dataclass(frozen=True, eq=False)
class _Bits:
    """Binary frames without a gap between them, first pixel in the lowest bit."""

    data: bytes
    shape: tuple[int, int]

    def frame(self, number: int) -> UInt8:
        """Frame (H, W) of 0 and 1."""
        size = self.shape[0] * self.shape[1]
        start = number * size
        covering = np.frombuffer(self.data, np.uint8)[start // 8 : (start + size + 7) // 8]
        bits = np.unpackbits(covering, bitorder="little")
        return bits[start % 8 : start % 8 + size].reshape(self.shape)


def read_seg_masks(path: Path) -> tuple[CineMeta, MaskStack]:
    """Masks of every frame of the cine that a segmentation object belongs to.

    Returns:
        What the object says about the cine, and the masks with labels 0..3.

    Raises:
        InputError: the file is broken, no binary segmentation, or of other organs.
    """
    source = str(path)
    with reading(source, extra=DAMAGE), quiet():
        dataset = _read(path)
        _check_kind(source, dataset)
        segments = _segments(source, dataset)
        planes, n_frames = _planes(source, dataset, segments)
        masks, overlapping = _painted(_bits(source, dataset), planes, n_frames)
        return _describe(source, dataset, n_frames, _said(dataset, segments, overlapping)), masks


def _read(path: Path) -> Dataset:
    """The object; of a deflated one as much as a cine can need, for masks may shrink to a thousandth."""
    start = deflated_start(path)
    if start is None:
        return dcmread(path, force=True)
    data, whole = inflated(path, start, _MOST_INFLATED)
    if not whole:
        raise InputError(f"{path}: truncated, or unpacks to more than {_MOST_INFLATED} bytes; save it uncompressed")
    found = dcmread(io.BytesIO(data), force=True)
    found.file_meta = FileMetaDataset(read_file_meta_info(path))
    return found


def _check_kind(source: str, dataset: Dataset) -> None:
    kind = dataset.get("SegmentationType")
    if "SegmentSequence" not in dataset:
        raise InputError(
            f"{source}: a DICOM object without segments ({dataset.get('Modality') or 'of unknown kind'}); {MASK_SOURCES}, "
            "segment a cine first"
        )
    if kind != "BINARY" or dataset.get("BitsAllocated") != 1:
        raise InputError(f"{source}: a segmentation of type {kind}; {CURE}")
    meta = getattr(dataset, "file_meta", None) or Dataset()
    syntax = uid.UID(str(meta.get("TransferSyntaxUID") or uid.ImplicitVRLittleEndian))
    if syntax not in _NATIVE:
        raise InputError(f"{source}: segments in the transfer syntax {syntax.name}; save it uncompressed")


def _segments(source: str, dataset: Dataset) -> dict[int, Structure]:
    """Number of each segment -> what it shows; segments of other organs are not there."""
    found = {}
    for item in dataset.SegmentSequence:
        structure = _structure(item)
        if structure is not None:
            found[int(item.SegmentNumber)] = structure
    names = ", ".join(repr(str(item.get("SegmentLabel", ""))) for item in dataset.SegmentSequence)
    if Structure.LV not in found.values():
        raise InputError(f"{source}: no segment is a left ventricle (they are {names}); code or name one so")
    if len(set(found.values())) < len(found):
        raise InputError(f"{source}: two segments of one structure ({names}); join them into one")
    return found


def _structure(segment: Dataset) -> Structure | None:
    items = [
        item for kind in ("SegmentedPropertyType", "AnatomicRegion") for item in segment.get(f"{kind}Sequence") or ()
    ]
    items += segment.get("SegmentedPropertyTypeCodeSequence") or ()
    for item in items:
        code = (str(item.get("CodingSchemeDesignator", "")), str(item.get("CodeValue", "")))
        if code in _CODES:
            return _CODES[code]
    said = f"{segment.get('SegmentLabel', '')} | {segment.get('SegmentDescription', '')}".lower()
    return next((structure for structure, pattern in _NAMES.items() if pattern.search(said)), None)


def _planes(source: str, dataset: Dataset, segments: Mapping[int, Structure]) -> tuple[Planes, int]:
    """(frame of the cine, structure) -> frame of the object; and the number of frames of the cine."""
    groups = list(dataset.get("PerFrameFunctionalGroupsSequence") or ())
    if len(groups) != int(dataset.get("NumberOfFrames") or 1):
        raise InputError(f"{source}: {len(groups)} descriptions of {dataset.get('NumberOfFrames')} frames; {CURE}")
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    numbers = [_segment_of(group, shared) for group in groups]
    places = _places(dataset, groups, numbers)
    planes: dict[tuple[int, Structure], int] = {}
    for number, (segment, place) in enumerate(zip(numbers, places, strict=True)):
        if segment not in segments:
            continue
        key = place, segments[segment]
        if key in planes:
            raise InputError(f"{source}: two masks of {key[1].name} on frame {place + 1} of the cine; {CURE}")
        planes[key] = number
    n_frames = max(places) + 1
    limits.check_dimensions(source, n_frames, int(dataset.Rows), int(dataset.Columns))
    if n_frames > _MOST_EMPTY * len(groups):
        raise InputError(f"{source}: its {len(groups)} masks lie on a cine of {n_frames} frames; {CURE}")
    return planes, n_frames


def _segment_of(group: Dataset, shared: Dataset) -> int:
    items = group.get("SegmentIdentificationSequence") or shared.get("SegmentIdentificationSequence") or ()
    return int(items[0].ReferencedSegmentNumber) if items else 0


def _places(dataset: Dataset, groups: list[Dataset], segments: list[int]) -> list[int]:
    """Frame of the cine, from 0, that each frame of the object lies on."""
    origins = [_origin(group) for group in groups]
    instances = {instance for instance, _ in origins}
    if len(instances) == 1 and all(frame is not None for _, frame in origins):
        return [(frame or 1) - 1 for _, frame in origins]
    times = [_time(group) for group in groups]
    if all(time is not None for time in times):
        return [(time or 1) - 1 for time in times]
    if "" not in instances and len(instances) * len(set(segments)) >= len(groups):  # a series of single frames
        order = list(dict.fromkeys([*_listed(dataset), *(instance for instance, _ in origins)]))
        return [order.index(instance) for instance, _ in origins]
    return list(_in_order(segments))


def _listed(dataset: Dataset) -> Iterator[str]:
    """UIDs of the sources in the order in which the object lists them."""
    for series in dataset.get("ReferencedSeriesSequence") or ():
        for item in series.get("ReferencedInstanceSequence") or ():
            yield str(item.get("ReferencedSOPInstanceUID", ""))


def _origin(group: Dataset) -> tuple[str, int | None]:
    """UID of the source and number of its frame, from 1; None where no single frame is named."""
    for derivation in group.get("DerivationImageSequence") or ():
        for image in derivation.get("SourceImageSequence") or ():
            found = dicom_meta.numbers(image, "ReferencedFrameNumber")
            frame = int(found[0]) if len(found) == 1 and found[0] >= 1 else None
            return str(image.get("ReferencedSOPInstanceUID", "")), frame
    return "", None


def _time(group: Dataset) -> int | None:
    content = (group.get("FrameContentSequence") or [Dataset()])[0]
    for keyword in ("TemporalPositionIndex", "InStackPositionNumber"):
        value = dicom_meta.number(content, keyword)
        if value is not None and value >= 1:
            return int(value)
    return None


def _in_order(segments: list[int]) -> Iterator[int]:
    """Where nothing tells frames apart they are taken as they come, each segment for itself."""
    seen: dict[int, int] = {}
    for segment in segments:
        yield seen.get(segment, 0)
        seen[segment] = seen.get(segment, 0) + 1


def _bits(source: str, dataset: Dataset) -> _Bits:
    shape = int(dataset.Rows), int(dataset.Columns)
    n_frames = int(dataset.get("NumberOfFrames") or 1)
    limits.check_dimensions(source, n_frames, *shape)
    data = dataset.get("PixelData") or b""
    limits.check_stored(source, (n_frames * shape[0] * shape[1] + 7) // 8, len(data))
    return _Bits(data, shape)


def _painted(bits: _Bits, planes: Planes, n_frames: int) -> tuple[MaskStack, int]:
    """Labels of every frame, and the number of frames on which segments overlap."""
    masks, overlapping = MaskStack(*bits.shape), 0
    for frame in range(n_frames):
        labels = np.zeros(bits.shape, np.uint8)
        overlaps = False
        for structure in _PAINTED:
            if (frame, structure) in planes:
                inside = bits.frame(planes[frame, structure]) == 1
                overlaps = overlaps or bool(labels[inside].any())
                labels[inside] = structure
        overlapping += overlaps
        masks.append(labels)
    return masks, overlapping


def _said(dataset: Dataset, segments: Mapping[int, Structure], overlapping: int) -> tuple[str, ...]:
    """What the user must know of what was not taken over as it is."""
    others = [
        str(item.get("SegmentLabel", "")) for item in dataset.SegmentSequence if int(item.SegmentNumber) not in segments
    ]
    found = []
    if others:
        found.append(
            f"segments that are neither left ventricle, myocardium nor left atrium were left out: {', '.join(others)}"
        )
    if overlapping:
        found.append(
            f"segments overlap on {overlapping} frames: the ventricle was laid over the atrium, both over the wall"
        )
    return tuple(found)


def _describe(source: str, dataset: Dataset, n_frames: int, said: tuple[str, ...]) -> CineMeta:
    fps, about_fps = dicom_meta.timing(dataset, n_frames)
    spacing = _spacing(dataset)
    about_size = () if spacing is not None else (f"the masks have no pixel size, {dicom_meta.NO_ML}",)
    return CineMeta(
        source=source,
        height=int(dataset.Rows),
        width=int(dataset.Columns),
        n_frames=n_frames,
        fps=fps,
        spacing=spacing,
        view=dicom_meta.view(dataset),
        r_waves_s=dicom_meta.r_waves(dataset),
        warnings=(*said, *about_size, *about_fps),
    )


def _spacing(dataset: Dataset) -> Spacing | None:
    """Pixel size that all frames share, or that of the first frame."""
    for keyword in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for group in (dataset.get(keyword) or ())[:1]:
            for measures in group.get("PixelMeasuresSequence") or ():
                steps = dicom_meta.numbers(measures, "PixelSpacing")
                if len(steps) == 2 and min(steps) > 0:
                    return Spacing(row_mm=steps[0], col_mm=steps[1])
    return None
