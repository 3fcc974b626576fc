"""report.html: balanced, self-contained, escaped, and it says the right things."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from echoseg.cine import Spacing
from echoseg.clinical import Beat
from echoseg.report.chart import curve_chart, nice_ticks
from echoseg.report.page import frames_needed, report_page
from echoseg.report.pictures import frames_shown, surroundings
from echoseg.report.text import volume_text

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Balance(HTMLParser):
    """Checks that every tag is closed where it must be, and gathers text and attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.values: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.values += [value or "" for _, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.values += [value or "" for _, value in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text += " " + " ".join(data.split())


def page_of(made, title="case", **options) -> str:
    cine, segmentation, indices = made
    kept = {number: cine.frames[number] for number in frames_needed(segmentation, indices)}
    return report_page(title, segmentation, indices, kept, **options)


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
    "large": {"shape": (300, 400)},
}


@pytest.mark.parametrize("options", CASES.values(), ids=CASES.keys())
def test_page_is_balanced_and_needs_no_network(make, options):
    page = page_of(make.case(**options))
    parsed = Balance(page)
    assert not re.search(r"https?:|@import|url\(", re.sub(r"base64,[A-Za-z0-9+/=]+", "", page), re.IGNORECASE)
    assert not {"script", "iframe", "link", "object"} & set(parsed.tags)
    assert "$" not in parsed.text
    assert "nan" not in parsed.text.lower().split()
    assert not any("nan" in value for value in parsed.values if not value.startswith("data:"))
    assert "Not a medical device" in parsed.text


def test_numbers_method_and_model_are_there(make):
    made = make.case()
    text = Balance(page_of(made, "patient 7", licence="CC0")).text
    summary = made[2].summary
    assert "patient 7" in text
    assert f"{summary.ef_percent:.0f} %" in text
    assert f"{volume_text(summary.edv)} mL" in text
    assert f"{volume_text(summary.esv)} mL" in text
    assert f"{summary.heart_rate_bpm:.0f} /min" in text
    assert "method of discs (Simpson)" in text
    assert "tiny 1.0 (licence CC0)" in text
    assert "median of 2 beats" in text
    assert "left atrium" in text
    assert "End-diastole (ED) frame 0" in text


def test_without_pixel_size_no_millilitre_is_claimed(make):
    text = Balance(page_of(make.case(spacing=None))).text
    assert "No volume in mL:" in text
    assert "--spacing-mm" in text
    assert not re.search(r"\d\s*mL", text)
    assert "No volume in mL" not in Balance(page_of(make.case())).text


def test_untrusted_text_is_escaped(make):
    evil = "<script>alert(1)</script>\"'&$title"
    made = make.case(n_frames=4, source=evil, warnings=(evil,))
    page = page_of(made, evil, licence=evil)
    assert "<script" not in page
    parsed = Balance(page)
    assert parsed.text.count("alert(1)") >= 4
    assert "$title" in parsed.text, "a dollar in a name must not be taken for a placeholder"


@pytest.mark.parametrize("flag", ["pass", "review", "fail"])
def test_quality_is_told_by_word_and_sign_not_colour_alone(make, flag):
    from dataclasses import replace

    from echoseg.clinical import Quality, QualityFlag

    cine, segmentation, indices = make.case(n_frames=4)
    indices = replace(indices, quality=Quality(QualityFlag(flag), ("the reason",)))
    text = Balance(page_of((cine, segmentation, indices))).text
    assert {"pass": "✓ Pass", "review": "! Review", "fail": "✕ Fail"}[flag] in text
    assert "the reason" in text


def test_pictures_hold_contours_in_their_colours(make):
    page = page_of(make.case())
    pictures = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(code))))
        for code in re.findall(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", page)
    ]
    assert len(pictures) >= 10
    for picture in pictures:
        yellow = (picture[..., 0] > 180) & (picture[..., 1] > 180) & (picture[..., 2] < 130)
        assert yellow.sum() > 100
    assert 'class="longaxis"' in page
    assert page.count('<path class="discs"') == 2


def test_gaps_break_the_curve(make):
    made = make.case(empty=range(5, 9))
    assert curve_chart(made[1], made[2]).count('class="volume"') == 2
    made = make.case(empty=range(0))
    assert curve_chart(made[1], made[2]).count('class="volume"') == 1


def test_ed_and_es_are_marked_and_low_confidence_stands_out(make):
    _, segmentation, indices = make.case()
    chart = curve_chart(segmentation, indices)
    assert chart.count('class="es"') == 2
    assert chart.count('class="ed"') == 3
    assert 'class="unsure"' in chart
    assert "LV volume, mL" in chart
    assert "Time, s" in chart


def test_a_long_cine_stays_a_small_picture(make):
    _, segmentation, indices = make.case(n_frames=3000, shape=(40, 40), walls=False)
    chart = curve_chart(segmentation, indices)
    assert len(chart) < 150_000
    assert chart.count('class="es"') == len(indices.beats)


def test_ticks_are_round():
    assert nice_ticks(0, 118, 5) == [0, 20, 40, 60, 80, 100]
    assert nice_ticks(0, 0.96, 10) == pytest.approx([0.1 * i for i in range(10)])
    assert nice_ticks(3, 3, 5) == [3]


@pytest.mark.parametrize(
    "beat",
    [
        Beat(10, 17, 40, complete=True),
        Beat(10, 11, 13, complete=True),
        Beat(3, 9, None, complete=False),
        Beat(9, 3, None, complete=False),
        Beat(1, 0, None, complete=False),
        None,
    ],
)
def test_contact_sheet_shows_ed_and_es(beat):
    shown = frames_shown(50, beat)
    assert list(shown) == sorted(set(shown))
    assert 1 < len(shown) <= 10
    assert all(0 <= number < 50 for number in shown)
    if beat is not None:
        assert {beat.ed_frame, beat.es_frame} <= set(shown)
        assert beat.next_ed_frame is None or beat.next_ed_frame in shown


def test_surroundings_hold_the_structures_and_a_margin():
    mask = np.zeros((100, 200), np.uint8)
    mask[40:60, 190:195] = 1
    assert surroundings([mask], (100, 200), margin=0.5) == (slice(30, 70), slice(180, 200))
    assert surroundings([mask * 0], (100, 200)) == (slice(0, 100), slice(0, 200))
