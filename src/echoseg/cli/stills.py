"""Labelled stills of a data folder, handed to the simulator to be animated."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path

from echoseg.cine import Cine
from echoseg.datasets import Case, Dataset, open_dataset
from echoseg.errors import UsageError
from echoseg.simulator import StillsCase, write_animated


def animate_folder(
    stills: Path,
    out: Path,
    *,
    seed: int,
    fps: float,
    workers: int,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, int]:
    """Animate every case of a data folder whose ED and ES are labelled and write them in the layout of CAMUS.

    Args:
        stills: data folder in a layout that `open_dataset` knows; of its cines only ED and ES are used.
        out: folder to make.
        seed: of the ejection times.
        fps: frames per second.
        workers: processes.
        progress: called with (done, total).

    Returns:
        Number of animated cases of train, val and test.
    """
    source, target = stills.resolve(), out.resolve()
    if source == target or source in target.parents or target in source.parents:
        raise UsageError(f"{out}: lies in {stills} or holds it; choose a folder elsewhere")
    dataset = open_dataset(stills)
    cases = [_stills_case(stills, case) for split in dataset.splits() for case in dataset.cases(split)]
    origin = {"layout": dataset.name, "fingerprint": dataset.fingerprint()}
    return write_animated(out, cases, origin, seed=seed, fps=fps, workers=workers, progress=progress)


def _stills_case(root: Path, case: Case) -> StillsCase:
    info = {
        "ImageQuality": case.quality,
        "EF": case.ef_percent,
        "LVedv": case.edv_ml,
        "LVesv": case.esv_ml,
    }
    known = {key: str(value) for key, value in info.items() if value is not None}
    return StillsCase(case.id, case.patient, case.view, case.split, partial(_load, root, case), known)


def _load(root: Path, case: Case) -> Cine:
    return _dataset(root).load(case)


@lru_cache(maxsize=1)
def _dataset(root: Path) -> Dataset:
    """The folder, listed once in every worker process."""
    return open_dataset(root)
