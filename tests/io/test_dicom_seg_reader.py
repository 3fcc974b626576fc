"""Masks from segmentation objects as other programs write them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread, uid
from pydicom.pixels.utils import pack_bits
from tests.report.dicom_cases import random_masks, segmented, source_file

from echoseg.cine import UInt8
from echoseg.errors import InputError
from echoseg.io import read_masks
from echoseg.report.dicom_common import read_source
from echoseg.report.dicom_seg import write_seg

SHAPE = (5, 9, 7)
Change = Callable[[Dataset], None]


def seg(folder: Path, masks: UInt8, change: Change | None = None, syntax: uid.UID | None = None) -> Path:
    """A segmentation object, changed into what another program might have written."""
    source, path = source_file(folder, masks.shape), folder / "masks.seg.dcm"
    write_seg(path, read_source(source), segmented(source, masks))
    dataset = dcmread(path)
    if change is not None:
        change(dataset)
    if syntax is not None:
        dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(
        path, enforce_file_format=True, implicit_vr=syntax == uid.ImplicitVRLittleEndian, little_endian=True
    )
    return path


def keep(numbers: list[int]) -> Change:
    """Keep these frames of the object, in this order."""

    def change(dataset: Dataset) -> None:
        shape = int(dataset.NumberOfFrames), int(dataset.Rows), int(dataset.Columns)
        bits = np.unpackbits(np.frombuffer(dataset.PixelData, np.uint8), bitorder="little")
        frames = bits[: np.prod(shape)].reshape(shape)[numbers]
        dataset.PixelData = pack_bits(frames, pad=True)
        dataset.NumberOfFrames = len(numbers)
        dataset.PerFrameFunctionalGroupsSequence = [dataset.PerFrameFunctionalGroupsSequence[i] for i in numbers]

    return change


@pytest.mark.parametrize(
    "syntax", [uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.DeflatedExplicitVRLittleEndian]
)
def test_every_native_transfer_syntax(tmp_path: Path, syntax: uid.UID) -> None:
    masks = random_masks(SHAPE)
    np.testing.assert_array_equal(read_masks(seg(tmp_path, masks, syntax=syntax))[1].to_array(), masks)


def test_empty_frames_that_were_left_out_and_frames_in_any_order(tmp_path: Path) -> None:
    masks = random_masks(SHAPE, empty=(0, 2))
    present = [5 * segment + frame for frame in (4, 1, 3) for segment in (2, 0, 1)]
    meta, found = read_masks(seg(tmp_path, masks, keep(present)))
    assert meta.n_frames == 5
    np.testing.assert_array_equal(found.to_array(), masks)


def test_frames_told_apart_by_time_alone(tmp_path: Path) -> None:
    def change(dataset: Dataset) -> None:
        keep([14, *range(14)])(dataset)
        for group in dataset.PerFrameFunctionalGroupsSequence:
            del group.DerivationImageSequence

    masks = random_masks(SHAPE)
    np.testing.assert_array_equal(read_masks(seg(tmp_path, masks, change))[1].to_array(), masks)


def test_frames_told_apart_by_nothing_but_their_order(tmp_path: Path) -> None:
    def change(dataset: Dataset) -> None:
        for group in dataset.PerFrameFunctionalGroupsSequence:
            del group.DerivationImageSequence
            del group.FrameContentSequence

    masks = random_masks(SHAPE)
    np.testing.assert_array_equal(read_masks(seg(tmp_path, masks, change))[1].to_array(), masks)


def test_frames_on_a_series_of_single_images(tmp_path: Path) -> None:
    def change(dataset: Dataset) -> None:
        for group in dataset.PerFrameFunctionalGroupsSequence:
            image = group.DerivationImageSequence[0].SourceImageSequence[0]
            image.ReferencedSOPInstanceUID = f"1.2.{image.ReferencedFrameNumber}"
            del image.ReferencedFrameNumber
            del group.FrameContentSequence
        listed = dataset.ReferencedSeriesSequence[0].ReferencedInstanceSequence
        listed.clear()
        for number in range(1, 6):
            listed.append(Dataset())
            listed[-1].ReferencedSOPInstanceUID = f"1.2.{number}"
        keep([4, 3, 1, *range(5, 15)])(dataset)

    masks = random_masks(SHAPE)
    masks[[0, 2]] = masks[[0, 2]] // 2 * 2  # no ventricle where its frames are left out
    np.testing.assert_array_equal(read_masks(seg(tmp_path, masks, change))[1].to_array(), masks)


@pytest.mark.parametrize(
    ("scheme", "codes"), [("SRT", ("T-32600", "T-32020", "T-32300")), ("FMA", ("9466", "9558", "7097"))]
)
def test_codes_of_other_schemes(tmp_path: Path, scheme: str, codes: tuple[str, ...]) -> None:
    def change(dataset: Dataset) -> None:
        for item, code in zip(dataset.SegmentSequence, codes, strict=True):
            item.SegmentLabel = "segment"
            found = item.SegmentedPropertyTypeCodeSequence[0]
            found.CodingSchemeDesignator, found.CodeValue = scheme, code

    masks = random_masks(SHAPE)
    np.testing.assert_array_equal(read_masks(seg(tmp_path, masks, change))[1].to_array(), masks)


@pytest.mark.parametrize(
    "names", [("LV endo", "LV epicardium", "LA"), ("Left_Ventricle", "left ventricular myocardium", "Left Atrium")]
)
def test_names_where_codes_say_nothing(tmp_path: Path, names: tuple[str, ...]) -> None:
    def change(dataset: Dataset) -> None:
        for item, name in zip(dataset.SegmentSequence, names, strict=True):
            item.SegmentLabel = name
            item.SegmentedPropertyTypeCodeSequence[0].CodeValue = "85756007"  # tissue

    masks = random_masks(SHAPE)
    np.testing.assert_array_equal(read_masks(seg(tmp_path, masks, change))[1].to_array(), masks)


def rename(number: int, name: str, code: str) -> Change:
    def change(dataset: Dataset) -> None:
        item = dataset.SegmentSequence[number]
        item.SegmentLabel = name
        item.SegmentedPropertyTypeCodeSequence[0].CodeValue = code

    return change


def test_a_segment_of_another_organ_is_left_out_and_named(tmp_path: Path) -> None:
    masks = random_masks(SHAPE)
    meta, found = read_masks(seg(tmp_path, masks, rename(2, "Right atrium", "73829009")))
    np.testing.assert_array_equal(found.to_array(), np.where(masks == 3, 0, masks))
    assert any("left out: Right atrium" in warning for warning in meta.warnings)


def test_a_filled_epicardium_lies_below_the_cavity(tmp_path: Path) -> None:
    masks = random_masks(SHAPE, labels=3)

    def change(dataset: Dataset) -> None:
        both = np.concatenate([masks == 1, masks > 0]).astype(np.uint8)
        dataset.PixelData = pack_bits(both, pad=True)

    meta, found = read_masks(seg(tmp_path, masks, change))
    np.testing.assert_array_equal(found.to_array(), masks)
    assert any("segments overlap on 5 frames" in warning for warning in meta.warnings)


def doubled(dataset: Dataset) -> None:
    groups = dataset.PerFrameFunctionalGroupsSequence
    image = groups[1].DerivationImageSequence[0].SourceImageSequence[0]
    image.ReferencedFrameNumber = 1


def far(dataset: Dataset) -> None:
    for group in dataset.PerFrameFunctionalGroupsSequence:
        group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber += 1_000_000


def set_value(keyword: str, value: object) -> Change:
    return lambda dataset: setattr(dataset, keyword, value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (rename(0, "Liver", "10200004"), "no segment is a left ventricle .*'Liver'"),
        (rename(2, "left ventricle", "87878005"), "two segments of one structure"),
        (set_value("SegmentationType", "FRACTIONAL"), "of type FRACTIONAL; export it as a binary"),
        (doubled, "two masks of LV on frame 1"),
        (far, "frames; export it"),
        (set_value("NumberOfFrames", 14), "15 descriptions of 14 frames"),
        (set_value("PixelData", b"\0\0"), "truncated"),
        (set_value("Rows", 0), "0x7 pixels"),
        (lambda dataset: delattr(dataset, "SegmentSequence"), "without segments"),
    ],
    ids=["organ", "twice", "fractional", "doubled", "far", "frames", "truncated", "no rows", "no segments"],
)
def test_what_cannot_be_read_is_named_with_the_cure(tmp_path: Path, change: Change, message: str) -> None:
    path = seg(tmp_path, random_masks(SHAPE), change)
    with pytest.raises(InputError, match=message) as caught:
        read_masks(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_compressed_one_names_its_transfer_syntax(tmp_path: Path) -> None:
    path = seg(tmp_path, random_masks(SHAPE))
    data = path.read_bytes()
    explicit, rle = uid.ExplicitVRLittleEndian.encode() + b"\0", uid.RLELossless.encode()
    path.write_bytes(data.replace(explicit, rle + b"\0" * (len(explicit) - len(rle)), 1))
    with pytest.raises(InputError, match=r"RLE Lossless; save it uncompressed"):
        read_masks(path)


def test_a_cine_is_no_segmentation(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"without segments \(US\); masks are read from"):
        read_masks(source_file(tmp_path, SHAPE))


def test_a_truncated_deflated_one(tmp_path: Path) -> None:
    path = seg(tmp_path, random_masks(SHAPE), syntax=uid.DeflatedExplicitVRLittleEndian)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match=r"masks\.seg\.dcm: "):
        read_masks(path)
