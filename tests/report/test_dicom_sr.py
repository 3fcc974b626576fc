"""The structured report: valid, readable by highdicom, with the numbers of `Indices.extras` under their codes."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import dcmread
from tests.dicom_studies import SimulatedStudy, write_study
from tests.programs import program
from tests.report.dicom_cases import check_valid

from echoseg.cine import MaskStack, Segmentation, View
from echoseg.clinical import (
    Indices,
    Quality,
    QualityFlag,
    RegressedEf,
    StudyEjection,
    measure_cine,
    measure_study,
    with_regressed,
)
from echoseg.errors import InputError
from echoseg.io import open_cine
from echoseg.report import write_study_sr
from echoseg.report.dicom_common import read_source
from echoseg.report.dicom_sr import write_sr

hd = pytest.importorskip("highdicom")
LOINC = {
    View.A4C: {"edv": "79999-9", "esv": "80004-5", "ef": "79993-2"},
    View.A2C: {"edv": "79998-1", "esv": "80003-7", "ef": "79992-4"},
    View.UNKNOWN: {"edv": "18026-5", "esv": "18148-7", "ef": "18043-0"},
    "biplane": {"edv": "79996-5", "esv": "80001-1", "ef": "79991-6"},
}
REST = {"sv": "90096001", "hr": "8867-4", "co": "82799009"}
UNITS = {"edv": "mL", "esv": "mL", "sv": "mL", "ef": "%", "hr": "{H.B.}/min", "co": "L/min"}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> SimulatedStudy:
    return write_study(tmp_path_factory.mktemp("study"), 3, duration_s=2.8)


def measured(study: SimulatedStudy, view: View, *, method: str = "simpson_single_plane", **changes: object):
    """(segmentation, indices) from the true masks."""
    meta = replace(open_cine(study.paths[view]).meta, **changes)
    segmentation = Segmentation(meta, MaskStack.from_array(study.cines[view].labels), None, "tiny 1.0")
    return segmentation, measure_cine(segmentation, method=method)


def report(path: Path, study: SimulatedStudy, view: View, segmentation: Segmentation, indices: Indices):
    write_sr(path, read_source(study.paths[view]), segmentation, indices)
    check_valid(path, "ComprehensiveSR")
    return hd.sr.srread(path)


def groups_of(found) -> list:
    return found.content.get_image_measurement_groups()


def numbers_of(group, method: str | None = None) -> dict[str, tuple[float, str, tuple[int, ...]]]:
    """Code of each number -> (value, unit, frames from 0)."""
    found = {}
    for one in group.get_measurements():
        formula = one.method.value if one.method is not None else None
        if method is not None and formula not in (None, method):
            continue
        frames = tuple(number - 1 for image in one.referenced_images for number in image.referenced_frame_numbers)
        found[one.name.value] = float(one.value), one.unit.value, frames
    return found


def comments_of(path: Path) -> list[str]:
    container = dcmread(path).ContentSequence[-1]
    return [
        item.TextValue
        for group in container.ContentSequence
        for item in group.ContentSequence
        if item.ValueType == "TEXT" and item.ConceptNameCodeSequence[0].CodeValue == "121106"
    ]


@pytest.mark.parametrize("view", [View.A4C, View.A2C])
def test_numbers_of_every_beat_and_their_medians(tmp_path: Path, study: SimulatedStudy, view: View) -> None:
    segmentation, indices = measured(study, view)
    found = report(tmp_path / "r.sr.dcm", study, view, segmentation, indices)
    assert indices.extras is not None
    assert len(indices.extras.beats) >= 2
    groups = groups_of(found)
    assert len(groups) == len(indices.extras.beats) + 1
    expected = [*(beat.numbers for beat in indices.extras.beats), indices.extras.median]
    for group, numbers in zip(groups, expected, strict=True):
        said = numbers_of(group, "125208")
        for key, code in (LOINC[view] | REST).items():
            if key not in numbers:
                assert code not in said
                continue
            value, unit, frames = said[code]
            assert value == pytest.approx(numbers[key].value / (1000 if key == "co" else 1), abs=1e-4)
            assert (unit, frames) == (UNITS[key], numbers[key].frames)
    beside = numbers_of(groups[0], "125205")  # another formula has codes that do not speak of discs
    assert beside["18043-0"][0] == pytest.approx(expected[0]["ef_area_length"].value, abs=1e-4)


def test_medians_are_called_so(tmp_path: Path, study: SimulatedStudy) -> None:
    found = report(tmp_path / "r.sr.dcm", study, View.A4C, *measured(study, View.A4C))
    *beats, median = groups_of(found)
    assert {one.derivation.value for one in median.get_measurements()} == {"373099004"}
    assert {one.derivation for beat in beats for one in beat.get_measurements()} == {None}


def test_groups_name_their_frames_and_their_model(tmp_path: Path, study: SimulatedStudy) -> None:
    segmentation, indices = measured(study, View.A4C)
    found = report(tmp_path / "r.sr.dcm", study, View.A4C, segmentation, indices)
    group, beat = groups_of(found)[0], indices.beats[0]
    frames = group.source_images[0].referenced_frame_numbers
    assert [number - 1 for number in frames] == [beat.ed_frame, beat.es_frame, beat.next_ed_frame]
    assert group.source_images[0].referenced_sop_instance_uid == dcmread(study.paths[View.A4C]).SOPInstanceUID
    said = [(item.ConceptNameCodeSequence[0].CodeMeaning, item.get("TextValue")) for item in group[0].ContentSequence]
    assert ("Algorithm Name", "tiny") in said
    assert ("Algorithm Version", "1.0") in said


def test_quality_model_and_warnings_are_said(tmp_path: Path, study: SimulatedStudy) -> None:
    segmentation, indices = measured(study, View.A4C, warnings=("looks strange; give another",))
    quality = Quality(QualityFlag.REVIEW, ("area jumps: 3 of 9 frames", "irregular rhythm"))
    indices = with_regressed(replace(indices, quality=quality), RegressedEf((61.25,), "regressor 2"))
    path = tmp_path / "r.sr.dcm"
    found = report(path, study, View.A4C, segmentation, indices)
    evaluations = groups_of(found)[-1].get_qualitative_evaluations()
    assert [one.value.value for one in evaluations] == ["111236"]
    said = comments_of(path)
    assert said[:3] == ["Quality flag: review", "Quality: area jumps: 3 of 9 frames", "Quality: irregular rhythm"]
    text = "\n".join(said)
    assert "tiny 1.0" in text
    assert "Research use only" in text
    assert "Warning: looks strange; give another" in text
    assert "network regressor 2: 61." in text


def test_volumes_in_pixels_are_left_out(tmp_path: Path, study: SimulatedStudy) -> None:
    segmentation, indices = measured(study, View.A4C, spacing=None)
    path = tmp_path / "r.sr.dcm"
    found = report(path, study, View.A4C, segmentation, indices)
    for group in groups_of(found):
        assert {one.unit.value for one in group.get_measurements()} <= {"%", "{H.B.}/min"}
        assert LOINC[View.A4C]["ef"] in numbers_of(group)
    assert any("pixel size is unknown" in text for text in comments_of(path))
    assert str(study.folder) not in "\n".join(comments_of(path))  # a path may hold a patient's name


def test_an_unknown_view_and_another_formula_get_codes_that_name_neither(tmp_path: Path, study: SimulatedStudy) -> None:
    for said_view, method, code in [
        (View.UNKNOWN, "simpson_single_plane", "125208"),
        (View.A4C, "area_length", "125205"),
    ]:
        segmentation, _ = measured(study, View.A4C)
        segmentation = replace(segmentation, meta=replace(segmentation.meta, view=said_view))
        indices = measure_cine(segmentation, method=method)
        found = report(tmp_path / f"{method}.dcm", study, View.A4C, segmentation, indices)
        said = numbers_of(groups_of(found)[-1], code)
        assert set(LOINC[View.UNKNOWN].values()) <= set(said)
        assert not set(LOINC[View.A4C].values()) & set(said)


def test_a_cine_without_a_beat_has_a_report_that_says_so(tmp_path: Path, study: SimulatedStudy) -> None:
    segmentation, _ = measured(study, View.A4C)
    empty = MaskStack(*segmentation.meta.shape)
    empty.extend(segmentation.masks[0] * 0 for _ in range(len(segmentation.masks)))
    segmentation = replace(segmentation, masks=empty)
    path = tmp_path / "r.sr.dcm"
    found = report(path, study, View.A4C, segmentation, measure_cine(segmentation))
    (group,) = groups_of(found)
    assert group.get_measurements() == []
    assert "Quality flag: fail" in comments_of(path)


def test_dcmtk_prints_it(tmp_path: Path, study: SimulatedStudy) -> None:
    path = tmp_path / "r.sr.dcm"
    report(path, study, View.A4C, *measured(study, View.A4C))
    answer = subprocess.run([program("dsrdump", "dcmtk"), path], capture_output=True, text=True, check=False)
    assert answer.returncode == 0
    assert not [line for line in answer.stderr.splitlines() if line.startswith(("E:", "F:"))]
    assert "Left ventricular ejection fraction single plane 4C (MOD)" in answer.stdout


def test_patient_and_study_are_those_of_the_source(tmp_path: Path, study: SimulatedStudy) -> None:
    path = tmp_path / "r.sr.dcm"
    report(path, study, View.A4C, *measured(study, View.A4C))
    made, origin = dcmread(path), dcmread(study.paths[View.A4C])
    for keyword in ("PatientName", "PatientID", "PatientSex", "PatientAge", "StudyInstanceUID", "StudyDate"):
        assert made[keyword].value == origin[keyword].value
    evidence = made.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence[0]
    assert evidence.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == origin.SOPInstanceUID
    assert (made.CompletionFlag, made.VerificationFlag, made.Manufacturer) == ("COMPLETE", "UNVERIFIED", "echoseg")


def test_equal_numbers_have_equal_names(tmp_path: Path, study: SimulatedStudy) -> None:
    case = measured(study, View.A4C)
    names = {report(tmp_path / f"{i}.dcm", study, View.A4C, *case).SOPInstanceUID for i in range(2)}
    assert len(names) == 1
    other = measured(study, View.A4C, method="area_length")
    assert report(tmp_path / "2.dcm", study, View.A4C, *other).SOPInstanceUID not in names


@pytest.fixture
def both(study: SimulatedStudy) -> StudyEjection:
    return measure_study(measured(study, View.A4C), measured(study, View.A2C))


def test_biplane_numbers(tmp_path: Path, study: SimulatedStudy, both: StudyEjection) -> None:
    path = tmp_path / "new" / "study.sr.dcm"
    sources = (study.paths[View.A4C], study.paths[View.A2C])
    both = replace(both, warnings=("/data/Miller/a.dcm, /data/Miller/b.dcm: one view is foreshortened",))
    write_study_sr(path, sources, both, model="tiny 1.0", quality=Quality(QualityFlag.REVIEW, ("IM_0002: area jumps",)))
    check_valid(path, "ComprehensiveSR")
    *pairs, median = groups_of(hd.sr.srread(path))
    assert len(pairs) == len(both.pairs)
    for group, numbers in zip((*pairs, median), (*(pair.numbers for pair in both.pairs), both.median), strict=True):
        said = numbers_of(group, "125207")
        for key, code in (LOINC["biplane"] | REST).items():
            expected = numbers[key]
            assert said[code][0] == pytest.approx(expected.value / (1000 if key == "co" else 1), abs=1e-4)
            assert said[code][1:] == (UNITS[key], (*expected.a4c_frames, *expected.a2c_frames))
    images = [image.referenced_sop_instance_uid for image in median.source_images]
    assert images == [dcmread(source).SOPInstanceUID for source in sources]
    assert "Warning: one view is foreshortened" in comments_of(path)
    assert "Quality: A2C: area jumps" in comments_of(path)
    assert "Miller" not in "\n".join(comments_of(path))


def test_biplane_without_model_and_quality(tmp_path: Path, study: SimulatedStudy, both: StudyEjection) -> None:
    path = tmp_path / "study.sr.dcm"
    write_study_sr(path, (study.paths[View.A4C], study.paths[View.A2C]), both)
    check_valid(path, "ComprehensiveSR")
    assert "Research use only" in "".join(comments_of(path))


def test_without_highdicom_the_cure_is_named(
    tmp_path: Path, study: SimulatedStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "highdicom", None)
    segmentation, indices = measured(study, View.A4C)
    with pytest.raises(InputError, match=r"install echoseg\[dicom\]"):
        write_sr(tmp_path / "r.dcm", read_source(study.paths[View.A4C]), segmentation, indices)
    assert list(tmp_path.iterdir()) == []
