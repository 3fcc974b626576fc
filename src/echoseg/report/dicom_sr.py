"""`report.sr.dcm`: the numbers as a DICOM structured report that other programs can read.

A Comprehensive SR after template TID 1500: one measurement group for each beat and one for the medians. Each number has a code for what
it is (LOINC by view and method), a unit in UCUM, its formula, and the frames of the cine that it came from. Volumes are there in mL or
not at all; the ejection fraction needs no pixel size. The group of the medians says how far to trust them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from pydicom import uid
from pydicom.dataset import Dataset

from echoseg.cine import Segmentation, Structure, View
from echoseg.clinical import Indices, Measured, Quality
from echoseg.clinical.biplane import BiplaneNumber, StudyEjection
from echoseg.errors import InputError
from echoseg.io.door import quiet
from echoseg.report.dicom_codes import (
    COMMENT,
    ECHOCARDIOGRAPHY,
    LITRE_PER_MINUTE,
    MEDIAN,
    METHODS,
    ML,
    PER_MINUTE,
    PERCENT,
    QUALITY,
    QUALITY_FLAGS,
    STRUCTURES,
    Code,
    quantity,
)
from echoseg.report.dicom_common import (
    NAME,
    RESEARCH_USE,
    Kind,
    SourceObject,
    algorithm,
    digest_of,
    made_uid,
    new_object,
    read_source,
    write_object,
)
from echoseg.version import __version__

SR_FILE = "report.sr.dcm"
_KIND = Kind("sr", uid.ComprehensiveSRStorage, "SR", "volumes and ejection fraction by echoseg")
_STUDY_KIND = Kind("study", uid.ComprehensiveSRStorage, "SR", "biplane volumes and ejection fraction by echoseg")
_KEYS = ("edv", "esv", "sv", "ef", "hr", "co")
_BESIDE = "_area_length"
# Unit of a number -> its code, and by how much to divide. Volumes in cubic pixels are not here: they are no volumes.
_UNITS = {"mL": (ML, 1), "%": (PERCENT, 1), "1/min": (PER_MINUTE, 1), "mL/min": (LITRE_PER_MINUTE, 1000)}
_DECIMALS = 4


@dataclass(frozen=True)
class _Number:
    """A number with the frames that it came from, of each source."""

    code: Code
    value: float
    unit: Code
    method: Code | None
    frames: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class _Group:
    """A measurement group.

    Attributes:
        name: what people read.
        numbers: its numbers.
        frames: of each source, frames that it came from.
        is_median: whether its numbers are medians over the others'.
        quality: verdict, None where there is none.
        comments: sentences to read with it.
    """

    name: str
    numbers: tuple[_Number, ...]
    frames: tuple[tuple[int, ...], ...]
    is_median: bool = False
    quality: Quality | None = None
    comments: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class _Report:
    """What goes into an object.

    Attributes:
        kind: of the object.
        sources: what was measured.
        model: name and version of the model.
        content: what tells the content from others.
        groups: its measurement groups.
    """

    kind: Kind
    sources: tuple[SourceObject, ...]
    model: str
    content: str
    groups: tuple[_Group, ...] = field(default=())


def require_highdicom(source: str) -> ModuleType:
    """The package that makes structured reports.

    Raises:
        InputError: it is not installed.
    """
    try:
        from highdicom import sr
    except ImportError as error:
        raise InputError(
            f"{source}: structured reports need highdicom; install echoseg[dicom], or leave sr out of --formats"
        ) from error
    return sr


def write_sr(path: Path, source: SourceObject, segmentation: Segmentation, indices: Indices) -> None:
    """Write the numbers of a cine as a structured report, whole or not at all.

    Args:
        path: where to.
        source: the object that was segmented.
        segmentation: its masks.
        indices: what was measured on them.

    Raises:
        InputError: highdicom is not installed.
        OutputError: the file cannot be written.
    """
    groups = tuple(_groups(segmentation, indices))
    content = f"{digest_of(segmentation)} {_digest(groups)}"
    _write(path, _Report(_KIND.of(segmentation.meta.view), (source,), segmentation.model, content, groups))


def write_study_sr(
    path: Path,
    sources: Sequence[Path],
    study: StudyEjection,
    *,
    model: str | None = None,
    quality: Quality | None = None,
) -> None:
    """Write the biplane numbers of a study as a structured report, whole or not at all.

    Args:
        path: where to.
        sources: the DICOM files of the four- and of the two-chamber view.
        study: what was measured on both.
        model: name and version of the model that made the masks, where known.
        quality: how far to trust the numbers, where known.

    Raises:
        InputError: a source is no DICOM file, or highdicom is not installed.
        OutputError: the file cannot be written.
    """
    a4c, a2c = (read_source(one) for one in sources)
    if quality is not None:
        quality = replace(quality, reasons=tuple(_without_case(text, (a4c, a2c)) for text in quality.reasons))
    groups = tuple(_biplane_groups(study, quality))
    made_by = model or f"{NAME} {__version__}"
    _write(path, _Report(_STUDY_KIND, (a4c, a2c), made_by, f"{a2c.sop_instance} {made_by} {_digest(groups)}", groups))


def _digest(groups: Sequence[_Group]) -> str:
    return hashlib.sha256(repr(groups).encode()).hexdigest()


def _groups(segmentation: Segmentation, indices: Indices) -> Iterator[_Group]:
    """A group for each beat, then that of the medians."""
    view, extras = segmentation.meta.view, indices.extras
    for number, beat in enumerate(extras.beats if extras else (), start=1):
        instants = (beat.ed_frame, beat.es_frame, *((beat.next_ed_frame,) if beat.next_ed_frame is not None else ()))
        comments = () if beat.complete else ("incomplete beat: the cine shows its ED and its ES only",)
        numbers = tuple(_numbers(beat.numbers, view))
        yield _Group(f"Beat {number}", numbers, (tuple(sorted(instants)),), comments=comments)
    medians = tuple(_numbers(extras.median, view)) if extras else ()
    used = sorted({frame for number in medians for frame in number.frames[0]})
    yield _Group(
        "Median of the beats",
        medians,
        (tuple(used),),
        is_median=True,
        quality=indices.quality,
        comments=tuple(_comments(segmentation, indices)),
    )


def _comments(segmentation: Segmentation, indices: Indices) -> Iterator[str]:
    yield f"Model {segmentation.model}, echoseg {__version__}. {RESEARCH_USE}."
    if indices.curve.unit != "mL":
        yield "Volumes are not given: the pixel size is unknown. The ejection fraction does not depend on it."
    if indices.regressed is not None:
        found = indices.regressed
        yield f"Ejection fraction read off the frames by the network {found.model}: {found.ef_percent:.1f} %"
    for warning in indices.warnings:
        yield f"Warning: {warning.removeprefix(f'{segmentation.meta.source}: ')}"


def _biplane_groups(study: StudyEjection, quality: Quality | None) -> Iterator[_Group]:
    for number, pair in enumerate(study.pairs, start=1):
        frames = tuple((beat.ed_frame, beat.es_frame) for beat in (pair.a4c, pair.a2c))
        yield _Group(f"Pair of beats {number}", tuple(_numbers(pair.numbers, View.UNKNOWN)), frames)
    numbers = tuple(_numbers(study.median, View.UNKNOWN))
    used = tuple(tuple(sorted({frame for one in numbers for frame in one.frames[i]})) for i in range(2))
    warnings = tuple(f"Warning: {_without_files(text)}" for text in study.warnings)
    comments = (f"Biplane volumes by echoseg {__version__}. {RESEARCH_USE}.", *warnings)
    yield _Group("Median of the pairs", numbers, used, is_median=True, quality=quality, comments=comments)


def _without_files(text: str) -> str:
    """A warning without the paths in front, which may hold a patient's name."""
    return text.rpartition(": ")[2]


def _without_case(text: str, sources: tuple[SourceObject, SourceObject]) -> str:
    """A reason with the view in place of the case in front, which is called like the file."""
    for source, view in zip(sources, (View.A4C, View.A2C), strict=True):
        case, colon, reason = text.partition(": ")
        if colon and case.startswith(source.path.stem):
            return f"{view.value}: {reason}"
    return text


def _numbers(found: Mapping[str, Measured] | Mapping[str, BiplaneNumber], view: View) -> Iterator[_Number]:
    """Numbers that the report holds, with their codes, those by another formula behind."""
    for key in (*_KEYS, *(f"{key}{_BESIDE}" for key in _KEYS)):
        number = found.get(key)
        if number is None or number.unit not in _UNITS:
            continue
        unit, divisor = _UNITS[number.unit]
        frames = (number.frames,) if isinstance(number, Measured) else (number.a4c_frames, number.a2c_frames)
        code = quantity(key.removesuffix(_BESIDE), number.method, view)
        value = round(number.value / divisor, _DECIMALS)
        yield _Number(code, value, unit, METHODS.get(number.method), frames)


def _write(path: Path, report: _Report) -> None:
    sr = require_highdicom(str(report.sources[0].path))
    header = new_object(report.sources[0], report.kind, report.content)
    with quiet():
        made = sr.ComprehensiveSR(
            evidence=[_evidence(source) for source in report.sources],
            content=_Writer(sr, report, header.SOPInstanceUID).content(),
            series_instance_uid=header.SeriesInstanceUID,
            series_number=header.SeriesNumber,
            sop_instance_uid=header.SOPInstanceUID,
            instance_number=1,
            manufacturer=NAME,
            is_complete=True,
        )
    plain = Dataset()  # highdicom's own class does not let go of what it wrote
    plain.update(made)
    plain.update(header)
    plain.file_meta = header.file_meta
    write_object(path, plain)


def _evidence(source: SourceObject) -> Dataset:
    """What highdicom wants to know of a source."""
    found = Dataset()
    found.update(source.shared)
    found.SOPClassUID, found.SOPInstanceUID = source.sop_class, source.sop_instance
    found.StudyInstanceUID, found.SeriesInstanceUID = source.study, source.series
    return found


class _Writer:
    """Content of a report in highdicom's terms."""

    def __init__(self, sr: Any, report: _Report, instance: str) -> None:  # noqa: ANN401 - highdicom has no types
        self._sr, self._report, self._instance = sr, report, instance

    def content(self) -> Any:  # noqa: ANN401
        """The content tree."""
        sr = self._sr
        name, version = algorithm(self._report.model)
        device = sr.DeviceObserverIdentifyingAttributes(
            uid=made_uid("device", name, version, __version__),
            name=NAME,
            manufacturer_name=NAME,
            model_name=f"{name} {version}",
            serial_number=__version__,
        )
        observer = sr.ObserverContext(self._coded(Code("121007", "DCM", "Device")), device)
        return sr.MeasurementReport(
            sr.ObservationContext(observer_device_context=observer),
            self._coded(ECHOCARDIOGRAPHY),
            imaging_measurements=[self._group(group) for group in self._report.groups],
        )

    def _coded(self, code: Code) -> Any:  # noqa: ANN401
        return self._sr.CodedConcept(code.value, code.scheme, code.meaning)

    def _group(self, group: _Group) -> Any:  # noqa: ANN401
        sr = self._sr
        name, version = algorithm(self._report.model)
        verdict = [] if group.quality is None else [self._verdict(group.quality)]
        made = sr.MeasurementsAndQualitativeEvaluations(
            tracking_identifier=sr.TrackingIdentifier(made_uid(self._instance, group.name), group.name),
            algorithm_id=sr.AlgorithmIdentification(name, version),
            finding_sites=[sr.FindingSite(self._coded(STRUCTURES[Structure.LV]))],
            measurements=[self._measurement(number, group.is_median) for number in group.numbers],
            qualitative_evaluations=verdict,
            source_images=self._images(sr.SourceImageForMeasurementGroup, group.frames),
        )
        for text in (*_verdict_texts(group.quality), *group.comments):
            item = sr.TextContentItem(self._coded(COMMENT), text, sr.RelationshipTypeValues.CONTAINS)
            made[0].ContentSequence.append(item)
        return made

    def _verdict(self, quality: Quality) -> Any:  # noqa: ANN401
        return self._sr.QualitativeEvaluation(self._coded(QUALITY), self._coded(QUALITY_FLAGS[quality.flag]))

    def _measurement(self, number: _Number, is_median: bool) -> Any:  # noqa: ANN401
        return self._sr.Measurement(
            name=self._coded(number.code),
            value=number.value,
            unit=self._coded(number.unit),
            method=None if number.method is None else self._coded(number.method),
            derivation=self._coded(MEDIAN) if is_median else None,
            referenced_images=self._images(self._sr.SourceImageForMeasurement, number.frames),
        )

    def _images(self, kind: Any, frames: Iterable[tuple[int, ...]]) -> list[Any]:  # noqa: ANN401
        """References to the frames of each source; to the whole source where there are none."""
        found = []
        for source, of_source in zip(self._report.sources, frames, strict=True):
            numbers = [frame + 1 for frame in of_source] if source.numbered and of_source else None
            found.append(kind(source.sop_class, source.sop_instance, numbers))
        return found


def _verdict_texts(quality: Quality | None) -> Iterator[str]:
    if quality is not None:
        yield f"Quality flag: {quality.flag.value}"
        yield from (f"Quality: {reason}" for reason in quality.reasons)
