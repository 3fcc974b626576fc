"""Broken files: one clear sentence each, never a raw exception, a hang, or memory out of proportion to the file."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.io.malformed_files import make_bit_flipped, make_malformed

MOST_SECONDS = 5.0
MOST_MEGABYTES = 100.0  # above what the process had before the file was opened

# Reads every path of the command line in one process, with warnings as errors, and prints what happened to each.
_READ_ALL = """
import json, resource, sys, time
from echoseg.errors import InputError
from echoseg.io import read_cine
for path in json.loads(sys.stdin.read()):
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    try:
        read_cine(path)
        outcome, said = "read", ""
    except InputError as error:
        outcome, said = "refused", str(error)
    except Exception as error:
        outcome, said = "crashed", f"{type(error).__name__}: {error}"
    print(json.dumps({
        "path": path, "outcome": outcome, "said": said, "seconds": time.perf_counter() - start,
        "megabytes": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1000,
    }), flush=True)
"""


def read_all(paths: list[Path]) -> tuple[list[dict], str]:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _READ_ALL],
        input=json.dumps([str(path) for path in paths]),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


@pytest.fixture(scope="module")
def malformed(tmp_path_factory):
    paths = make_malformed(tmp_path_factory.mktemp("malformed"))
    return paths, *read_all(paths)


@pytest.fixture(scope="module")
def flipped(tmp_path_factory):
    paths = make_bit_flipped(tmp_path_factory.mktemp("flipped"))
    return paths, *read_all(paths)


def test_there_are_enough_and_no_name_twice(malformed):
    paths, results, _ = malformed
    assert len(set(paths)) == len(paths) == len(results) >= 60


def test_every_malformed_file_is_refused(malformed):
    wrong = [(Path(result["path"]).name, result["outcome"], result["said"]) for result in malformed[1]]
    assert [item for item in wrong if item[1] != "refused"] == []


def test_bit_flips_are_read_or_refused_but_never_crash(flipped):
    crashed = [result for result in flipped[1] if result["outcome"] == "crashed"]
    assert crashed == []
    assert {result["outcome"] for result in flipped[1]} == {"read", "refused"}


@pytest.mark.parametrize("kind", ["malformed", "flipped"])
def test_messages_name_the_file_and_end_with_a_cure(kind, request):
    for result in request.getfixturevalue(kind)[1]:
        said = result["said"]
        if result["outcome"] == "refused":
            assert said.startswith(result["path"]), said
            assert ";" in said, said
            assert "\n" not in said, said
            assert "object at 0x" not in said, said
            assert len(said) - len(result["path"]) < 400, said


@pytest.mark.parametrize("kind", ["malformed", "flipped"])
def test_time_and_memory_are_bounded(kind, request):
    results = request.getfixturevalue(kind)[1]
    assert [item for item in results if item["seconds"] > MOST_SECONDS or item["megabytes"] > MOST_MEGABYTES] == []


@pytest.mark.parametrize("kind", ["malformed", "flipped"])
def test_no_library_writes_to_the_terminal(kind, request):
    assert request.getfixturevalue(kind)[2] == ""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("jpeg_xl.dcm", r"JPEG XL Lossless \(1\.2\.840\.10008\.1\.2\.4\.110\)"),
        ("mpeg4.dcm", r"MPEG-4.*\(1\.2\.840\.10008\.1\.2\.4\.102\)"),
        ("private_syntax.dcm", r"1\.2\.3\.4\.5\.6"),
        ("report.dcm", "Comprehensive SR Storage"),
        ("wrapped_pdf.dcm", "document"),
        ("index.dcm", "DICOMDIR"),
        ("frames_absurd.dcm", "1000000000 frames"),
        ("objects.npz", "Python objects"),
        ("nan.nii", "frame 2 holds NaN"),
        ("mixed", r"frame3\.png has 55x48"),
        ("cut00_mjpeg.avi", "empty"),
        ("cut80_mjpeg.avi", "truncated"),
        ("text.avi", "text file"),
        ("meta_missing.mhd", r"nowhere\.raw is missing"),
    ],
)
def test_the_sentence_says_what_is_wrong(malformed, name, said):
    (result,) = [item for item in malformed[1] if Path(item["path"]).name == name]
    assert re.search(said, result["said"]), result["said"]
