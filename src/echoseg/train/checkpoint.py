"""Checkpoints that are on disk whole or not at all, and read without executing anything."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from echoseg.errors import ModelError, OutputError
from echoseg.io import atomic_path

FORMAT = 1


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint; an interrupted write leaves the previous one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        try:
            torch.save({"format": FORMAT, **state}, temporary)
        except RuntimeError as error:  # what torch says where others say OSError
            reason = str(error).splitlines()[0]
            raise OutputError(f"{path}: cannot be written ({reason}); free space and resume the run") from error


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint.

    Raises:
        ModelError: there is none, it is cut off, or it was written by another version.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no checkpoint; start the run without --resume")
    if not zipfile.is_zipfile(path):
        raise ModelError(f"{path}: no checkpoint, or one that was cut off; delete it and start again")
    try:
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # torch's own words advise to load it all the same
        raise ModelError(
            f"{path}: holds more than weights and numbers, and is not read; delete it and start again"
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read ({error}); delete it and start again") from error
    found = state.get("format") if isinstance(state, dict) else None
    if found != FORMAT:
        raise ModelError(f"{path}: checkpoint format {found}, this version reads {FORMAT}; start the run again")
    return dict(state)
