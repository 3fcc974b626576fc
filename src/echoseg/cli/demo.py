"""`echoseg demo`: see it work on simulated cines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from echoseg.cli.meter import Meter
from echoseg.cli.optional import require
from echoseg.cli.options import parse
from echoseg.cli.output import printable, say
from echoseg.cli.table import show_table


@dataclass(frozen=True)
class DemoOptions:
    """See it work on simulated cines, with no data of your own.

    Attributes:
        out: folder for everything that is made.
    """

    out: Annotated[Path, arg(aliases=["-o"], metavar="DIR")] = Path("echoseg-demo")


def run(args: Sequence[str]) -> int:
    """Run the demonstration."""
    options = parse(DemoOptions, "demo", args)
    require("train", "demo")
    from echoseg.recipes.demo import run_demo

    with Meter() as meter:
        result = run_demo(options.out, meter.show)
    header, *rows = result.rows
    show_table(header, rows)
    show_table(("segmented with the shipped model", "EF", "quality"), result.cases)
    say(f"report  {printable(str(result.report))}     open it in a browser")
    return 0
