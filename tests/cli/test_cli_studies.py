"""Studies as machines store them: which files are cines, which belong together, and what is measured of both views."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread, uid
from tests.cli.conftest import frames, write_avi, write_calibrated
from tests.dicom_studies import Tags, made_uid, save_frames, write_cine
from tests.io.sample_files import dicom, save_dicom

from echoseg.cine import View
from echoseg.cli import segment
from echoseg.cli.sources import find_cines
from echoseg.cli.studies import by_study, group_studies
from echoseg.errors import InputError


def cine_of(path: Path, patient: str, view: View | None, *, seed: int = 0, series: int = 1, study: str = "1", **others):
    """A small cine of a patient that the tiny network can segment."""
    return write_cine(path, frames(seed), Tags(patient, study, series=series, view=view, others=others), fps=50)


def write_patient(folder: Path, patient: str, *, study: str = "1") -> None:
    """Both views as a machine writes them, without extensions."""
    for number, view in enumerate((View.A4C, View.A2C), start=1):
        cine_of(folder / f"IM_{number:04d}", patient, view, seed=number, series=number, study=study)


def write_others(folder: Path, patient: str) -> None:
    """What else lies on a disk: an index, a report, a CT slice, a still of Doppler, a cine in colour, another view."""
    folder.mkdir(parents=True, exist_ok=True)
    one = frames()[:1]
    for number, (name, sop_class) in enumerate(
        {
            "DICOMDIR": uid.MediaStorageDirectoryStorage,
            "SR_1": uid.ComprehensiveSRStorage,
            "CT_1": uid.CTImageStorage,
        }.items()
    ):
        header = dicom(one.shape, SOPClassUID=sop_class, SOPInstanceUID=made_uid(patient, str(number)))
        header.Modality = "CT" if name == "CT_1" else "SR"
        save_dicom(folder / name, header, one)
    cine_of(folder / "IM_PW", patient, None, series=6, ImageType=["ORIGINAL", "PRIMARY", "", "0008"])
    write_cine(folder / "IM_STILL", one, Tags(patient, series=7))
    cine_of(folder / "IM_COLOUR", patient, View.A4C, series=8, ImageType=["ORIGINAL", "PRIMARY", "", "0011"])
    cine_of(folder / "IM_PLAX", patient, None, series=9, SeriesDescription="PLAX zoom")
    (folder / "readme.txt").write_text("made by a machine")


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def words(model, tmp_path):
    return ("-o", tmp_path / "out", "--model", model, "--formats", "csv,nifti", "--json")


def test_a_disk_with_two_patients(echoseg, words, tmp_path):
    disk, out = tmp_path / "disk", tmp_path / "out"
    write_patient(disk / "A" / "S1", "P1")
    write_patient(disk / "B" / "S1", "P2")
    write_others(disk / "A" / "S1", "P1")
    answer = echoseg("segment", disk, *words)
    assert answer.code == 0
    document = json.loads(answer.out)
    assert document["counts"] == {"done": 4}
    for text in (
        "1 DICOMDIR (DICOMDIR)", "1 Comprehensive SR object (SR_1)", "1 CT Image object (CT_1)",
        "1 spectral Doppler image (IM_PW)", "1 still image (IM_STILL)", "1 colour Doppler image (IM_COLOUR)",
        "1 parasternal long axis cine (IM_PLAX)", "1 file that is no cine (readme.txt)",
    ):  # fmt: skip
        assert text in answer.err
    assert document["ignored"] == 8
    run = json.loads((out / "run.json").read_text())
    assert {"source": str(disk / "A" / "S1" / "SR_1"), "is": "Comprehensive SR object"} in run["left_alone"]
    cases = table(out / "summary.csv")
    assert [row["study"] for row in cases] == ["A-S1", "A-S1", "B-S1", "B-S1"]
    assert [row["view"] for row in cases] == ["A4C", "A2C"] * 2
    assert all(float(row["sv_ml"]) == pytest.approx(float(row["edv"]) - float(row["esv"]), rel=0.05) for row in cases)
    studies = table(out / "studies.csv")
    assert [(row["study"], row["patient_id"], row["method"], row["n_cines"]) for row in studies] == [
        ("A-S1", "P1", "simpson_biplane", "2"),
        ("B-S1", "P2", "simpson_biplane", "2"),
    ]
    assert studies[0]["a4c_case"] == cases[0]["case"]
    study = json.loads((out / "studies" / "A-S1" / "study.json").read_text())
    assert study["study_uid"] == Tags("P1").study_uid
    assert study["chosen"]["A2C"] == {"case": cases[1]["case"], "because": None}
    assert study["ef_percent"] == float(studies[0]["ef_percent"])
    assert study["biplane"]["beats"][0]["numbers"]["edv"]["frames"].keys() == {"A4C", "A2C"}


def test_the_biplane_numbers_are_those_of_the_masks_on_disk(echoseg, words, tmp_path):
    from echoseg.cli.segment import SegmentOptions, _Studies
    from echoseg.clinical.biplane import measure_study

    write_patient(tmp_path / "disk", "P1")
    echoseg("segment", tmp_path / "disk", *words)
    sources = find_cines([tmp_path / "disk"], tmp_path / "out").cases
    tools = _Studies(SegmentOptions((), tmp_path / "out"))
    found = measure_study(*(tools.remeasured(one, tmp_path / "out" / one.name) for one in sources))
    (row,) = table(tmp_path / "out" / "studies.csv")
    assert float(row["edv"]) == pytest.approx(found.edv, abs=1e-3)
    assert float(row["ef_percent"]) == pytest.approx(found.ef_percent, abs=1e-3)


def test_one_study_of_one_patient_is_never_mixed_with_another(tmp_path):
    for patient in ("P1", "P2"):
        write_patient(tmp_path / patient, patient)
    for path in (tmp_path / "P2").iterdir():
        dataset = dcmread(path)
        dataset.StudyInstanceUID = Tags("P1").study_uid
        dataset.save_as(path)
    groups = group_studies(find_cines([tmp_path], Path("out")).cases)
    assert [[case.facts.patient_id for case in group.cases] for group in groups] == [["P1", "P1"], ["P2", "P2"]]


def test_studies_in_one_folder_get_names_of_their_own(tmp_path):
    cine_of(tmp_path / "IM_1", "P1", View.A4C)
    cine_of(tmp_path / "IM_2", "P2", View.A4C)
    cine_of(tmp_path / "IM_3", "P1", View.A2C, series=2)
    cases = find_cines([tmp_path], Path("out")).cases
    groups = group_studies(cases)
    assert [[case.name for case in group.cases] for group in groups] == [["IM_1", "IM_3"], ["IM_2"]]
    assert all(group.place.name.startswith("study-") for group in groups)
    assert len({group.place.name for group in groups}) == 2
    assert [[case.name for case in portion] for portion in by_study(cases, groups)] == [["IM_1", "IM_3"], ["IM_2"]]
    assert [group.place.name for group in group_studies(cases)] == [group.place.name for group in groups]


def test_views_of_files_that_say_nothing(echoseg, words, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    for seed, name in enumerate(("a.npz", "b.npz", "c.npz")):
        write_calibrated(disk / name, seed)
    write_avi(disk / "unlisted.avi")
    (disk / "views.csv").write_text("file,view\na.npz,A4C\nb.npz,2ch\nc.npz,skip\n")
    answer = echoseg("segment", disk, *words)
    assert answer.code == 0
    assert "1 skipped cine (c.npz)" in answer.err
    cases = {row["case"]: row for row in table(tmp_path / "out" / "summary.csv")}
    assert {name: row["view"] for name, row in cases.items()} == {"a": "A4C", "b": "A2C", "unlisted": "unknown"}
    assert (cases["a"]["study"], cases["unlisted"]["study"]) == ("disk", "")
    (study,) = table(tmp_path / "out" / "studies.csv")
    assert (study["study"], study["method"], study["study_uid"]) == ("disk", "simpson_biplane", "")


def test_a_table_has_the_last_word_on_dicom(tmp_path):
    write_patient(tmp_path, "P1")
    cine_of(tmp_path / "IM_PLAX", "P1", None, series=3, SeriesDescription="PLAX")
    cine_of(tmp_path / "IM_OTHER", "P2", View.A2C)
    (tmp_path / "views.csv").write_text("file,view\nIM_0001,PLAX\nIM_0002,A4C\nIM_PLAX,A2C\n")
    sources = find_cines([tmp_path], Path("out"))
    said = {case.name: case.listed.view if case.listed else None for case in sources.cases}
    assert said == {"IM_0002": View.A4C, "IM_PLAX": View.A2C, "IM_OTHER": None}
    assert sources.ignored == {tmp_path / "IM_0001": "parasternal long axis cine"}
    assert len(group_studies(sources.cases)) == 2


@pytest.mark.parametrize(("text", "message"), [
    ("file\na.npz\n", "no column view"),
    ("file,view\nb.npz,A4C\n", "line 2: no file 'b.npz'"),
    ("file,view\na.npz,left\n", "line 2: view 'left' is unknown; write A4C"),
    ("file,view\na.npz,A4C\na.npz,A2C\n", "line 3: a.npz is there twice"),
])  # fmt: skip
def test_a_table_that_is_wrong_stops_the_call(echoseg, words, tmp_path, text, message):
    (tmp_path / "disk").mkdir()
    write_calibrated(tmp_path / "disk" / "a.npz")
    (tmp_path / "disk" / "views.csv").write_text(text)
    answer = echoseg("segment", tmp_path / "disk", *words)
    assert answer.code == 3
    assert "views.csv" in answer.err
    assert message in answer.err
    assert not (tmp_path / "out").exists()


def test_two_patients_in_one_named_study_are_refused(echoseg, words, tmp_path):
    disk = tmp_path / "disk"
    cine_of(disk / "IM_1", "P1", View.A4C)
    cine_of(disk / "IM_2", "P2", View.A2C)
    (disk / "views.csv").write_text("file,view,study\nIM_1,A4C,x\nIM_2,A2C,x\n")
    answer = echoseg("segment", disk, *words)
    assert answer.code == 3
    assert "study 'x' holds cines of two patients" in answer.err
    assert not (tmp_path / "out").exists()


def test_the_better_of_several_cines_speaks_for_its_view(echoseg, words, tmp_path):
    write_patient(tmp_path / "disk", "P1")
    still = np.repeat(frames(1)[:1], 24, axis=0)
    write_cine(tmp_path / "disk" / "IM_0000", still, Tags("P1", series=5, view=View.A4C), fps=50)
    assert echoseg("segment", tmp_path / "disk", *words).code == 0
    (study,) = table(tmp_path / "out" / "studies.csv")
    assert study["a4c_case"] == "IM_0001", "IM_0000 does not beat"
    assert study["n_cines"] == "3"


def test_one_view_gives_its_own_numbers(echoseg, words, tmp_path):
    cine_of(tmp_path / "disk" / "IM_1", "P1", View.A2C)
    echoseg("segment", tmp_path / "disk", *words)
    (study,), (case,) = table(tmp_path / "out" / "studies.csv"), table(tmp_path / "out" / "summary.csv")
    assert study["method"] == "simpson_single_plane"
    assert (study["ef_percent"], study["a4c_case"], study["a2c_case"]) == (case["ef_percent"], "", "IM_1")


def test_views_without_pixel_size_are_not_measured_together(echoseg, words, tmp_path):
    write_patient(tmp_path / "disk", "P1")
    dataset = dcmread(tmp_path / "disk" / "IM_0002")
    del dataset.SequenceOfUltrasoundRegions
    dataset.save_as(tmp_path / "disk" / "IM_0002")
    answer = echoseg("segment", tmp_path / "disk", *words)
    assert answer.code == 0
    assert "study disk: no biplane volumes: " in answer.err
    (study,) = table(tmp_path / "out" / "studies.csv")
    assert (study["method"], study["volume_unit"]) == ("simpson_single_plane", "mL")
    assert "no biplane volumes" in study["warnings"]


def test_a_broken_view_costs_the_study_only_that(echoseg, words, tmp_path):
    write_patient(tmp_path / "disk", "P1")
    whole = (tmp_path / "disk" / "IM_0002").read_bytes()
    (tmp_path / "disk" / "IM_0002").write_bytes(whole[:-4000])
    assert echoseg("segment", tmp_path / "disk", *words).code == 5
    (study,) = table(tmp_path / "out" / "studies.csv")
    assert (study["status"], study["method"], study["n_failed"]) == ("done", "simpson_single_plane", "1")
    assert study["warnings"] == "1 of 2 cines failed (IM_0002)"
    (tmp_path / "disk" / "IM_0002").write_bytes(whole)
    answer = echoseg("segment", tmp_path / "disk", *words, "--skip-existing")
    assert json.loads(answer.out)["counts"] == {"done": 1, "skipped": 1}
    (study,) = table(tmp_path / "out" / "studies.csv")
    assert (study["method"], study["n_failed"]) == ("simpson_biplane", "0"), "the kept view was read back from disk"


def test_a_study_that_grew_is_measured_again_without_segmenting_what_was(echoseg, words, tmp_path, monkeypatch):
    disk, out = tmp_path / "disk", tmp_path / "out"
    cine_of(disk / "IM_0001", "P1", View.A4C, seed=1)
    echoseg("segment", disk, *words)
    before = (out / "IM_0001" / "result.json").stat().st_mtime_ns
    cine_of(disk / "IM_0002", "P1", View.A2C, seed=2, series=2)
    document = json.loads(echoseg("segment", disk, *words, "--skip-existing").out)
    assert document["counts"] == {"done": 1, "skipped": 1}
    assert document["studies"][0]["method"] == "simpson_biplane"
    assert (out / "IM_0001" / "result.json").stat().st_mtime_ns == before
    shutil.rmtree(out / "studies")
    monkeypatch.setattr(segment, "load_segmenter", lambda *_: pytest.fail("the model was loaded"))
    again = json.loads(echoseg("segment", disk, *words, "--skip-existing").out)
    assert again["studies"][0] | {"status": ""} == document["studies"][0] | {"status": ""}
    assert (out / "studies" / "disk" / "study.json").is_file()


def test_a_study_whose_masks_were_not_kept_is_made_again(echoseg, words, model, tmp_path):
    write_patient(tmp_path / "disk", "P1")
    few = ("-o", tmp_path / "out", "--model", model, "--formats", "csv", "--json")
    echoseg("segment", tmp_path / "disk", *few)
    assert json.loads(echoseg("segment", tmp_path / "disk", *few, "--skip-existing").out)["counts"] == {"skipped": 2}
    shutil.rmtree(tmp_path / "out" / "studies")
    assert json.loads(echoseg("segment", tmp_path / "disk", *few, "--skip-existing").out)["counts"] == {"done": 2}


def test_shares_keep_studies_whole(echoseg, words, tmp_path):
    for patient in ("P1", "P2", "P3"):
        write_patient(tmp_path / "disk" / patient, patient)
    for share in ("1/2", "2/2"):
        assert echoseg("segment", tmp_path / "disk", *words, "--shard", share).code == 0
    found = [table(tmp_path / "out" / f"shard-{i}-of-2" / "studies.csv") for i in (1, 2)]
    assert [[row["study"] for row in rows] for rows in found] == [["P1", "P3"], ["P2"]]
    assert {row["method"] for rows in found for row in rows} == {"simpson_biplane"}


def test_a_named_file_is_segmented_whatever_its_header_says(echoseg, words, tmp_path):
    path = cine_of(tmp_path / "IM_PLAX", "P1", None, SeriesDescription="PLAX")
    assert json.loads(echoseg("segment", path, *words).out)["counts"] == {"done": 1}


def test_a_folder_with_nothing_but_other_objects_says_what_they_are(echoseg, words, tmp_path):
    write_others(tmp_path / "disk", "P1")
    answer = echoseg("segment", tmp_path / "disk", *words)
    assert answer.code == 3
    assert f"{tmp_path / 'disk'}: no cine in this folder, it holds " in answer.err
    assert "1 CT Image object (CT_1)" in answer.err


def test_a_case_called_studies_does_not_lie_among_the_studies(echoseg, words, tmp_path):
    write_patient(tmp_path / "disk", "P1")
    write_avi(tmp_path / "disk" / "studies.avi")
    assert echoseg("segment", tmp_path / "disk", *words).code == 0
    assert (tmp_path / "out" / "studies_" / "result.json").is_file()


def test_dicom_comes_out_where_dicom_went_in(echoseg, model, tmp_path):
    """Two views of a study, and a video that has no place in an archive."""
    write_patient(tmp_path / "disk", "P1")
    write_avi(tmp_path / "disk" / "video.avi")
    out = tmp_path / "out"
    assert echoseg("segment", tmp_path / "disk", "-o", out, "--model", model).code == 0
    usual = {"result.json", "masks.nii.gz", "curve.csv", "overlay.mp4", "report.html"}
    written = {folder.name: {path.name for path in folder.iterdir()} for folder in out.iterdir() if folder.is_dir()}
    assert written["video"] == usual
    assert written["IM_0001"] == written["IM_0002"] == usual | {"masks.seg.dcm", "report.sr.dcm"}
    assert {path.name for path in (out / "studies" / "disk").iterdir()} == {"study.json", "report.sr.dcm"}
    for made in (out / "IM_0001" / "masks.seg.dcm", out / "studies" / "disk" / "report.sr.dcm"):
        assert dcmread(made).StudyInstanceUID == Tags("P1").study_uid


def test_dicom_objects_of_a_video_are_refused_with_the_cure(echoseg, model, tmp_path):
    path = write_avi(tmp_path / "video.avi")
    answer = echoseg("segment", path, "-o", tmp_path / "out", "--model", model, "--formats", "csv,seg")
    assert answer.code == 3
    assert f"{path}: a video source" in answer.err
    assert "out of --formats" in answer.err


def test_an_odd_source_costs_its_dicom_objects_only(echoseg, model, tmp_path, monkeypatch):
    def refuse(*_):
        raise InputError("IM_1: too odd; mend it")

    monkeypatch.setattr("echoseg.report.dicom_files.dicom_writers", refuse)
    monkeypatch.setattr("echoseg.report.dicom_writers", refuse, raising=False)
    path = cine_of(tmp_path / "IM_1", "P1", View.A4C)
    answer = echoseg("segment", path, "-o", tmp_path / "out", "--model", model)
    assert answer.code == 0
    assert "IM_1: no DICOM objects are written: IM_1: too odd; mend it" in answer.err
    assert (tmp_path / "out" / "IM_1" / "report.html").is_file()


def test_body_surface_of_the_header_gives_indexed_numbers(echoseg, words, tmp_path):
    cine_of(tmp_path / "disk" / "IM_1", "P1", View.A4C, PatientSize="1.80", PatientWeight="80")
    echoseg("segment", tmp_path / "disk", *words)
    (row,) = table(tmp_path / "out" / "summary.csv")
    assert float(row["edv_index_ml_per_m2"]) == pytest.approx(float(row["edv"]) / 2, abs=0.01)


def test_an_encapsulated_cine_without_extension(echoseg, words, tmp_path):
    from tests.dicom_studies import cine_header

    from echoseg.cine import Spacing

    header = cine_header(frames().shape, Tags(view=View.A4C), fps=50, spacing=Spacing(1.2, 1.2))
    (tmp_path / "disk").mkdir()
    save_frames(tmp_path / "disk" / "1.2.840.113.7", header, frames(), uid.JPEGBaseline8Bit)
    document = json.loads(echoseg("segment", tmp_path / "disk", *words).out)
    assert [case["case"] for case in document["cases"]] == ["1.2.840.113.7"]


def test_the_table_for_people(echoseg, model, tmp_path):
    write_patient(tmp_path / "disk", "P1")
    answer = echoseg("segment", tmp_path / "disk", "-o", tmp_path / "out", "--model", model, "--formats", "csv")
    assert "A4C IM_0001 + A2C IM_0002" in answer.out
    assert str(tmp_path / "out" / "studies.csv") in answer.out


def test_the_page_of_all_is_written_where_pages_are_asked_for(echoseg, study, model, tmp_path):
    from echoseg.cli import table
    from echoseg.report import COHORT_FILE

    assert table.COHORT_FILE == COHORT_FILE
    both = (study / "clip0.avi", study / "clip1.avi")
    words = ("-o", tmp_path / "out", "--model", model, "--formats", "html")
    assert COHORT_FILE not in echoseg("segment", both[0], *words).out, "one case has a report of its own"
    answer = echoseg("segment", *both, *words, "--skip-existing")
    page = tmp_path / "out" / COHORT_FILE
    assert str(page) in answer.out
    before = page.stat().st_mtime_ns
    assert str(page) in echoseg("segment", *both, *words, "--skip-existing").out
    assert page.stat().st_mtime_ns == before, "nothing has changed"


def test_a_table_of_a_folder_that_is_not_searched_is_not_read(tmp_path):
    write_patient(tmp_path, "P1")
    (tmp_path / "views.csv").write_text("nonsense")
    assert len(find_cines([tmp_path / "IM_0001"], Path("out")).cases) == 1
    with pytest.raises(InputError):
        find_cines([tmp_path], Path("out"))
