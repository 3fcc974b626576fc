"""Cines of one examination belong together: grouped by their headers, measured together as soon as the last one is done.

Two patients never mix: a study is told by the patient and the StudyInstanceUID. A `views.csv` may name studies of files that say nothing
of the kind; one that would put two patients into a study is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from echoseg.cine import Segmentation, View
from echoseg.cli.output import complain
from echoseg.cli.sources import Source, case_names
from echoseg.clinical import Indices
from echoseg.errors import InputError, OutputError
from echoseg.report import CaseRecord
from echoseg.report.case import MASKS_FILE
from echoseg.report.result import Document
from echoseg.report.studies import (
    MEASURED_VIEWS,
    Choice,
    StudyPlace,
    StudyRecord,
    better,
    choose,
    read_study,
    single_plane,
    study_document,
    study_quality,
    write_study,
)

if TYPE_CHECKING:
    from echoseg.clinical.biplane import StudyEjection

_KEPT = {"done": "skipped", "failed": "failed"}  # what a case of an earlier call is now, where nothing has changed
Measurement = tuple[Segmentation, Indices]
Key = tuple[str, str]


@dataclass(frozen=True)
class StudyGroup:
    """The cines of a study.

    Attributes:
        place: which study it is.
        cases: its cines.
    """

    place: StudyPlace
    cases: tuple[Source, ...]


def group_studies(cases: Sequence[Source]) -> tuple[StudyGroup, ...]:
    """Studies in the order of their first cine; cines of which no study is known are in none.

    Raises:
        InputError: a table of views puts two patients into one study.
    """
    groups: dict[Key, list[Source]] = {}
    for case in cases:
        key = _key(case)
        if key is not None:
            groups.setdefault(key, []).append(case)
    for (_, name), members in groups.items():
        _check_one_patient(name, members)
    names = case_names([_folder(key, members, groups) for key, members in groups.items()])
    return tuple(
        StudyGroup(_place(name, members), tuple(members)) for name, members in zip(names, groups.values(), strict=True)
    )


def by_study(cases: Sequence[Source], groups: Sequence[StudyGroup]) -> tuple[tuple[Source, ...], ...]:
    """The cases in portions that stay together: each study, and each cine that is in none, in the order of the cases."""
    home = {case.name: group.cases for group in groups for case in group.cases}
    portions = dict.fromkeys(home.get(case.name, (case,)) for case in cases)
    return tuple(portions)


def _key(case: Source) -> Key | None:
    """Patient and study; for a study that a user named its folder in place of the patient."""
    if case.listed is not None and case.listed.study:
        return "", case.listed.study
    if case.facts is not None and case.facts.study:
        return case.facts.patient, case.facts.study
    if case.listed is not None and case.facts is None:
        return "", str(case.path.absolute().parent)
    return None


def _check_one_patient(name: str, members: Sequence[Source]) -> None:
    patients = {case.facts.patient: case for case in members if case.facts is not None}
    if len(patients) > 1:
        first, second, *_ = patients.values()
        raise InputError(
            f"views.csv: study {name!r} holds cines of two patients ({first.shown}, {second.shown}); "
            "give each patient a study of its own"
        )


def _folder(key: Key, members: Sequence[Source], groups: Mapping[Key, Sequence[Source]]) -> Path:
    """A path whose name can be the study's: its own folder, what the user called it, or a mark made from its UID."""
    folders = {case.path.absolute().parent for case in members}
    first = min(folders)
    if key[0] == "" and members[0].listed is not None and members[0].listed.study:
        return first / members[0].listed.study.replace("/", "-")
    others = {case.path.absolute().parent for other, cases in groups.items() if other != key for case in cases}
    if len(folders) == 1 and first not in others and members[0].origin is None:
        return first
    return first / study_mark(*key)


def study_mark(patient: str, study: str) -> str:
    """A name for a study of which only the UID is known, the same in every call; nobody can read the patient from it.

    >>> study_mark("4711", "1.2.840.10008.1")
    'study-be5fd0de'
    """
    return f"study-{hashlib.sha256(f'{patient}^{study}'.encode()).hexdigest()[:8]}"


def _place(name: str, members: Sequence[Source]) -> StudyPlace:
    facts = next((case.facts for case in members if case.facts is not None), None)
    if facts is None:
        return StudyPlace(name)
    named = members[0].listed is not None and bool(members[0].listed.study)
    return StudyPlace(name, facts.patient_id, facts.date, "" if named else facts.study)


@dataclass
class _Open:
    """A study of which cines are still to come."""

    group: StudyGroup
    waiting: set[str]
    records: list[CaseRecord] = field(default_factory=list)
    best: dict[View, tuple[CaseRecord, Measurement]] = field(default_factory=dict)


@dataclass(frozen=True)
class StudyTools:
    """What a study needs of the verb that measures its cines.

    Attributes:
        remeasure: masks and numbers of a case from its results on disk.
        extras: files beside `study.json`: name -> writer; given the sources of both views, what was measured and the record of the study.
    """

    remeasure: Callable[[Source, Path], Measurement]
    extras: Callable[[Source, Source, StudyEjection, Document], Mapping[str, Callable[[Path], None]]]


class StudyBook:
    """Measures each study when its last cine is done. Memory is bounded by the masks of the two best cines of a study."""

    def __init__(self, groups: Sequence[StudyGroup], out: Path, tools: StudyTools) -> None:
        """Begin a call.

        Args:
            groups: the studies of the call.
            out: folder of the results.
            tools: what a study needs of the verb.
        """
        self._out, self._tools = out, tools
        self._open = {group.place.name: _Open(group, {case.name for case in group.cases}) for group in groups}
        self._study_of = {case.name: group.place.name for group in groups for case in group.cases}
        self._latest: tuple[str, Measurement] | None = None
        self._records: dict[str, StudyRecord] = {}

    @property
    def records(self) -> list[StudyRecord]:
        """What came of the studies that are complete, in the order of their first cines."""
        return [self._records[name] for name in self._open if name in self._records]

    def study_of(self, case: str) -> str | None:
        """Name of the study of a case, None where none is known."""
        return self._study_of.get(case)

    def must_repeat(self, case: str, result: Document) -> bool:
        """Whether a case has to be made again although it has a result: the study lacks its own, and the masks were not kept."""
        name = self._study_of.get(case)
        if name is None or result["view"] not in {view.value for view in MEASURED_VIEWS}:
            return False
        if (self._out / case / MASKS_FILE).is_file():
            return False
        return self._earlier(self._open[name].group) is None

    def keep(self, case: str, segmentation: Segmentation, indices: Indices) -> None:
        """Hold what was measured of a case until `settle` has its record."""
        if case in self._study_of and segmentation.meta.view in MEASURED_VIEWS:
            self._latest = case, (segmentation, indices)

    def settle(self, record: CaseRecord) -> None:
        """Take in how a case ended; with the last one of a study, the study is measured and written.

        Raises:
            OutputError: the result of the study cannot be written.
        """
        name = self._study_of.get(record.case)
        if name is None:
            return
        study = self._open[name]
        self._hold(study, record)
        study.records.append(record)
        study.waiting.discard(record.case)
        if not study.waiting:
            self._records[name] = self._closed(study)
            study.best.clear()

    def _hold(self, study: _Open, record: CaseRecord) -> None:
        """Keep the masks of a case if it is the best of its view so far."""
        latest, self._latest = self._latest, None
        if latest is None or latest[0] != record.case or record.result is None or record.result["ef_percent"] is None:
            return
        view = View(record.result["view"])
        before = study.best.get(view)
        if before is None or better(record, before[0]):
            study.best[view] = record, latest[1]

    def _earlier(self, group: StudyGroup) -> Document | None:
        """The record of an earlier call, if it is about the same cines."""
        document = read_study(self._out, group.place.name)
        if document is None or document["study_uid"] != (group.place.uid or None):
            return None
        same = {one["case"] for one in document["cases"]} == {case.name for case in group.cases}
        return document if same else None

    def _closed(self, study: _Open) -> StudyRecord:
        place, records = study.group.place, study.records
        earlier = self._earlier(study.group)
        unchanged = earlier is not None and all(
            one.status == _KEPT.get(old["status"])
            for one, old in zip(_sorted(records), sorted(earlier["cases"], key=lambda old: old["case"]), strict=True)
        )
        if earlier is not None and unchanged:
            return StudyRecord(place, "failed" if earlier["ef_percent"] is None else "skipped", earlier)
        document, extras = self._measured(study)
        record = StudyRecord(place, "failed" if document["ef_percent"] is None else "done", document)
        if record.has_results:
            try:
                write_study(self._out, place, document, extras)
            except OSError as error:
                raise OutputError(f"{place.name}: cannot be written ({error.strerror or error}); free space") from error
        return record

    def _measured(self, study: _Open) -> tuple[Document, Mapping[str, Callable[[Path], None]]]:
        """Record of a study and its further files: biplane where both views can be measured, else from one view."""
        place, records = study.group.place, _sorted(study.records)
        found = {view: choose(records, view) for view in MEASURED_VIEWS}
        chosen = {view: choice for view, choice in found.items() if choice is not None}
        if len(chosen) == len(MEASURED_VIEWS):
            try:
                return self._biplane(study, records, chosen)
            except InputError as error:
                complain(f"warning: study {place.name}: no biplane volumes: {error}")
                reason = f"no biplane volumes: {error}"
                return study_document(place, records, chosen, single_plane(chosen[View.A4C]), [reason]), {}
        if not chosen:
            unknown = choose(records, View.UNKNOWN)
            chosen = {View.UNKNOWN: unknown} if unknown is not None else {}
        return study_document(place, records, chosen, single_plane(next(iter(chosen.values()), None))), {}

    def _biplane(
        self, study: _Open, records: Sequence[CaseRecord], chosen: Mapping[View, Choice]
    ) -> tuple[Document, Mapping[str, Callable[[Path], None]]]:
        """The same from the chosen cine of each view.

        Raises:
            InputError: the two cannot be measured together; it says why.
        """
        from echoseg.clinical.biplane import measure_study

        a4c, a2c = (chosen[view] for view in MEASURED_VIEWS)
        first, second = _source_of(study, a4c), _source_of(study, a2c)
        found = measure_study(self._measurement(study, a4c), self._measurement(study, a2c))
        warnings = [text.removeprefix(f"{first.full}, {second.full}: ") for text in found.warnings]
        numbers = found.document() | {"quality": study_quality((a4c, a2c), warnings)}
        document = study_document(study.group.place, records, chosen, numbers, warnings)
        return document, self._tools.extras(first, second, found, document)

    def _measurement(self, study: _Open, choice: Choice) -> Measurement:
        """Masks and numbers of a chosen case: in memory if this call made them, else from its results on disk."""
        held = study.best.get(View(choice.result["view"]))
        if held is not None and held[0].case == choice.record.case:
            return held[1]
        source = _source_of(study, choice)
        return self._tools.remeasure(source, self._out / source.name)


def _source_of(study: _Open, choice: Choice) -> Source:
    return next(case for case in study.group.cases if case.name == choice.record.case)


def _sorted(records: Sequence[CaseRecord]) -> list[CaseRecord]:
    return sorted(records, key=lambda one: one.case)
