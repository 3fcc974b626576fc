"""`echoseg measure`: every number that segmenting a cine gives, from masks that exist already."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from tyro.conf import Positional, arg

from echoseg.cine import CineMeta, MaskStack, Segmentation, UInt8, View
from echoseg.cli.batch import Batch, run_batch, with_full_source
from echoseg.cli.options import Flag, Formats, Fps, OutFolder, SpacingMm, parse_with_inputs
from echoseg.cli.output import printable
from echoseg.cli.sources import Source, named_files
from echoseg.cli.studies import StudyBook, StudyTools, group_studies
from echoseg.cli.views import Listed, ViewTable, read_views
from echoseg.cli.worker import Watch
from echoseg.clinical import Context, Indices, measure_cine
from echoseg.errors import InputError, UsageError
from echoseg.io import CineStream, open_cine, read_masks
from echoseg.report import write_case
from echoseg.report.case import USUAL_FORMATS
from echoseg.report.result import Document


@dataclass(frozen=True)
class MeasureOptions:
    """Measure masks of every frame (labels 0 background, 1 LV, 2 myocardium, 3 left atrium): volumes, EF, strain and more.

    Attributes:
        masks: mask files: NIfTI, MetaImage, NPZ or DICOM SEG.
        out: folder of the results: one folder a case, summary.csv, studies.csv and run.json.
        method: formula of the volumes; the other one stands beside it.
        spacing_mm: size of a pixel in mm, or ROW,COL where pixels are not square, in place of what the file says.
        fps: frames per second, in place of what the file says.
        view: apical view of the masks, in place of what the file says.
        views: CSV table with the columns file, view and study: views of several files, and which of them belong to a study.
        a2c: masks of the two-chamber view of the same study, to be measured biplane with one file of the four-chamber view.
        cine: the cine of one file of masks: its frames are drawn, and it says what the masks do not (time, pixel size, view).
        body_surface_m2: body surface of the patient, to index volumes and mass by; one patient a call.
        display: whether the image is the standard display of its view or its mirror image; names the walls of the strain.
        formats: what to write beside result.json; without --cine pictures show the masks on black.
        skip_existing: leave alone cases that have a result already.
        json: write one line of JSON to stdout in place of the table.
    """

    masks: Annotated[Positional[tuple[Path, ...]], arg(metavar="MASKS...", help_behavior_hint="(required)")]
    out: OutFolder
    method: Literal["simpson_single_plane", "area_length"] = "simpson_single_plane"
    spacing_mm: SpacingMm = None
    fps: Fps = None
    view: Annotated[Literal["A4C", "A2C"] | None, arg(help_behavior_hint="(default: from the file)")] = None
    views: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="(default: none)")] = None
    a2c: Annotated[Path | None, arg(metavar="MASKS", help_behavior_hint="(default: none)")] = None
    cine: Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="(default: none)")] = None
    body_surface_m2: Annotated[float | None, arg(metavar="M2", help_behavior_hint="(default: unknown)")] = None
    display: Annotated[Literal["standard", "mirrored"] | None, arg(help_behavior_hint="(default: unknown)")] = None
    formats: Formats = USUAL_FORMATS
    skip_existing: Flag = False
    json: Flag = False

    @property
    def context(self) -> Context:
        """What the call says of the patient and the images."""
        return Context(body_surface_m2=self.body_surface_m2, display=self.display)


@dataclass(frozen=True)
class _Measurement:
    """Measures one file of masks after the other."""

    options: MeasureOptions
    book: StudyBook
    model: None = None

    def __call__(self, source: Source, case_dir: Path, watch: Watch) -> Document:
        options = self.options
        with _opened(source, options) as (stream, masks):
            segmentation = _segmentation(source, stream, masks, options)
            indices = measure_cine(segmentation, method=options.method, context=options.context)
            document = write_case(case_dir, segmentation, indices, watch(stream), options.formats)
        self.book.keep(source.name, segmentation, indices)
        return document


def _again(options: MeasureOptions, source: Source) -> tuple[Segmentation, Indices]:
    """Masks of a case that this call left alone, measured for its study."""
    with _opened(source, options) as (stream, masks):
        segmentation = _segmentation(source, stream, masks, options)
    return segmentation, measure_cine(segmentation, method=options.method, context=options.context)


@contextmanager
def _opened(source: Source, options: MeasureOptions) -> Iterator[tuple[CineStream, MaskStack]]:
    """Frames to draw on, with all that is known of the cine, and its masks."""
    meta, masks = read_masks(source.path)
    frames = black_frames(meta) if options.cine is None else open_cine(options.cine)
    with frames.overridden(options.fps, options.spacing_mm) as stream:
        if options.cine is not None and (stream.meta.shape != meta.shape or stream.meta.n_frames != meta.n_frames):
            raise InputError(
                f"{source.shown}: {meta.n_frames} masks of {meta.shape} for the {stream.meta.n_frames} frames of "
                f"{stream.meta.shape} in {options.cine}; give the cine that the masks were drawn on"
            )
        yield stream, masks


def _segmentation(source: Source, stream: CineStream, masks: MaskStack, options: MeasureOptions) -> Segmentation:
    """Masks of a case, with the view that the call or its table gives."""
    said = source.listed.view if source.listed is not None else None
    if options.view is not None:
        said = View(options.view)
    view = stream.meta.view if said in (None, View.UNKNOWN) else said
    meta = replace(stream.meta, view=view, n_frames=len(masks))
    return with_full_source(Segmentation(meta, masks, None, f"masks of {source.path.name}"), source.path)


def black_frames(meta: CineMeta) -> CineStream:
    """Frames to draw masks on where the cine itself is not there."""

    def decode() -> Generator[UInt8, None, None]:
        black = np.zeros(meta.shape, np.uint8)
        for _ in range(meta.n_frames):
            yield black

    return CineStream(meta, decode)


def _cases(options: MeasureOptions, files: Sequence[Path]) -> tuple[Source, ...]:
    """The cases of a call, with what it says of their views and studies.

    Raises:
        UsageError: options that do not go together.
    """
    if options.a2c is not None and (len(files) != 1 or options.view is not None or options.views is not None):
        raise UsageError(
            "--a2c goes with one file of the four-chamber view, without --view and --views; name more studies in a table with --views"
        )
    if options.view is not None and options.views is not None:
        raise UsageError("--view and --views both say the view; leave one out")
    if options.cine is not None and (len(files) != 1 or options.a2c is not None):
        raise UsageError("--cine belongs to one file of masks; measure one file a call")
    if options.body_surface_m2 is not None and len(files) != 1:
        raise UsageError("--body-surface-m2 is that of one patient; measure one patient a call")
    if options.a2c is not None:
        four, two = named_files((*files, options.a2c)).cases
        return replace(four, listed=Listed(View.A4C, four.name)), replace(two, listed=Listed(View.A2C, four.name))
    cases = named_files(files).cases
    if options.views is None:
        return cases
    table = read_views(options.views)
    return tuple(_listed(case, table) for case in cases)


def _listed(case: Source, table: ViewTable) -> Source:
    """A case with what a table says of it."""
    listed = table.get(case.path)
    if listed is not None and listed.view is None:
        raise UsageError(f"{case.shown}: the table of views says to leave it alone; do not name it")
    return replace(case, listed=listed)


def run(args: Sequence[str]) -> int:
    """Measure what a command line names."""
    options, files = parse_with_inputs(MeasureOptions, "measure", args)
    cases = _cases(options, files)
    tools = StudyTools(remeasure=lambda source, _: _again(options, source), extras=lambda *_: {})
    book = StudyBook(group_studies(cases), options.out, tools)
    batch = Batch(
        verb="measure",
        call=("echoseg", "measure", *map(printable, args)),
        cases=cases,
        out=options.out,
        skip_existing=options.skip_existing,
        as_json=options.json,
        studies=book,
    )
    return run_batch(batch, lambda: _Measurement(options, book))
