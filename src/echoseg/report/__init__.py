"""Results on disk: the folder of a case (`write_case`), the table and the record of a call (`write_summary`, `write_run`).

    document = write_case(out / "patient1", segmentation, indices, cine, frozenset({"csv", "html"}))
    write_summary(out, [CaseRecord("patient1", cine.meta.source, "done", result=document)])

Names are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from echoseg.lazy import lazy_names

if TYPE_CHECKING:
    from echoseg.report.case import FORMATS, write_case
    from echoseg.report.cohort import COHORT_FILE, write_cohort
    from echoseg.report.cohort_rows import read_records
    from echoseg.report.dicom_files import DICOM_FILES, DICOM_FORMATS, dicom_writers
    from echoseg.report.dicom_sr import write_study_sr
    from echoseg.report.overlay import overlay_frames, write_overlay
    from echoseg.report.page import report_page
    from echoseg.report.result import RESULT_FILE, read_result, result_document
    from echoseg.report.run import RUN_FILE, CaseRecord, RunInfo, run_document, write_run
    from echoseg.report.tables import STUDIES_FILE, SUMMARY_FILE, curve_csv, write_studies, write_summary

__all__ = [
    "COHORT_FILE",
    "DICOM_FILES",
    "DICOM_FORMATS",
    "FORMATS",
    "RESULT_FILE",
    "RUN_FILE",
    "STUDIES_FILE",
    "SUMMARY_FILE",
    "CaseRecord",
    "RunInfo",
    "curve_csv",
    "dicom_writers",
    "overlay_frames",
    "read_records",
    "read_result",
    "report_page",
    "result_document",
    "run_document",
    "write_case",
    "write_cohort",
    "write_overlay",
    "write_run",
    "write_studies",
    "write_study_sr",
    "write_summary",
]

_HOME = {
    "COHORT_FILE": "cohort",
    "DICOM_FILES": "dicom_files",
    "DICOM_FORMATS": "dicom_files",
    "FORMATS": "case",
    "RESULT_FILE": "result",
    "RUN_FILE": "run",
    "STUDIES_FILE": "tables",
    "SUMMARY_FILE": "tables",
    "CaseRecord": "run",
    "RunInfo": "run",
    "curve_csv": "tables",
    "dicom_writers": "dicom_files",
    "overlay_frames": "overlay",
    "read_records": "cohort_rows",
    "read_result": "result",
    "report_page": "page",
    "result_document": "result",
    "run_document": "run",
    "write_case": "case",
    "write_cohort": "cohort",
    "write_overlay": "overlay",
    "write_run": "run",
    "write_studies": "tables",
    "write_study_sr": "dicom_sr",
    "write_summary": "tables",
}

__getattr__ = lazy_names(__name__, _HOME)
