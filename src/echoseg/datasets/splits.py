"""Who trains and who tests, decided by patient and never by file.

* official: as published with the data.
* seq712: the first 70 % of the sorted patients train, the next 10 % validate, the rest test. On 500 CAMUS patients
  these are 1-350, 351-400 and 401-500.
* kfold5: five folds of equal size in an order fixed by a hash of the patient's name. The chosen fold is the test set; a
  tenth of the other patients validates, so that no checkpoint is chosen on the test set.

Every scheme depends on the patients' names alone: no seed, no machine, no order of listing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from echoseg.errors import UsageError

SplitScheme = Literal["official", "seq712", "kfold5"]
SPLITS = ("train", "val", "test")
N_FOLDS = 5

_ALIASES = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


def split_name(text: str) -> str | None:
    """train, val or test for any of the names that data sets use, None for anything else."""
    return _ALIASES.get(text.strip().lower())


def make_splits(
    patients: Sequence[str], scheme: SplitScheme, fold: int = 0, *, official: Mapping[str, str]
) -> Mapping[str, str]:
    """Patient -> split. Patients that the official split does not name are not in its result."""
    if not 0 <= fold < N_FOLDS:
        raise UsageError(f"fold={fold}: folds are numbered 0..{N_FOLDS - 1}")
    if scheme == "official":
        return official
    if scheme == "seq712":
        return sequential(patients)
    if scheme == "kfold5":
        return five_folds(patients, fold)
    raise UsageError(f"split_scheme={scheme!r} is unknown; choose one of {', '.join(get_args(SplitScheme))}")


def sequential(patients: Sequence[str]) -> dict[str, str]:
    """7:1:2 in the order of the sorted names."""
    ordered = sorted(patients)
    n_train, n_val = round(0.7 * len(ordered)), round(0.1 * len(ordered))
    bounds = {"train": ordered[:n_train], "val": ordered[n_train : n_train + n_val], "test": ordered[n_train + n_val :]}
    return {patient: split for split, members in bounds.items() for patient in members}


def five_folds(patients: Sequence[str], fold: int) -> dict[str, str]:
    """Fold `fold` of five tests, a tenth of the others validates."""
    ordered = shuffled_by_name(patients)
    others = [patient for i, patient in enumerate(ordered) if i % N_FOLDS != fold]
    split = {patient: "test" for i, patient in enumerate(ordered) if i % N_FOLDS == fold}
    split.update({patient: "val" if i % 10 == 0 else "train" for i, patient in enumerate(others)})
    return split


def by_name_hash(patients: Sequence[str]) -> dict[str, str]:
    """8:1:1 in an order fixed by the names; from three patients on, every split has one."""
    ordered = shuffled_by_name(patients)
    n_held_out = max(1, round(0.1 * len(ordered))) if len(ordered) >= len(SPLITS) else 0
    names = ["test"] * n_held_out + ["val"] * n_held_out
    return {patient: names[i] if i < len(names) else "train" for i, patient in enumerate(ordered)}


def shuffled_by_name(patients: Sequence[str]) -> list[str]:
    """The patients in an order that looks random and is the same everywhere."""
    return sorted(patients, key=lambda patient: (hashlib.sha256(patient.encode()).digest(), patient))
