"""The command line in this process and in one of its own, on a network so small that every call takes a moment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from tests.engine.conftest import Tiny, disc_cine

from echoseg.cine import Cine, CineMeta, Spacing
from echoseg.cli import main
from echoseg.io import write_npz_cine, write_video

SHAPE = (48, 64)
N_FRAMES = 24


@dataclass(frozen=True)
class Answer:
    """What a call gave."""

    code: int
    out: str
    err: str


Call = Callable[..., Answer]


@pytest.fixture
def echoseg(capsys: pytest.CaptureFixture[str]) -> Call:
    """`echoseg(*words)` in this process."""

    def call(*words: object) -> Answer:
        capsys.readouterr()
        code = main([str(word) for word in words])
        streams = capsys.readouterr()
        assert "Traceback" not in streams.err, streams.err
        return Answer(code, streams.out, streams.err)

    return call


@pytest.fixture(scope="session")
def shell() -> Call:
    """`shell(*words)`: the installed command in a process of its own, without the environment of this one."""

    def call(*words: object, folder: Path | None = None) -> Answer:
        environment = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        done = subprocess.run(
            [sys.executable, "-m", "echoseg", *map(str, words)],
            cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=120, check=False,
        )  # fmt: skip
        return Answer(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a network that takes what is bright for the LV."""
    return Tiny.folder(tmp_path_factory.mktemp("model"), "frame", licence="CC0 of the tests")


def frames(seed: int = 0) -> np.ndarray:
    return disc_cine(N_FRAMES, SHAPE, seed)


def write_avi(path: Path, seed: int = 0) -> Path:
    write_video(path, frames(seed), 50, SHAPE)
    return path


def write_calibrated(path: Path, seed: int = 0) -> Path:
    meta = CineMeta(path.name, *SHAPE, N_FRAMES, fps=50.0, spacing=Spacing(1.2, 1.2))
    write_npz_cine(path, Cine(meta, frames(seed)))
    return path


@pytest.fixture
def cine(tmp_path: Path) -> Path:
    """A cine without pixel size."""
    return write_avi(tmp_path / "heart.avi")


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Folder with five good cines, two broken ones and a file that is none."""
    folder = tmp_path / "study"
    (folder / "day2").mkdir(parents=True)
    for i in range(3):
        write_avi(folder / f"clip{i}.avi", i)
    write_calibrated(folder / "day2" / "clip3.npz", 3)
    write_calibrated(folder / "day2" / "clip4.npz", 4)
    (folder / "cut.avi").write_bytes((folder / "clip0.avi").read_bytes()[:3000])
    (folder / "day2" / "empty.dcm").touch()
    (folder / "notes.txt").write_text("read me")
    return folder
