"""Telling layouts apart, and what is said where none fits."""

import subprocess
import sys

import pytest

from echoseg.datasets import open_dataset
from echoseg.errors import InputError, UsageError


def test_three_layouts_are_told_apart(camus, echonet, tmp_path, make):
    camus.patient(1)
    (tmp_path / "plain" / "images").mkdir(parents=True)
    roots = (camus.root, echonet.write(), tmp_path / "plain")
    assert [open_dataset(root).name for root in roots] == ["camus", "echonet", "folder"]
    assert open_dataset(str(camus.root)).root == camus.root


def test_unknown_layout_lists_what_is_known_and_what_was_found(tmp_path):
    (tmp_path / "readme.txt").touch()
    (tmp_path / "stuff").mkdir()
    with pytest.raises(InputError) as error:
        open_dataset(tmp_path)
    for word in ("camus", "database_nifti", "echonet", "FileList.csv", "folder", "images/", "readme.txt, stuff/"):
        assert word in str(error.value)


def test_one_folder_too_high_is_answered_with_the_right_one(camus):
    camus.patient(1)
    with pytest.raises(InputError, match=f"did you mean {camus.root}"):
        open_dataset(camus.root.parent)


@pytest.mark.parametrize("name", ["nowhere", "file"])
def test_no_folder(tmp_path, name):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="not a folder"):
        open_dataset(tmp_path / name)


def test_scheme_is_checked_when_the_folder_is_opened(camus):
    camus.patient(1)
    with pytest.raises(UsageError, match="official, seq712, kfold5"):
        open_dataset(camus.root, split_scheme="mine")


def test_importing_loads_no_decoder_and_no_torch():
    code = (
        "import sys, echoseg.datasets; "
        "bad = {'torch', 'av', 'nibabel', 'pydicom', 'PIL', 'scipy', 'onnxruntime'} & set(sys.modules); "
        "sys.exit(str(bad) if bad else 0)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
