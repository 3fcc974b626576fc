"""report.html: balanced, self-contained, escaped, and it says the right things."""

import base64
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from echoseg.cine import Spacing, Structure
from echoseg.clinical import ContourStrain, Measured, Measures, ReferenceRange
from echoseg.report.chart import TimeAxis, curve_chart, nice_ticks
from echoseg.report.gallery import Gallery
from echoseg.report.page import report_page
from echoseg.report.page_content import beats_table, further_table
from echoseg.report.page_contours import FINE, Tracer
from echoseg.report.page_parts import checksum, data_island
from echoseg.report.page_reel import MAX_BYTES, MAX_FRAMES, Reel, reel_frames
from echoseg.report.page_strain import range_bar, segments_of, strain_chart
from echoseg.report.pictures import surroundings
from echoseg.report.text import volume_text

VOID = {"meta", "img", "br", "link", "input", "hr"}
UNSEEN = {"style", "script"}


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
        if self.open and self.open[-1] not in UNSEEN:
            self.text += " " + " ".join(data.split())


def page_of(made, title="case", **options) -> str:
    cine, segmentation, indices = made
    gallery = Gallery.of(segmentation, indices)
    gallery.fill(cine)
    return report_page(title, segmentation, indices, gallery, **options)


def svg_of(made) -> str:
    return curve_chart(made[1], made[2]).drawing.svg()


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
    without_pictures = re.sub(r"(base64,|[\[\",])[A-Za-z0-9+/=]{200,}", "", page)
    assert not re.search(r"https?:|@import|url\(", without_pictures, re.IGNORECASE)
    assert not {"iframe", "link", "object", "video"} & set(parsed.tags)
    assert not re.search(r"<[^>]+ (style|on[a-z]+)=", page), (
        "the content policy lets no inline style or handler through"
    )
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
    assert page.count("<script") == 2, "the data and the page's own script"
    parsed = Balance(page)
    assert parsed.text.count("alert(1)") >= 4
    assert "$title" in parsed.text, "a dollar in a name must not be taken for a placeholder"


def test_the_policy_names_the_one_script_and_the_one_style_sheet(make):
    page = page_of(make.case(n_frames=4))
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', page)
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert f"style-src '{checksum(style)}'" in policy
    assert f"script-src '{checksum(script)}'" in policy


def test_no_text_ends_the_data_early():
    island = data_island("x", {"name": "</script><!--<b>&amp;"})
    assert island.count("<") == 2
    assert json.loads(re.search(">(.*)</script>", island)[1]) == {"name": "</script><!--<b>&amp;"}


@pytest.mark.parametrize("flag", ["pass", "review", "fail"])
def test_quality_is_told_by_word_and_sign_not_colour_alone(make, flag):
    from echoseg.clinical import Quality, QualityFlag

    cine, segmentation, indices = make.case(n_frames=4)
    indices = replace(indices, quality=Quality(QualityFlag(flag), ("the reason",)))
    text = Balance(page_of((cine, segmentation, indices))).text
    assert {"pass": "✓ Pass", "review": "! Review", "fail": "✕ Fail"}[flag] in text
    assert "the reason" in text


def test_pictures_hold_contours_in_their_colours(make):
    page = page_of(make.case())
    instants = page[page.index('class="pair"') :]
    pictures = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(code))))
        for code in re.findall(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)", instants)
    ]
    assert len(pictures) == 2
    for picture in pictures:
        yellow = (picture[..., 0] > 180) & (picture[..., 1] > 180) & (picture[..., 2] < 130)
        assert yellow.sum() > 100
    assert page.count('class="longaxis"') == 2
    assert page.count('<path class="discs"') == 2


def cine_data(page: str) -> dict:
    return json.loads(re.search(r'id="cine">(.*?)</script>', page)[1])


def test_the_player_holds_every_frame_and_its_contours(make):
    made = make.case(n_frames=40, empty=range(5, 9))
    data = cine_data(page_of(made))
    assert data["numbers"] == list(range(40))
    assert len(data["pictures"]) == 40
    assert [i for i, path in enumerate(data["contours"]["lv"]) if not path] == [5, 6, 7, 8]
    assert set(data["contours"]) == {"lv", "myo", "la"}
    assert data["heights"][6] is None
    assert data["marks"][data["start"]] == "ED"
    assert set(data["marks"]) == {"", "ED", "ES"}
    assert data["fps"] == 25.0
    first = Image.open(io.BytesIO(base64.b64decode(data["pictures"][0])))
    assert first.mode == "L"


def area_of(path: str) -> float:
    """Area inside a path "Mx yldx dy dx dy...z", in units of the picture."""
    total = 0.0
    for start, steps in re.findall(r"M(-?\d+ -?\d+)l([^z]+)z", path):
        numbers = np.array(steps.split(), float).reshape(-1, 2)
        points = np.concatenate([[np.array(start.split(), float)], numbers]).cumsum(axis=0) / FINE
        x, y = points.T
        total += abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2
    return total


@pytest.mark.parametrize("scale", [(1.0, 1.0), (3.0, 3.0), (2.0, 4.0)])
def test_a_traced_contour_encloses_its_mask(make, scale):
    mask = make.beating(1, (112, 112), 18.0, walls=True)[0]
    paths = Tracer(scale).paths(mask)
    assert area_of(paths[Structure.LV]) == pytest.approx((mask == 1).sum() * scale[0] * scale[1], rel=0.02)
    x, y = np.array(re.match(r"M(\d+) (\d+)", paths[Structure.LV]).groups(), float) / FINE / scale[::-1]
    around = mask[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2]
    assert set(np.unique(around)) > {1}, "it begins where the ventricle ends"


def test_every_component_is_traced_and_specks_are_not():
    mask = np.zeros((60, 60), np.uint8)
    mask[5:25, 5:25], mask[40:50, 40:50], mask[58, 2] = 1, 1, 1
    (path,) = Tracer((1.0, 1.0)).paths(mask).values()
    assert path.count("M") == 2
    assert area_of(path) == pytest.approx(500, rel=0.06)
    assert Tracer((1.0, 1.0)).paths(mask * 0) == {}


def test_a_long_cine_plays_some_of_its_frames_but_every_ed_and_es(make):
    *_, indices = make.case(n_frames=1000, shape=(40, 40), walls=False)
    numbers = reel_frames(1000, indices)
    assert len(numbers) < MAX_FRAMES + 3 * len(indices.beats)
    assert {0, 999} <= set(numbers)
    assert {beat.es_frame for beat in indices.beats[:80]} <= set(numbers)


def test_noise_cannot_make_the_page_large():
    """300 frames of pure noise, which no codec makes small, stay within the budget."""
    from echoseg.cine import CineMeta, MaskStack, Segmentation
    from echoseg.clinical import measure_cine

    rng = np.random.default_rng(0)
    meta = CineMeta("noise", 600, 800, 300, fps=50.0)
    stack = MaskStack(600, 800)
    stack.extend(np.zeros((600, 800), np.uint8) for _ in range(300))
    segmentation = Segmentation(meta, stack, None, "none")
    reel = Reel.of(segmentation, measure_cine(segmentation))
    noise = rng.integers(0, 255, (2, 600, 800), dtype=np.uint8)
    for _ in reel.record(noise[i % 2] for i in range(300)):
        pass
    assert reel.is_full
    text = json.dumps(reel.data())
    assert 0.5 * MAX_BYTES < len(text) < 10_000_000


def test_small_frames_are_not_enlarged(make):
    _, segmentation, indices = make.case(n_frames=3)
    reel = Reel.of(segmentation, indices)
    assert max(reel.pixels) <= 112
    assert max(reel.size) == 480


def test_gaps_break_the_curve(make):
    made = make.case(empty=range(5, 9))
    assert svg_of(made).count('class="volume"') == 2
    made = make.case(empty=range(0))
    assert svg_of(made).count('class="volume"') == 1


def test_ed_and_es_are_marked_and_low_confidence_stands_out(make):
    chart = svg_of(make.case())
    assert chart.count('class="es"') == 2
    assert chart.count('class="ed"') == 3
    assert 'class="unsure"' in chart
    assert "LV volume, mL" in chart
    assert "Time, s" in chart


def test_a_long_cine_stays_a_small_picture(make):
    *_, indices = made = make.case(n_frames=3000, shape=(40, 40), walls=False)
    chart = svg_of(made)
    assert len(chart) < 150_000
    assert chart.count('class="es"') == len(indices.beats)


def test_ticks_are_round():
    assert nice_ticks(0, 118, 5) == [0, 20, 40, 60, 80, 100]
    assert nice_ticks(0, 0.96, 10) == pytest.approx([0.1 * i for i in range(10)])
    assert nice_ticks(3, 3, 5) == [3]


def with_measures(indices, **numbers: float):
    """The same with made numbers in place of its own."""
    units = {"ef": "%", "hr": "1/min", "co": "mL/min", "lv_mass": "g"}
    found = {
        key: Measured(value, "%" if key.startswith(("strain", "gcs")) else units.get(key, "mL"), "area_length", (0, 9))
        for key, value in numbers.items()
    }
    ranges = {
        "ef": (ReferenceRange(54, 74, "%", "women", "somewhere"), ReferenceRange(52, 72, "%", "men", "somewhere"))
    }
    names = ("basal_septal", "mid_septal", "apical_septal", "apical_lateral", "mid_lateral", "basal_lateral")
    time = np.arange(len(indices.curve))
    strain = ContourStrain(-10 - 8 * np.sin(time), np.tile(-12 * np.sin(time), (6, 1)), names)
    return replace(indices, extras=Measures((), found, {k: v for k, v in ranges.items() if k in found}, strain))


def test_numbers_with_their_units_and_ranges(make):
    cine, segmentation, indices = make.case()
    indices = with_measures(indices, ef=61.0, sv=70.0, co=4870.0, gcs_endo=-18.26, la_volume_max=52.0, lv_mass=151.0)
    text = Balance(page_of((cine, segmentation, indices))).text
    for words in (
        "70 mL",
        "4.9 L/min",
        "−18.3 %",
        "healthy women 54–74, men 52–72",
        "LA volume, largest 52 mL",
        "LV mass 151 g",
    ):
        assert words in text, words
    assert "Ranges of healthy adults (somewhere)" in text
    assert "nothing is concluded" in text


def test_beats_table_has_median_and_ranges_as_ranges(make):
    table = beats_table(make.case()[2])
    assert [title.partition(",")[0] for title in table.titles] == [
        "Beat", "ED frame", "ES frame", "EDV", "ESV", "SV", "EF", "HR", "CO",
    ]  # fmt: skip
    assert [row[0] for row in table.rows] == ["1", "2"]
    assert [row[0] for row in table.footers] == ["Median", "Healthy women", "Healthy men"]
    assert "54–74" in table.footers[1]
    assert all(len(row) == len(table.titles) for row in (*table.rows, *table.footers))


def test_a_case_without_further_numbers_has_its_beats(make):
    cine, segmentation, indices = make.case()
    bare = replace(indices, extras=None)
    assert further_table(bare) is None
    assert [row[0] for row in beats_table(bare).rows] == ["1", "2"]
    text = Balance(page_of((cine, segmentation, bare))).text
    assert "Further measurements" not in text
    assert "Contour strain" not in text


def test_segments_are_named_and_have_their_strain(make):
    _, _, indices = make.case()
    indices = with_measures(indices, strain_basal_septal=-14.6, strain_apical_lateral=-20.2)
    found = segments_of(indices)
    assert [(one.name, one.text) for one in found[:2]] == [("basal septal", "−15"), ("mid septal", "–")]
    assert found[3].style == "wall step3"
    assert found[1].style == "wall none"
    chart = strain_chart(indices.extras.strain, indices.beats, TimeAxis.of(indices.curve)).svg()
    assert chart.count('class="seg seg') == 6
    assert chart.count('class="seg global"') == 1


@pytest.mark.parametrize("value", [80.0, 8000.0])
def test_a_value_stands_right_of_a_range_that_it_exceeds(value):
    svg = range_bar(value, [("women", 54.0, 74.0)]).svg()
    box = re.search(r'<rect[^>]* x="([\d.]+)"[^>]* width="([\d.]+)"', svg)
    marker = float(re.search(r'class="marker" d="M([\d.]+) ', svg)[1])
    assert marker > float(box[1]) + float(box[2])
    assert 60 < float(box[2]) <= 182, "the range is wide enough to be seen"
    assert marker <= 200
    assert "women 54 to 74" in svg


def test_surroundings_hold_the_structures_and_a_margin():
    mask = np.zeros((100, 200), np.uint8)
    mask[40:60, 190:195] = 1
    assert surroundings([mask], (100, 200), margin=0.5) == (slice(30, 70), slice(180, 200))
    assert surroundings([mask * 0], (100, 200)) == (slice(0, 100), slice(0, 200))


def luminance(colour: str) -> float:
    """Relative luminance of "#rgb" or "#rrggbb" (WCAG 2.2)."""
    digits = colour.lstrip("#")
    digits = "".join(2 * digit for digit in digits) if len(digits) == 3 else digits
    parts = np.array([int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)])
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def test_text_has_contrast_in_light_and_dark():
    """4.5 to 1, as WCAG 2.2 asks of small text."""
    from importlib.resources import files

    light, dark = files("echoseg.report").joinpath("page_base.css").read_text().split("@media screen", 1)
    for sheet in (light, dark.split("* {")[0]):
        colours = dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{3,6})", sheet))
        pairs = [(text, back) for text in ("ink", "soft", "link", "blue") for back in ("paper", "pale")]
        pairs += [(tone, f"{tone}-pale") for tone in ("good", "care", "bad", "none")]
        for text, back in pairs:
            low, high = sorted((luminance(colours[text]), luminance(colours[back])))
            assert (high + 0.05) / (low + 0.05) >= 4.5, (text, back)
