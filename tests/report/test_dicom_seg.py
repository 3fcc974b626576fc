"""The segmentation object: valid, and read back bit for bit by highdicom and by `read_masks`."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread, uid
from tests.dicom_studies import Tags
from tests.report.dicom_cases import check_valid, random_masks, segmented, source_file

from echoseg.cine import CineMeta, MaskStack, Segmentation, Spacing, Structure, UInt8, View
from echoseg.errors import InputError
from echoseg.io import read_masks
from echoseg.report.dicom_common import read_source
from echoseg.report.dicom_seg import cielab, packed, present, write_seg

hd = pytest.importorskip("highdicom")


def by_highdicom(path: Path, source: Path, n_frames: int) -> UInt8:
    """Label masks as highdicom reads them, labels as echoseg numbers them."""
    found = hd.seg.segread(path)
    codes = {"87878005": Structure.LV, "49848007": Structure.MYOCARDIUM, "82471001": Structure.LA}
    origin = dcmread(source, stop_before_pixels=True)
    if n_frames == 1 and "NumberOfFrames" not in origin:
        planes = found.get_pixels_by_source_instance([origin.SOPInstanceUID], ignore_spatial_locations=True)
    else:
        planes = found.get_pixels_by_source_frame(origin.SOPInstanceUID, list(range(1, n_frames + 1)))
    labels = np.zeros(planes.shape[:3], np.uint8)
    for number in found.segment_numbers:
        code = found.get_segment_description(number).segmented_property_type.value
        labels[planes[..., number - 1] == 1] = codes[code]
    return labels


def written(folder: Path, masks: UInt8, **changes: object) -> tuple[Path, Path]:
    """(source, object)."""
    source = source_file(folder, masks.shape, Tags(view=View.A4C))
    path = folder / "masks.seg.dcm"
    write_seg(path, read_source(source), segmented(source, masks, **changes))
    return source, path


@pytest.mark.parametrize("labels", [2, 4], ids=["one structure", "three structures"])
@pytest.mark.parametrize(
    "shape",
    [(1, 8, 8), (2, 7, 5), (9, 33, 27), (30, 112, 112), (300, 13, 11)],
    ids=lambda shape: "x".join(map(str, shape)),
)
def test_masks_come_back_bit_for_bit(tmp_path: Path, shape: tuple[int, int, int], labels: int) -> None:
    masks = random_masks(shape, labels, empty=(0, shape[0] // 2) if shape[0] > 2 else ())
    source, path = written(tmp_path, masks)
    check_valid(path, "Segmentation")
    np.testing.assert_array_equal(by_highdicom(path, source, shape[0]), masks)
    meta, found = read_masks(path)
    np.testing.assert_array_equal(found.to_array(), masks)
    assert (meta.fps if shape[0] > 1 else 25.0, meta.spacing, meta.view) == (25.0, Spacing(1.2, 1.2), View.A4C)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.tuples(st.integers(1, 20), st.integers(1, 40), st.integers(1, 40)),
    labels=st.sampled_from([2, 3, 4]),
    share=st.floats(0, 1),
)
def test_any_size_and_any_empty_frames(tmp_path: Path, shape: tuple[int, int, int], labels: int, share: float) -> None:
    masks = random_masks(shape, labels)
    masks[np.random.default_rng(1).random(shape[0]) < share] = 0
    source, path = written(tmp_path, masks)
    np.testing.assert_array_equal(by_highdicom(path, source, shape[0]), masks)
    np.testing.assert_array_equal(read_masks(path)[1].to_array(), masks)


def test_a_cine_without_any_ventricle_has_one_empty_segment(tmp_path: Path) -> None:
    masks = np.zeros((3, 9, 9), np.uint8)
    source, path = written(tmp_path, masks)
    check_valid(path, "Segmentation")
    assert [item.SegmentLabel for item in dcmread(path).SegmentSequence] == ["left ventricle"]
    np.testing.assert_array_equal(by_highdicom(path, source, 3), masks)


def test_a_single_frame_image(tmp_path: Path) -> None:
    masks = random_masks((1, 12, 10))
    source = source_file(tmp_path, masks.shape)
    dataset = dcmread(source)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = uid.UltrasoundImageStorage
    for keyword in ("NumberOfFrames", "FrameIncrementPointer", "FrameTime"):
        delattr(dataset, keyword)
    dataset.save_as(source)
    path = tmp_path / "masks.seg.dcm"
    write_seg(path, read_source(source), segmented(source, masks))
    check_valid(path, "Segmentation")
    np.testing.assert_array_equal(by_highdicom(path, source, 1), masks)
    np.testing.assert_array_equal(read_masks(path)[1].to_array(), masks)


def test_without_pixel_size_there_are_no_measures(tmp_path: Path) -> None:
    masks = random_masks((3, 9, 7))
    source, path = written(tmp_path, masks, spacing=None, fps=None)
    check_valid(path, "Segmentation")
    np.testing.assert_array_equal(by_highdicom(path, source, 3), masks)
    meta, _ = read_masks(path)
    assert (meta.fps, meta.spacing) == (None, None)
    assert "--spacing-mm" in "".join(meta.warnings)


def test_a_pixel_size_of_many_digits_is_a_valid_decimal_string(tmp_path: Path) -> None:
    spacing = Spacing(0.51049705594778061, 1 / 3e-3 / 1e3)
    _, path = written(tmp_path, random_masks((2, 9, 7)), spacing=spacing)
    check_valid(path, "Segmentation")
    found = read_masks(path)[0].spacing
    assert found is not None
    assert (found.row_mm, found.col_mm) == pytest.approx((spacing.row_mm, spacing.col_mm), rel=1e-12)


def test_what_it_says_of_model_patient_and_source(tmp_path: Path) -> None:
    source, path = written(tmp_path, random_masks((3, 9, 7)))
    origin, made = dcmread(source), dcmread(path)
    for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "StudyDate"):
        assert made[keyword].value == origin[keyword].value
    assert made.SeriesInstanceUID != origin.SeriesInstanceUID
    assert made.ReferencedSeriesSequence[0].SeriesInstanceUID == origin.SeriesInstanceUID
    how = made.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0]
    assert (how.AlgorithmName, how.AlgorithmVersion) == ("tiny", "1.0")
    codes = [item.SegmentedPropertyTypeCodeSequence[0].CodeValue for item in made.SegmentSequence]
    assert codes == ["87878005", "49848007", "82471001"]
    image = made.PerFrameFunctionalGroupsSequence[1].DerivationImageSequence[0].SourceImageSequence[0]
    assert (image.ReferencedSOPInstanceUID, image.ReferencedFrameNumber) == (origin.SOPInstanceUID, 2)
    assert image.SpatialLocationsPreserved == "YES"


def test_equal_masks_have_equal_names_and_others_have_others(tmp_path: Path) -> None:
    masks = random_masks((3, 9, 7))
    first, second = (dcmread(written(tmp_path, masks)[1]) for _ in range(2))
    assert first.SOPInstanceUID == second.SOPInstanceUID
    assert uid.UID(first.SOPInstanceUID).is_valid
    masks[0, 0, 0] ^= 1
    assert dcmread(written(tmp_path, masks)[1]).SOPInstanceUID != first.SOPInstanceUID


_STRIPPED = (
    *(
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "PatientSex",
        "StudyDate",
        "StudyTime",
        "StudyID",
        "Manufacturer",
    ),
    *("AccessionNumber", "ReferringPhysicianName", "SeriesNumber", "ContentDate", "ContentTime", "InstanceNumber"),
)


def test_a_source_that_was_stripped_by_an_anonymiser(tmp_path: Path) -> None:
    masks = random_masks((4, 9, 7))
    source = source_file(tmp_path, masks.shape)
    dataset = dcmread(source)
    for keyword in (*_STRIPPED, "StudyInstanceUID", "SeriesInstanceUID"):
        if keyword in dataset:
            delattr(dataset, keyword)
    dataset.PatientIdentityRemoved = "YES"
    dataset.save_as(source)
    path = tmp_path / "masks.seg.dcm"
    write_seg(path, read_source(source), segmented(source, masks))
    check_valid(path, "Segmentation")
    np.testing.assert_array_equal(by_highdicom(path, source, 4), masks)


@pytest.mark.filterwarnings("ignore")  # pydicom speaks of every bad value that the test writes
def test_bad_values_of_the_source_are_not_copied(tmp_path: Path) -> None:
    masks = random_masks((2, 9, 7))
    source = source_file(tmp_path, masks.shape)
    bad = {
        "PatientBirthDate": b"around 1950",
        "StudyDate": b"2024-01-02",
        "StudyTime": b"noon",
        "PatientSex": b"female",
        "PatientID": b"A" * 90,
        "StudyDescription": b"a\nb\\c ",
        "PatientAge": b"old",
        "PatientWeight": b"heavy",
    }
    dataset = dcmread(source)
    for keyword, value in bad.items():
        setattr(dataset, keyword, "")
        dataset[keyword]._value = value.decode()
    dataset.PatientName = "Müller^Jürgen"
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.save_as(source)
    path = tmp_path / "masks.seg.dcm"
    write_seg(path, read_source(source), segmented(source, masks))
    check_valid(path, "Segmentation")
    made = dcmread(path)
    assert (made.StudyDate, made.PatientSex, len(made.PatientID)) == ("", "", 64)
    assert str(made.PatientName) == "Müller^Jürgen"


def test_masks_of_another_cine_are_refused(tmp_path: Path) -> None:
    source = source_file(tmp_path, (3, 9, 7))
    other = source_file(tmp_path / "other", (5, 9, 7))
    masks = segmented(other, random_masks((5, 9, 7)))
    with pytest.raises(InputError, match=r"source\.dcm: 3 frames, but 5 masks; give the cine"):
        write_seg(tmp_path / "x.dcm", read_source(source), masks)
    other = source_file(tmp_path / "other", (3, 9, 8))
    with pytest.raises(InputError, match="9x7 pixels, but the masks are of"):
        write_seg(tmp_path / "x.dcm", read_source(source), segmented(other, random_masks((3, 9, 8))))
    assert not (tmp_path / "x.dcm").exists()


def test_packing_is_that_of_the_whole_bit_stream() -> None:
    masks = random_masks((11, 5, 7))
    stack = MaskStack.from_array(masks)
    structures = present(stack)
    whole = np.packbits(np.stack([masks == one for one in structures]).ravel(), bitorder="little")
    assert b"".join(packed(stack, structures)) == whole.tobytes()


def test_memory_stays_below_the_size_of_the_masks(tmp_path: Path) -> None:
    n_frames, height, width = 300, 600, 800
    rows, cols = np.indices((height, width))
    distance = np.hypot(rows - height / 2, cols - width / 2)
    three = [np.digitize(distance, (radius, radius + 30)).astype(np.uint8) for radius in (100, 120, 140)]
    masks = MaskStack(height, width)
    masks.extend(np.array([1, 2, 0], np.uint8)[mask] for mask in three * 100)
    source = source_file(tmp_path, (n_frames, 1, 1))
    dataset = dcmread(source)
    dataset.Rows, dataset.Columns = height, width  # the pixels are not looked at
    dataset.save_as(source)
    segmentation = Segmentation(CineMeta(str(source), height, width, n_frames, fps=50.0), masks, None, "tiny 1.0")
    tracemalloc.start()
    try:
        write_seg(tmp_path / "big.dcm", read_source(source), segmentation)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (tmp_path / "big.dcm").stat().st_size > 2 * 300 * 600 * 800 / 8
    assert peak < 30e6  # the bits of both structures take 36 MB


def test_colours_are_those_of_the_overlay() -> None:
    light, a, b = cielab((255, 0, 0))  # L* 53.24, a* 80.09, b* 67.20
    assert (light / 655.35, a / 257 - 128, b / 257 - 128) == pytest.approx((53.24, 80.09, 67.20), abs=0.05)


def test_view_of_another_kind_is_left_out(tmp_path: Path) -> None:
    _, path = written(tmp_path, random_masks((2, 9, 7)), view=View.UNKNOWN)
    assert dcmread(path).SeriesDescription == "heart chambers by echoseg"
    assert read_masks(path)[0].view is View.UNKNOWN


def test_r_waves_come_back(tmp_path: Path) -> None:
    _, path = written(tmp_path, random_masks((4, 9, 7)), r_waves_s=(0.04, 0.12))
    assert read_masks(path)[0].r_waves_s == pytest.approx((0.04, 0.12))


def test_a_source_that_is_no_dicom_or_a_segmentation(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_source(tmp_path / "none.dcm")
    (tmp_path / "a.txt").write_text("hello")
    with pytest.raises(InputError, match=r"a\.txt: a text file"):
        read_source(tmp_path / "a.txt")
    _, path = written(tmp_path, random_masks((2, 9, 7)))
    with pytest.raises(InputError, match="is a segmentation itself"):
        read_source(path)


def test_nothing_is_left_of_a_write_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = source_file(tmp_path, (2, 9, 7))

    def broken(*_: object) -> None:
        raise InputError("no room; try again")

    monkeypatch.setattr("echoseg.report.dicom_seg._write_bits", broken)
    with pytest.raises(InputError, match="no room"):
        write_seg(tmp_path / "out" / "m.dcm", read_source(source), segmented(source, random_masks((2, 9, 7))))
    assert list((tmp_path / "out").iterdir()) == []
