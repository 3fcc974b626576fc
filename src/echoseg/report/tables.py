"""`curve.csv` of a case and `summary.csv` of a call. Units stand in the headers; what is unknown is an empty cell."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from echoseg.io import atomic_write_text
from echoseg.report.result import Document
from echoseg.report.run import CaseRecord

CURVE_FILE = "curve.csv"
SUMMARY_FILE = "summary.csv"

SUMMARY_COLUMNS = (
    "case",
    "source",
    "status",
    "ef_percent",
    "ef_lowest_percent",
    "ef_highest_percent",
    "ef_regressed_percent",
    "ef_regressed_model",
    "edv",
    "esv",
    "volume_unit",
    "method",
    "n_beats",
    "heart_rate_bpm",
    "quality",
    "quality_reasons",
    "warnings",
    "n_frames",
    "fps",
    "model",
    "error",
)

Cell = str | int | float | None


def curve_csv(document: Document) -> str:
    """Text of `curve.csv`: one row per frame."""
    units = document["units"]
    header = (
        "frame",
        "time_s",
        f"area_{units['area']}",
        f"length_{units['length']}",
        f"volume_{units['volume']}",
        "confidence",
    )
    keys = ("frame", "time_s", "area", "length", "volume", "confidence")
    return _csv(header, ([frame[key] for key in keys] for frame in document["frames"]))


def write_summary(out_dir: Path, cases: Iterable[CaseRecord]) -> Path:
    """Write `summary.csv`, one row per case, failed ones included; returns its path."""
    path = out_dir / SUMMARY_FILE
    rows = ([_summary_row(case)[column] for column in SUMMARY_COLUMNS] for case in cases)
    atomic_write_text(path, _csv(SUMMARY_COLUMNS, rows))
    return path


def _summary_row(case: CaseRecord) -> dict[str, Cell]:
    row: dict[str, Cell] = dict.fromkeys(SUMMARY_COLUMNS)
    row |= {"case": case.case, "source": case.source, "status": case.status, "error": case.error}
    if case.result is not None:
        result = case.result
        row |= {column: result[column] for column in SUMMARY_COLUMNS if column in result and column != "source"}
        row["volume_unit"] = result["unit"]
        row["ef_lowest_percent"], row["ef_highest_percent"] = result["ef_range"] or (None, None)
        regressed = result.get("ef_regressed") or {}
        row["ef_regressed_percent"], row["ef_regressed_model"] = regressed.get("ef_percent"), regressed.get("model")
        row["quality"] = result["quality"]["flag"]
        row["quality_reasons"] = "; ".join(result["quality"]["reasons"])
        row["warnings"] = "; ".join(result["warnings"])
    return row


def _csv(header: Sequence[str], rows: Iterable[Iterable[Cell]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_safe(cell) for cell in row] for row in rows)
    return text.getvalue()


def _safe(cell: Cell) -> Cell:
    """File names and DICOM tags are not to be trusted: a spreadsheet would run a text that starts like a formula."""
    if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return "'" + cell
    return cell
