"""What headers say of patient, study and view, and which objects are no cine to measure."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pydicom import dcmread, examples, uid
from pydicom.dataset import Dataset
from tests.dicom_studies import Tags, cine_header, write_cine, write_study
from tests.io.sample_files import dicom, region, save_dicom

from echoseg.cine import Spacing, View
from echoseg.io.studies import facts_of, other_view, read_facts

FRAMES = np.zeros((3, 16, 20), np.uint8)


def header(view: View | None = None, **others) -> Dataset:
    return cine_header(FRAMES.shape, Tags("P1", view=view, others=others), fps=25, spacing=Spacing(1, 1))


def coded(code: str, meaning: str = "view") -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code, "SCT", meaning
    return item


def test_who_and_what(tmp_path):
    study = write_study(tmp_path, 5, duration_s=0.2)
    facts = [read_facts(path) for path in study.paths.values()]
    assert [one.view for one in facts] == [View.A4C, View.A2C]
    assert {one.study for one in facts} == {study.study_uid}
    assert len({one.series for one in facts} | {one.instance for one in facts}) == 4
    assert {(one.patient, one.patient_id, one.date, one.left_alone) for one in facts} == {
        ("SIM-5", "SIM-5", "20240102", None)
    }


def test_equal_numbers_of_two_hospitals_are_two_patients():
    first, second = header(IssuerOfPatientID="north"), header(IssuerOfPatientID="south")
    assert facts_of(first).patient != facts_of(second).patient
    assert facts_of(first).patient_id == facts_of(second).patient_id == "P1"


def test_nothing_is_known_of_a_bare_header():
    facts = facts_of(Dataset())
    assert (facts.patient, facts.study, facts.view, facts.left_alone) == ("", "", View.UNKNOWN, None)


@pytest.mark.parametrize(
    ("changes", "noun"),
    [
        ({"ImageType": ["ORIGINAL", "PRIMARY", "", "0001"]}, None),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "", "0002"]}, "M-mode image"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "", "0008"]}, "spectral Doppler image"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "", "0011"]}, "colour Doppler image"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "", "0100"]}, "colour Doppler image"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "", "0040"]}, "3D rendering"),
        ({"ImageType": "ORIGINAL"}, None),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "", "WHAT"]}, None),
        ({"NumberOfFrames": 1}, "still image"),
        ({"Modality": "XA"}, "XA object"),
        ({"Modality": "OT"}, None),
        ({"Manufacturer": "echoseg"}, "result of echoseg"),
        ({"SOPClassUID": uid.CTImageStorage}, "CT Image object"),
        ({"SOPClassUID": uid.ComprehensiveSRStorage, "Modality": "SR"}, "Comprehensive SR object"),
        ({"SOPClassUID": uid.SegmentationStorage, "Modality": "SEG"}, "Segmentation object"),
        ({"SOPClassUID": "1.2.3.4"}, None),
        ({"SOPClassUID": uid.SecondaryCaptureImageStorage}, None),
        ({"SeriesDescription": "PLAX zoom"}, "parasternal long axis cine"),
    ],
)
def test_what_is_left_alone_and_what_it_is_called(changes, noun):
    assert facts_of(header(**changes)).left_alone == noun


@pytest.mark.parametrize(
    ("regions", "noun"),
    [
        ([{"RegionSpatialFormat": 1, "RegionDataType": 1}], None),
        (
            [{"RegionSpatialFormat": 1, "RegionDataType": 1}, {"RegionSpatialFormat": 2, "RegionDataType": 1}],
            "M-mode image",
        ),
        ([{"RegionSpatialFormat": 3, "RegionDataType": 3}], "spectral Doppler image"),
        ([{"RegionSpatialFormat": 1, "RegionDataType": 2}], "colour Doppler image"),
    ],
)
def test_regions_say_it_where_the_type_does_not(regions, noun):
    made = header(ImageType=["ORIGINAL", "PRIMARY"])
    made.SequenceOfUltrasoundRegions = [region(20, 16, **one) for one in regions]
    assert facts_of(made).left_alone == noun


def test_a_colour_flag_counts_where_nothing_else_is_said():
    silent = header(ImageType=["ORIGINAL", "PRIMARY"], UltrasoundColorDataPresent=1)
    assert facts_of(silent).left_alone is None, "its region is gray tissue"
    del silent.SequenceOfUltrasoundRegions
    assert facts_of(silent).left_alone == "colour Doppler image"


def test_an_index_is_told_by_its_meta_group(tmp_path):
    made = dicom(FRAMES.shape, SOPClassUID=uid.MediaStorageDirectoryStorage)
    save_dicom(tmp_path / "DICOMDIR", made, FRAMES)
    dataset = dcmread(tmp_path / "DICOMDIR")
    del dataset.SOPClassUID
    dataset.save_as(tmp_path / "DICOMDIR")
    assert read_facts(tmp_path / "DICOMDIR").left_alone == "DICOMDIR"


@pytest.mark.parametrize(
    ("text", "view", "noun"),
    [
        ("A4C", View.A4C, None),
        ("Apical 2 chamber", View.A2C, None),
        ("AP4 LV focus", View.A4C, None),
        ("A3C", View.UNKNOWN, "apical long axis cine"),
        ("apical five chamber", View.UNKNOWN, "apical five-chamber cine"),
        ("PSAX mid", View.UNKNOWN, "parasternal short axis cine"),
        ("Subcostal IVC", View.UNKNOWN, "subcostal cine"),
        ("TEE 0 deg", View.UNKNOWN, "transesophageal cine"),
        ("A4C and A2C", View.UNKNOWN, None),
        ("A4C, PLAX", View.UNKNOWN, None),
        ("echo", View.UNKNOWN, None),
        ("", View.UNKNOWN, None),
    ],
)
def test_views_by_description(text, view, noun):
    facts = facts_of(header(SeriesDescription=text))
    assert (facts.view, facts.left_alone) == (view, noun)


def test_a_code_wins_over_a_description():
    made = header(View.A4C, SeriesDescription="PLAX")
    assert facts_of(made).view is View.A4C
    made = header(SeriesDescription="A4C or so")
    made.ViewCodeSequence = [coded("399139001", "Parasternal long axis")]
    assert facts_of(made).left_alone in (None, "parasternal long axis cine")


def test_names_of_other_views_in_tables():
    assert other_view("PLAX") == "parasternal long axis"
    assert other_view("A3C or PLAX") is None
    assert other_view("A4C") is None


@pytest.mark.parametrize(
    ("size", "weight", "surface"),
    [("1.80", "80", 2.0), ("180", "80", None), ("1.80", "0", None), (None, "80", None), ("1.80", None, None)],
)
def test_body_surface(size, weight, surface):
    facts = facts_of(header(**{k: v for k, v in {"PatientSize": size, "PatientWeight": weight}.items() if v}))
    assert facts.body_surface_m2 == (None if surface is None else pytest.approx(surface))
    assert surface is None or surface == pytest.approx(math.sqrt(180 * 80 / 3600))


def test_a_header_that_cannot_be_read_is_told_when_it_is_opened(tmp_path):
    path = write_cine(tmp_path / "a", FRAMES, Tags())
    path.write_bytes(path.read_bytes()[:300] + b"\xff" * 200)
    facts = read_facts(path)
    assert facts is None or facts.left_alone is None


def test_a_deflated_file_is_unpacked_only_as_far_as_its_header(tmp_path, monkeypatch):
    """A few kilobytes can unpack to gigabytes, and looking at a folder must not do that."""
    frames = np.zeros((400, 160, 200), np.uint8)
    path = tmp_path / "cine"
    made = cine_header(frames.shape, Tags("P1", view=View.A2C), fps=25, spacing=Spacing(1, 1))
    save_dicom(path, made, frames, uid.DeflatedExplicitVRLittleEndian)
    monkeypatch.setattr("pydicom.filereader.zlib.decompress", lambda *_: pytest.fail("unpacked whole"))
    facts = read_facts(path)
    assert (facts.view, facts.patient_id, facts.left_alone) == (View.A2C, "P1", None)


def test_the_ultrasound_files_of_pydicom():
    found = {
        name: read_facts(examples.get_path(name)).left_alone for name in ("ybr_color", "palette_color", "rgb_color")
    }
    assert found["ybr_color"] is None, "a real cine"
    assert found["palette_color"] == "still image"
