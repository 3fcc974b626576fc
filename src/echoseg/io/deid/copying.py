"""One de-identified file from one DICOM file, whole or not at all."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from echoseg.io.atomic import atomic_path
from echoseg.io.deid.header import clean_header
from echoseg.io.deid.pixels import blanked, what_to_keep, write_frames
from echoseg.io.deid.pseudonyms import Pseudonyms
from echoseg.io.door import quiet, reading
from echoseg.io.sector import Box

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_ULTRASOUND = (
    "1.2.840.10008.5.1.4.1.1.3.1",
    "1.2.840.10008.5.1.4.1.1.3",
    "1.2.840.10008.5.1.4.1.1.6.1",
    "1.2.840.10008.5.1.4.1.1.6",
)
_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


@dataclass(frozen=True)
class Copied:
    """What became of a file.

    Attributes:
        path: the new file.
        kept: share of the picture that was kept, 0..1.
    """

    path: Path
    kept: float


@dataclass
class Deidentifier:
    """Makes de-identified copies that agree with each other: the same patient, study and object have the same new name in all.

    Attributes:
        out: folder of the copies: PATIENT/STUDY/NUMBER.dcm, all of them new names.
        pseudonyms: what replaces names, UIDs and dates.
        keep_box: (top, left, bottom, right) to keep of every frame, in place of the sector that is found.
    """

    out: Path
    pseudonyms: Pseudonyms = field(default_factory=Pseudonyms)
    keep_box: Box | None = None
    _studies: dict[str, dict[str, int]] = field(default_factory=dict)
    _n_files: dict[Path, int] = field(default_factory=dict)

    def copy(self, path: Path) -> Copied:
        """Write the de-identified copy of a file.

        Raises:
            InputError: it is broken, or it is not certain what of the picture may be kept.
            OutputError: the copy cannot be written.
        """
        from pydicom import dcmwrite

        from echoseg.io.dicom import DAMAGE, DicomCine

        cine = DicomCine.open(path)
        with reading(path, extra=DAMAGE):
            keep = what_to_keep(cine, self.keep_box)
            frames = blanked(cine, keep)
            first = next(frames)
            with quiet():
                header = clean_header(cine.header, self.pseudonyms)
            _describe_pixels(header, *first)
        final = self._place(header)
        with atomic_path(final) as temporary, reading(path, extra=DAMAGE), temporary.open("wb") as file:
            dcmwrite(file, header, enforce_file_format=True)
            write_frames(file, chain([first], frames))
        self._n_files[final.parent] += 1
        return Copied(final, float(keep.mean()))

    def _place(self, header: Dataset) -> Path:
        """Path of the next file of a study."""
        studies = self._studies.setdefault(str(header.PatientID), {})
        number = studies.setdefault(str(header.StudyInstanceUID), len(studies) + 1)
        folder = self.out / str(header.PatientID) / f"S{number:02d}"
        return folder / f"{self._n_files.setdefault(folder, 0) + 1:04d}.dcm"


def is_ultrasound(header: Dataset) -> bool:
    """Whether an object holds ultrasound pictures."""
    sop_class = str(header.get("SOPClassUID") or "")
    return sop_class in _ULTRASOUND or (
        (sop_class == _CAPTURE or sop_class.startswith(f"{_CAPTURE}.")) and header.get("Modality") == "US"
    )


def what_it_is(path: Path) -> str | None:
    """A noun for a DICOM object that holds no ultrasound, None for one that does.

    Raises:
        InputError: its header cannot be read.
    """
    from pydicom import dcmread
    from pydicom.uid import UID

    from echoseg.io.dicom import DAMAGE
    from echoseg.io.dicom_deflated import open_header

    with reading(path, extra=DAMAGE), quiet(), open_header(path) as file:
        header = dcmread(file, stop_before_pixels=True, force=True, specific_tags=["SOPClassUID", "Modality"])
        if is_ultrasound(header):
            return None
        meta = getattr(header, "file_meta", None) or {}
        sop_class = str(header.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID") or "")
    return f"{UID(sop_class).name.removesuffix(' Storage')} object" if sop_class else "DICOM object of an unknown kind"


def _describe_pixels(header: Dataset, values: object, photometric: str) -> None:
    """Meta group and pixel description of the frames that are written."""
    import numpy as np
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import RLELossless

    from echoseg.version import __version__

    frame = np.asarray(values)
    header.PhotometricInterpretation = photometric
    header.SamplesPerPixel = frame.shape[2] if frame.ndim == 3 else 1
    if frame.ndim == 3:
        header.PlanarConfiguration = 1
    header.BitsAllocated = 8 * frame.dtype.itemsize
    header.preamble = bytes(128)
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = RLELossless
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    header.file_meta.ImplementationVersionName = f"ECHOSEG_{__version__}"[:16]
