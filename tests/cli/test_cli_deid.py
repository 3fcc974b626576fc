"""`echoseg deid`: folders in, de-identified copies out, and a word on everything that was left."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread, uid
from tests.io.machine_screens import machine_screen
from tests.io.sample_files import dicom, noise, save_dicom
from tests.io.test_deid import examined, planted

from echoseg.io import read_cine


@pytest.fixture(scope="module")
def screen() -> np.ndarray:
    return machine_screen(8)[0]


@pytest.fixture
def study(tmp_path: Path, screen: np.ndarray) -> Path:
    """Two cines of one patient and one of another, a still, a CT picture and a text."""
    root = tmp_path / "DOE^JANE"
    (root / "1").mkdir(parents=True)
    for number in (1, 2):
        header = examined(screen.shape)
        header.SOPInstanceUID = f"9.8.7.6.1.1.{number}"
        save_dicom(root / "1" / f"DOE_{number}.dcm", header, screen)
    header = examined(screen.shape)
    header.PatientID, header.StudyInstanceUID, header.SOPInstanceUID = "STELLA", "9.8.7.6.2", "9.8.7.6.2.1"
    save_dicom(root / "other", header, screen)
    ct = dicom(noise().shape)
    ct.SOPClassUID, ct.Modality = uid.CTImageStorage, "CT"
    save_dicom(root / "ct.dcm", ct, noise())
    (root / "notes.txt").write_text("Jane Doe was here")
    return root


def test_a_folder_of_studies(echoseg, study, tmp_path):
    before = {path: path.read_bytes() for path in study.rglob("*") if path.is_file()}
    answer = echoseg("deid", study, "-o", tmp_path / "out")
    assert answer.code == 0
    copies = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert sorted(path.name for path in copies) == ["0001.dcm", "0001.dcm", "0002.dcm"]
    assert len({path.parent.parent for path in copies}) == 2, "two patients"
    assert all(planted(path) == [] for path in copies)
    assert len({dcmread(path).StudyInstanceUID for path in copies}) == 2
    assert "3 of 3 files de-identified" in answer.out
    assert "left alone and not copied: 1 CT Image object, 1 file that is no DICOM" in answer.err
    assert {path: path.read_bytes() for path in before} == before, "never in place"


def test_refused_stills_do_not_cost_the_others(echoseg, study, screen, tmp_path):
    save_dicom(study / "still.dcm", examined((1, *screen.shape[1:])), screen[:1])
    answer = echoseg("deid", study, "-o", tmp_path / "out", "--json")
    assert answer.code == 5
    document = json.loads(answer.out)
    assert (document["done"], document["failed"]) == (3, 1)
    assert document["left_alone"] == {"CT Image object": 1, "file that is no DICOM": 1}
    (refused,) = [file for file in document["files"] if file["copy"] is None]
    assert "--keep-box" in refused["error"]
    assert "still.dcm: a still" in answer.err
    alone = echoseg("deid", study / "still.dcm", "-o", tmp_path / "alone")
    assert alone.code == 3
    assert not (tmp_path / "alone").exists()


def test_a_box_is_kept(echoseg, study, screen, tmp_path):
    path = save_dicom(study / "still.dcm", examined((1, *screen.shape[1:])), screen[:1])
    answer = echoseg("deid", path, "-o", tmp_path / "out", "--keep-box", "50,100,250,300")
    assert answer.code == 0
    (copy,) = (tmp_path / "out").rglob("*.dcm")
    after = read_cine(copy).frames
    np.testing.assert_array_equal(after[:, 50:250, 100:300], screen[:1, 50:250, 100:300])
    assert not after[:, :50].any()


def test_dates_are_moved_on_request(echoseg, study, tmp_path):
    assert echoseg("deid", study / "other", "-o", tmp_path / "out", "--shift-dates").code == 0
    (copy,) = (tmp_path / "out").rglob("*.dcm")
    header = dcmread(copy)
    assert header.StudyDate
    assert header.StudyDate != "20210312"


@pytest.mark.parametrize("box", ["1,2,3", "5,5,5,9", "a,b,c,d", "9,9,2,2", "-1,0,5,5"])
def test_boxes_that_are_none(echoseg, study, tmp_path, box):
    answer = echoseg("deid", study, "-o", tmp_path / "out", f"--keep-box={box}")
    assert answer.code == 2
    assert not (tmp_path / "out").exists()


def test_the_folder_has_to_be_empty(echoseg, study, tmp_path):
    assert echoseg("deid", study, "-o", study).code == 2
    answer = echoseg("deid", study / "other", "-o", tmp_path / "DOE^JANE" / "out")
    assert answer.code == 0
    again = echoseg("deid", study / "other", "-o", study / "out")
    assert again.code == 2
    assert "not an empty folder" in again.err


@pytest.mark.parametrize(
    ("name", "says"),
    [("ct.dcm", "a CT Image object"), ("notes.txt", "a text file"), ("gone.dcm", "no such file")],
)
def test_named_files_that_are_no_ultrasound(echoseg, study, tmp_path, name, says):
    answer = echoseg("deid", study / name, "-o", tmp_path / "out")
    assert answer.code == 3
    assert says in answer.err
    assert not (tmp_path / "out").exists()


def test_a_folder_without_ultrasound(echoseg, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("a")
    answer = echoseg("deid", tmp_path / "in", "-o", tmp_path / "out")
    assert answer.code == 3
    assert "no ultrasound DICOM file" in answer.err


def test_a_broken_file_is_an_error_and_not_left_out(echoseg, study, tmp_path):
    (study / "broken.dcm").write_bytes((study / "other").read_bytes()[:3000])
    answer = echoseg("deid", study, "-o", tmp_path / "out")
    assert answer.code == 5
    assert "broken.dcm" in answer.err
