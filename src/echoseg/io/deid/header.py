"""The header of a de-identified copy: DICOM PS3.15, Basic Application Level Confidentiality Profile, as a list of what is kept.

The profile lists what has to go. Makers put names where no list expects them, so this is the other way round: elements that a reader
of ultrasound frames needs are kept, if their values are what the standard lets them be; everything else goes, private elements,
overlays and curves with it. What the standard wants to be there is left empty or replaced. Retaining dates is the profile's option
113107, blanking pixels its option 113101.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from echoseg.cine import View
from echoseg.io.deid.pseudonyms import Pseudonyms
from echoseg.io.door import DAMAGE as BROKEN
from echoseg.version import __version__

if TYPE_CHECKING:
    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset

_KEPT = frozenset(
    (
        # what it is
        "ImageType", "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID",
        "SynchronizationFrameOfReferenceUID", "Modality", "Manufacturer", "ManufacturerModelName", "ConversionType", "SeriesNumber",
        "InstanceNumber", "StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate",
        # time
        "NumberOfFrames", "FrameIncrementPointer", "FrameTime", "FrameTimeVector", "FrameDelay", "ActualFrameDuration", "CineRate",
        "RecommendedDisplayFrameRate", "StartTrim", "StopTrim", "EffectiveDuration", "PreferredPlaybackSequencing", "HeartRate",
        "RWaveTimeVector", "TriggerTime", "NominalInterval", "LowRRValue", "HighRRValue", "BeatRejectionFlag",
        # pixels
        "SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "Rows", "Columns", "PixelAspectRatio", "PixelSpacing",
        "NominalScannedPixelSpacing", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "WindowCenter", "WindowWidth",
        "RescaleIntercept", "RescaleSlope", "RescaleType", "VOILUTFunction", "PresentationLUTShape", "LossyImageCompression",
        "LossyImageCompressionRatio", "LossyImageCompressionMethod", "UltrasoundColorDataPresent",
        *(f"{colour}PaletteColorLookupTable{what}" for colour in ("Red", "Green", "Blue") for what in ("Descriptor", "Data")),
        *(f"Segmented{colour}PaletteColorLookupTableData" for colour in ("Red", "Green", "Blue")),
        # ultrasound
        "SequenceOfUltrasoundRegions", "RegionSpatialFormat", "RegionDataType", "RegionFlags", "RegionLocationMinX0",
        "RegionLocationMinY0", "RegionLocationMaxX1", "RegionLocationMaxY1", "ReferencePixelX0", "ReferencePixelY0",
        "PhysicalUnitsXDirection", "PhysicalUnitsYDirection", "ReferencePixelPhysicalValueX", "ReferencePixelPhysicalValueY",
        "PhysicalDeltaX", "PhysicalDeltaY", "TransducerFrequency", "PulseRepetitionFrequency", "DopplerCorrectionAngle",
        "SteeringAngle", "DopplerSampleVolumeXPosition", "DopplerSampleVolumeYPosition", "TMLinePositionX0", "TMLinePositionY0",
        "TMLinePositionX1", "TMLinePositionY1", "PixelComponentOrganization", "PixelComponentMask", "PixelComponentRangeStart",
        "PixelComponentRangeStop", "PixelComponentPhysicalUnits", "PixelComponentDataType", "NumberOfTableBreakPoints",
        "TableOfXBreakPoints", "TableOfYBreakPoints", "NumberOfTableEntries", "TableOfPixelValues", "TableOfParameterValues",
        "TransducerType", "MechanicalIndex", "BoneThermalIndex", "CranialThermalIndex", "SoftTissueThermalIndex",
        "SoftTissueFocusThermalIndex", "SoftTissueSurfaceThermalIndex", "DepthOfScanField", "ViewNumber", "NumberOfViewsInStage",
        "StageNumber", "NumberOfStages",
        # other objects of the same call
        "ReferencedImageSequence", "SourceImageSequence", "ReferencedSOPClassUID", "ReferencedSOPInstanceUID",
        "ReferencedFrameNumber",
    )
)  # fmt: skip
_EMPTY = (
    "Manufacturer", "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "PatientBirthDate", "PatientSex", "StudyID",
    "SeriesNumber", "InstanceNumber",
)  # fmt: skip
_DECIMAL = re.compile(r"[ ]*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?[ ]*")
_CODE = re.compile(r"[A-Z0-9_ ]{0,16}")
_IDENTITY = (
    "PatientID", "OtherPatientIDs", "AccessionNumber", "StudyID", "PatientBirthDate", "InstitutionName", "InstitutionAddress",
    "StationName", "DeviceSerialNumber", "PatientTelephoneNumbers", "PatientAddress",
)  # fmt: skip
_VIEWS = {View.A4C: "399214001", View.A2C: "399232001"}
_OTHER_VIEWS = {
    "apical long axis": "399339008",
    "parasternal long axis": "399139001",
    "parasternal short axis": "399306005",
}
_METHOD = ("PS3.15 Basic Application Confidentiality Profile", "Clean Pixel Data Option", f"echoseg {__version__}")
_PROFILE = ("113100", "Basic Application Confidentiality Profile")
_CLEAN_PIXELS = ("113101", "Clean Pixel Data Option")
_MOVED_DATES = ("113107", "Retain Longitudinal Temporal Information Modified Dates Option")


def clean_header(dataset: Dataset, pseudonyms: Pseudonyms) -> Dataset:
    """A data set without pixels that says nothing about who was examined, by whom, where and when.

    Args:
        dataset: header as it was read.
        pseudonyms: the call's replacements.
    """
    patient = _patient_key(dataset)
    clean = _Cleaner(pseudonyms, patient, _identity_words(dataset)).cleaned(dataset)
    for keyword in _EMPTY:
        if keyword not in clean:
            setattr(clean, keyword, None)
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
        if keyword not in clean:
            setattr(clean, keyword, pseudonyms.uid(f"missing {keyword} of {patient}"))
    clean.PatientID = pseudonyms.patient(patient)
    clean.PatientName = f"{clean.PatientID}^"  # a family name
    said = clean.get("ImageType") or ()
    clean.ImageType = ["DERIVED", *(said[1:] if not isinstance(said, str) and len(said) > 1 else ["PRIMARY"])]
    if "FrameOfReferenceUID" in clean:
        clean.PositionReferenceIndicator = None
    view = _view_code(dataset)
    if view is not None:
        clean.ViewCodeSequence = [view]
    clean.PatientIdentityRemoved = "YES"
    clean.DeidentificationMethod = list(_METHOD)
    codes = [_PROFILE, _CLEAN_PIXELS] + ([_MOVED_DATES] if pseudonyms.shift_dates else [])
    clean.DeidentificationMethodCodeSequence = [_coded(*code, "DCM") for code in codes]
    clean.LongitudinalTemporalInformationModified = "MODIFIED" if pseudonyms.shift_dates else "REMOVED"
    clean.BurnedInAnnotation = "NO"
    return clean


class _Cleaner:
    """Goes through a data set and its sequences, for one patient."""

    def __init__(self, pseudonyms: Pseudonyms, patient: str, words: frozenset[str]) -> None:
        self._pseudonyms, self._patient, self._words = pseudonyms, patient, words

    def cleaned(self, dataset: Dataset) -> Dataset:
        """What of a data set is kept."""
        from pydicom.dataset import Dataset as NewDataset

        clean = NewDataset()
        for element in _kept(dataset):
            if element.VR == "SQ":
                items = [self.cleaned(item) for item in element.value]
                if any(len(item) for item in items):
                    setattr(clean, element.keyword, items)
                continue
            value = self._value(element)
            if value is not None:
                clean.add_new(element.tag, element.VR, value)
        return clean

    def _value(self, element: DataElement) -> object:
        """The value that is kept, None for none."""
        values = [element.value] if isinstance(element.value, (str, bytes)) else element.value
        texts = [str(value) for value in (values if hasattr(values, "__iter__") else [values])]
        match element.VR:
            case "UI":
                return [self._pseudonyms.uid(text) for text in texts]
            case "DA":
                return self._pseudonyms.date(self._patient, texts[0]) or None if len(texts) == 1 else None
            case "DS" | "IS":
                return texts if all(_DECIMAL.fullmatch(text) for text in texts) else None
            case "CS":
                return texts if all(_CODE.fullmatch(text) for text in texts) and not self._tell(texts) else None
            case "LO" | "SH":
                return None if self._tell(texts) else texts
            case _:
                return element.value

    def _tell(self, texts: list[str]) -> bool:
        """Whether texts hold a word that belongs to the patient or the place."""
        return any(word in text.casefold() for word in self._words for text in texts)


def _kept(dataset: Dataset) -> Iterator[DataElement]:
    """Elements on the list, of the type that the standard gives them; a value that cannot be read is passed over."""
    from pydicom.datadict import dictionary_VR, keyword_for_tag

    from echoseg.io.dicom import DAMAGE

    for tag in sorted(dataset.keys()):
        if tag.is_private or keyword_for_tag(tag) not in _KEPT:
            continue
        try:
            element = dataset[tag]
            if element.is_empty or element.VR not in dictionary_VR(tag).split(" or "):
                continue
        except BROKEN + DAMAGE:
            continue
        yield element


def _patient_key(dataset: Dataset) -> str:
    """What tells patients apart: ID and its issuer, else the name, else the study."""
    texts = [str(dataset.get(keyword) or "") for keyword in ("PatientID", "IssuerOfPatientID", "PatientName")]
    return "\0".join(texts[:2] if texts[0] else texts[2:] if texts[2] else [str(dataset.get("StudyInstanceUID") or "")])


def _identity_words(dataset: Dataset) -> frozenset[str]:
    """Words of three letters and more from all names and from what identifies patient and place, in lower case."""
    from echoseg.io.dicom import DAMAGE

    found: list[str] = []
    for tag in sorted(dataset.keys()):
        try:
            element = dataset[tag]
            if element.VR == "SQ":
                found += [word for item in element.value for word in _identity_words(item)]
            elif element.VR == "PN" or element.keyword in _IDENTITY:
                found += re.split(r"[\W_]+", str(element.value).casefold())
        except BROKEN + DAMAGE:
            continue
    return frozenset(word for word in found if len(word) >= 3)


def _view_code(dataset: Dataset) -> Dataset | None:
    """The view as a code with the standard's own words, where the header says it by a code or in its descriptions."""
    from pydicom.sr.codedict import codes

    from echoseg.io.studies import stated_view

    view, other = stated_view(dataset)
    said = {str(item.get("CodeValue", "")) for item in dataset.get("ViewCodeSequence") or ()}
    known = {code.value: code for code in codes.cid12226.concepts.values()}  # echocardiography image views
    matches = [
        value for value in (_VIEWS.get(view, ""), *sorted(said), _OTHER_VIEWS.get(other or "", "")) if value in known
    ]
    if not matches:
        return None
    code = known[matches[0]]
    return _coded(code.value, code.meaning, code.scheme_designator)


def _coded(value: str, meaning: str, scheme: str) -> Dataset:
    from pydicom.dataset import Dataset as NewDataset

    item = NewDataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item
