"""Shared by all tests: shapes in signatures are checked while they run, and real data is found or said to be absent."""

import os
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

SHAPED = [
    "echoseg.batch",
    "echoseg.data.augment",
    "echoseg.data.ef",
    "echoseg.data.stream",
    "echoseg.losses",
    "echoseg.methods",
    "echoseg.nn",
]
install_import_hook(SHAPED, "beartype.beartype")

# torch reads it when it is loaded: on a busy machine threads that wait for each other cost twenty times the work
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def camus_root() -> Path:
    """The real CAMUS stills, which are never part of the repository."""
    root = ROOT.parent / "shared" / "data" / "camus_a4c_edes"
    if not root.is_dir():
        pytest.skip(f"no CAMUS stills at {root}; put a copy there to run this test")
    return root


@pytest.fixture(scope="session")
def simulated_echonet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four training, two validation and two test cines of 30 frames, 112 px, with exact masks for evaluation."""
    from echoseg.simulator import ClipOptions, write_echonet

    root = tmp_path_factory.mktemp("simulated") / "echonet"
    write_echonet(root, {"TRAIN": 4, "VAL": 2, "TEST": 2}, clip=ClipOptions(fps=25, duration_s=1.2))
    return root


@pytest.fixture(scope="session")
def simulated_camus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A patient for each split, both views, half sequences of 4-8 frames, all four labels."""
    from echoseg.simulator import write_camus

    root = tmp_path_factory.mktemp("simulated") / "camus"
    write_camus(root, {"training": 1, "validation": 1, "testing": 1}, fps=10)
    return root
