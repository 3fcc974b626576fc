"""Checkpoints that are on disk whole or not at all, and read without executing anything."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

from echoseg.errors import ModelError
from echoseg.io import atomic_path

FORMAT = 1


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint; an interrupted write leaves the previous one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        torch.save({"format": FORMAT, **state}, temporary)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint.

    Raises:
        ModelError: there is none, it is cut off, or it was written by another version.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no checkpoint; start the run without --resume")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise ModelError(f"{path}: cannot be read ({error}); delete it and start again") from error
    if state.get("format") != FORMAT:
        raise ModelError(f"{path}: checkpoint format {state.get('format')}, this version reads {FORMAT}")
    return state
