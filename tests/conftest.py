"""Shared by all tests: shapes in signatures are checked while they run, and real data is found or said to be absent."""

from pathlib import Path

import pytest
from jaxtyping import install_import_hook

SHAPED = ["echoseg.batch", "echoseg.data", "echoseg.losses", "echoseg.methods", "echoseg.nn"]
install_import_hook(SHAPED, "beartype.beartype")

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def camus_root() -> Path:
    """The real CAMUS stills, which are never part of the repository."""
    root = ROOT.parent / "shared" / "data" / "camus_a4c_edes"
    if not root.is_dir():
        pytest.skip(f"no CAMUS stills at {root}; put a copy there to run this test")
    return root
