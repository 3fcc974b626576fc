"""Studies as an ultrasound machine stores them: multi-frame DICOM files of simulated patients.

    study = write_study(tmp_path / "disk", seed=3)
    study.paths[View.A4C], study.cines[View.A4C].volume_ml

Unique identifiers follow from what the object is, so that equal calls write equal files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence as DicomSequence
from pydicom.valuerep import format_number_as_ds

from echoseg.cine import Spacing, View
from echoseg.simulator import SimulatedCine, simulate
from tests.io.sample_files import dicom, jpegs, region, save_dicom

UInt8 = NDArray[np.uint8]
BOTH_VIEWS = (View.A4C, View.A2C)
_VIEW_CODES = {View.A4C: ("399214001", "Apical four chamber"), View.A2C: ("399232001", "Apical two chamber")}


@dataclass(frozen=True)
class Tags:
    """What the header of a cine says of patient, study and view.

    Attributes:
        patient: PatientID, also in the name.
        study: what tells this study from others of the patient.
        series: number of the series; each number is a series of its own.
        instance: number of the object in its series.
        view: for ViewCodeSequence; None leaves it out.
        others: further elements, keyword -> value; they win over all others.
    """

    patient: str = "SIM-0"
    study: str = "1"
    series: int = 1
    instance: int = 1
    view: View | None = None
    others: Mapping[str, object] = field(default_factory=dict)

    @property
    def study_uid(self) -> str:
        """StudyInstanceUID."""
        return made_uid(self.patient, self.study)

    @property
    def series_uid(self) -> str:
        """SeriesInstanceUID."""
        return made_uid(self.patient, self.study, f"series {self.series}")

    @property
    def instance_uid(self) -> str:
        """SOPInstanceUID."""
        return made_uid(self.patient, self.study, f"series {self.series}", f"instance {self.instance}")


@dataclass(frozen=True, eq=False)
class SimulatedStudy:
    """A study on disk, and what is true about it.

    Attributes:
        patient: PatientID.
        study_uid: StudyInstanceUID.
        folder: where the files lie.
        paths: file of every view.
        cines: what was simulated of every view.
    """

    patient: str
    study_uid: str
    folder: Path
    paths: Mapping[View, Path]
    cines: Mapping[View, SimulatedCine]


def made_uid(*names: str) -> str:
    """A UID that is the same for the same names."""
    return uid.generate_uid(entropy_srcs=["echoseg tests", *names])


@lru_cache(maxsize=16)
def simulated(
    seed: int, view: View, fps: float = 25.0, duration_s: float = 1.2, layout: str = "echonet"
) -> SimulatedCine:
    """A cine of a simulated patient that is easy to segment; the same seed is the same heart in every view."""
    return simulate(seed, preset="easy", view=view, fps=fps, duration_s=duration_s, layout=layout)  # type: ignore[arg-type]


def write_study(
    folder: Path,
    seed: int = 0,
    *,
    views: Sequence[View] = BOTH_VIEWS,
    fps: float = 25.0,
    duration_s: float = 1.2,
    layout: str = "echonet",
    syntax: uid.UID = uid.ExplicitVRLittleEndian,
) -> SimulatedStudy:
    """Write the apical views of a simulated patient as one study, each view as a series with one object.

    Args:
        folder: is made; the files are called IM_0001 and so on, as machines do.
        seed: the patient.
        views: which views, in the order of the files.
        fps: frames per second.
        duration_s: length of the cines; 1.2 s hold one beat of most hearts, 2 s of all.
        layout: "echonet" for 112 x 112 pixels, "camus" for native size.
        syntax: uncompressed little endian, or JPEG baseline.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths: dict[View, Path] = {}
    cines = {view: simulated(seed, view, fps, duration_s, layout) for view in views}
    for number, (view, cine) in enumerate(cines.items(), start=1):
        tags = Tags(f"SIM-{seed}", series=number, view=view)
        header = cine_header(cine.frames.shape, tags, fps=cine.fps, spacing=cine.spacing, r_waves_s=cine.r_waves_s)
        header.PatientSex, header.PatientAge = cine.patient.sex, f"{cine.patient.age_years:03d}Y"
        paths[view] = save_frames(folder / f"IM_{number:04d}", header, cine.frames, syntax)
    tags = Tags(f"SIM-{seed}")
    return SimulatedStudy(tags.patient, tags.study_uid, folder, paths, cines)


def write_cine(path: Path, frames: UInt8, tags: Tags, *, fps: float = 25.0, spacing: Spacing | None = None) -> Path:
    """Write any gray frames (T, H, W) as an ultrasound multi-frame object."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return save_frames(path, cine_header(frames.shape, tags, fps=fps, spacing=spacing or Spacing(1.2, 1.2)), frames)


def save_frames(path: Path, header: Dataset, frames: UInt8, syntax: uid.UID = uid.ExplicitVRLittleEndian) -> Path:
    """Write a header and its frames, as they are or each as a JPEG."""
    if syntax != uid.JPEGBaseline8Bit:
        return save_dicom(path, header, frames, syntax)
    header.LossyImageCompression, header.LossyImageCompressionRatio = "01", "5"
    header.LossyImageCompressionMethod = "ISO_10918_1"
    return save_dicom(path, header, encapsulate(jpegs(frames)), syntax)


def cine_header(
    shape: tuple[int, ...], tags: Tags, *, fps: float, spacing: Spacing, r_waves_s: Sequence[float] = ()
) -> Dataset:
    """Header of an ultrasound multi-frame object for gray frames of shape (T, H, W)."""
    header = dicom(shape, SOPInstanceUID=tags.instance_uid, FrameTime=format_number_as_ds(1000 / fps))
    header.FrameIncrementPointer = 0x00181063
    header.ImageType = ["ORIGINAL", "PRIMARY", "", "0001"]
    header.LossyImageCompression = "00"
    header.SequenceOfUltrasoundRegions = DicomSequence([_tissue(shape, spacing)])
    if r_waves_s:
        header.RWaveTimeVector = [1000 * time for time in r_waves_s]
    _identify(header, tags)
    for keyword, value in tags.others.items():
        setattr(header, keyword, value)
    return header


def _tissue(shape: tuple[int, ...], spacing: Spacing) -> Dataset:
    """The whole image as 2D tissue, calibrated in cm."""
    return region(shape[2], shape[1], PhysicalDeltaX=spacing.col_mm / 10, PhysicalDeltaY=spacing.row_mm / 10)


def _identify(header: Dataset, tags: Tags) -> None:
    header.PatientName, header.PatientID = f"Simulated^{tags.patient}", tags.patient
    header.PatientBirthDate, header.PatientSex = "", ""
    header.StudyInstanceUID, header.SeriesInstanceUID = tags.study_uid, tags.series_uid
    header.StudyID, header.AccessionNumber, header.ReferringPhysicianName = tags.study[:16], "", ""
    header.StudyDate, header.StudyTime = "20240102", "120000"
    header.ContentDate, header.ContentTime = "20240102", f"1200{tags.series:02d}"
    header.SeriesNumber, header.InstanceNumber = tags.series, tags.instance
    header.Manufacturer, header.ManufacturerModelName = "Simulated machines", "Simulator"
    header.PatientOrientation, header.BodyPartExamined = "", "HEART"
    if tags.view is not None:
        code = Dataset()
        code.CodeValue, code.CodeMeaning = _VIEW_CODES[tags.view]
        code.CodingSchemeDesignator = "SCT"
        header.ViewCodeSequence = DicomSequence([code])
