"""What of a header is kept in a de-identified copy."""

from __future__ import annotations

import pytest
from tests.io.test_deid import examined, item

from echoseg.io.deid.header import clean_header
from echoseg.io.deid.pseudonyms import Pseudonyms


def test_dates_move_by_one_number_of_days_for_a_patient():
    pseudonyms = Pseudonyms(shift_dates=True)
    first, later = (pseudonyms.date("a", day) for day in ("20210312", "20210315"))
    assert int(later[-2:]) - int(first[-2:]) == 3 or first[:6] != later[:6]
    assert first < "20210212"
    assert pseudonyms.date("a", "rubbish") == ""
    assert len({pseudonyms.date(str(number), "20210312") for number in range(20)}) > 10
    header = clean_header(examined((4, 10, 10)), pseudonyms)
    assert header.StudyDate == header.SeriesDate != "20210312"
    assert header.LongitudinalTemporalInformationModified == "MODIFIED"
    assert [code.CodeValue for code in header.DeidentificationMethodCodeSequence] == ["113100", "113101", "113107"]
    assert "AcquisitionDateTime" not in header


def test_values_that_are_not_what_their_element_is_for_go(tmp_path):
    header = examined((4, 10, 10))
    header.add_new(0x00280010, "LO", "JANE")
    header.add_new(0x00181063, "DS", "20")
    header["FrameTime"]._value = "JANE"
    header.ImageType = ["ORIGINAL", "DOE"]
    header.UltrasoundColorDataPresent = 1
    clean = clean_header(header, Pseudonyms())
    assert "Rows" not in clean
    assert "FrameTime" not in clean
    assert list(clean.ImageType) == ["DERIVED", "PRIMARY"]
    assert clean.UltrasoundColorDataPresent == 1


@pytest.mark.parametrize(
    ("code", "description", "kept"),
    [
        ("399232001", "", "399232001"),
        ("G-A19B", "", "399232001"),
        ("399306005", "", "399306005"),
        ("", "PLAX of Jane", "399139001"),
        ("", "4CH", "399214001"),
        ("77777", "Jane", None),
    ],
)
def test_views_are_kept_in_the_words_of_the_standard(code, description, kept):
    header = examined((4, 10, 10))
    header.SeriesDescription, header.ImageComments = description, ""
    if code:
        header.ViewCodeSequence = [item(CodeValue=code, CodingSchemeDesignator="SCT", CodeMeaning="as JANE has it")]
    clean = clean_header(header, Pseudonyms())
    assert [one.CodeValue for one in clean.get("ViewCodeSequence", [])] == ([kept] if kept else [])
    assert "JANE" not in str(clean)


def test_patients_are_told_apart():
    pseudonyms = Pseudonyms()
    headers = [examined((4, 10, 10)) for _ in range(4)]
    headers[1].PatientName = "Doe^J"
    headers[2].IssuerOfPatientID = "elsewhere"
    headers[3].PatientID = headers[3].PatientName = ""
    first, same, other, nobody = (clean_header(header, pseudonyms).PatientID for header in headers)
    assert first == same
    assert len({first, other, nobody}) == 3
