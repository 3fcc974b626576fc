"""Pages of the repository: generated tables agree with their JSON, links lead somewhere, nothing of the workplace is named."""

import importlib.util
import re
import subprocess
import sys
from types import ModuleType

import pytest

from tests.conftest import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("src/**/card.md")])


def test_tables_are_those_of_the_results():
    call = [sys.executable, str(ROOT / "benchmarks" / "tables.py"), "--check"]
    done = subprocess.run(call, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def tables() -> ModuleType:
    sys.path.insert(0, str(ROOT / "benchmarks"))  # as Python does for a script
    spec = importlib.util.spec_from_file_location("tables", ROOT / "benchmarks" / "tables.py")
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    sys.path.pop(0)
    return found


def test_a_method_page_shows_its_rows_of_the_suite_beside_their_control(monkeypatch, tmp_path):
    module = tables()
    dice = {"mean": 0.9, "interval": [0.8, 1.0], "seeds": [0.9], "n": 3}
    gain = {
        "difference": 0.02,
        "interval": [0.01, 0.03],
        "seeds": [0.02],
        "wilcoxon_signed_rank_p": 0.01,
        "wilcoxon_rank_sum_p": 0.2,
    }
    cost = {"parameters": 1e6, "gmac": 1.0, "cpu_ms": 2.0}
    one = {"seeds": [0], "metrics": {"dice_all": dice}, "ef": None, "unit": "px", "cost": cost, "empty": [0]}
    against = {"control": "sscf-supervised", "seeds": [0], "metrics": {"dice_all": gain}}
    document = {
        "steps": 5,
        "seeds": [0],
        "data": {"set": "s", "sha256": "0123456789abcdef"},
        "machines": [{"processor": "P", "gpu": "none"}],
        "variants": {
            "sscf": {**one, "method": "sscf", "against": against},
            "sscf-supervised": {**one, "method": "sscf"},
            "css": {**one, "method": "css"},
        },
    }
    text = module.suite_tables(document, ("sscf",))
    assert [row.split(" | ")[0] for row in text.splitlines() if row.startswith("| ")] == [
        "| variant", "| sscf", "| sscf-supervised", "| variant", "| sscf",
    ]  # fmt: skip
    assert "`s` (0123456789ab), 5 steps, seeds 0; P, GPU: none." in text
    assert "+2.0 (+1.0 to +3.0), p 0.01 / 0.2" in text
    assert "| css |" in module.suite_tables(document)
    monkeypatch.setattr(module, "RESULTS", tmp_path)
    assert module.lite_tables() == {}
    (tmp_path / "lite.json").write_text("{}")
    assert set(module.lite_tables()) == {"lite", *(f"lite_{page}" for page in module.LITE_PAGES)}
    assert all((ROOT / page).is_file() for page, _, _ in module.lite_tables().values())


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if not re.match(r"[a-z]+:", target):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_lock_file_names_no_registry():
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in text
    assert all("==" in line for line in text.splitlines() if line and not line.startswith("#"))
