"""`masks.seg.dcm`: the masks of every frame as a DICOM segmentation, which viewers and servers lay over the cine.

One binary segment for each structure, one frame of it for each frame of the cine, empty ones too. An ultrasound cine has no place in
the patient, so that frames are told by time: dimensions are the segment and the temporal position, and each frame names the frame
of the source that it lies on (PS3.3 A.51, C.7.6.16, C.8.20). highdicom's own writer refuses such cines (highdicom issue 284).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

from echoseg.cine import MaskStack, Segmentation, Structure
from echoseg.errors import InputError
from echoseg.report.dicom_codes import (
    ANATOMY,
    ARTIFICIAL_INTELLIGENCE,
    SEGMENTATION,
    SOURCE_IMAGE,
    STRUCTURES,
)
from echoseg.report.dicom_common import (
    NAME,
    RESEARCH_USE,
    Kind,
    SourceObject,
    algorithm,
    decimal,
    digest_of,
    made_uid,
    new_object,
    pixel_element,
    spacing_text,
    write_object,
)
from echoseg.report.paint import NAMES, PALETTE, Colour

SEG_FILE = "masks.seg.dcm"
_KIND = Kind("seg", uid.SegmentationStorage, "SEG", "heart chambers by echoseg")
_FRAMES_AT_ONCE = 8  # so many masks fill whole bytes, whatever their size
_NOMINAL_MM = "1"  # an image plane has no thickness that is known, but highdicom reads no pixel size without one
_MAX_BYTES = 0xFFFFFFFE
# Elements that dimensions point to, and the functional groups that those lie in.
_SEGMENT = (Tag("ReferencedSegmentNumber"), Tag("SegmentIdentificationSequence"), "Segment")
_TIME = (Tag("TemporalPositionIndex"), Tag("FrameContentSequence"), "Frame of the cine")


def write_seg(path: Path, source: SourceObject, segmentation: Segmentation) -> None:
    """Write the masks as a segmentation object, whole or not at all.

    Args:
        path: where to.
        source: the object that was segmented.
        segmentation: its masks.

    Raises:
        InputError: the masks do not fit the source.
        OutputError: the file cannot be written.
    """
    _check(source, segmentation)
    structures = present(segmentation.masks)
    made = new_object(source, _KIND.of(segmentation.meta.view), digest_of(segmentation))
    _add_image(made, source, segmentation, len(structures))
    _add_segments(made, segmentation.model, structures)
    _add_references(made, source)
    _add_dimensions(made)
    _add_groups(made, source, segmentation, len(structures))
    write_object(path, made, lambda file: _write_bits(file, segmentation.masks, structures))


def present(masks: MaskStack) -> tuple[Structure, ...]:
    """Structures that the masks hold; the ventricle always."""
    seen = np.zeros(len(Structure), bool)
    for mask in masks:
        seen |= np.bincount(mask.ravel(), minlength=len(Structure)) > 0
    return tuple(one for one in Structure if one is Structure.LV or (one is not Structure.BACKGROUND and seen[one]))


def _check(source: SourceObject, segmentation: Segmentation) -> None:
    size = tuple(int(source.header.get(keyword) or 0) for keyword in ("Rows", "Columns"))
    if size != segmentation.meta.shape:
        raise InputError(
            f"{source.path}: an image of {size[0]}x{size[1]} pixels, but the masks are of {segmentation.meta.shape}; "
            "give the cine that was segmented"
        )
    if len(segmentation.masks) > source.n_frames:
        raise InputError(
            f"{source.path}: {source.n_frames} frames, but {len(segmentation.masks)} masks; give the cine that was segmented"
        )


def _add_image(made: Dataset, source: SourceObject, segmentation: Segmentation, n_segments: int) -> None:
    meta = segmentation.meta
    made.ImageType = ["DERIVED", "PRIMARY"]
    made.PatientOrientation = None
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.Rows, made.Columns = meta.shape
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 1, 1, 0, 0
    made.NumberOfFrames = n_segments * len(segmentation.masks)
    made.LossyImageCompression = "00"
    for keyword in ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"):
        if keyword in source.shared:
            setattr(made, keyword, source.shared[keyword].value)
    made.SegmentationType = "BINARY"
    made.SegmentsOverlap = "NO"
    made.ContentLabel = "HEART"
    made.ContentDescription = RESEARCH_USE
    made.ContentCreatorName = f"{NAME}^"
    if meta.fps is not None:
        made.FrameTime = decimal(1000 / meta.fps)
    if meta.r_waves_s:
        made.RWaveTimeVector = [1000 * time_s for time_s in meta.r_waves_s]


def _add_segments(made: Dataset, model: str, structures: tuple[Structure, ...]) -> None:
    name, version = algorithm(model)
    made.SegmentSequence = [_segment(number, one, name, version) for number, one in enumerate(structures, start=1)]
    for item in made.SegmentSequence:
        item.TrackingID = item.SegmentLabel
        item.TrackingUID = made_uid("segment", made.SOPInstanceUID, item.SegmentNumber)


def _segment(number: int, structure: Structure, name: str, version: str) -> Dataset:
    how = Dataset()
    how.AlgorithmFamilyCodeSequence = [ARTIFICIAL_INTELLIGENCE.item()]
    how.AlgorithmName, how.AlgorithmVersion, how.AlgorithmSource = name, version, NAME
    item = Dataset()
    item.SegmentNumber = number
    item.SegmentLabel = NAMES[structure]
    item.SegmentAlgorithmType, item.SegmentAlgorithmName = "AUTOMATIC", name
    item.SegmentationAlgorithmIdentificationSequence = [how]
    item.SegmentedPropertyCategoryCodeSequence = [ANATOMY.item()]
    item.SegmentedPropertyTypeCodeSequence = [STRUCTURES[structure].item()]
    item.RecommendedDisplayCIELabValue = cielab(PALETTE[structure])
    return item


def cielab(colour: Colour) -> list[int]:
    """An sRGB colour as PS3.3 C.10.7.1.1 writes CIELab: L* 0..100, a* and b* -128..127, each as 0..65535.

    >>> cielab((255, 255, 255)), cielab((0, 0, 0))
    ([65535, 32896, 32896], [0, 32896, 32896])
    """
    scaled = np.asarray(colour) / 255
    linear = np.where(scaled <= 0.04045, scaled / 12.92, ((scaled + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.119192, 0.9503041]]
    )
    share = to_xyz @ linear / to_xyz.sum(1)
    x, y, z = np.where(share > (6 / 29) ** 3, np.cbrt(share), share / (3 * (6 / 29) ** 2) + 4 / 29).tolist()
    light, a, b = 116 * y - 16, 500 * (x - y), 200 * (y - z)
    return [round(light * 655.35), round((a + 128) * 257), round((b + 128) * 257)]


def _add_references(made: Dataset, source: SourceObject) -> None:
    series = Dataset()
    series.SeriesInstanceUID = source.series
    series.ReferencedInstanceSequence = [source.reference()]
    made.ReferencedSeriesSequence = [series]


def _add_dimensions(made: Dataset) -> None:
    organisation = Dataset()
    organisation.DimensionOrganizationUID = made_uid("dimensions", made.SOPInstanceUID)
    made.DimensionOrganizationSequence = [organisation]
    made.DimensionIndexSequence = [_dimension(organisation.DimensionOrganizationUID, *one) for one in (_SEGMENT, _TIME)]


def _dimension(organisation: str, element: BaseTag, group: BaseTag, label: str) -> Dataset:
    item = Dataset()
    item.DimensionOrganizationUID = organisation
    item.DimensionIndexPointer, item.FunctionalGroupPointer = element, group
    item.DimensionDescriptionLabel = label
    return item


def _add_groups(made: Dataset, source: SourceObject, segmentation: Segmentation, n_segments: int) -> None:
    meta = segmentation.meta
    shared = Dataset()
    if meta.spacing is not None:
        measures = Dataset()
        measures.PixelSpacing = spacing_text(meta.spacing)
        measures.SliceThickness = _NOMINAL_MM
        shared.PixelMeasuresSequence = [measures]
    made.SharedFunctionalGroupsSequence = [shared]
    n_frames = len(segmentation.masks)
    origins = [_origin(source, frame) for frame in range(n_frames)]
    groups = []
    for segment in range(1, n_segments + 1):
        which = Dataset()
        which.ReferencedSegmentNumber = segment
        for frame, origin in enumerate(origins):
            content, group = Dataset(), Dataset()
            content.DimensionIndexValues = [segment, frame + 1]
            content.TemporalPositionIndex = frame + 1
            group.FrameContentSequence = [content]
            group.DerivationImageSequence = [origin]
            group.SegmentIdentificationSequence = [which]
            groups.append(group)
    made.PerFrameFunctionalGroupsSequence = groups


def _origin(source: SourceObject, frame: int) -> Dataset:
    """Item that names the frame of the source that a mask lies on, pixel by pixel."""
    image = source.reference([frame])
    image.PurposeOfReferenceCodeSequence = [SOURCE_IMAGE.item()]
    image.SpatialLocationsPreserved = "YES"
    item = Dataset()
    item.DerivationCodeSequence = [SEGMENTATION.item()]
    item.SourceImageSequence = [image]
    return item


def _write_bits(file: BinaryIO, masks: MaskStack, structures: tuple[Structure, ...]) -> None:
    n_frames, height, width = masks.shape
    bits = len(structures) * n_frames * height * width
    length = (bits + 15) // 16 * 2
    if length > _MAX_BYTES:
        raise InputError(
            f"{n_frames} masks of {height}x{width} are too many for a DICOM object; cut the cine into pieces"
        )
    file.write(pixel_element(length))
    written = sum(file.write(chunk) for chunk in packed(masks, structures))
    file.write(bytes(length - written))


def packed(masks: MaskStack, structures: tuple[Structure, ...]) -> Iterator[bytes]:
    """Bits of all masks, one structure after the other, first pixel in the lowest bit, without a gap between frames.

    A frame of odd size ends within a byte, where the next begins (PS3.5 8.1.1).
    """
    frames = (mask == structure for structure in structures for mask in masks)
    while group := list(islice(frames, _FRAMES_AT_ONCE)):
        yield np.packbits(np.stack(group), bitorder="little").tobytes()
