"""The folder of a simulated data set: begun afresh, marked as ours, listed last."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from pathlib import Path

import numpy as np

from echoseg.errors import InputError
from echoseg.io import atomic_write_text
from echoseg.simulator.presets import Preset
from echoseg.version import __version__

MARKER = "simulation.json"


def begin_folder(root: Path, layout: str, seed: int, preset: Preset, settings: dict[str, object]) -> None:
    """Empty the folder of an earlier simulation, or make a new one, and write the marker.

    A folder with other contents is refused: it may hold real data in the same layout.
    """
    if root.exists() and not root.is_dir():
        raise InputError(f"{root}: is a file; choose a folder")
    if root.is_dir() and any(root.iterdir()):
        if not (root / MARKER).is_file():
            raise InputError(f"{root}: not empty and not a simulated data set; choose another folder")
        # tables and split lists go first, so that none is left that names missing files; the marker is only replaced
        for entry in sorted(root.iterdir(), key=lambda entry: (entry.is_dir(), "split" not in entry.name)):
            if entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name != MARKER:
                entry.unlink()
    record = {
        "schema": 1,
        "layout": layout,
        "seed": seed,
        "preset": asdict(preset),
        "echoseg": __version__,
        **settings,
    }
    atomic_write_text(root / MARKER, json.dumps(record, indent=2) + "\n")


def case_seed(seed: int, *key: int) -> int:
    """Seed of one patient of a data set; it does not depend on how many others there are."""
    return int(np.random.SeedSequence(seed, spawn_key=key).generate_state(1, np.uint64)[0])
