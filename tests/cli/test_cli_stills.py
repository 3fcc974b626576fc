"""`echoseg simulate --from-stills`."""

import json

import numpy as np
import pytest

from echoseg.datasets import open_dataset
from echoseg.io import write_nifti


@pytest.fixture(scope="module")
def stills_folder(tmp_path_factory):
    """Two patients of CAMUS without half sequences, 64 px, no lists: one for training, one for testing."""
    root = tmp_path_factory.mktemp("stills") / "camus"
    row, col = np.indices((64, 64))
    for number in (1, 2):
        folder = root / "database_nifti" / f"patient{number:04d}"
        for instant, radius in (("ED", 14), ("ES", 11)):
            mask = ((np.hypot(row - 26, col - 32) < radius) & (row < 34)).astype(np.uint8)
            image = np.random.default_rng(number + radius).integers(1, 200, (64, 64), dtype=np.uint8)
            for suffix, array in (("", image), ("_gt", mask)):
                folder.mkdir(parents=True, exist_ok=True)
                write_nifti(folder / f"{folder.name}_4CH_{instant}{suffix}.nii.gz", [array], 1, (64, 64), None)
        (folder / "Info_4CH.cfg").write_text("ImageQuality: Medium\nEF: 41\n")
    return root


def test_stills_become_half_sequences(echoseg, stills_folder, tmp_path):
    out = tmp_path / "out"
    answer = echoseg("simulate", out, "--from-stills", stills_folder, "--fps", "20", "--workers", "1", "--seed", "5")
    assert answer.code == 0, answer.err
    assert "2 animated cases" in answer.out
    assert "semi-synthetic: the frames carry the licence of the stills" in answer.out
    record = json.loads((out / "simulation.json").read_text())
    assert record["source"] == {"layout": "camus", "fingerprint": open_dataset(stills_folder).fingerprint()}
    assert (record["kind"], record["seed"], record["fps"]) == ("semi-synthetic", 5, 20.0)
    made, source = open_dataset(out), open_dataset(stills_folder)
    for split in source.splits():
        for case in source.cases(split):
            ours = next(c for c in made.cases(split) if c.id == case.id)
            assert (ours.quality, ours.ef_percent) == ("Medium", 41.0)
            cine = made.load(ours)
            np.testing.assert_array_equal(cine.frames[[0, -1]], source.load(case).frames)
            assert len(cine) > 4
    assert echoseg("data", "check", out).code == 0


def test_json_says_what_was_made(echoseg, stills_folder, tmp_path):
    answer = echoseg(
        "simulate", tmp_path / "out", "--from-stills", stills_folder, "--fps", "10", "--workers", "1", "--json"
    )
    found = json.loads(answer.out)
    assert (found["kind"], sum(found["counts"].values())) == ("semi-synthetic", 2)


@pytest.mark.parametrize(
    "words",
    [
        ("--format", "camus"),
        ("--cines=3",),
        ("--splits", "1", "1", "1"),
        ("--preset", "mid"),
        ("--set", "simecho-v1-mid"),
        ("--duration", "2"),
    ],
)
def test_what_the_stills_decide_is_refused(echoseg, stills_folder, tmp_path, words):
    answer = echoseg("simulate", tmp_path / "out", "--from-stills", stills_folder, *words)
    assert answer.code == 2
    assert "--from-stills contradict each other" in answer.err
    assert not (tmp_path / "out").exists()


def test_stills_are_never_overwritten(echoseg, stills_folder):
    for out in (stills_folder, stills_folder / "out", stills_folder.parent):
        answer = echoseg("simulate", out, "--from-stills", stills_folder)
        assert answer.code == 2
        assert "choose a folder elsewhere" in answer.err


def test_a_folder_in_no_known_layout_is_bad_input(echoseg, tmp_path):
    (tmp_path / "empty").mkdir()
    answer = echoseg("simulate", tmp_path / "out", "--from-stills", tmp_path / "empty")
    assert answer.code == 3
    assert "in no known layout" in answer.err
