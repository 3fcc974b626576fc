"""The folder of a simulated data set: begun afresh, marked as ours, and signed when it is complete.

The marker `simulation.json` first says how the folder is being made. When everything is simulated it also says what came
out: a SHA-256 of the content of every case (`content_digest`) and of all of them, the same without the frames
(`truth_digest`), and size and SHA-256 of every file.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

import numpy as np

from echoseg.cine import UInt8
from echoseg.errors import InputError
from echoseg.io import atomic_write_text
from echoseg.simulator.presets import Preset
from echoseg.simulator.simulated import SimulatedCine
from echoseg.version import __version__

MARKER = "simulation.json"
_PARTS_PER_UNIT = 10_000
"""Volumes (mL) and visibility are hashed to four decimals, so that their last bits do not count."""


@dataclass(frozen=True)
class FileStamp:
    """Size and checksum of a file when it was written."""

    size: int
    sha256: str

    @classmethod
    def of(cls, data: bytes) -> FileStamp:
        """The stamp of some bytes."""
        return cls(len(data), hashlib.sha256(data).hexdigest())


@dataclass(frozen=True)
class CaseStamp:
    """What came out of the simulation of one case.

    Attributes:
        name: of the case.
        split: TRAIN, VAL or TEST.
        sha256: `content_digest` of the case.
        truth_sha256: its `truth_digest`.
        files: path in the data folder -> stamp.
    """

    name: str
    split: str
    sha256: str
    truth_sha256: str
    files: Mapping[str, FileStamp]


def begin_folder(
    root: Path, layout: str, seed: int, preset: Preset | None, settings: Mapping[str, object]
) -> dict[str, object]:
    """Empty the folder of an earlier simulation, or make a new one, and write the marker.

    A folder with other contents is refused: it may hold real data in the same layout.

    Returns:
        What the marker says.
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
    record: dict[str, object] = {
        "schema": 1,
        "layout": layout,
        "seed": seed,
        "preset": None if preset is None else asdict(preset),
        "echoseg": __version__,
        **settings,
    }
    _write_marker(root, record)
    return record


def sign_folder(
    root: Path, record: Mapping[str, object], cases: Sequence[CaseStamp], tables: Mapping[str, FileStamp]
) -> str:
    """Add to the marker what came out: content, files, and the libraries that the numbers depend on.

    Args:
        root: the folder.
        record: what `begin_folder` returned.
        cases: all cases in their order.
        tables: path of every table -> stamp.

    Returns:
        The content of all cases.
    """
    files = {path: stamp for case in cases for path, stamp in case.files.items()} | dict(tables)
    content = joint_digest(case.sha256 for case in cases)
    results: dict[str, object] = {
        "sha256": content,
        "truth_sha256": joint_digest(case.truth_sha256 for case in cases),
        "made_with": {name: metadata.version(name) for name in ("numpy", "scipy", "av")}
        | {"python": platform.python_version(), "machine": platform.machine()},
        "cases": [
            {"name": case.name, "split": case.split, "sha256": case.sha256, "truth_sha256": case.truth_sha256}
            for case in cases
        ],
        "files": {path: asdict(stamp) for path, stamp in files.items()},
    }
    _write_marker(root, {**record, **results})
    return content


def truth_digest(cine: SimulatedCine, name: str, split: str, *, labelled: bool) -> str:
    """SHA-256 of a case without its frames.

    In this order: name, split, whether ED and ES are labelled, frame rate, their frame numbers and the shape as JSON; the
    labels of all structures; volumes and visibility to four decimals, as 64-bit integers.
    """
    head = {
        "name": name,
        "split": split,
        "labelled": labelled,
        "fps": float(cine.fps),
        "ed_es": [cine.ed_frame, cine.es_frame],
        "shape": list(cine.frames.shape),
    }
    digest = hashlib.sha256(json.dumps(head).encode())
    digest.update(np.ascontiguousarray(cine.labels).tobytes())
    for values in (cine.volume_ml, cine.visibility):
        digest.update(np.rint(np.asarray(values, np.float64) * _PARTS_PER_UNIT).astype("<i8").tobytes())
    return digest.hexdigest()


def content_digest(truth: str, frames: UInt8) -> str:
    """SHA-256 of a case: of its `truth_digest` and its frames as they were simulated, whatever encoder wrote them."""
    return hashlib.sha256(truth.encode() + np.ascontiguousarray(frames).tobytes()).hexdigest()


def joint_digest(digests: Iterable[str]) -> str:
    """SHA-256 of digests in their order."""
    return hashlib.sha256("".join(f"{digest}\n" for digest in digests).encode()).hexdigest()


def case_seed(seed: int, *key: int) -> int:
    """Seed of one patient of a data set; it does not depend on how many others there are."""
    return int(np.random.SeedSequence(seed, spawn_key=key).generate_state(1, np.uint64)[0])


def _write_marker(root: Path, record: Mapping[str, object]) -> None:
    atomic_write_text(root / MARKER, json.dumps(record, indent=2) + "\n")
