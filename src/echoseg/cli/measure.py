"""`echoseg measure`: volumes and ejection fraction from masks that exist already."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from tyro.conf import Positional, arg

from echoseg.cine import CineMeta, Segmentation, UInt8
from echoseg.cli.batch import Batch, Watch, run_batch, with_full_source
from echoseg.cli.options import Flag, Formats, Fps, OutFolder, SpacingMm, parse_with_inputs
from echoseg.cli.output import printable
from echoseg.cli.sources import Source, named_files
from echoseg.clinical import measure_cine
from echoseg.io import CineStream, read_masks
from echoseg.report import FORMATS, write_case
from echoseg.report.result import Document


@dataclass(frozen=True)
class MeasureOptions:
    """Measure volumes and ejection fraction on masks of every frame (labels 0 background, 1 LV, 2 myocardium, 3 left atrium).

    Attributes:
        masks: mask files: NIfTI, MetaImage or NPZ.
        out: folder of the results: one folder a case, summary.csv and run.json.
        method: formula of the volumes.
        spacing_mm: size of a pixel in mm, or ROW,COL where pixels are not square, in place of what the file says.
        fps: frames per second, in place of what the file says.
        formats: what to write beside result.json; pictures show the masks on black.
        skip_existing: leave alone cases that have a result already.
        json: write one line of JSON to stdout in place of the table.
    """

    masks: Annotated[Positional[tuple[Path, ...]], arg(metavar="MASKS...", help_behavior_hint="(required)")]
    out: OutFolder
    method: Literal["simpson_single_plane", "area_length"] = "simpson_single_plane"
    spacing_mm: SpacingMm = None
    fps: Fps = None
    formats: Formats = FORMATS
    skip_existing: Flag = False
    json: Flag = False


@dataclass(frozen=True)
class _Measurement:
    """Measures one file of masks after the other."""

    options: MeasureOptions
    model: None = None

    def __call__(self, source: Source, case_dir: Path, watch: Watch) -> Document:
        options = self.options
        meta, masks = read_masks(source.path)
        stream = black_frames(meta).overridden(options.fps, options.spacing_mm)
        segmentation = Segmentation(stream.meta, masks, None, f"masks of {source.path.name}")
        segmentation = with_full_source(segmentation, source.path)
        indices = measure_cine(segmentation, method=options.method)
        return write_case(case_dir, segmentation, indices, watch(stream), options.formats)


def black_frames(meta: CineMeta) -> CineStream:
    """Frames to draw masks on where the cine itself is not there."""

    def decode() -> Generator[UInt8, None, None]:
        black = np.zeros(meta.shape, np.uint8)
        for _ in range(meta.n_frames):
            yield black

    return CineStream(meta, decode)


def run(args: Sequence[str]) -> int:
    """Measure what a command line names."""
    options, files = parse_with_inputs(MeasureOptions, "measure", args)
    batch = Batch(
        verb="measure",
        call=("echoseg", "measure", *map(printable, args)),
        cases=named_files(files).cases,
        out=options.out,
        skip_existing=options.skip_existing,
        as_json=options.json,
    )
    return run_batch(batch, lambda: _Measurement(options))
