"""Small text tables of data sets, read tolerantly: CSV with a header, and `key: value` files."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from echoseg.errors import InputError


@dataclass(frozen=True)
class Table:
    """A CSV file as text.

    Attributes:
        path: the file.
        columns: lower-case column name -> position.
        rows: the rows below the header, each as long as the file has it.
    """

    path: Path
    columns: dict[str, int]
    rows: list[list[str]]

    def get(self, row: Sequence[str], column: str) -> str:
        """The stripped text of a cell, empty where the column or the cell is missing."""
        position = self.columns.get(column.lower(), -1)
        return row[position].strip() if 0 <= position < len(row) else ""


def read_table(path: Path, required: Sequence[str]) -> Table:
    """Read a CSV file; column names in any case and order, with or without a byte order mark."""
    try:
        with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            lines = [row for row in csv.reader(file) if any(cell.strip() for cell in row)]
    except (OSError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read ({error}); copy it again from the data set") from error
    header = [name.strip().lower() for name in lines[0]] if lines else []
    missing = [name for name in required if name.lower() not in header]
    if missing:
        raise InputError(f"{path}: no column {', '.join(missing)}; the first line must name the columns")
    return Table(path, {name: i for i, name in reversed(list(enumerate(header)))}, lines[1:])


def read_key_values(path: Path) -> dict[str, str]:
    """Lines of `key: value` or `key = value`, keys in lower case; other lines are passed over."""
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error}); copy it again from the data set") from error
    pairs = (re.split("[:=]", line, maxsplit=1) for line in text.splitlines())
    return {pair[0].strip().lower(): pair[1].strip() for pair in pairs if len(pair) == 2}


def number(text: str | None) -> float | None:
    """A finite number, None for anything else (empty, `n/a`, `nan`, words)."""
    try:
        value = float((text or "").strip().rstrip("%"))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def whole_number(text: str | None) -> int | None:
    """A whole number, also when written `46.0`; None for anything else."""
    value = number(text)
    return int(value) if value is not None and value == int(value) else None
