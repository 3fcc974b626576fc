"""No broken file leads to a traceback, to a result, or to another exit code than 3."""

from __future__ import annotations

import re
import time

import pytest
from tests.io.malformed_files import make_malformed

SLOWEST_S = 5.0


@pytest.fixture(scope="module")
def malformed(tmp_path_factory):
    return make_malformed(tmp_path_factory.mktemp("malformed"))


def test_every_malformed_file_is_answered_with_one_message(echoseg, malformed, model, tmp_path):
    assert len(malformed) >= 60
    wrong = {}
    for number, path in enumerate(malformed):
        out = tmp_path / str(number)
        start = time.monotonic()
        answer = echoseg("segment", path, "-o", out, "--model", model)
        seconds = time.monotonic() - start
        errors = [line for line in answer.err.splitlines() if not line.startswith("echoseg: left alone")]
        fine = (
            answer.code == 3
            and answer.out == ""
            and len(errors) == 1
            and errors[0].startswith(f"echoseg: {path}")
            and re.search(r"; \w+", errors[0]) is not None  # what is wrong; what to do
            and {entry.name for entry in out.iterdir()} == {"run.json", "summary.csv"}
            and seconds < SLOWEST_S
        )
        if not fine:
            wrong[path.name] = (answer, round(seconds, 1))
    assert wrong == {}


@pytest.mark.parametrize("name", ["cut35_mjpeg.avi", "text.dcm", "bomb.npz"])
def test_the_same_from_a_shell(shell, malformed, model, tmp_path, name):
    (path,) = [path for path in malformed if path.name == name]
    answer = shell("segment", path, "-o", tmp_path / "out", "--model", model)
    assert (answer.code, answer.out) == (3, "")
    assert answer.err.startswith(f"echoseg: {path}")
    assert answer.err.count("\n") == 1


def test_a_folder_of_nothing_else(echoseg, malformed, model, tmp_path):
    answer = echoseg("segment", malformed[0].parent, "-o", tmp_path / "out", "--model", model, "--formats", "csv")
    assert answer.code == 5, "the whole files that the generator leaves beside them are segmented"
    assert answer.err.count("\n") > 60


def test_measure_refuses_them_too(echoseg, malformed, tmp_path):
    broken = [path for path in malformed if path.name != "bomb.nii.gz"]  # a bomb as a cine; as masks, many empty ones
    answer = echoseg("measure", *broken, "-o", tmp_path / "out", "--formats", "csv")
    assert answer.code == 3
    assert {entry.name for entry in (tmp_path / "out").iterdir()} == {"run.json", "summary.csv"}
