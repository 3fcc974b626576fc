"""The overlay as a DICOM object: valid, at the cine's size and rate, with contours, and readable by this package."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread, examples, uid
from pydicom.encaps import generate_frames, parse_basic_offsets
from pydicom.filebase import DicomBytesIO
from tests.dicom_studies import Tags
from tests.report.dicom_cases import check_valid, segmented, source_file

from echoseg.cine import CineMeta, MaskStack, Segmentation, Spacing, UInt8, View
from echoseg.errors import InputError
from echoseg.io import open_cine, read_cine
from echoseg.report.dicom_common import read_source
from echoseg.report.dicom_video import write_dicom_video
from echoseg.report.paint import PALETTE

SHAPE = (5, 64, 96)


def square_masks(shape: tuple[int, int, int] = SHAPE) -> UInt8:
    """A ventricle that moves to the right, and an atrium below; nothing on the last frame."""
    masks = np.zeros(shape, np.uint8)
    for t, mask in enumerate(masks[:-1]):
        mask[10:30, 10 + 5 * t : 30 + 5 * t] = 1
        mask[34:50, 10:30] = 3
    return masks


def overlay(folder: Path, source: Path, segmentation: Segmentation) -> Path:
    path = folder / "overlay.dcm"
    with open_cine(source) as frames:
        write_dicom_video(path, read_source(source), segmentation, frames)
    return path


@pytest.mark.parametrize("shape", [SHAPE, (5, 63, 95), (1, 64, 96)], ids=["even", "odd", "single"])
def test_an_ultrasound_cine_becomes_one_with_contours(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    source = source_file(tmp_path, shape, Tags(view=View.A4C))
    path = overlay(tmp_path, source, segmented(source, square_masks(shape), fps=25.0))
    check_valid(path, "USMultiFrameImage")
    made = dcmread(path)
    assert (list(made.ImageType), made.BurnedInAnnotation) == (["DERIVED", "SECONDARY"], "YES")
    assert made.file_meta.TransferSyntaxUID == uid.JPEGBaseline8Bit
    assert made.SourceImageSequence[0].ReferencedSOPInstanceUID == dcmread(source).SOPInstanceUID
    back = read_cine(path)
    assert back.frames.shape == shape
    assert (float(made.FrameTime), back.spacing, back.view) == (40.0, Spacing(1.2, 1.2), View.A4C)


def test_contours_lie_on_the_mask_and_nowhere_else(tmp_path: Path) -> None:
    source = source_file(tmp_path, SHAPE)
    dataset = dcmread(source)
    dataset.PixelData = bytes(np.prod(SHAPE))  # black, so that any colour is a contour
    dataset.save_as(source)
    path = overlay(tmp_path, source, segmented(source, square_masks()))
    pictures = dcmread(path).pixel_array.astype(int)  # RGB
    yellow = np.array(PALETTE[1])
    for t in range(4):
        for column in (10 + 5 * t, 29 + 5 * t):  # the sides of the square
            near = pictures[t, 20, max(0, column - 2) : column + 3]
            assert np.abs(near - yellow).sum(-1).min() < 120
        assert pictures[t, 20, 18 + 5 * t : 21 + 5 * t].max() < 60
        assert pictures[t, :, 60:].max() < 30
    assert pictures[4].max() < 10


def test_gray_values_are_those_of_the_source(tmp_path: Path) -> None:
    source = source_file(tmp_path, SHAPE)
    smooth = np.broadcast_to(np.linspace(20, 200, SHAPE[2]).astype(np.uint8), SHAPE)
    dataset = dcmread(source)
    dataset.PixelData = smooth.tobytes()
    dataset.save_as(source)
    masks = np.zeros(SHAPE, np.uint8)
    found = read_cine(overlay(tmp_path, source, segmented(source, masks))).frames
    assert np.abs(found.astype(int) - smooth).max() <= 3


@pytest.mark.parametrize("n_frames", [1, 5])
def test_without_a_frame_rate_it_is_a_secondary_capture(tmp_path: Path, n_frames: int) -> None:
    shape = (n_frames, *SHAPE[1:])
    source = source_file(tmp_path, shape)
    path = overlay(tmp_path, source, segmented(source, square_masks(shape), fps=None))
    check_valid(path, "MultiframeTrueColorSCImage")
    back = read_cine(path)
    assert (len(back.frames), back.fps, back.spacing) == (n_frames, None, Spacing(1.2, 1.2))


def test_of_another_modality_it_is_a_secondary_capture(tmp_path: Path) -> None:
    source = source_file(tmp_path, SHAPE, Modality="OT")
    dataset = dcmread(source)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = (
        uid.MultiFrameGrayscaleByteSecondaryCaptureImageStorage
    )
    dataset.save_as(source)
    path = overlay(tmp_path, source, segmented(source, square_masks()))
    check_valid(path, "MultiframeTrueColorSCImage")
    assert read_cine(path).fps == 25.0


@pytest.mark.parametrize("spacing", [None, Spacing(0.4, 0.3)], ids=["unknown", "the user's"])
def test_calibration_is_what_was_measured_with(tmp_path: Path, spacing: Spacing | None) -> None:
    source = source_file(tmp_path, SHAPE)
    path = overlay(tmp_path, source, segmented(source, square_masks(), spacing=spacing))
    check_valid(path, "USMultiFrameImage")
    assert read_cine(path).spacing == spacing


def test_pixels_that_are_not_square_stay_so(tmp_path: Path) -> None:
    source = source_file(tmp_path, SHAPE)
    path = overlay(tmp_path, source, segmented(source, square_masks(), spacing=None, aspect=1.25))
    check_valid(path, "USMultiFrameImage")
    assert open_cine(path).meta.aspect == pytest.approx(1.25)


@pytest.mark.parametrize("before", [("10.5", "ISO_10918_1"), ("10.5", None), (None, None)])
def test_losses_add_up(tmp_path: Path, before: tuple[str | None, str | None]) -> None:
    source = source_file(tmp_path, SHAPE, LossyImageCompression="01")
    dataset = dcmread(source)
    for keyword, value in zip(("LossyImageCompressionRatio", "LossyImageCompressionMethod"), before, strict=True):
        if value is not None:
            setattr(dataset, keyword, value)
    dataset.save_as(source)
    path = overlay(tmp_path, source, segmented(source, square_masks()))
    check_valid(path, "USMultiFrameImage")
    made = dcmread(path)
    ratios = made.LossyImageCompressionRatio
    n_steps = 1 if None in before else 2
    assert (1 if isinstance(ratios, float) else len(ratios)) == n_steps


def test_every_offset_of_the_table_is_the_start_of_a_frame(tmp_path: Path) -> None:
    source = source_file(tmp_path, SHAPE)
    data = dcmread(overlay(tmp_path, source, segmented(source, square_masks()))).PixelData
    offsets = parse_basic_offsets(DicomBytesIO(data))
    assert len(offsets) == SHAPE[0]
    start = 8 + 4 * SHAPE[0]
    for offset in offsets:
        assert data[start + offset : start + offset + 4] == b"\xfe\xff\x00\xe0"
        assert data[start + offset + 8 : start + offset + 10] == b"\xff\xd8"
    assert len(list(generate_frames(data, number_of_frames=SHAPE[0]))) == SHAPE[0]


def test_too_few_frames_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    source = source_file(tmp_path, SHAPE)
    segmentation = segmented(source, square_masks())
    with open_cine(source) as frames, pytest.raises(InputError, match="3 frames for 5 masks"):
        write_dicom_video(tmp_path / "x.dcm", read_source(source), segmentation, list(frames)[:3])
    assert not list(tmp_path.glob("*x.dcm"))


def test_memory_is_bounded_by_a_frame(tmp_path: Path) -> None:
    n_frames, height, width = 60, 600, 800
    source = source_file(tmp_path, (n_frames, 8, 8))
    masks = MaskStack(height, width)
    masks.extend(np.zeros((height, width), np.uint8) for _ in range(n_frames))
    meta = CineMeta(str(source), height, width, n_frames, fps=50.0)
    rng = np.random.default_rng(0)

    def frames() -> Iterator[UInt8]:
        for _ in range(n_frames):
            yield rng.integers(0, 256, (height, width), dtype=np.uint8)

    found = read_source(source)
    tracemalloc.start()
    try:
        write_dicom_video(tmp_path / "o.dcm", found, Segmentation(meta, masks, None, "tiny 1.0"), frames())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (tmp_path / "o.dcm").stat().st_size > 20e6
    assert peak < 10e6


def test_a_real_cine(tmp_path: Path) -> None:
    """The calibration of this one lies outside its image, so that none is taken over."""
    source = Path(str(examples.get_path("ybr_color")))
    meta = open_cine(source).meta
    segmentation = segmented(source, square_masks((30, *meta.shape)))
    path = overlay(tmp_path, source, segmentation)
    check_valid(path, "USMultiFrameImage")
    back = read_cine(path)
    assert (back.frames.shape, back.spacing) == ((30, 240, 320), None)
    assert back.fps == pytest.approx(meta.fps, rel=1e-3)
    before = read_cine(source).frames
    untouched = square_masks((30, *meta.shape))[-1] == 0
    assert np.abs(back.frames[-1].astype(int) - before[-1])[untouched].mean() < 2
