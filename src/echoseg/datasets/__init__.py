"""A folder in a published layout as cases, splits and labelled cines: CAMUS, EchoNet-Dynamic, or a plain folder."""

from echoseg.datasets.base import Case, Dataset, Finding, Labels
from echoseg.datasets.check import check_dataset
from echoseg.datasets.opening import open_dataset
from echoseg.datasets.simulation import Simulation, read_simulation
from echoseg.datasets.splits import SPLITS, SplitScheme

__all__ = [
    "SPLITS",
    "Case",
    "Dataset",
    "Finding",
    "Labels",
    "Simulation",
    "SplitScheme",
    "check_dataset",
    "open_dataset",
    "read_simulation",
]
