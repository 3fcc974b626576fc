"""`echoseg export`: turn a training run into a model folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from echoseg.cli.optional import require
from echoseg.cli.options import OutFolder, parse
from echoseg.cli.output import printable, say


@dataclass(frozen=True)
class ExportOptions:
    """Write the best weights of a training run as a model folder: model.onnx, config.json, card.md.

    Attributes:
        run: folder of the run, the -o of `echoseg train`.
        out: model folder to make; an existing model folder there is replaced.
    """

    run: Annotated[Positional[Path], arg(metavar="RUN")]
    out: OutFolder


def run(args: Sequence[str]) -> int:
    """Export what a command line names."""
    options = parse(ExportOptions, "export", args)
    require("train", "export")
    from echoseg.recipes.run import export_run

    folder = export_run(options.run, options.out)
    say(f"model  {printable(str(folder))}")
    return 0
