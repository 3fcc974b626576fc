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
        calibrate: data folder whose validation cines say how sure the model may be: its probabilities are fitted to them.
    """

    run: Annotated[Positional[Path], arg(metavar="RUN")]
    out: OutFolder
    calibrate: Annotated[Path | None, arg(metavar="DIR", help_behavior_hint="(default: as the run did)")] = None


def run(args: Sequence[str]) -> int:
    """Export what a command line names."""
    options = parse(ExportOptions, "export", args)
    require("train", "export")
    from echoseg.datasets import open_dataset
    from echoseg.recipes.finished import calibrate_run
    from echoseg.recipes.run import export_run
    from echoseg.recipes.stores import Stores

    if options.calibrate is not None:
        sure = calibrate_run(options.run, Stores(open_dataset(options.calibrate)))
        say(f"temperature  {sure.temperature:.2f}\ndoubtful     below a confidence of {sure.doubtful_below:.2f}")
    folder = export_run(options.run, options.out)
    say(f"model  {printable(str(folder))}")
    return 0
