"""Checkpoints: whole or not at all, and nothing in them is ever executed."""

import os
import random
from pathlib import Path

import pytest
import torch

from echoseg.errors import ModelError, OutputError
from echoseg.train import load_checkpoint, save_checkpoint

STATE = {"method": {"weight": torch.arange(6.0)}, "step": 4, "best": 0.5, "average": None}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "last.ckpt", STATE)
    return tmp_path / "last.ckpt"


class Evil:
    """Unpickling it would make a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_what_was_saved_is_loaded(checkpoint):
    state = load_checkpoint(checkpoint)
    assert torch.equal(state["method"]["weight"], torch.arange(6.0))
    assert (state["step"], state["best"], state["average"]) == (4, 0.5, None)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("unexpected pos 576 vs 534")])
def test_a_write_that_fails_leaves_the_old_checkpoint(checkpoint, monkeypatch, error):
    """torch says RuntimeError where the disk is full."""
    before = checkpoint.read_bytes()

    def half(_state, path):
        Path(path).write_bytes(b"half a checkpoint")
        raise error

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(OutputError, match=r"last\.ckpt: cannot be written .*free space"):
        save_checkpoint(checkpoint, {**STATE, "step": 5})
    assert checkpoint.read_bytes() == before
    assert [path.name for path in checkpoint.parent.iterdir()] == ["last.ckpt"]


def test_a_checkpoint_that_was_cut_off_is_named(checkpoint):
    whole = checkpoint.read_bytes()
    for length in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        checkpoint.write_bytes(whole[:length])
        with pytest.raises(ModelError, match=r"last\.ckpt: .*delete it and start again"):
            load_checkpoint(checkpoint)


def test_damage_never_shows_as_a_traceback(checkpoint):
    """Garbage once ended in IndexError and struct.error, which the reader of old pickles raises."""
    whole, rng = checkpoint.read_bytes(), random.Random(0)
    for trial in range(60):
        if trial % 2:
            damaged = rng.randbytes(rng.randrange(300))
        else:
            place = rng.randrange(len(whole) - 8)
            damaged = whole[:place] + rng.randbytes(8) + whole[place + 8 :]
        checkpoint.write_bytes(damaged)
        try:
            assert load_checkpoint(checkpoint)["step"] == 4
        except ModelError as error:
            assert "last.ckpt" in str(error)


def test_code_in_a_checkpoint_is_refused_and_not_run(tmp_path):
    path, folder = tmp_path / "evil.ckpt", tmp_path / "made by unpickling"
    torch.save({"format": 1, "method": Evil(folder)}, path)
    with pytest.raises(
        ModelError, match=r"evil\.ckpt: holds more than weights and numbers, and is not read; delete it"
    ):
        load_checkpoint(path)
    assert not folder.exists()


@pytest.mark.parametrize("content", [{"format": 99}, {"weights": torch.ones(2)}, torch.ones(2), [1, 2]])
def test_other_files_of_torch_are_refused(content, tmp_path):
    torch.save(content, tmp_path / "other.ckpt")
    with pytest.raises(ModelError, match=r"other\.ckpt: checkpoint format (99|None), this version reads 1"):
        load_checkpoint(tmp_path / "other.ckpt")


def test_a_missing_checkpoint_says_how_to_go_on(tmp_path):
    with pytest.raises(ModelError, match=r"absent\.ckpt: no checkpoint; start the run without --resume"):
        load_checkpoint(tmp_path / "absent.ckpt")
