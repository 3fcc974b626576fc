"""`echoseg measure`: volumes from masks alone."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from tests.cli.conftest import N_FRAMES, SHAPE, write_calibrated
from tests.clinical.hearts import ED, ES, beating
from tests.io.sample_files import write_metaimage

from echoseg.cine import Cine, CineMeta, Spacing
from echoseg.io import write_nifti, write_npz_cine

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


def write_masks(path, masks, fps=25.0):
    write_nifti(path, masks, len(masks), masks.shape[1:], Spacing(1.0, 1.0), fps)
    return path


def test_every_number_has_unit_method_and_frames(echoseg, tmp_path):
    path = write_masks(tmp_path / "heart.nii.gz", beating())
    words = ("--formats", "csv", "--view", "A4C", "--display", "standard", "--body-surface-m2", "2")
    assert echoseg("measure", path, "-o", tmp_path / "out", *words).code == 0
    found = result(tmp_path / "out", "heart")
    median = found["measures"]["median"]
    assert {"edv", "ef_area_length", "co", "la_volume_max_index", "lv_mass", "gcs_mid", "strain_apical_septal"} <= set(
        median
    )
    assert median["la_volume_max"]["value"] == pytest.approx(ES.atrium_ml, rel=0.03)
    assert median["la_volume_max"]["unit"] == "mL"
    assert median["lv_mass"]["value"] == pytest.approx(ED.mass_g, rel=0.03)
    assert (median["lv_mass"]["method"], median["lv_mass"]["frames"]) == ("apical_shell_discs", [0, 20])
    assert found["view"] == "A4C"
    assert found["measures"]["body_surface_m2"] == 2.0
    assert [one["who"] for one in found["measures"]["ranges"]["ef"]] == ["women", "men"]
    assert len(found["measures"]["strain"]["segments"]["mid_inferoseptal"]) == 41


def test_two_views_of_a_study(echoseg, tmp_path):
    four = write_masks(tmp_path / "four.nii.gz", beating())
    narrow = [replace(shape, radius=0.8 * shape.radius) for shape in (ED, ES)]
    two = write_masks(tmp_path / "two.nii.gz", beating(*narrow))
    answer = echoseg("measure", four, "--a2c", two, "-o", tmp_path / "out", "--formats", "csv")
    assert answer.code == 0
    study = json.loads((tmp_path / "out" / "studies" / "four" / "study.json").read_text())
    assert study["method"] == "simpson_biplane"
    assert study["edv"] == pytest.approx(0.8 * ED.lv_ml, rel=0.02)
    assert study["ef_percent"] == pytest.approx(100 * (1 - ES.lv_ml / ED.lv_ml), abs=1)
    assert {view: one["case"] for view, one in study["chosen"].items()} == {"A4C": "four", "A2C": "two"}
    assert "edv_area_length" in study["biplane"]["median"]
    assert (tmp_path / "out" / "studies.csv").is_file()


def test_a_table_of_views_pairs_several_studies(echoseg, tmp_path):
    rows = ["file,view,study"]
    for patient in ("p1", "p2"):
        for view in ("A4C", "A2C"):
            write_masks(tmp_path / f"{patient}_{view}.nii.gz", beating(lengths=(16,)))
            rows.append(f"{patient}_{view}.nii.gz,{view},{patient}")
    (tmp_path / "views.csv").write_text("\n".join(rows))
    files = sorted(tmp_path.glob("*.nii.gz"))
    words = ("measure", *files, "--views", tmp_path / "views.csv", "-o", tmp_path / "out", "--formats", "csv")
    assert echoseg(*words).code == 0
    for patient in ("p1", "p2"):
        study = json.loads((tmp_path / "out" / "studies" / patient / "study.json").read_text())
        assert study["edv"] == pytest.approx(ED.lv_ml, rel=0.02)
    (tmp_path / "out" / "studies" / "p1" / "study.json").unlink()
    assert echoseg(*words, "--skip-existing").code == 0
    assert json.loads((tmp_path / "out" / "studies" / "p1" / "study.json").read_text())["method"] == "simpson_biplane"


def test_the_cine_says_what_masks_do_not(echoseg, tmp_path):
    frames, masks = np.full((N_FRAMES, *SHAPE), 90, np.uint8), ellipses()
    meta = CineMeta("cine", *SHAPE, N_FRAMES, fps=40.0, spacing=Spacing(0.5, 0.5))
    write_npz_cine(tmp_path / "cine.npz", Cine(meta, frames))
    np.savez(tmp_path / "m.npz", masks=masks)
    words = ("measure", tmp_path / "m.npz", "--formats", "csv", "--cine")
    assert echoseg(*words, tmp_path / "cine.npz", "-o", tmp_path / "out").code == 0
    found = result(tmp_path / "out", "m")
    assert (found["fps"], found["spacing_mm"], found["unit"]) == (40.0, {"row": 0.5, "col": 0.5}, "mL")
    write_npz_cine(tmp_path / "short.npz", Cine(meta, frames[:5]))
    answer = echoseg(*words, tmp_path / "short.npz", "-o", tmp_path / "other")
    assert answer.code == 3
    assert "give the cine that the masks were drawn on" in answer.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--a2c", "x.nii.gz", "--view", "A4C"), "without --view and --views"),
        (("--view", "A4C", "--views", "views.csv"), "both say the view"),
        (("second.nii.gz", "--cine", "a.avi"), "belongs to one file of masks"),
        (("second.nii.gz", "--body-surface-m2", "2"), "one patient a call"),
    ],
)
def test_options_that_do_not_go_together(echoseg, masks, tmp_path, words, message):
    answer = echoseg("measure", masks, *words, "-o", tmp_path / "out")
    assert answer.code == 2
    assert message in answer.err
