"""`echoseg segment`: cines -> masks, volumes, ejection fraction, a report for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from echoseg.cli.batch import Batch, Watch, run_batch, with_full_source
from echoseg.cli.models import load_regressor, load_segmenter
from echoseg.cli.options import (
    Flag,
    Formats,
    Fps,
    Inputs,
    OutFolder,
    ShardOption,
    SpacingMm,
    Threads,
    parse_with_inputs,
)
from echoseg.cli.output import complain, printable
from echoseg.cli.sources import Source, find_cines
from echoseg.clinical import measure_cine, with_regressed
from echoseg.engine import EfRegressor, Segmenter
from echoseg.io import open_cine
from echoseg.report import FORMATS, write_case
from echoseg.report.result import Document


@dataclass(frozen=True)
class SegmentOptions:
    """Segment every frame of cines; measure volumes and ejection fraction; write DIR/<case>/report.html and more.

    Attributes:
        inputs: cines (DICOM, AVI, MP4, MKV, GIF, NIfTI, MetaImage, NPZ), folders of images, or folders to search for cines.
        out: folder of the results: one folder a case, summary.csv and run.json.
        model: name of a model that ships (see `echoseg info`), or a model folder.
        ef_model: folder of a model that regresses the ejection fraction; its number is reported beside the one from the masks.
        spacing_mm: size of a pixel in mm, or ROW,COL where pixels are not square, in place of what the file says.
        fps: frames per second, in place of what the file says.
        formats: what to write beside result.json.
        skip_existing: leave alone cases that have a result already.
        shard: work on the I-th of N shares of the cases only.
        threads: CPU threads of the network.
        json: write one line of JSON to stdout in place of the table.
    """

    inputs: Inputs
    out: OutFolder
    model: Annotated[str, arg(metavar="NAME|DIR")] = "a4c"
    ef_model: Annotated[str | None, arg(metavar="NAME|DIR", help_behavior_hint="(default: none)")] = None
    spacing_mm: SpacingMm = None
    fps: Fps = None
    formats: Formats = FORMATS
    skip_existing: Flag = False
    shard: ShardOption = None
    threads: Threads = None
    json: Flag = False


@dataclass(frozen=True)
class _Segmentation:
    """Segments one case after the other with one loaded model."""

    segmenter: Segmenter
    options: SegmentOptions
    regressor: EfRegressor | None = None

    @property
    def model(self) -> str:
        return self.segmenter.config.title

    def __call__(self, source: Source, case_dir: Path, watch: Watch) -> Document:
        options, config = self.options, self.segmenter.config
        with open_cine(source.path, fps=options.fps, spacing=options.spacing_mm) as stream:
            cine = watch(stream)
            segmentation = with_full_source(self.segmenter(cine), source.path)
            indices = measure_cine(segmentation)
            if self.regressor is not None:
                indices = with_regressed(indices, self.regressor(stream))
            return write_case(case_dir, segmentation, indices, cine, options.formats, licence=config.licence)


def _prepared(options: SegmentOptions) -> _Segmentation:
    """Load what the call needs."""
    regressor = None if options.ef_model is None else load_regressor(options.ef_model, options.threads)
    return _Segmentation(load_segmenter(options.model, options.threads), options, regressor)


def run(args: Sequence[str]) -> int:
    """Segment what a command line names."""
    options, inputs = parse_with_inputs(SegmentOptions, "segment", args)
    sources = find_cines(inputs, options.out)
    if sources.ignored:
        complain(sources.ignored_text())
    batch = Batch(
        verb="segment",
        call=("echoseg", "segment", *map(printable, args)),
        cases=sources.cases if options.shard is None else options.shard.take(sources.cases),
        out=options.out,
        skip_existing=options.skip_existing,
        shard=options.shard,
        as_json=options.json,
        ignored=len(sources.ignored),
    )
    return run_batch(batch, lambda: _prepared(options))
