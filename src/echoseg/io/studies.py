"""What the header of a DICOM object says about its place among others: patient, study, view, and whether it is a cine to measure.

Only headers are read. What is not a two-dimensional gray cine of an apical view is named by a noun, so that a call can say what it
left alone and why.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from echoseg.cine import View
from echoseg.errors import InputError
from echoseg.io import dicom_meta
from echoseg.io.dicom_deflated import open_header
from echoseg.io.door import quiet, reading

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

# What is read of a header; everything else, private groups above all, is passed over.
KEYWORDS = (
    "ImageType", "SOPClassUID", "SOPInstanceUID", "StudyDate", "Modality", "Manufacturer", "SeriesDescription", "PatientID",
    "IssuerOfPatientID", "PatientSize", "PatientWeight", "SequenceOfUltrasoundRegions", "ProtocolName", "StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber",
    "InstanceNumber", "ImageComments", "UltrasoundColorDataPresent", "NumberOfFrames", "Rows", "ViewCodeSequence",
)  # fmt: skip
_ULTRASOUND = (
    "1.2.840.10008.5.1.4.1.1.3.1",
    "1.2.840.10008.5.1.4.1.1.3",
    "1.2.840.10008.5.1.4.1.1.6.1",
    "1.2.840.10008.5.1.4.1.1.6",
)
_CAPTURES = (
    "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.7.1", "1.2.840.10008.5.1.4.1.1.7.2", "1.2.840.10008.5.1.4.1.1.7.3",
    "1.2.840.10008.5.1.4.1.1.7.4",
)  # fmt: skip
_DICOMDIR = "1.2.840.10008.1.3.10"
_MODALITIES = ("US", "OT", "")  # of a cine that some archive captured again: other
# PS3.3 C.8.5.6.1.1: bits of the fourth value of ImageType.
_MODES = (
    (0x0002, "M-mode image"),
    (0x0004 | 0x0008, "spectral Doppler image"),
    (0x0010 | 0x0100, "colour Doppler image"),
    (0x0020, "colour M-mode image"),
    (0x0040, "3D rendering"),
)
# PS3.3 C.8.5.5.1: RegionSpatialFormat 2 M-mode, 3 spectral; RegionDataType 2 colour flow, 3 and 4 spectral Doppler.
_M_MODE, _SPECTRAL, _COLOUR_FLOW, _SPECTRA = 2, 3, 2, (3, 4)
# PS3.16 CID 12226, in SNOMED CT: the views that are not measured.
_OTHER_VIEWS = {
    "399339008": "apical long axis",
    "399139001": "parasternal long axis",
    "443082005": "parasternal long axis",
    "443083000": "parasternal long axis",
    "399306005": "parasternal short axis",
    "399239005": "parasternal short axis",
    "399371001": "parasternal short axis",
    "399036006": "parasternal short axis",
    "399271003": "parasternal short axis",
    "398998003": "right ventricular inflow",
    "399195005": "right ventricular outflow",
    "399310008": "subcostal",
    "443640005": "subcostal",
    "399200001": "subcostal",
    "443609003": "subcostal",
    "443499004": "subcostal",
    "443160001": "subcostal",
    "443500008": "subcostal",
    "443100003": "subcostal",
    "443162009": "suprasternal",
    "399106004": "suprasternal",
    "443562002": "suprasternal",
    "443163004": "suprasternal",
    "399145009": "suprasternal",
    "443698002": "transesophageal",
}
OTHER_VIEW_WORDS = (
    ("apical long axis", re.compile(r"\ba3c\b|\bap3c?\b|\balax\b|\baplax\b|apical[ -]?(?:3|three)|apical long")),
    ("apical five-chamber", re.compile(r"\ba5c\b|\bap5c?\b|apical[ -]?(?:5|five)")),
    ("parasternal long axis", re.compile(r"\bplax\b|parasternal long")),
    ("parasternal short axis", re.compile(r"\bpsax\b|\bsax\b|parasternal short|short axis")),
    ("subcostal", re.compile(r"subcostal|\bsubc\b|\bivc\b")),
    ("suprasternal", re.compile(r"suprasternal|\bssn\b")),
    ("transesophageal", re.compile(r"trans(?:o)?esophageal|\btee\b|\btoe\b")),
)
"""Views that are not measured, as descriptions and tables call them, in lower case."""


@dataclass(frozen=True)
class ObjectFacts:
    """What a header says about the place of an object.

    Attributes:
        patient: PatientID with the one who issued it, empty where unknown.
        study: StudyInstanceUID, empty where unknown.
        series: SeriesInstanceUID, empty where unknown.
        instance: SOPInstanceUID, empty where unknown.
        date: StudyDate, eight digits, empty where unknown.
        patient_id: PatientID as a table shows it.
        view: apical view, as far as it is said.
        body_surface_m2: body surface after Mosteller (N Engl J Med 1987;317:1098), from height and weight; None where they are not said.
        left_alone: a noun for what is no cine to measure, None for one that is.
    """

    patient: str
    study: str
    series: str
    instance: str
    date: str
    patient_id: str
    view: View
    left_alone: str | None
    body_surface_m2: float | None = None


def read_facts(path: Path) -> ObjectFacts | None:
    """Facts about a DICOM file; None where its header cannot be read, so that opening it tells what is wrong."""
    from pydicom import dcmread

    from echoseg.io.dicom import DAMAGE

    try:
        with reading(path, extra=DAMAGE), quiet(), open_header(path) as file:
            dataset = dcmread(file, stop_before_pixels=True, force=True, specific_tags=list(KEYWORDS))
            return facts_of(dataset, _class_of(dataset))
    except InputError:
        return None


def _class_of(dataset: Dataset) -> str:
    """SOP class of a file; that of the meta group where the data set holds none, as in a DICOMDIR."""
    meta = getattr(dataset, "file_meta", None) or {}
    return str(dataset.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID", ""))


def facts_of(dataset: Dataset, sop_class: str | None = None) -> ObjectFacts:
    """Facts from a header.

    Args:
        dataset: header with the elements of `KEYWORDS` that are there.
        sop_class: SOP class where the header does not hold it.
    """
    view, other = stated_view(dataset)
    patient_id = _text(dataset, "PatientID")
    issuer = _text(dataset, "IssuerOfPatientID")
    return ObjectFacts(
        patient=f"{patient_id}^{issuer}" if issuer else patient_id,
        study=_text(dataset, "StudyInstanceUID"),
        series=_text(dataset, "SeriesInstanceUID"),
        instance=_text(dataset, "SOPInstanceUID"),
        date=_text(dataset, "StudyDate"),
        patient_id=patient_id,
        view=view,
        body_surface_m2=_body_surface(dataset),
        left_alone=_no_cine(dataset, sop_class or _class_of(dataset)) or (f"{other} cine" if other else None),
    )


def _body_surface(dataset: Dataset) -> float | None:
    """Square metres; None where height (m) or weight (kg) is missing or nobody's, as where a machine wrote centimetres."""
    height_m, weight_kg = (dicom_meta.number(dataset, keyword) for keyword in ("PatientSize", "PatientWeight"))
    if height_m is None or weight_kg is None or not (0.3 <= height_m <= 2.5 and 1 <= weight_kg <= 400):
        return None
    return math.sqrt(height_m * 100 * weight_kg / 3600)


def stated_view(dataset: Dataset) -> tuple[View, str | None]:
    """Apical view that the header states, and the name of another view where it states that one."""
    view = dicom_meta.view(dataset)
    if view is not View.UNKNOWN:
        return view, None
    codes = [str(item.get("CodeValue", "")) for item in dataset.get("ViewCodeSequence") or ()]
    coded = [_OTHER_VIEWS[code] for code in codes if code in _OTHER_VIEWS]
    if coded:
        return View.UNKNOWN, coded[0]
    said = " | ".join(_text(dataset, keyword) for keyword in ("SeriesDescription", "ProtocolName", "ImageComments"))
    return View.UNKNOWN, other_view(said)


def other_view(text: str) -> str | None:
    """Name of a view that is not measured, where a text speaks of one and of no other."""
    words = text.lower().replace("_", " ")
    found = [name for name, pattern in OTHER_VIEW_WORDS if pattern.search(words)]
    return found[0] if len(found) == 1 and not _FOUR_OR_TWO.search(words) else None


_FOUR_OR_TWO = re.compile(r"\ba(?:p)?[24]c?h?\b|\b[24] ?ch|(?:four|two|[24])[ -]?chamber")


def _no_cine(dataset: Dataset, sop_class: str) -> str | None:
    """A noun for an object that is no gray two-dimensional cine; None for one that is, or of which nothing is said."""
    foreign = _foreign(dataset, sop_class)
    if foreign is not None:
        return foreign
    if "Rows" not in dataset:
        return None  # a broken one, which opening will tell
    if int(dicom_meta.number(dataset, "NumberOfFrames") or 1) < 2:
        return "still image"
    return _mode(dataset)


def _foreign(dataset: Dataset, sop_class: str) -> str | None:
    """A noun for an object of another class or modality, or one that this program made."""
    from pydicom.uid import UID

    if sop_class == _DICOMDIR:
        return "DICOMDIR"
    modality = _text(dataset, "Modality")
    known = UID(sop_class).name != sop_class
    if sop_class not in _ULTRASOUND + _CAPTURES and (known or modality not in _MODALITIES):
        return f"{UID(sop_class).name.removesuffix(' Storage')} object" if known else f"{modality} object"
    if modality not in _MODALITIES:
        return f"{modality} object"
    return "result of echoseg" if _text(dataset, "Manufacturer").lower() == "echoseg" else None


def _mode(dataset: Dataset) -> str | None:
    """A noun for frames that show anything but gray two-dimensional tissue.

    The fourth value of ImageType says it where it is there; then the regions; a colour flag alone counts where both are silent,
    because some machines set it for a coloured border of the screen.
    """
    said = dataset.get("ImageType") or ""
    image_type = [] if isinstance(said, str) else [str(value) for value in said]
    bits = _hexadecimal(image_type[3]) if len(image_type) > 3 else 0
    for mask, noun in _MODES:
        if bits & mask:
            return noun
    regions = dataset.get("SequenceOfUltrasoundRegions") or ()
    formats = {dicom_meta.number(region, "RegionSpatialFormat") for region in regions}
    kinds = {dicom_meta.number(region, "RegionDataType") for region in regions}
    if _M_MODE in formats:
        return "M-mode image"
    if _SPECTRAL in formats or kinds.intersection(_SPECTRA):
        return "spectral Doppler image"
    if _COLOUR_FLOW in kinds:
        return "colour Doppler image"
    flagged = dicom_meta.number(dataset, "UltrasoundColorDataPresent") == 1
    return "colour Doppler image" if flagged and not bits and not regions else None


def _hexadecimal(text: str) -> int:
    try:
        return int(text, 16)
    except ValueError:
        return 0


def _text(dataset: Dataset, keyword: str) -> str:
    """First value of an element as text without its padding; empty where there is none."""
    value = dataset.get(keyword)
    if value is None:
        return ""
    first = value if isinstance(value, str) or not hasattr(value, "__getitem__") else (list(value) or [""])[0]
    return str(first).strip(" \0")
