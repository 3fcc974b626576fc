"""`overlay.dcm`: the cine with contours burned in, for viewers that do not lay a segmentation over a cine.

An ultrasound multi-frame object at the cine's own size and rate, so that its calibration still holds; a secondary capture where the
source is no ultrasound object or its frame rate is unknown, which an ultrasound object has to say. Each frame is a JPEG, written as
it is made. Frames are the gray ones that were segmented: what the machine burned in is still in them.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from pydicom import uid
from pydicom.dataset import Dataset

from echoseg.cine import CineMeta, Segmentation, UInt8
from echoseg.errors import InputError
from echoseg.io.dicom_meta import calibration, number
from echoseg.report.dicom_common import (
    RESEARCH_USE,
    Kind,
    SourceObject,
    decimal,
    digest_of,
    new_object,
    pixel_element,
    spacing_text,
    write_object,
)
from echoseg.report.paint import Painter

VIDEO_FILE = "overlay.dcm"
_ULTRASOUND = Kind("dicom-video", uid.UltrasoundMultiFrameImageStorage, "US", "contours by echoseg")
_CAPTURE = Kind("dicom-video", uid.MultiFrameTrueColorSecondaryCaptureImageStorage, "OT", "contours by echoseg")
_QUALITY = 92
_FRAME_TIME, _PAGE_NUMBERS = 0x00181063, 0x00182001
_ITEM, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"
_REGION = (
    *("RegionSpatialFormat", "RegionDataType", "RegionFlags"),
    *("RegionLocationMinX0", "RegionLocationMinY0", "RegionLocationMaxX1", "RegionLocationMaxY1"),
    *("PhysicalUnitsXDirection", "PhysicalUnitsYDirection", "PhysicalDeltaX", "PhysicalDeltaY"),
)
_CM, _TISSUE, _2D = 3, 1, 1


@dataclass(frozen=True)
class _Codestreams:
    """JPEGs in a temporary file, as the fragments that a DICOM object holds.

    Attributes:
        file: items one after the other.
        starts: where each begins.
        n_bytes: length of all JPEGs together.
    """

    file: BinaryIO
    starts: list[int]
    n_bytes: int

    def write_into(self, target: BinaryIO) -> None:
        """Write the pixel data element: the table of offsets, then the fragments."""
        table = b"".join(start.to_bytes(4, "little") for start in self.starts)
        target.write(pixel_element(None) + _ITEM + len(table).to_bytes(4, "little") + table)
        self.file.seek(0)
        shutil.copyfileobj(self.file, target)
        target.write(_END)


def write_dicom_video(path: Path, source: SourceObject, segmentation: Segmentation, frames: Iterable[UInt8]) -> None:
    """Write the overlay, whole or not at all; memory is bounded by a frame.

    Args:
        path: where to.
        source: the object that was segmented.
        segmentation: its masks.
        frames: its frames, uint8 (H, W), in order.

    Raises:
        InputError: there are fewer frames than masks.
        OutputError: the file cannot be written.
    """
    meta = segmentation.meta
    is_ultrasound = source.is_ultrasound and meta.fps is not None
    kind = (_ULTRASOUND if is_ultrasound else _CAPTURE).of(meta.view)
    made = new_object(source, kind, digest_of(segmentation))
    made.file_meta.TransferSyntaxUID = uid.JPEGBaseline8Bit
    _add_image(made, segmentation)
    if is_ultrasound:
        _add_regions(made, source, meta)
    else:
        _add_capture(made, meta)
    _add_timing(made, meta)
    _add_origin(made, source)
    with tempfile.TemporaryFile() as file:
        codestreams = _encode(file, _painted(segmentation, frames))
        _add_loss(made, source, codestreams)
        write_object(path, made, codestreams.write_into)


def _add_image(made: Dataset, segmentation: Segmentation) -> None:
    meta = segmentation.meta
    made.ImageType = ["DERIVED", "SECONDARY"]
    made.PatientOrientation, made.BodyPartExamined = None, "HEART"
    made.BurnedInAnnotation = "YES"
    made.SamplesPerPixel, made.PlanarConfiguration = 3, 0
    made.PhotometricInterpretation = "YBR_FULL_422"
    made.Rows, made.Columns = meta.shape
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 8, 8, 7, 0
    made.NumberOfFrames = len(segmentation.masks)
    made.DerivationDescription = f"Contours by {segmentation.model}. {RESEARCH_USE}."
    if meta.spacing is None and meta.aspect is not None and not meta.square_pixels:
        made.PixelAspectRatio = [round(1000 * meta.aspect), 1000]


def _add_capture(made: Dataset, meta: CineMeta) -> None:
    made.ConversionType = "WSD"
    if meta.spacing is not None:
        made.PixelSpacing = spacing_text(meta.spacing)


def _add_timing(made: Dataset, meta: CineMeta) -> None:
    if meta.fps is None:
        if int(made.NumberOfFrames) > 1:
            made.FrameIncrementPointer = _PAGE_NUMBERS
            made.PageNumberVector = list(range(1, int(made.NumberOfFrames) + 1))
        return
    made.FrameIncrementPointer = _FRAME_TIME
    made.FrameTime = decimal(1000 / meta.fps)
    made.RecommendedDisplayFrameRate = max(1, round(meta.fps))
    if meta.r_waves_s and made.Modality == "US":
        made.RWaveTimeVector = [1000 * time_s for time_s in meta.r_waves_s]


def _add_regions(made: Dataset, source: SourceObject, meta: CineMeta) -> None:
    """Calibration of the source where it was believed, that of the user over the whole image where one was given."""
    if meta.spacing is None:
        return
    found = calibration(source.header, meta.height, meta.width).spacing
    regions = [_region(item) for item in source.header.get("SequenceOfUltrasoundRegions") or ()]
    kept = [region for region in regions if region is not None]
    if found != meta.spacing or not kept:
        whole = (0, 0, meta.width - 1, meta.height - 1)
        deltas = (meta.spacing.col_mm / 10, meta.spacing.row_mm / 10)
        kept = [_made_region((_2D, _TISSUE, 0, *whole, _CM, _CM, *deltas))]
    made.SequenceOfUltrasoundRegions = kept


def _region(item: Dataset) -> Dataset | None:
    values = [number(item, keyword) for keyword in _REGION]
    return None if None in values else _made_region(tuple(value for value in values if value is not None))


def _made_region(values: tuple[float, ...]) -> Dataset:
    region = Dataset()
    for keyword, value in zip(_REGION, values, strict=True):
        setattr(region, keyword, float(value) if keyword.startswith("PhysicalDelta") else int(value))
    return region


def _add_origin(made: Dataset, source: SourceObject) -> None:
    made.SourceImageSequence = [source.reference()]


def _add_loss(made: Dataset, source: SourceObject, codestreams: _Codestreams) -> None:
    """What was lost before, and by the JPEGs; the two lists have to be of one length (PS3.3 C.7.6.1.1.5)."""
    before = []
    for keyword in ("LossyImageCompressionRatio", "LossyImageCompressionMethod"):
        value = source.shared.get(keyword) or []
        before.append([value] if isinstance(value, (str, float)) else list(value))
    if len(before[0]) != len(before[1]):
        before = [[], []]
    plain = int(made.Rows) * int(made.Columns) * 3 * int(made.NumberOfFrames)
    made.LossyImageCompression = "01"
    made.LossyImageCompressionRatio = [*map(str, before[0]), f"{plain / codestreams.n_bytes:.2f}"]
    made.LossyImageCompressionMethod = [*before[1], "ISO_10918_1"]


def _painted(segmentation: Segmentation, frames: Iterable[UInt8]) -> Iterator[UInt8]:
    """RGB frames, uint8 (H, W, 3), with contours."""
    meta, masks = segmentation.meta, segmentation.masks
    painter = Painter(meta.shape, meta.shape)
    count = 0
    for frame in islice(frames, len(masks)):
        yield painter.paint(frame, masks[count])
        count += 1
    if count < len(masks):
        raise InputError(f"{meta.source}: {count} frames for {len(masks)} masks; give the cine that was segmented")


def _encode(file: BinaryIO, pictures: Iterable[UInt8]) -> _Codestreams:
    from PIL import Image

    starts, n_bytes = [], 0
    for picture in pictures:
        codestream = io.BytesIO()
        Image.fromarray(picture).save(codestream, "JPEG", quality=_QUALITY, subsampling="4:2:2")
        data = codestream.getvalue()
        starts.append(file.tell())
        file.write(_ITEM + (len(data) + len(data) % 2).to_bytes(4, "little") + data + bytes(len(data) % 2))
        n_bytes += len(data)
    return _Codestreams(file, starts, n_bytes)
