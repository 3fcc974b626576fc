"""report.pdf: one sheet of A4 with the words, curves and pictures of the page, for every kind of case and name."""

import io
import re
from dataclasses import replace

import pytest
from pypdf import PdfReader

from echoseg.cine import Spacing
from echoseg.clinical import Quality, QualityFlag
from echoseg.errors import InputError, UsageError
from echoseg.report import pdf_letters, write_case
from echoseg.report.pdf_letters import spelt

EVIL = "<b>Ω</b> 心臓 \u202eевил Ł\x00\x1b[31m😀"


def written(made, folder, **options):
    cine, segmentation, indices = made
    write_case(folder, segmentation, indices, cine, frozenset({"pdf"}), **options)
    return PdfReader(folder / "report.pdf")


def text_of(reader) -> str:
    return " ".join(" ".join(page.extract_text().split()) for page in reader.pages)


CASES = {
    "full": {},
    "no spacing": {"spacing": None},
    "no frame rate": {"fps": None},
    "ventricle only": {"walls": False, "confident": False},
    "gaps": {"empty": range(5, 9)},
    "not square": {"spacing": Spacing(0.4, 0.8)},
    "two frames": {"n_frames": 2, "fps": None},
    "one frame": {"n_frames": 1, "fps": None},
    "nothing": {"n_frames": 8, "empty": range(8)},
    "sixteen beats": {"n_frames": 300},
    "warnings": {
        "warnings": ("a.dcm: calibration is older than the image; give the pixel size with --spacing-mm",) * 3
    },
}


@pytest.mark.parametrize("options", CASES.values(), ids=CASES.keys())
def test_it_is_one_sheet_of_a4(make, tmp_path, options):
    reader = written(make.case(**options), tmp_path / "patient 7")
    (page,) = reader.pages
    assert (round(float(page.mediabox.width)), round(float(page.mediabox.height))) == (595, 842)
    text = text_of(reader)
    assert "patient 7" in text
    assert "For research use. Not a medical device." in text
    assert "nan" not in text.lower().split()


def test_it_says_what_the_page_says(make, tmp_path):
    cine, segmentation, indices = made = make.case()
    reader = written(made, tmp_path / "case", licence="CC0")
    text = text_of(reader)
    summary = indices.summary
    for words in (
        f"{summary.ef_percent:.0f} %",
        "method of discs (Simpson)",
        "tiny 1.0 (licence CC0)",
        "Quality: Review",
        *indices.quality.reasons,
        "Volume over time",
        "Contour strain",
        "End-diastole (ED) frame 0",
        "Healthy women",
        "54–74",
        "LV volume, mL",
    ):
        assert words in text, words
    assert len(reader.pages[0].images) == 2
    assert reader.metadata.title == "case"
    lines = reader.pages[0].get_contents().get_data().count(b" l ") + reader.pages[0].get_contents().get_data().count(
        b" l\n"
    )
    assert lines > 40 + 2 * 20, "curve and discs are vectors"
    assert cine.meta.source in text
    assert segmentation.model in text


def test_without_pixel_size_no_millilitre_is_claimed(make, tmp_path):
    text = text_of(written(make.case(spacing=None), tmp_path / "case"))
    assert "No volume in mL" in text
    assert not re.search(r"\d\s*mL", text)


def test_long_warnings_go_on_to_a_second_sheet_and_none_is_lost(make, tmp_path):
    warnings = tuple(
        f"warning {i}: " + "the calibration of this region is not to be trusted, and " * 6 for i in range(40)
    )
    reader = written(make.case(warnings=warnings), tmp_path / "case")
    assert len(reader.pages) > 1
    text = text_of(reader)
    assert all(f"warning {i}:" in text for i in range(40))
    assert text.count("the calibration of this region is not to be trusted, and") == 240


def test_a_word_longer_than_the_sheet_is_broken_not_cut(make, tmp_path):
    path = "/data/" + "x" * 400 + "/end.dcm"
    text = text_of(written(make.case(source=path), tmp_path / "case")).replace(" ", "")
    assert "x" * 400 + "/end.dcm" in text


@pytest.mark.parametrize("fonts", [pdf_letters._FONTS, ()], ids=["with a font", "without"])
def test_any_name_can_be_written(make, tmp_path, monkeypatch, fonts):
    monkeypatch.setattr(pdf_letters, "_FONTS", fonts)
    reader = written(make.case(source=EVIL, warnings=(EVIL,)), tmp_path / "case", licence=EVIL)
    text = text_of(reader)
    assert text.count("<U+5FC3>") >= 3, "what no font has is spelt"
    assert ("евил" in text) == bool(fonts)
    assert "\x1b" not in text
    assert len(reader.pages) == 1


def test_spelling():
    assert spelt("Müller – 5 µm³") == "Müller – 5 µm³"
    assert spelt("Dvořák") == "Dvorák"
    assert spelt("心") == "<U+5FC3>"


@pytest.mark.parametrize("flag", ["pass", "review", "fail"])
def test_the_flag_is_a_word(make, tmp_path, flag):
    cine, segmentation, indices = make.case(n_frames=4)
    indices = replace(indices, quality=Quality(QualityFlag(flag), ("the reason",)))
    text = text_of(written((cine, segmentation, indices), tmp_path / "case"))
    assert f"Quality: {flag.capitalize()}" in text
    assert "the reason" in text


def test_equal_results_give_equal_files(make, tmp_path):
    made = make.case(n_frames=20)
    for name in ("one", "two"):
        written(made, tmp_path / name / "case")
    one, two = (tmp_path / name / "case/report.pdf" for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def test_a_missing_package_is_named_with_its_cure(make, tmp_path, monkeypatch):
    monkeypatch.setattr("echoseg.report.pdf.find_spec", lambda name: None)
    cine, segmentation, indices = make.case(n_frames=2)
    with pytest.raises(UsageError, match=r"fpdf2; install it with pip install 'echoseg\[pdf\]'"):
        write_case(tmp_path / "a", segmentation, indices, cine, frozenset({"pdf"}))
    assert not (tmp_path / "a").exists()


def test_pdf_and_page_share_one_pass_over_the_frames(make, tmp_path):
    cine, segmentation, indices = make.case(n_frames=20)

    class Once:
        meta, passes = cine.meta, 0

        def __iter__(self):
            self.passes += 1
            return iter(cine)

    source = Once()
    write_case(tmp_path / "a", segmentation, indices, source, frozenset({"pdf", "html", "mp4"}))
    assert source.passes == 1
    assert {"report.pdf", "report.html", "overlay.mp4"} < {file.name for file in (tmp_path / "a").iterdir()}


def test_the_wrong_cine_is_noticed(make, tmp_path):
    _, segmentation, indices = make.case(n_frames=20)
    short, *_ = make.case(n_frames=3)
    with pytest.raises(InputError, match="give the cine that was segmented"):
        write_case(tmp_path / "a", segmentation, indices, short, frozenset({"pdf"}))


def test_pictures_are_those_of_the_cine(make, tmp_path):
    from PIL import Image

    reader = written(make.case(), tmp_path / "case")
    for image in reader.pages[0].images:
        picture = Image.open(io.BytesIO(image.data)).convert("RGB")
        yellow = sum(1 for r, g, b in picture.get_flattened_data() if r > 180 and g > 180 and b < 130)
        assert yellow > 100
