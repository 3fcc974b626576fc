"""`curve.csv` of a case, `summary.csv` and `studies.csv` of a call. Units stand in the headers; what is unknown is an empty cell."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from echoseg.io import atomic_write_text
from echoseg.report.result import Document
from echoseg.report.run import CaseRecord
from echoseg.report.studies import StudyRecord

CURVE_FILE = "curve.csv"
SUMMARY_FILE = "summary.csv"
STUDIES_FILE = "studies.csv"

# Column -> key of `clinical/measures.py` and the unit that the column names; a number in another unit is left out.
MEASURE_COLUMNS = {
    "sv_ml": ("sv", "mL"),
    "cardiac_output_ml_per_min": ("co", "mL/min"),
    "edv_area_length_ml": ("edv_area_length", "mL"),
    "esv_area_length_ml": ("esv_area_length", "mL"),
    "ef_area_length_percent": ("ef_area_length", "%"),
    "la_volume_max_ml": ("la_volume_max", "mL"),
    "la_volume_min_ml": ("la_volume_min", "mL"),
    "lv_mass_g": ("lv_mass", "g"),
    "gcs_endo_percent": ("gcs_endo", "%"),
    "gcs_mid_percent": ("gcs_mid", "%"),
    "edv_index_ml_per_m2": ("edv_index", "mL/m2"),
    "esv_index_ml_per_m2": ("esv_index", "mL/m2"),
    "la_volume_max_index_ml_per_m2": ("la_volume_max_index", "mL/m2"),
    "lv_mass_index_g_per_m2": ("lv_mass_index", "g/m2"),
}
SUMMARY_COLUMNS = (
    "case",
    "source",
    "study",
    "view",
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
    *MEASURE_COLUMNS,
    "quality",
    "quality_reasons",
    "warnings",
    "n_frames",
    "fps",
    "model",
    "error",
)
STUDIES_COLUMNS = (
    "study",
    "patient_id",
    "study_date",
    "study_uid",
    "status",
    "ef_percent",
    "edv",
    "esv",
    "volume_unit",
    "method",
    "n_beats",
    "sv_ml",
    "heart_rate_bpm",
    "cardiac_output_ml_per_min",
    "edv_area_length_ml",
    "esv_area_length_ml",
    "ef_area_length_percent",
    "la_volume_max_ml",
    "la_volume_min_ml",
    "quality",
    "quality_reasons",
    "a4c_case",
    "a4c_because",
    "a2c_case",
    "a2c_because",
    "other_case",
    "n_cines",
    "n_failed",
    "warnings",
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
    row |= {"case": case.case, "source": case.source, "study": case.study, "status": case.status, "error": case.error}
    if case.result is not None:
        result = case.result
        row |= {
            column: result[column]
            for column in SUMMARY_COLUMNS
            if column in result and column not in ("source", "study")
        }
        row["volume_unit"] = result["unit"]
        row |= _medians((result.get("measures") or {}).get("median") or {})
        row["ef_lowest_percent"], row["ef_highest_percent"] = result["ef_range"] or (None, None)
        regressed = result.get("ef_regressed") or {}
        row["ef_regressed_percent"], row["ef_regressed_model"] = regressed.get("ef_percent"), regressed.get("model")
        row["quality"] = result["quality"]["flag"]
        row["quality_reasons"] = "; ".join(result["quality"]["reasons"])
        row["warnings"] = "; ".join(result["warnings"])
    return row


def _medians(numbers: Document) -> dict[str, Cell]:
    """Cells of the numbers that were measured in the unit of their column."""
    found = {column: numbers.get(key) for column, (key, unit) in MEASURE_COLUMNS.items()}
    return {
        column: number["value"]
        for column, number in found.items()
        if number is not None and number["unit"] == MEASURE_COLUMNS[column][1]
    }


def write_studies(out_dir: Path, studies: Iterable[StudyRecord]) -> Path:
    """Write `studies.csv`, one row per study; returns its path."""
    path = out_dir / STUDIES_FILE
    rows = ([_study_row(study)[column] for column in STUDIES_COLUMNS] for study in studies)
    atomic_write_text(path, _csv(STUDIES_COLUMNS, rows))
    return path


def _study_row(study: StudyRecord) -> dict[str, Cell]:
    document, chosen = study.document, study.document["chosen"]
    row: dict[str, Cell] = {column: document.get(column) for column in STUDIES_COLUMNS}
    row["status"], row["volume_unit"] = study.status, document["unit"]
    biplane = (document.get("biplane") or {}).get("median") or {}
    medians = _medians(biplane) | {"heart_rate_bpm": (biplane.get("hr") or {}).get("value")}
    row |= {column: value for column, value in medians.items() if column in STUDIES_COLUMNS}
    quality = document["quality"] or {"flag": None, "reasons": ()}
    row["quality"], row["quality_reasons"] = quality["flag"], "; ".join(quality["reasons"])
    for view in ("A4C", "A2C"):
        of_view = chosen.get(view) or {}
        row[f"{view.lower()}_case"], row[f"{view.lower()}_because"] = of_view.get("case"), of_view.get("because")
    row["other_case"] = (chosen.get("unknown") or {}).get("case")
    row["n_cines"] = len(document["cases"])
    row["n_failed"] = sum(one["status"] == "failed" for one in document["cases"])
    row["warnings"] = "; ".join(document["warnings"])
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
