"""What is wrong with a data folder, and how to mend it."""

from __future__ import annotations

from pathlib import Path

from echoseg.datasets.base import Finding
from echoseg.datasets.camus import CamusDataset
from echoseg.datasets.check_camus import check_camus
from echoseg.datasets.check_echonet import check_echonet
from echoseg.datasets.check_folder import check_folder
from echoseg.datasets.echonet import EchoNetDataset
from echoseg.datasets.findings import FindingList, Progress, no_progress
from echoseg.datasets.opening import open_dataset
from echoseg.datasets.simulation import SHORT, SIMULATION, read_simulation
from echoseg.errors import InputError


def check_dataset(root: Path | str, *, deep: bool = False, progress: Progress = no_progress) -> tuple[Finding, ...]:
    """Look for everything that would stop, bias or leak a training, without stopping at the first thing found.

    Tables, headers and the masks of ED and ES are always read. Frames of single images are decoded too.

    Args:
        root: a data folder in any layout that `open_dataset` knows.
        deep: decode every frame of every cine as well, which takes minutes on a whole data set.
        progress: called with the number of cases done and the number of all.

    Returns:
        Findings, errors first. A folder in no known layout is one error.
    """
    root = Path(root)
    found = FindingList(root)
    try:
        dataset = open_dataset(root)
    except InputError as error:
        what, _, cure = str(error).removeprefix(f"{root}: ").rpartition("; ")
        found.add("error", root, what, cure)
        return found.result()
    if isinstance(dataset, CamusDataset):
        check_camus(dataset, found, deep, progress)
    elif isinstance(dataset, EchoNetDataset):
        check_echonet(dataset, found, deep, progress)
    else:
        check_folder(dataset, found, deep, progress)
    check_simulation(root, found)
    return found.result()


def check_simulation(root: Path, found: FindingList) -> None:
    """Whether a simulated folder still is what was simulated, and which benchmark set it is."""
    simulation = found.attempt(root / SIMULATION, lambda: read_simulation(root))
    if simulation is None:
        return
    for file in simulation.changed:
        what, cure = f"not as it was simulated ({SIMULATION})", "scores are not those of the set; simulate it again"
        found.add("warning", file, what, cure)
    kind = f"benchmark set {simulation.set_name}" if simulation.set_name else "simulated data"
    state = f"files changed: {len(simulation.changed)}" if simulation.changed else "all files as they were written"
    content, truth = simulation.sha256[:SHORT], simulation.truth_sha256[:SHORT]
    what = f"{kind}, {simulation.n_cases} cases, content {content}, without frames {truth}, {state}"
    found.add("info", SIMULATION, what, "scores compare with those of the same content")
