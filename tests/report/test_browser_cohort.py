"""cohort.html in a real browser: columns sort, the filter filters, a thousand rows are no burden."""

from __future__ import annotations

import time

import pytest
from tests.report.browser import browser, complaints_of, requests_of
from tests.report.test_cohort import cohort, study

from echoseg.report import CaseRecord, write_cohort


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile"), width=1400) as one:
        yield one


@pytest.fixture
def opened(driver, tmp_path):
    def open_(n: int = 30):
        cases, references, _ = cohort(n)
        cases.append(CaseRecord("broken", "broken.dcm", "failed", error="broken.dcm: pixel data end early"))
        page = write_cohort(tmp_path / "cohort.html", cases, [study("s1"), study("s2", ef=30.0)], references)
        requests_of(driver), complaints_of(driver)
        driver.get(page.as_uri())
        return cases

    yield open_
    assert complaints_of(driver) == []
    assert all(address.endswith("cohort.html") for address in requests_of(driver))


def column(driver, number: int, table: str = "cines") -> list[str]:
    """Cells of a column, of the rows that are shown."""
    return driver.execute_script(
        "return [...document.querySelectorAll('#' + arguments[0] + ' tbody tr')].filter((row) => !row.hidden)"
        ".map((row) => row.cells[arguments[1]].textContent)",
        table,
        number,
    )


def button(driver, title: str, table: str = "cines"):
    heads = driver.find_elements("css selector", f"#{table} thead button")
    return next(one for one in heads if one.text.startswith(title))


def test_click_and_key_sort_and_what_is_missing_stays_last(opened, driver):
    from selenium.webdriver.common.keys import Keys

    cases = opened()
    button(driver, "EF").click()
    shown = column(driver, 3)
    values = [int(cell) for cell in shown[:-1]]
    assert values == sorted(values)
    assert shown[-1] == "–"
    assert button(driver, "EF").find_element("xpath", "..").get_attribute("aria-sort") == "ascending"
    button(driver, "EF").send_keys(Keys.ENTER)
    shown = column(driver, 3)
    assert [int(cell) for cell in shown[:-1]] == values[::-1]
    assert shown[-1] == "–"
    button(driver, "Cine").click()
    assert column(driver, 0)[:4] == ["broken", "c0", "c1", "c2"], "c2 comes before c10"
    assert len(column(driver, 0)) == len(cases)


def test_flags_sort_by_gravity(opened, driver):
    opened()
    button(driver, "Flag").click()
    shown = column(driver, 1)
    assert shown == ["✓ Pass"] * 10 + ["! Review"] * 10 + ["✕ Fail"] * 10 + ["– No result"]
    assert [name for name in column(driver, 0)[:3]] == ["c0", "c3", "c6"], "equals keep their order"


def test_tables_sort_apart(opened, driver):
    opened()
    before = column(driver, 0)
    button(driver, "EF", "studies").click()
    assert column(driver, 0, "studies") == ["s2", "s1"]
    assert column(driver, 0) == before


def test_filter_by_words_and_flags(opened, driver):
    opened()
    box = driver.find_element("id", "words")
    box.send_keys("pixel data")
    assert column(driver, 0) == ["broken"]
    assert driver.find_element("css selector", "#cines .shown").text == "1 of 31"
    box.clear()
    box.send_keys(" ")
    assert len(column(driver, 0)) == 31
    driver.find_element("css selector", "input[value=pass]").click()
    assert len(column(driver, 0)) == 21
    assert "✓ Pass" not in column(driver, 1)


def test_a_thousand_rows_sort_within_a_second(opened, driver):
    opened(1000)
    started = time.monotonic()
    button(driver, "EF").click()
    values = [int(cell) for cell in column(driver, 3)[:-1]]
    assert time.monotonic() - started < 10, "most of it is the driver, on a machine that may be busy"
    assert values == sorted(values)
    spent = driver.execute_script(
        "const b = [...document.querySelectorAll('#cines thead button')][3]; const t = performance.now(); b.click(); return performance.now() - t"
    )
    assert spent < 1000
