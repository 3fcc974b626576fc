"""A real browser for the pages: Debian's Chromium, steered through its driver."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.programs import program

QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextlib.contextmanager
def browser(profile: Path, *, width: int = 1280, height: int = 1000, script: bool = True) -> Iterator[Any]:
    """A browser with a profile of its own; its driver is ended afterwards."""
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    options.binary_location = program("chromium", "chromium")
    for flag in (*QUIET, f"--user-data-dir={profile}", f"--window-size={width},{height}"):
        options.add_argument(flag)
    if not script:
        options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(program("chromedriver", "chromium-driver")))
    try:
        driver.set_page_load_timeout(120)
        driver.set_script_timeout(120)
        yield driver
    finally:
        driver.quit()


def requests_of(driver: Any) -> list[str]:
    """Addresses that the pages asked for since the last call, those of data in the page left out."""
    found = []
    for entry in driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            found.append(message["params"]["request"]["url"])
    return [address for address in found if not address.startswith(("data:", "about:", "chrome:"))]


def complaints_of(driver: Any) -> list[str]:
    """What the console says."""
    return [entry["message"] for entry in driver.get_log("browser")]


def wait_for(driver: Any, script: str, *arguments: Any, seconds: float = 60.0) -> Any:
    """The first true answer of a script."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = driver.execute_script(script, *arguments)
        if answer:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"never true within {seconds} s: {script}")


def print_to_pdf(page: Path, pdf: Path, profile: Path) -> None:
    """Print a page as the browser's print dialogue would."""
    command = [
        program("chromium", "chromium"),
        *QUIET,
        f"--user-data-dir={profile}",
        "--no-pdf-header-footer",
        f"--print-to-pdf={pdf}",
        page.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert pdf.is_file(), done.stderr
