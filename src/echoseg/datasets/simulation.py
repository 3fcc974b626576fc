"""What a simulated data folder says about itself, and whether it still is what was simulated.

The simulator signs a folder in the layout of EchoNet-Dynamic with `simulation.json`: a hash of the simulated content, and
size and SHA-256 of every file.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from echoseg.errors import InputError

SIMULATION = "simulation.json"
SHORT = 12
"""Digits of a content hash that are shown."""


@dataclass(frozen=True)
class Simulation:
    """The signature of a simulated folder, compared with its files.

    Attributes:
        set_name: benchmark set that it holds, None for any other simulation.
        sha256: hash of the content as it was simulated.
        truth_sha256: the same without the frames, in which processors may differ by a gray value here and there.
        n_cases: cases that were simulated.
        changed: files that are missing or not as they were written, relative to the folder.
    """

    set_name: str | None
    sha256: str
    truth_sha256: str
    n_cases: int
    changed: tuple[str, ...]

    @property
    def title(self) -> str:
        """Name and first digits of the hash; says so where files were changed."""
        name = self.set_name or "simulation"
        return f"{name} {self.sha256[:SHORT]}" + (f" (FILES CHANGED: {len(self.changed)})" if self.changed else "")


def read_simulation(root: Path) -> Simulation | None:
    """Read the signature of a folder and compare it with every file that it names.

    Args:
        root: data folder.

    Returns:
        None for a folder that was not simulated, or whose simulation was not signed.

    Raises:
        InputError: the signature cannot be read.
    """
    path = root / SIMULATION
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if "sha256" not in record:
            return None
        stamps = [(str(file), int(stamp["size"]), str(stamp["sha256"])) for file, stamp in record["files"].items()]
        set_name = record["set"]["name"] if "set" in record else None
        sha256, truth, n_cases = str(record["sha256"]), str(record["truth_sha256"]), len(record["cases"])
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); simulate the folder again") from error
    changed = tuple(file for file, size, digest in stamps if not _unchanged(root / file, size, digest))
    return Simulation(set_name, sha256, truth, n_cases, changed)


def _unchanged(path: Path, size: int, sha256: str) -> bool:
    try:
        return path.stat().st_size == size and hashlib.sha256(path.read_bytes()).hexdigest() == sha256
    except OSError:
        return False
