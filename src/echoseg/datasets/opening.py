"""Which layout is this folder in?"""

from __future__ import annotations

from pathlib import Path

from echoseg.datasets.camus import CamusDataset, patient_folders
from echoseg.datasets.echonet import FILE_LIST, TRACINGS, EchoNetDataset
from echoseg.datasets.folder import FolderDataset
from echoseg.datasets.splits import SplitScheme
from echoseg.errors import InputError

AnyDataset = CamusDataset | EchoNetDataset | FolderDataset

_KNOWN = (
    f"camus (database_nifti/patient0001/..., or training/patient0001/... with .mhd), "
    f"echonet ({FILE_LIST}, {TRACINGS}, Videos/), folder (images/, masks/)"
)


def open_dataset(root: Path | str, *, split_scheme: SplitScheme = "official", fold: int = 0) -> AnyDataset:
    """Open a data folder, whatever its layout.

    Args:
        root: the folder.
        split_scheme: "official" as published with the data; "seq712" or "kfold5" as `splits.py` says.
        fold: the test fold of "kfold5", 0..4.

    Raises:
        InputError: the folder is in none of the known layouts; the message lists them and what was found.
    """
    root = Path(root)
    kind = sniff(root)
    if kind is None:
        raise InputError(_not_recognised(root))
    return kind(root, split_scheme=split_scheme, fold=fold)


def sniff(root: Path) -> type[AnyDataset] | None:
    """The class that reads `root`, None if no layout fits."""
    if (root / FILE_LIST).is_file():
        return EchoNetDataset
    if patient_folders(root):
        return CamusDataset
    return FolderDataset if (root / "images").is_dir() else None


def _not_recognised(root: Path) -> str:
    if not root.is_dir():
        return f"{root}: not a folder; give the folder that holds the data set"
    entries = sorted(root.iterdir())
    names = [entry.name + ("/" if entry.is_dir() else "") for entry in entries]
    found = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "") if names else "nothing"
    inside = next((entry for entry in entries if entry.is_dir() and sniff(entry)), None)
    cure = f"did you mean {inside}?" if inside else "give the folder that holds one of these layouts"
    return f"{root}: in no known layout. Known: {_KNOWN}. Found here: {found}; {cure}"
