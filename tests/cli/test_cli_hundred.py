"""A hundred cines of which seven are broken, each in its own way: nobody's result is lost, and what is done is not done again."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pydicom import dcmread, uid
from pydicom.dataset import Dataset
from tests.cli.conftest import frames, write_avi, write_calibrated
from tests.dicom_studies import Tags, write_cine

from echoseg.cine import View
from echoseg.cli import segment

SECONDS = 2.0  # for a call that has nothing to do
CROWD = 6  # how much slower a machine may be that runs other tests meanwhile
GOOD, BROKEN = 93, 7


def write_hundred(root: Path) -> set[str]:
    """Forty-five studies of two views, three other cines, seven broken ones; returns the names of those."""
    cines = [frames(seed)[:12] for seed in range(4)]
    for i in range(45):
        for number, view in enumerate((View.A4C, View.A2C), start=1):
            tags = Tags(f"P{i:02d}", series=number, view=view)
            write_cine(root / f"p{i:02d}" / f"IM{i:02d}{number}", cines[(i + number) % 4], tags, fps=25)
    write_avi(root / "more" / "one.avi")
    write_avi(root / "more" / "two.avi", 1)
    write_calibrated(root / "more" / "three.npz", 2)
    good, bad = root / "p00" / "IM001", root / "bad"
    bad.mkdir()
    (bad / "empty.dcm").touch()
    (bad / "text.dcm").write_text("404 not found")
    (bad / "cut_header.dcm").write_bytes(good.read_bytes()[:700])
    (bad / "cut_pixels").write_bytes(good.read_bytes()[:-5000])
    (bad / "cut.avi").write_bytes((root / "more" / "one.avi").read_bytes()[:2000])
    (bad / "cut.npz").write_bytes((root / "more" / "three.npz").read_bytes()[:-300])
    (bad / "jpeg_xl").write_bytes(in_jpeg_xl(dcmread(good)))
    return {"empty", "text.dcm", "cut_header", "cut_pixels", "cut.avi", "cut.npz", "jpeg_xl"}


def in_jpeg_xl(dataset: Dataset) -> bytes:
    """The same said to be JPEG XL, which no installed decoder reads; pydicom does not know it well enough to write it."""
    dataset.compress(uid.RLELossless)
    dataset.file_meta.TransferSyntaxUID = uid.HTJ2KLossless
    data = io.BytesIO()
    dataset.save_as(data)
    return data.getvalue().replace(uid.HTJ2KLossless.encode(), b"1.2.840.10008.1.2.4.112")


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def hundred(tmp_path_factory):
    root = tmp_path_factory.mktemp("hundred") / "disk"
    return root, write_hundred(root)


def test_a_hundred_cines_of_which_seven_are_broken(echoseg, hundred, model, tmp_path, monkeypatch):
    root, _ = hundred
    out, loads = tmp_path / "out", []
    load = segment.load_segmenter
    monkeypatch.setattr(segment, "load_segmenter", lambda *words: loads.append(words) or load(*words))
    words = ("segment", root, "-o", out, "--model", model, "--formats", "csv", "--json", "--skip-existing")
    answer = echoseg(*words)
    assert answer.code == 5
    assert len(loads) == 1, "the model is loaded once"
    document = json.loads(answer.out)
    assert document["counts"] == {"done": GOOD, "failed": BROKEN}
    failed = {one["case"]: one["error"] for one in document["cases"] if one["status"] == "failed"}
    named = [path for path in (root / "bad").iterdir() if any(str(path) in error for error in failed.values())]
    assert len(failed) == len(named) == BROKEN, "each error names its file"
    assert all(f"echoseg: {error}" in answer.err for error in failed.values())
    assert "JPEG XL" in failed["jpeg_xl"]
    assert "7 of 100 cases failed" in answer.err
    rows, studies = table(out / "summary.csv"), table(out / "studies.csv")
    assert (len(rows), len(studies)) == (100, 45)
    assert {row["method"] for row in studies} == {"simpson_biplane"}
    written = {path: path.stat().st_mtime_ns for path in out.glob("*/result.json")}
    assert len(written) == GOOD

    monkeypatch.setattr(segment, "load_segmenter", lambda *_: pytest.fail("the model was loaded to do nothing"))
    again = echoseg(*words)
    assert again.code == 5, "what is broken is still said to be"
    assert json.loads(again.out)["counts"] == {"failed": BROKEN, "skipped": GOOD}
    assert {one["status"] for one in json.loads(again.out)["studies"]} == {"skipped"}
    assert {path: path.stat().st_mtime_ns for path in out.glob("*/result.json")} == written
    assert table(out / "studies.csv")[0]["ef_percent"] == studies[0]["ef_percent"]

    code = (
        "import sys; from echoseg.cli import main; code = main(sys.argv[1:]); "
        "assert 'onnxruntime' not in sys.modules, 'the runtime was imported to do nothing'; sys.exit(code)"
    )
    command = [sys.executable, "-c", code, *map(str, words)]
    start, before = time.monotonic(), os.times()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds, after = time.monotonic() - start, os.times()
    busy = after.children_user - before.children_user + after.children_system - before.children_system
    assert done.returncode == 5, done.stderr
    assert min(seconds, busy) < SECONDS * CROWD
    print(f"nothing to do: {seconds:.2f} s, of which the processor worked {busy:.2f} s")


def test_what_is_left_is_made_with_one_load(echoseg, hundred, model, tmp_path, monkeypatch):
    """Of three cines one is broken and comes first, one is done; the third needs the model."""
    root, _ = hundred
    one, two, broken = root / "p00" / "IM001", root / "p00" / "IM002", root / "bad" / "cut_pixels"
    out, loads = tmp_path / "out", []
    load = segment.load_segmenter
    monkeypatch.setattr(segment, "load_segmenter", lambda *words: loads.append(words) or load(*words))
    words = ("-o", out, "--model", model, "--formats", "nifti", "--json", "--skip-existing")
    echoseg("segment", one, *words)
    answer = echoseg("segment", broken, one, two, *words)
    assert [case["status"] for case in json.loads(answer.out)["cases"]] == ["failed", "skipped", "done"]
    assert len(loads) == 2
