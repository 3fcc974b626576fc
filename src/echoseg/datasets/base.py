"""What a data set is: cases that are listed without reading a pixel, and loaded one at a time."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Generic, Literal, Protocol, TypeVar, get_args, runtime_checkable

from echoseg.cine import Cine, Float64, View
from echoseg.datasets.splits import SPLITS, SplitScheme, make_splits
from echoseg.errors import UsageError

Labels = Literal["edes", "all"]
Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Case:
    """One cine of a data set, known without opening it.

    Attributes:
        id: unique in the data set; also the name of its results.
        patient: all cases of one patient lie in one split.
        view: apical view.
        split: "train", "val" or "test".
        quality: image quality as the data set words it, None where it does not.
        ef_percent: ejection fraction in the data set's own table, None where there is none.
        edv_ml: end-diastolic volume in that table.
        esv_ml: end-systolic volume in that table.
        label_order: place in the order in which a label budget takes the labelled cases, None where the data set has none.
    """

    id: str
    patient: str
    view: View
    split: str
    quality: str | None = None
    ef_percent: float | None = None
    edv_ml: float | None = None
    esv_ml: float | None = None
    label_order: int | None = None


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with, or worth knowing about, a data folder.

    Attributes:
        severity: "error" (the file cannot be used), "warning" (look at it), "info" (know it).
        where: the file, case or table row.
        what: what was seen.
        cure: what to do about it.
    """

    severity: Severity
    where: str
    what: str
    cure: str

    def __str__(self) -> str:
        return f"{self.severity}: {self.where}: {self.what}; {self.cure}"


@runtime_checkable
class Dataset(Protocol):
    """A folder in a layout that `open_dataset` knows."""

    @property
    def name(self) -> str:
        """Name of the layout: camus, echonet or folder."""

    @property
    def root(self) -> Path:
        """The folder."""

    @property
    def dropped(self) -> Mapping[str, tuple[str, ...]]:
        """Reason -> what was left out for it; every count that a report should quote."""

    def splits(self) -> tuple[str, ...]:
        """The splits that hold at least one case, in the order train, val, test."""

    def cases(self, split: str) -> tuple[Case, ...]:
        """The cases of a split, sorted by id; empty where the folder has none."""

    def load(self, case: Case, labels: Labels = "edes") -> Cine:
        """Read a case. "edes": masks of ED and ES and of no other frame. "all": every mask there is, for evaluation."""

    def evaluation_extras(self, case: Case) -> Mapping[str, Float64]:
        """What else only evaluation may know of a case, by name; empty where there is nothing."""

    def fingerprint(self) -> str:
        """SHA-256 over cases, splits, tables and file sizes: equal for equal copies of the data."""


class CaseRecord(Protocol):
    """What a layout remembers about a case; holds at least the case itself."""

    @property
    def case(self) -> Case:
        """The public part."""


R = TypeVar("R", bound=CaseRecord)


@dataclass
class Listing(Generic[R]):
    """The records of a folder, and what was left out.

    Attributes:
        records: case id -> record.
        dropped: reason -> what was left out for it.
    """

    records: dict[str, R] = field(default_factory=dict)
    dropped: dict[str, list[str]] = field(default_factory=dict)

    def add(self, record: R) -> None:
        """Keep a case."""
        self.records[record.case.id] = record

    def drop(self, reason: str, what: str) -> None:
        """Leave `what` out and remember why."""
        self.dropped.setdefault(reason, []).append(what)


class ListedDataset(ABC, Generic[R]):
    """A `Dataset` whose layout only has to say how to list records and how to load one.

    The folder is listed once, on first use; nothing is read when the object is made.
    """

    name: ClassVar[str]

    def __init__(self, root: Path | str, *, split_scheme: SplitScheme = "official", fold: int = 0) -> None:
        """A data set in the folder `root`.

        Args:
            root: the folder.
            split_scheme: "official" as published with the data, or one of the schemes of `splits.py`.
            fold: which of the five folds is the test set, for "kfold5".
        """
        self.root = Path(root)
        self.split_scheme = split_scheme
        self.fold = fold
        make_splits(
            (), split_scheme, fold, official={}
        )  # refuses an unknown scheme or fold here, not in the first epoch

    @abstractmethod
    def _list(self) -> Listing[R]:
        """List the folder without reading pixels."""

    @abstractmethod
    def _load(self, record: R, labels: Labels) -> Cine:
        """Read one case."""

    @abstractmethod
    def _tables(self) -> Iterable[Path]:
        """Text files whose content decides about labels and splits."""

    @abstractmethod
    def _files(self, record: R) -> Iterable[Path]:
        """Files that `_load` reads for a case with its ED/ES labels."""

    @cached_property
    def _listing(self) -> Listing[R]:
        return self._list()

    def _splits(self, patients: Iterable[str], official: Mapping[str, str]) -> Mapping[str, str]:
        return make_splits(sorted(set(patients)), self.split_scheme, self.fold, official=official)

    @property
    def dropped(self) -> Mapping[str, tuple[str, ...]]:
        """Reason -> what was left out for it."""
        return {reason: tuple(names) for reason, names in sorted(self._listing.dropped.items())}

    def splits(self) -> tuple[str, ...]:
        """The splits that hold at least one case, in the order train, val, test."""
        present = {record.case.split for record in self._listing.records.values()}
        return tuple(split for split in SPLITS if split in present)

    def cases(self, split: str) -> tuple[Case, ...]:
        """The cases of a split, sorted by id; empty where the folder has none."""
        if split not in SPLITS:
            raise UsageError(f"split {split!r} is unknown; choose one of {', '.join(SPLITS)}")
        chosen = (record.case for record in self._listing.records.values() if record.case.split == split)
        return tuple(sorted(chosen, key=lambda case: case.id))

    def load(self, case: Case, labels: Labels = "edes") -> Cine:
        """Read a case. "edes": masks of ED and ES and of no other frame. "all": every mask there is, for evaluation."""
        if labels not in get_args(Labels):
            raise UsageError(f"labels={labels!r} is unknown; choose one of {', '.join(get_args(Labels))}")
        return self._load(self._record(case), labels)

    def evaluation_extras(self, case: Case) -> Mapping[str, Float64]:
        """What else only evaluation may know of a case, by name; empty where there is nothing."""
        self._record(case)
        return {}

    def _record(self, case: Case) -> R:
        try:
            return self._listing.records[case.id]
        except KeyError:
            raise UsageError(f"{self.root}: no case {case.id!r}; take cases from cases(split)") from None

    def fingerprint(self) -> str:
        """SHA-256 over cases, splits, tables and file sizes: equal for equal copies of the data.

        Pixels are not hashed, so that it answers at once; masks that only evaluation may see do not count.
        """
        digest = hashlib.sha256(f"{self.name}\n".encode())
        for table in sorted(self._tables()):
            digest.update(f"{self._relative(table)} {hashlib.sha256(table.read_bytes()).hexdigest()}\n".encode())
        for case_id, record in sorted(self._listing.records.items()):
            sizes = " ".join(f"{self._relative(path)}:{path.stat().st_size}" for path in sorted(self._files(record)))
            digest.update(f"{case_id} {record.case.split} {sizes}\n".encode())
        return digest.hexdigest()

    def _relative(self, path: Path) -> str:
        inside = path.is_relative_to(self.root)
        return (path.relative_to(self.root) if inside else Path(path.name)).as_posix()


def raw_data(header: Path) -> tuple[Path, ...]:
    """Pixel files beside an .mhd header; none for other formats."""
    beside = (header.with_suffix(end) for end in (".raw", ".zraw")) if header.suffix == ".mhd" else ()
    return tuple(path for path in beside if path.exists())
