"""DICOM objects beside the other files of a case: whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom import data, dcmread
from tests.report.dicom_cases import check_valid, segmented, source_file

from echoseg.cine import Segmentation, View
from echoseg.clinical import Indices, measure_cine
from echoseg.errors import InputError, UsageError
from echoseg.io import open_cine, read_masks
from echoseg.io.door import quiet
from echoseg.report import DICOM_FILES, DICOM_FORMATS, dicom_writers, write_case

IODS = {"masks.seg.dcm": "Segmentation", "report.sr.dcm": "ComprehensiveSR", "overlay.dcm": "USMultiFrameImage"}
_CAPTURE = "MultiframeTrueColorSCImage"


@pytest.fixture
def case(tmp_path: Path, make) -> tuple[Path, Segmentation, Indices]:
    """(source, segmentation, indices) of a beating ventricle."""
    masks = make.beating(40, (56, 72), 18.0, walls=True)
    source = source_file(tmp_path, masks.shape)
    segmentation = segmented(source, masks, view=View.A4C)
    return source, segmentation, measure_cine(segmentation)


def test_all_objects_of_a_case(tmp_path: Path, case: tuple[Path, Segmentation, Indices]) -> None:
    source, segmentation, indices = case
    extras = dicom_writers(source, segmentation, indices, DICOM_FORMATS)
    assert set(extras) == set(DICOM_FILES.values()) == set(IODS)
    folder = tmp_path / "case"
    with open_cine(source) as cine:
        write_case(folder, segmentation, indices, cine, frozenset(), extras=extras)
    for name, iod in IODS.items():
        check_valid(folder / name, iod)
    meta, masks = read_masks(folder / "masks.seg.dcm")
    again = measure_cine(Segmentation(meta, masks, None, "masks"))
    assert again.summary == indices.summary


@pytest.mark.parametrize("name", sorted(DICOM_FORMATS))
def test_one_object_alone(case: tuple[Path, Segmentation, Indices], name: str) -> None:
    assert list(dicom_writers(*case, frozenset({name}))) == [DICOM_FILES[name]]


def test_a_failure_leaves_the_folder_as_it_was(tmp_path: Path, case: tuple[Path, Segmentation, Indices]) -> None:
    source, segmentation, indices = case
    extras = dicom_writers(source, segmentation, indices, DICOM_FORMATS)
    folder = tmp_path / "case"
    source.write_bytes(source.read_bytes()[:-9000])  # the overlay decodes the frames again
    with pytest.raises(InputError, match=r"source\.dcm"):
        write_case(folder, segmentation, indices, iter(()), frozenset(), extras=extras)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source.dcm"]


def test_another_format_than_dicom_is_refused_with_the_cure(tmp_path: Path, case) -> None:
    video = tmp_path / "cine.avi"
    video.write_bytes(b"RIFF\0\0\0\0AVI LIST" + bytes(100))
    with pytest.raises(
        InputError, match=r"cine\.avi: a video source; .* leave seg, sr and dicom-video out of --formats"
    ):
        dicom_writers(video, case[1], case[2], DICOM_FORMATS)
    assert dicom_writers(video, case[1], case[2], frozenset()) == {}


def test_an_unknown_format_is_refused(case) -> None:
    with pytest.raises(UsageError, match="'rtss': unknown; choose among dicom-video, seg, sr"):
        dicom_writers(*case, frozenset({"rtss"}))


def ultrasound_files() -> list[Path]:
    """Ultrasound images that pydicom brings, calibrated or not, of every photometric interpretation."""
    found = Path(str(data.__file__)).parent.rglob("*.dcm")
    with quiet():
        return sorted(
            path for path in found if dcmread(path, stop_before_pixels=True, force=True).get("Modality") == "US"
        )


def test_real_sources_give_valid_objects(tmp_path: Path) -> None:
    files = ultrasound_files()
    assert len(files) >= 3
    for source in files:
        meta = open_cine(source).meta
        masks = np.zeros((meta.n_frames, *meta.shape), np.uint8)
        masks[:, meta.height // 4 : meta.height // 2, meta.width // 3 : meta.width // 2] = 1
        segmentation = segmented(source, masks)
        for name, write in dicom_writers(source, segmentation, measure_cine(segmentation), DICOM_FORMATS).items():
            path = tmp_path / source.stem / name
            write(path)
            iod = _CAPTURE if name == "overlay.dcm" and meta.fps is None else IODS[name]
            check_valid(path, iod)
        found = read_masks(tmp_path / source.stem / "masks.seg.dcm")[1]
        np.testing.assert_array_equal(found.to_array(), masks)
