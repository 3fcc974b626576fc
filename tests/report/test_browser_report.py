"""report.html in a real browser: the cine is scrubbed and the contour moves, the curve follows, nothing is asked of the network."""

from __future__ import annotations

import re

import pytest
from tests.report.browser import browser, complaints_of, print_to_pdf, requests_of, wait_for

from echoseg.report import write_case

EVIL = "<script>document.title='owned'</script>\"><img src=x onerror=alert(1)>"


def written(made, folder, **options):
    cine, segmentation, indices = made
    write_case(folder, segmentation, indices, cine, frozenset({"html"}), **options)
    return folder / "report.html"


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile")) as one:
        yield one


@pytest.fixture
def opened(driver, make, tmp_path):
    """Opens the report of a made case, and checks in the end that it was quiet."""

    def open_(**options):
        page = written(make.case(**options), tmp_path / "case")
        requests_of(driver), complaints_of(driver)
        driver.get(page.as_uri())
        return driver

    yield open_
    assert complaints_of(driver) == []
    asked = requests_of(driver)
    assert asked
    assert all(address.startswith("file:") and address.endswith("report.html") for address in asked), asked


def contour(driver) -> str:
    return driver.execute_script("return document.getElementById('contour-lv').getAttribute('d')")


def cursor(driver) -> float:
    return float(driver.execute_script("return document.querySelector('.curve .cursor').getAttribute('x1')"))


def frame(driver) -> int:
    return int(driver.execute_script("return document.getElementById('player').dataset.frame"))


def scrub(driver, place: int) -> None:
    driver.execute_script(
        "const s = document.getElementById('scrub'); s.value = arguments[0]; s.dispatchEvent(new Event('input'));",
        place,
    )


def press(driver, key: str) -> None:
    from selenium.webdriver.common.by import By

    driver.find_element(By.TAG_NAME, "body").send_keys(key)


def width_of(path: str) -> int:
    """Extent across of a contour path."""
    start, rest = re.match(r"M(-?\d+) -?\d+l(.*?)z", path).groups()
    x, seen = int(start), [int(start)]
    for step in rest.split(" ")[::2]:
        x += int(step)
        seen.append(x)
    return max(seen) - min(seen)


def picture_of(driver) -> str:
    """What the canvas shows."""
    return driver.execute_script("return document.getElementById('canvas').toDataURL()")


def test_scrubbing_moves_contour_picture_and_cursors(opened):
    driver = opened(n_frames=40)
    assert frame(driver) == 0, "the page opens at end-diastole"
    before, cursor_before = contour(driver), cursor(driver)
    wait_for(driver, "return document.getElementById('canvas').width > 100")
    picture = picture_of(driver)
    scrub(driver, 9)
    assert frame(driver) == 9
    assert width_of(contour(driver)) < 0.8 * width_of(before), "at frame 9 the made ventricle is smallest"
    assert cursor(driver) == pytest.approx(66 + 9 / 39 * 920, abs=0.1)
    assert cursor(driver) > cursor_before
    strain = driver.execute_script("return document.querySelector('.straincurves .cursor').getAttribute('x1')")
    assert float(strain) == pytest.approx(cursor(driver))
    wait_for(driver, "return document.getElementById('canvas').toDataURL() !== arguments[0]", picture)
    words = driver.execute_script("return document.getElementById('scrub').getAttribute('aria-valuetext')")
    assert words.startswith("frame 9 · 0.36 s")
    assert words.endswith("ES")


def test_play_runs_and_pauses(opened):
    from selenium.webdriver.common.by import By

    driver = opened(n_frames=40)
    button = driver.find_element(By.ID, "play")
    button.click()
    assert button.text == "❚❚ Pause"
    wait_for(driver, "return Number(document.getElementById('player').dataset.frame) > 3")
    button.click()
    stopped = frame(driver)
    driver.execute_async_script("setTimeout(arguments[0], 300)")
    assert frame(driver) == stopped
    assert button.text == "▶ Play"


def test_keys(opened):
    from selenium.webdriver.common.keys import Keys

    driver = opened(n_frames=40)
    press(driver, Keys.ARROW_RIGHT)
    press(driver, Keys.ARROW_RIGHT)
    press(driver, Keys.ARROW_LEFT)
    assert frame(driver) == 1
    press(driver, "s")
    assert frame(driver) == 9
    press(driver, "d")
    assert frame(driver) == 18
    press(driver, Keys.END)
    assert frame(driver) == 39
    press(driver, Keys.HOME)
    assert frame(driver) == 0
    press(driver, "c")
    shown = "return getComputedStyle(document.querySelector('.stage svg')).visibility"
    assert driver.execute_script(shown) == "hidden"
    press(driver, "c")
    assert driver.execute_script(shown) == "visible"
    press(driver, Keys.SPACE)
    assert driver.execute_script("return document.getElementById('player').dataset.playing") == "true"
    press(driver, Keys.SPACE)
    assert driver.execute_script("return document.getElementById('player').dataset.playing") == "false"


@pytest.mark.parametrize("chart", [".curve svg.linked", ".straincurves svg.linked"])
def test_a_click_on_a_curve_seeks(opened, chart):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By

    driver = opened(n_frames=40)
    svg = driver.find_element(By.CSS_SELECTOR, chart)
    driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", svg)
    width = driver.execute_script("return arguments[0].getBoundingClientRect().width", svg)
    wanted = 66 + 27 / 39 * 920  # frame 27 of the axis
    ActionChains(driver).move_to_element_with_offset(svg, int(width * (wanted / 1000 - 0.5)), 0).click().perform()
    assert abs(frame(driver) - 27) <= 1


@pytest.mark.parametrize(
    "options",
    [
        {"fps": None},
        {"spacing": None},
        {"n_frames": 2, "fps": None},
        {"n_frames": 1, "fps": None},
        {"n_frames": 30, "empty": range(5, 9)},
        {"n_frames": 8, "empty": range(8)},
        {"walls": False, "confident": False},
        {"n_frames": 400, "shape": (64, 96)},
    ],
    ids=["no frame rate", "no spacing", "two frames", "one frame", "gaps", "nothing", "ventricle only", "long"],
)
def test_every_kind_of_case_scrubs_to_its_last_frame(opened, options):
    from selenium.webdriver.common.keys import Keys

    driver = opened(**options)
    press(driver, Keys.END)
    assert frame(driver) == options.get("n_frames", 40) - 1
    driver.find_element("id", "play").click()
    press(driver, Keys.HOME)
    assert frame(driver) == 0


def test_a_gap_in_the_masks_shows_no_contour_and_no_point(opened):
    driver = opened(n_frames=30, empty=range(5, 9))
    scrub(driver, 6)
    assert contour(driver) == ""
    assert driver.execute_script("return document.querySelector('.cursorpoint').getAttribute('cx')") == "-50"
    scrub(driver, 9)
    assert contour(driver).startswith("M")


def test_names_run_nothing(driver, make, tmp_path):
    made = make.case(n_frames=4, source=EVIL, warnings=(EVIL,))
    page = written(made, tmp_path / "case", licence=EVIL)
    driver.get(page.as_uri())
    assert driver.title.startswith("case")
    text = driver.execute_script("return document.body.innerText")
    assert text.count("onerror=alert(1)") >= 3
    assert driver.execute_script("return document.querySelectorAll('img[src=x]').length") == 0
    assert complaints_of(driver) == []


def test_other_scripts_are_refused_by_the_content_policy(driver, make, tmp_path):
    page = written(make.case(n_frames=4), tmp_path / "case")
    text = page.read_text(encoding="utf-8").replace("</main>", "<script>document.title='owned'</script></main>")
    page.write_text(text, encoding="utf-8")
    driver.get(page.as_uri())
    assert driver.title != "owned"
    assert any("Content Security Policy" in words for words in complaints_of(driver))


def test_without_script_everything_but_the_player_is_there(make, tmp_path):
    page = written(make.case(), tmp_path / "case")
    with browser(tmp_path / "profile", script=False) as driver:
        driver.get(page.as_uri())
        shown = [
            css
            for css in (
                "#poster",
                "#contour-lv",
                ".curve svg",
                ".beats table",
                ".straincurves svg",
                ".instants svg",
                ".card.main",
            )
            if driver.find_element("css selector", css).is_displayed()
        ]
        assert len(shown) == 7
        assert not driver.find_element("id", "scrub").is_displayed()
        assert driver.find_element("css selector", ".quality").text


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"spacing": None, "fps": None},
        {"n_frames": 2, "fps": None},
        {"n_frames": 300, "walls": False},
        {"shape": (300, 400), "warnings": ("a.dcm: calibration is older than the image; give --spacing-mm",) * 2},
        {"n_frames": 8, "empty": range(8)},
    ],
    ids=["full", "uncalibrated", "two frames", "sixteen beats", "warnings", "nothing"],
)
def test_it_prints_on_one_sheet_of_a4(make, tmp_path, options):
    from pypdf import PdfReader

    page = written(make.case(**options), tmp_path / "case")
    print_to_pdf(page, tmp_path / "printed.pdf", tmp_path / "profile")
    (sheet,) = PdfReader(tmp_path / "printed.pdf").pages
    assert (round(float(sheet.mediabox.width)), round(float(sheet.mediabox.height))) == (595, 842)
    text = " ".join(sheet.extract_text().split())
    assert "Not a medical device" in text
    assert "Play" not in text
