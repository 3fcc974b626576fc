"""Codes of the DICOM objects: PS3.16 and LOINC, with the sources of the choice.

* Volumes and EF of a named view by the method of discs: CID 12300. Those codes say view and method, so that another formula or an
  unknown view gets the codes of CID 12200, which say neither, and the formula as measurement method.
* Structures: CID 12305; the label "LV" of echoseg is the cavity without the wall.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.dataset import Dataset

from echoseg.cine import Structure, View
from echoseg.clinical import QualityFlag
from echoseg.clinical.ejection import SIMPSON_BIPLANE
from echoseg.clinical.frames import AREA_LENGTH, SIMPSON_SINGLE_PLANE


@dataclass(frozen=True)
class Code:
    """A coded concept.

    Attributes:
        value: the code.
        scheme: its coding scheme: DCM, SCT, LN, UCUM.
        meaning: what it means, in words.
    """

    value: str
    scheme: str
    meaning: str

    def item(self) -> Dataset:
        """Item of a code sequence."""
        found = Dataset()
        found.CodeValue, found.CodingSchemeDesignator, found.CodeMeaning = self.value, self.scheme, self.meaning
        return found


STRUCTURES = {
    Structure.LV: Code("87878005", "SCT", "Left ventricle"),
    Structure.MYOCARDIUM: Code("49848007", "SCT", "Left Ventricle Myocardium"),
    Structure.LA: Code("82471001", "SCT", "Left atrium"),
}
ANATOMY = Code("91723000", "SCT", "Anatomical Structure")
ARTIFICIAL_INTELLIGENCE = Code("123110", "DCM", "Artificial Intelligence")
SEGMENTATION = Code("113076", "DCM", "Segmentation")
SOURCE_IMAGE = Code("121322", "DCM", "Source image for image processing operation")
ECHOCARDIOGRAPHY = Code("40701008", "SCT", "Echocardiography")
MEDIAN = Code("373099004", "SCT", "Median")
COMMENT = Code("121106", "DCM", "Comment")
QUALITY = Code("111050", "DCM", "Quality Assessment")
# CID 6044: what a quality flag means.
QUALITY_FLAGS = {
    QualityFlag.PASS: Code("111237", "DCM", "Usable - Meets the quality control standard"),
    QualityFlag.REVIEW: Code("111236", "DCM", "Usable - Does not meet the quality control standard"),
    QualityFlag.FAIL: Code("111235", "DCM", "Unusable - Quality renders image unusable"),
}
ML = Code("mL", "UCUM", "milliliter")
PERCENT = Code("%", "UCUM", "percent")
PER_MINUTE = Code("{H.B.}/min", "UCUM", "beats per minute")
LITRE_PER_MINUTE = Code("L/min", "UCUM", "liter per minute")

METHODS = {
    SIMPSON_SINGLE_PLANE: Code("125208", "DCM", "Method of Disks, Single Plane"),
    SIMPSON_BIPLANE: Code("125207", "DCM", "Method of Disks, Biplane"),
    AREA_LENGTH: Code("125205", "DCM", "Area-Length Single Plane"),
    "area_length_biplane": Code("125204", "DCM", "Area-Length Biplane"),
}
QUANTITIES = {
    "sv": Code("90096001", "SCT", "Stroke Volume"),
    "hr": Code("8867-4", "LN", "Heart rate"),
    "co": Code("82799009", "SCT", "Cardiac Output"),
}
_ANY_METHOD = {
    "edv": Code("18026-5", "LN", "Left Ventricular End Diastolic Volume"),
    "esv": Code("18148-7", "LN", "Left Ventricular End Systolic Volume"),
    "ef": Code("18043-0", "LN", "Left Ventricular Ejection Fraction by US"),
}
_EDV, _ESV, _EF = (
    f"Left ventricular {what}" for what in ("end diastolic volume", "end systolic volume", "ejection fraction")
)
_DISCS = {
    View.A4C: {
        "edv": Code("79999-9", "LN", f"{_EDV} single plane 4C (MOD)"),
        "esv": Code("80004-5", "LN", f"{_ESV} single plane 4C (MOD)"),
        "ef": Code("79993-2", "LN", f"{_EF} single plane 4C (MOD)"),
    },
    View.A2C: {
        "edv": Code("79998-1", "LN", f"{_EDV} single plane 2C (MOD)"),
        "esv": Code("80003-7", "LN", f"{_ESV} single plane 2C (MOD)"),
        "ef": Code("79992-4", "LN", f"{_EF} single plane 2C (MOD)"),
    },
}
_BIPLANE = {
    "edv": Code("79996-5", "LN", f"{_EDV} biplane (MOD)"),
    "esv": Code("80001-1", "LN", f"{_ESV} biplane (MOD)"),
    "ef": Code("79991-6", "LN", f"{_EF} biplane (MOD)"),
}


def quantity(key: str, method: str, view: View) -> Code:
    """What a number is.

    Args:
        key: "edv", "esv", "ef", "sv", "hr" or "co".
        method: formula of the volumes.
        view: view of the cine; of no account to a biplane formula.
    """
    if key in QUANTITIES:
        return QUANTITIES[key]
    if method == SIMPSON_BIPLANE:
        return _BIPLANE[key]
    if method == SIMPSON_SINGLE_PLANE and view in _DISCS:
        return _DISCS[view][key]
    return _ANY_METHOD[key]
