"""What every DICOM object made here shares: patient and study of the source, a series of its own, unique identifiers, writing.

Unique identifiers follow from the source, the model and the content (PS3.5 B.2: a hash as UUID under 2.25). So a repeated call gives
an object of the same name, which a server recognises; only the time stamps inside differ.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from pydicom import dcmread, uid
from pydicom.config import RAISE
from pydicom.datadict import dictionary_VM, dictionary_VR
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.valuerep import format_number_as_ds, validate_value

from echoseg.cine import Segmentation, Spacing, View
from echoseg.errors import InputError
from echoseg.io.atomic import atomic_path
from echoseg.io.dicom import DAMAGE
from echoseg.io.dicom_meta import number
from echoseg.io.door import quiet, reading
from echoseg.io.sniff import Format, sniff
from echoseg.version import __version__

NAME = "echoseg"
RESEARCH_USE = "Research use only, not a medical device"
SERIES_OFFSET = {"seg": 1, "sr": 2, "dicom-video": 3, "study": 4}
# Type 2 of the modules Patient and General Study: always there, empty where the source does not say.
_NEEDED = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "StudyID"),
)
_WELCOME = (
    *("IssuerOfPatientID", "StudyDescription", "PatientAge", "PatientSize", "PatientWeight", "TimezoneOffsetFromUTC"),
    *("PatientIdentityRemoved", "DeidentificationMethod", "LongitudinalTemporalInformationModified"),
)
_LOSSY = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")
_LENGTHS = {"LO": 64, "SH": 16, "CS": 16, "PN": 64, "ST": 1024, "LT": 10240}
_PATTERNS = {
    "DA": re.compile(r"\d{4}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])"),
    "TM": re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?"),
    "AS": re.compile(r"\d{3}[DWMY]"),
    "CS": re.compile(r"[A-Z0-9_ ]{1,16}"),
}
_BAD_VALUE: tuple[type[Exception], ...] = (*DAMAGE, ValueError)  # what pydicom answers when it makes sense of one
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\\]+")
_MAX_SERIES_NUMBER = 20_000_000
_PIXEL_DATA = b"\xe0\x7f\x10\x00OB\x00\x00"


@dataclass(frozen=True, eq=False)
class SourceObject:
    """The DICOM object that was segmented.

    Attributes:
        path: its file.
        header: its elements without pixels, as they are.
        shared: what objects made from it take over, cleaned: patient, study, loss by compression.
        sop_class, sop_instance: what references name.
        study, series: UIDs of its study and series.
        n_frames: frames that it declares.
        numbered: whether references to it name frames: it is of a multi-frame class.
    """

    path: Path
    header: Dataset
    shared: Dataset
    sop_class: uid.UID
    sop_instance: uid.UID
    study: uid.UID
    series: uid.UID
    n_frames: int
    numbered: bool

    def reference(self, frames: Iterable[int] = ()) -> Dataset:
        """Item that refers to it, or to some of its frames, which count from 0 here and from 1 in DICOM."""
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = self.sop_class, self.sop_instance
        numbers = [frame + 1 for frame in frames]
        if self.numbered and numbers:
            item.ReferencedFrameNumber = numbers
        return item

    @property
    def is_ultrasound(self) -> bool:
        """Whether it is an ultrasound image, retired classes included."""
        return self.header.get("Modality") == "US" or "Ultrasound" in self.sop_class.name


def read_source(path: Path | str) -> SourceObject:
    """Header of the object that was segmented.

    Raises:
        InputError: the file is no DICOM image, or broken.
    """
    path = Path(path)
    with reading(path, extra=DAMAGE), quiet():
        found = sniff(path)
        if found is not Format.DICOM:
            raise InputError(
                f"{path}: a {found.value} source; DICOM objects refer to a DICOM cine, leave seg, sr and dicom-video out of "
                "--formats"
            )
        header = dcmread(path, stop_before_pixels=True, force=True)
        if header.get("Modality") == "SEG":
            raise InputError(
                f"{path}: is a segmentation itself; DICOM objects refer to the cine, segment that, or leave seg, sr and "
                "dicom-video out of --formats"
            )
        return _described(path, header)


def _described(path: Path, header: Dataset) -> SourceObject:
    sop_class = _known(header, "SOPClassUID", "MediaStorageSOPClassUID") or uid.UltrasoundMultiFrameImageStorage
    instance = _known(header, "SOPInstanceUID", "MediaStorageSOPInstanceUID")
    if instance is None:  # an anonymiser removed it: what the file holds is all that tells it from others
        with path.open("rb") as file:
            instance = made_uid("instance", hashlib.file_digest(file, "sha256").hexdigest())
    series = _known(header, "SeriesInstanceUID") or made_uid("series", instance)
    study = _known(header, "StudyInstanceUID") or made_uid("study", series)
    n_frames = int(number(header, "NumberOfFrames") or 1)
    shared = _shared(header)
    shared.StudyInstanceUID = study
    numbered = n_frames > 1 or "Multi-frame" in sop_class.name
    return SourceObject(path, header, shared, sop_class, instance, study, series, n_frames, numbered)


def _known(header: Dataset, keyword: str, in_meta: str = "") -> uid.UID | None:
    """A UID of the data set, else of the meta group; None where there is none that could be written again."""
    meta = getattr(header, "file_meta", None) or Dataset()
    for holder, name in ((header, keyword), (meta, in_meta)):
        value = str(holder.get(name) or "").strip() if name else ""
        if re.fullmatch(r"[0-9.]{1,64}", value):
            return uid.UID(value)
    return None


def _shared(header: Dataset) -> Dataset:
    found = Dataset()
    for keyword in (*_NEEDED, *_WELCOME, *_LOSSY):
        value = _clean(header, keyword)
        if value or keyword in _NEEDED:
            setattr(found, keyword, value or None)
    if found.PatientSex not in ("M", "F", "O"):
        found.PatientSex = None
    if found.get("PatientIdentityRemoved") == "YES" and "DeidentificationMethod" not in found:
        found.DeidentificationMethod = "as in the source object"
    if found.get("LossyImageCompression") != "01":
        for keyword in _LOSSY:
            if keyword in found:
                delattr(found, keyword)
    return found


def _clean(header: Dataset, keyword: str) -> str | list[str] | None:
    """Value of an element as text that is valid in every object; None where the source has none that is or could be made so."""
    vr = dictionary_VR(keyword)
    try:
        value = header.get(keyword)
        values = [] if value is None else [value] if isinstance(value, (str, float, int)) else list(value)
        texts = [str(value)] if vr == "PN" else [str(one) for one in values]
    except _BAD_VALUE:
        return None
    cleaned = [text for one in texts if (text := _clean_text(vr, one))]
    if len(cleaned) != len(texts) or not cleaned or cleaned == ["None"]:
        return None
    return cleaned if dictionary_VM(keyword) != "1" else cleaned[0]


def _clean_text(vr: str, text: str) -> str:
    text = _UNPRINTABLE.sub(" ", text).strip()
    if vr in _PATTERNS:
        return text if _PATTERNS[vr].fullmatch(text) else ""
    text = text[: _LENGTHS.get(vr, 64)].strip()
    with suppress(ValueError), quiet():
        validate_value(vr, text, RAISE)
        return text
    return ""


def made_uid(*names: object) -> uid.UID:
    """A UID that is the same for the same names."""
    text = "\n".join((NAME, *map(str, names)))
    return uid.UID(f"2.25.{uuid.uuid5(uuid.NAMESPACE_URL, text).int}")


def digest_of(segmentation: Segmentation) -> str:
    """What tells these masks and what belongs to them from others."""
    meta = segmentation.meta
    found = hashlib.sha256(repr((meta.shape, meta.fps, meta.spacing, meta.view, segmentation.model)).encode())
    for mask in segmentation.masks:
        found.update(mask.tobytes())
    return found.hexdigest()


@dataclass(frozen=True)
class Kind:
    """What is made of a source.

    Attributes:
        name: "seg", "sr", "dicom-video" or "study".
        sop_class: class of the object.
        modality: its modality.
        description: of its series.
    """

    name: str
    sop_class: uid.UID
    modality: str
    description: str

    def of(self, view: View) -> Kind:
        """The same with the view in front, where `read_masks` and people find it."""
        return self if view is View.UNKNOWN else replace(self, description=f"{view.value} {self.description}")


def new_object(source: SourceObject, kind: Kind, content: str) -> Dataset:
    """A data set with all that does not depend on the kind of the object.

    Args:
        source: the object that was segmented.
        kind: what is made.
        content: what tells its content from others of this kind and source, e.g. `digest_of` the masks.
    """
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 192"
    made.update({item.tag: item for item in source.shared if item.keyword not in _LOSSY})
    instance = made_uid(kind.name, source.sop_instance, __version__, content)
    now = datetime.now()
    made.SOPClassUID, made.SOPInstanceUID = kind.sop_class, instance
    for keyword in ("InstanceCreation", "Content", "Series"):
        setattr(made, f"{keyword}Date", now.strftime("%Y%m%d"))
        setattr(made, f"{keyword}Time", now.strftime("%H%M%S"))
    made.Modality = kind.modality
    made.SeriesInstanceUID = made_uid("series of", instance)
    made.SeriesNumber = _series_number(source, kind)
    made.SeriesDescription = kind.description[:64]
    made.InstanceNumber = 1
    made.Manufacturer = made.ManufacturerModelName = NAME
    made.DeviceSerialNumber = made.SoftwareVersions = __version__
    made.file_meta = _file_meta(kind.sop_class, instance)
    return made


def _series_number(source: SourceObject, kind: Kind) -> int:
    """A number beside that of the source: 3 becomes 301, 302, ..."""
    before = number(source.header, "SeriesNumber") or 0
    return 100 * int(before if 0 < before < _MAX_SERIES_NUMBER else 90) + SERIES_OFFSET[kind.name]


def _file_meta(sop_class: uid.UID, instance: uid.UID) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = sop_class, instance
    meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    meta.ImplementationClassUID = made_uid("implementation")
    meta.ImplementationVersionName = f"{NAME} {__version__}"[:16]
    return meta


def algorithm(model: str) -> tuple[str, str]:
    """Name and version of a model, from the one string that results carry.

    >>> algorithm("a4c 1"), algorithm("mine")
    (('a4c', '1'), ('mine', 'unknown'))
    """
    name, _, version = model.rpartition(" ")
    name, version = (name, version) if name else (model, "unknown")
    return _clean_text("LO", name) or "unknown", _clean_text("LO", version) or "unknown"


def decimal(value: float) -> str:
    """A number as a decimal string, which has at most 16 characters."""
    return str(format_number_as_ds(float(value)))


def spacing_text(spacing: Spacing) -> list[str]:
    """Pixel Spacing: between rows, then between columns."""
    return [decimal(spacing.row_mm), decimal(spacing.col_mm)]


def write_object(path: Path, made: Dataset, pixels: Callable[[BinaryIO], None] | None = None) -> None:
    """Write an object, whole or not at all.

    Args:
        path: where to.
        made: the data set without pixels.
        pixels: writes the pixel data element, which is the last one, e.g. frame by frame.
    """
    with atomic_path(path) as temporary:
        dcmwrite(temporary, made, enforce_file_format=True)
        if pixels is not None:
            with temporary.open("ab") as file:
                pixels(file)


def pixel_element(length: int | None) -> bytes:
    """Head of a pixel data element of that length, None for encapsulated fragments."""
    return _PIXEL_DATA + (0xFFFFFFFF if length is None else length).to_bytes(4, "little")
