"""`views.csv`: what a user knows better than the files in a folder: the view of each, and which study it belongs to.

    file,view,study
    patient1/a.avi,A4C,patient1
    patient1/b.avi,A2C,patient1
    patient1/c.avi,skip,

`file` counts from the folder of the table. `study` may be left out; then files that are no DICOM belong to the study of their folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from echoseg.cine import View
from echoseg.datasets.tables import Table, read_table
from echoseg.errors import InputError
from echoseg.io.studies import other_view

VIEWS_FILE = "views.csv"
_WORDS = {
    View.A4C: ("a4c", "4ch", "ap4", "a4ch", "4c"),
    View.A2C: ("a2c", "2ch", "ap2", "a2ch", "2c"),
    View.UNKNOWN: ("", "unknown"),
}
_SKIP = "skip"


@dataclass(frozen=True)
class Listed:
    """What a table says of one file.

    Attributes:
        view: its view; None where it is to be left alone.
        study: name of its study, empty where the table has none.
        why_not: a noun for a file that is to be left alone.
    """

    view: View | None
    study: str = ""
    why_not: str = ""


@dataclass(frozen=True)
class ViewTable:
    """Tables of views of the folders that were searched.

    Attributes:
        listed: absolute path of a file, or of a folder of images -> what is said of it.
        folders: folders that hold a table.
    """

    listed: Mapping[Path, Listed] = field(default_factory=dict)
    folders: frozenset[Path] = frozenset()

    def __or__(self, other: ViewTable) -> ViewTable:
        return ViewTable({**self.listed, **other.listed}, self.folders | other.folders)

    def get(self, path: Path) -> Listed | None:
        """What is said of a file."""
        return self.listed.get(path.absolute())

    def rules(self, path: Path) -> bool:
        """Whether a table lies in the folder of a file, or above it."""
        return not self.folders.isdisjoint(path.absolute().parents)


def read_views(file: Path) -> ViewTable:
    """Read a table of views.

    Raises:
        InputError: a column is missing, a word is no view, a file is not there or stands twice.
    """
    table = read_table(file, ("file", "view"))
    listed: dict[Path, Listed] = {}
    for number, row in enumerate(table.rows, start=2):
        where = f"{file}: line {number}"
        path = _file_of(table, row, where)
        if path in listed:
            raise InputError(f"{where}: {table.get(row, 'file')} is there twice; leave one of the lines out")
        listed[path] = _listed(table, row, where)
    return ViewTable(listed, frozenset({file.absolute().parent}))


def _file_of(table: Table, row: list[str], where: str) -> Path:
    name = table.get(row, "file").replace("\\", "/")
    path = table.path.absolute().parent / name
    if not name or not path.exists():
        raise InputError(f"{where}: no file {name!r} in {table.path.parent}; paths count from the folder of the table")
    return path


def _listed(table: Table, row: list[str], where: str) -> Listed:
    word, study = table.get(row, "view"), table.get(row, "study")
    for view, words in _WORDS.items():
        if word.lower() in words:
            return Listed(view, study)
    other = other_view(word)
    if word.lower() == _SKIP or other is not None:
        return Listed(None, study, f"{other or 'skipped'} cine")
    raise InputError(
        f"{where}: view {word!r} is unknown; write A4C, A2C, unknown, another view by its name (PLAX), or skip"
    )
