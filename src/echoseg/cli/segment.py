"""`echoseg segment`: cines -> masks, volumes, ejection fraction, a report for each; studies -> biplane numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from tyro.conf import OmitArgPrefixes, arg

from echoseg.cine import CineMeta, Segmentation, View
from echoseg.cli.batch import Batch, run_batch
from echoseg.cli.models import load_regressor, load_segmenter
from echoseg.cli.options import (
    Backend,
    Flag,
    Fps,
    InputsOrServer,
    OutFolder,
    ShardOption,
    SourceFormats,
    SpacingMm,
    Threads,
    formats_of,
    parse_with_inputs,
)
from echoseg.cli.output import complain, printable
from echoseg.cli.server import FetchedStudy, ServerOptions, fetched_study
from echoseg.cli.sources import Source, Sources, find_cines
from echoseg.cli.studies import StudyBook, StudyTools, by_study, group_studies
from echoseg.cli.table import COHORT_FILE
from echoseg.cli.worker import Watch
from echoseg.clinical import Context, Indices, Quality, QualityFlag, measure_cine, with_regressed
from echoseg.engine import EfRegressor, Segmenter
from echoseg.errors import InputError, UsageError
from echoseg.io import CineStream, open_cine, read_masks
from echoseg.io.sector import find_sector
from echoseg.report import CaseRecord, read_result, write_case
from echoseg.report.case import MASKS_FILE
from echoseg.report.result import Document
from echoseg.report.studies import StudyRecord

if TYPE_CHECKING:
    from echoseg.clinical.biplane import StudyEjection

STUDY_SR_FILE = "report.sr.dcm"
Writers = Mapping[str, Callable[[Path], None]]


@dataclass(frozen=True)
class SegmentOptions:
    """Segment every frame of cines; measure volumes and ejection fraction; write DIR/<case>/report.html and more.

    Attributes:
        inputs: cines (DICOM, AVI, MP4, MKV, GIF, NIfTI, MetaImage, NPZ), folders of images, or folders to search for cines.
        out: folder of the results: one folder a case, summary.csv, studies.csv and run.json.
        model: name of a model that ships (see `echoseg info`), or a model folder.
        ef_model: folder of a model that regresses the ejection fraction; its number is reported beside the one from the masks.
        spacing_mm: size of a pixel in mm, or ROW,COL where pixels are not square, in place of what the file says.
        fps: frames per second, in place of what the file says.
        formats: what to write beside result.json: nifti, mp4, csv, html, pdf; from DICOM also seg, sr, dicom-video.
        skip_existing: leave alone cases that have a result already.
        shard: work on the I-th of N shares of the cases only; the cines of a study stay together.
        threads: CPU threads of the network.
        backend: what runs the network: onnx, or with `pip install 'echoseg[openvino]'` openvino (the same masks) or openvino-bf16 (16 bits, two to four
            times as fast on processors with matrix units).
        json: write one line of JSON to stdout in place of the table.
        server: a study of a DICOM server in place of files.
    """

    inputs: InputsOrServer
    out: OutFolder
    model: Annotated[str, arg(metavar="NAME|DIR")] = "a4c"
    ef_model: Annotated[str | None, arg(metavar="NAME|DIR", help_behavior_hint="(default: none)")] = None
    spacing_mm: SpacingMm = None
    fps: Fps = None
    formats: SourceFormats = None
    skip_existing: Flag = False
    shard: ShardOption = None
    threads: Threads = None
    backend: Backend = "onnx"
    json: Flag = False
    server: OmitArgPrefixes[ServerOptions] = field(default_factory=ServerOptions)


@dataclass(frozen=True)
class _Segmentation:
    """Segments one case after the other with one loaded model."""

    segmenter: Segmenter
    options: SegmentOptions
    book: StudyBook
    check: Callable[[Source], None]
    regressor: EfRegressor | None = None

    @property
    def model(self) -> str:
        return self.segmenter.config.title

    def __call__(self, source: Source, case_dir: Path, watch: Watch) -> Document:
        self.check(source)
        formats, _ = formats_of(self.options.formats, is_dicom=source.facts is not None)
        with _opened(source, self.options) as stream:
            cine = watch(stream)
            segmentation = self.segmenter(cine)
            segmentation = replace(segmentation, meta=_placed(segmentation.meta, source))
            indices = measure_cine(segmentation, context=_context(source, stream))
            if self.regressor is not None:
                indices = with_regressed(indices, self.regressor(stream))
            extras = _dicom_files(source, segmentation, indices, self.options)
            licence = self.segmenter.config.licence
            document = write_case(case_dir, segmentation, indices, cine, formats, licence=licence, extras=extras)
        self.book.keep(source.name, segmentation, indices)
        return document


def _opened(source: Source, options: SegmentOptions) -> CineStream:
    return open_cine(source.path, fps=options.fps, spacing=options.spacing_mm)


def _placed(meta: CineMeta, source: Source) -> CineMeta:
    """The same with the full path as its source, by which a later call knows the result again, and the view of a `views.csv`."""
    said = source.listed
    view = said.view if said is not None and said.view not in (None, View.UNKNOWN) else meta.view
    return replace(meta, source=source.full, view=view)


def _context(source: Source, stream: CineStream) -> Context:
    """What is known beside the masks: the body surface, from the header, and what of the image is ultrasound."""
    sector = find_sector(stream, stream.meta.region)
    surface = None if source.facts is None else source.facts.body_surface_m2
    return Context(body_surface_m2=surface, sector=None if sector is None else sector.fan)


def _dicom_files(source: Source, segmentation: Segmentation, indices: Indices, options: SegmentOptions) -> Writers:
    """Writers of DICOM objects; what nobody asked for and a source is too odd for is left out with a warning."""
    _, formats = formats_of(options.formats, is_dicom=source.facts is not None)
    if not formats:
        return {}
    from echoseg.report import dicom_writers

    try:
        return dicom_writers(source.path, segmentation, indices, formats)
    except InputError as error:
        if options.formats is not None:
            raise
        reason = str(error).replace(str(source.path), source.shown)
        complain(f"warning: {source.name}: no DICOM objects are written: {reason}")
        return {}


@dataclass(frozen=True)
class _Studies:
    """What a study needs of this verb: see `StudyTools`."""

    options: SegmentOptions
    fetch: Callable[[], None] | None = None

    def remeasured(self, source: Source, case_dir: Path) -> tuple[Segmentation, Indices]:
        """Masks of an earlier call, measured again."""
        if self.fetch is not None:
            self.fetch()
        document = read_result(case_dir)
        if document is None:
            raise InputError(f"{case_dir}: holds no result; segment {source.shown} again, without --skip-existing")
        with _opened(source, self.options) as stream:
            meta, context = _placed(stream.meta, source), _context(source, stream)
        _, masks = read_masks(case_dir / MASKS_FILE)
        known = [frame["confidence"] for frame in document["frames"]]
        confidence = None if None in known else np.array(known, np.float32)
        segmentation = Segmentation(
            replace(meta, n_frames=len(masks)),
            masks,
            confidence,
            str(document["model"]),
            tuple(document.get("beyond_training", ())),
            document.get("doubtful_below"),
        )
        return segmentation, measure_cine(segmentation, context=context)

    def extras(self, a4c: Source, a2c: Source, study: StudyEjection, document: Document) -> Writers:
        """The biplane numbers as a structured report, where both views are DICOM objects and reports are asked for."""
        both_dicom = a4c.facts is not None and a2c.facts is not None
        _, formats = formats_of(self.options.formats, is_dicom=both_dicom)
        if not both_dicom or "sr" not in formats:
            return {}
        from echoseg.report import write_study_sr

        if self.fetch is not None:
            self.fetch()
        quality = Quality(QualityFlag(document["quality"]["flag"]), tuple(document["quality"]["reasons"]))
        sources, model = (a4c.path, a2c.path), document["model"]
        return {STUDY_SR_FILE: lambda path: write_study_sr(path, sources, study, model=model, quality=quality)}


def _prepared(options: SegmentOptions, book: StudyBook, study: FetchedStudy | None) -> _Segmentation:
    """Load what the call needs, after a server has given what it shall."""
    chosen = options.threads, options.backend
    segmenter = load_segmenter(options.model, *chosen)
    regressor = None if options.ef_model is None else load_regressor(options.ef_model, *chosen)
    if study is not None:
        study.fetch()
    return _Segmentation(segmenter, options, book, (lambda _: None) if study is None else study.check, regressor)


def _read_whole(source: Source, options: SegmentOptions) -> None:
    """Decode a cine to its end, which is what shows whether it is damaged."""
    with _opened(source, options) as stream:
        for _ in stream:
            pass


def _write_page(
    options: SegmentOptions, record_dir: Path, records: Sequence[CaseRecord], studies: Sequence[StudyRecord]
) -> None:
    """The page of all studies and cines, where there are several and pages are asked for."""
    formats, _ = formats_of(options.formats, is_dicom=False)
    page = record_dir / COHORT_FILE
    changed = any(one.status == "done" for one in records) or not page.is_file()
    if "html" in formats and changed and len(records) > 1 and any(one.result is not None for one in records):
        from echoseg.report import write_cohort

        write_cohort(page, records, studies, folder=options.out)


def run(args: Sequence[str]) -> int:
    """Segment what a command line names."""
    options, inputs = parse_with_inputs(SegmentOptions, "segment", args, needs_inputs=False)
    _check_call(options, inputs)
    with ExitStack() as stack:
        study = stack.enter_context(fetched_study(options.server, options.out)) if options.server.dicomweb else None
        sources = find_cines(inputs, options.out) if study is None else study.sources
        if sources.ignored:
            complain(sources.ignored_text())
        return _run(options, sources, study, ("echoseg", "segment", *map(printable, args)))


def _check_call(options: SegmentOptions, inputs: Sequence[Path]) -> None:
    """Refuse words that do not go together, before anything is read."""
    options.server.check()
    if options.server.dicomweb is not None and inputs:
        raise UsageError(f"{inputs[0]}: files and --dicomweb in one call; make two calls of it")
    if options.server.dicomweb is None and not inputs:
        raise UsageError("no input is given; name at least one file or folder, or --dicomweb URL --study UID")
    if options.server.store:
        if options.shard is not None:
            raise UsageError("--store with --shard: a study is stored whole or not at all; leave out --shard")
        if not formats_of(options.formats, is_dicom=True)[1]:
            raise UsageError("--store: none of --formats is a DICOM object; add seg, sr or dicom-video")


def _run(options: SegmentOptions, sources: Sources, study: FetchedStudy | None, call: tuple[str, ...]) -> int:
    groups = group_studies(sources.cases)
    portions = by_study(sources.cases, groups)
    cases = tuple(chain.from_iterable(portions if options.shard is None else options.shard.take(portions)))
    mine = {case.name for case in cases}
    tools = _Studies(options, None if study is None else study.fetch)
    book = StudyBook(
        [group for group in groups if group.cases[0].name in mine],
        options.out,
        StudyTools(tools.remeasured, tools.extras),
    )
    batch = Batch(
        verb="segment",
        call=call,
        cases=cases,
        out=options.out,
        skip_existing=options.skip_existing,
        shard=options.shard,
        as_json=options.json,
        left_alone=tuple((printable(str(path)), noun) for path, noun in sources.ignored.items()),
        studies=book,
        finish=partial(_write_page, options),
        check=partial(_read_whole, options=options) if study is None else None,
        deliver=None if study is None or not options.server.store else partial(study.store, options.out),
    )
    return run_batch(batch, lambda: _prepared(options, book, study))
