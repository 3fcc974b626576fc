"""`echoseg measure`: volumes from masks alone."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tests.cli.conftest import N_FRAMES, SHAPE, write_calibrated
from tests.io.sample_files import write_metaimage

from echoseg.cine import Spacing
from echoseg.io import write_nifti

FILES = {"result.json", "masks.nii.gz", "curve.csv", "overlay.mp4", "report.html"}
HALF_HEIGHT, HALF_WIDTHS = 18.0, 12 + 4 * np.cos(2 * np.pi * np.arange(N_FRAMES) / 16)


def ellipses() -> np.ndarray:
    """Masks of an ellipse whose width beats, uint8 (T, H, W)."""
    y, x = np.indices(SHAPE)
    inside = [((y - 23.5) / HALF_HEIGHT) ** 2 + ((x - 31.5) / half) ** 2 <= 1 for half in HALF_WIDTHS]
    return np.stack(inside).astype(np.uint8)


@pytest.fixture
def masks(tmp_path):
    path = tmp_path / "masks.nii.gz"
    write_nifti(path, ellipses(), N_FRAMES, SHAPE, Spacing(1.0, 1.0), 25.0)
    return path


def result(out, name="masks"):
    return json.loads((out / name / "result.json").read_text())


def test_volumes_of_an_ellipse(echoseg, masks, tmp_path):
    answer = echoseg("measure", masks, "-o", tmp_path / "out")
    assert (answer.code, answer.err) == (0, "")
    assert {path.name for path in (tmp_path / "out" / "masks").iterdir()} == FILES
    found = result(tmp_path / "out")
    wide, narrow = (4 / 3 * np.pi * HALF_HEIGHT * half**2 / 1000 for half in (HALF_WIDTHS.max(), HALF_WIDTHS.min()))
    assert found["unit"] == "mL"
    assert found["edv"] == pytest.approx(wide, rel=0.03)
    assert found["esv"] == pytest.approx(narrow, rel=0.05)
    assert found["ef_percent"] == pytest.approx(100 * (1 - narrow / wide), abs=2)
    assert found["model"] == "masks of masks.nii.gz"
    assert f"{found['ef_percent']:.0f} %" in answer.out


def test_options_override_the_file(echoseg, masks, tmp_path):
    words = ("measure", masks, "--formats", "csv", "-o")
    echoseg(*words, tmp_path / "one", "--method", "area_length", "--fps", "50")
    echoseg(*words, tmp_path / "two", "--spacing-mm", "2")
    one, two = result(tmp_path / "one"), result(tmp_path / "two")
    assert (one["method"], one["fps"]) == ("area_length", 50.0)
    assert two["edv"] == pytest.approx(8 * 4 / 3 * np.pi * HALF_HEIGHT * HALF_WIDTHS.max() ** 2 / 1000, rel=0.03)


def test_spacing_that_is_given_silences_the_warning(echoseg, tmp_path):
    np.savez(tmp_path / "m.npz", masks=ellipses())
    words = ("measure", tmp_path / "m.npz", "-o", tmp_path / "out", "--formats", "csv")
    err = echoseg(*words).err
    assert "--spacing-mm" in err
    assert "--fps" in err
    assert echoseg(*words, "--spacing-mm", "1", "--fps", "25").err == ""


def test_every_format_of_masks(echoseg, masks, tmp_path):
    write_metaimage(tmp_path / "meta.mhd", ellipses(), "meta.raw")
    np.savez(tmp_path / "arrays.npz", masks=ellipses(), fps=25.0, spacing_mm=1.0)
    files = (masks, tmp_path / "meta.mhd", tmp_path / "arrays.npz")
    answer = echoseg("measure", *files, "-o", tmp_path / "out", "--formats", "csv", "--json")
    assert answer.code == 0
    cases = json.loads(answer.out)["cases"]
    assert [case["case"] for case in cases] == ["masks", "meta", "arrays"]
    assert cases[0]["ef_percent"] == cases[2]["ef_percent"]


def test_what_segment_writes_can_be_measured_again(echoseg, model, tmp_path):
    write_calibrated(tmp_path / "heart.npz")
    echoseg("segment", tmp_path / "heart.npz", "-o", tmp_path / "first", "--model", model, "--formats", "nifti")
    echoseg("measure", tmp_path / "first" / "heart" / "masks.nii.gz", "-o", tmp_path / "second", "--formats", "csv")
    first, second = result(tmp_path / "first", "heart"), result(tmp_path / "second")
    assert second["ef_percent"] == pytest.approx(first["ef_percent"], abs=0.01)
    assert second["edv"] == pytest.approx(first["edv"], rel=1e-3)


def test_skip_existing(echoseg, masks, tmp_path):
    words = ("measure", masks, "-o", tmp_path / "out", "--formats", "csv", "--json", "--skip-existing")
    assert json.loads(echoseg(*words).out)["counts"] == {"done": 1}
    assert json.loads(echoseg(*words).out)["counts"] == {"skipped": 1}


def test_a_cine_is_no_mask(echoseg, tmp_path, cine):
    answer = echoseg("measure", cine, "-o", tmp_path / "out")
    assert answer.code == 3
    assert "masks are read from NIfTI, MetaImage or NPZ" in answer.err


def test_a_folder_is_no_mask(echoseg, tmp_path, masks):
    answer = echoseg("measure", masks.parent, "-o", tmp_path / "out")
    assert answer.code == 3
    assert "a folder; name the files in it" in answer.err
