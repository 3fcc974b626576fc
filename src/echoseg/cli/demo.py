"""`echoseg demo`: see it work on simulated cines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from echoseg.cli.options import parse
from echoseg.cli.output import printable, say


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
    from echoseg.recipes.demo import run_demo

    report = run_demo(options.out)
    say(f"report  {printable(str(report))}     open it in a browser")
    return 0
