"""`echoseg data check`: what is wrong with a data folder, and how to mend it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from echoseg.cli.meter import Meter
from echoseg.cli.options import Flag, parse
from echoseg.cli.output import printable, say, write_json
from echoseg.cli.table import show_table
from echoseg.datasets import Finding, check_dataset
from echoseg.datasets.base import Severity
from echoseg.errors import InputError, UsageError

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
_SHOWN = 100  # findings in the table
_USAGE = "usage: echoseg data check DIR [--deep] [--json]     what is wrong with a data folder, and how to mend it"


@dataclass(frozen=True)
class CheckOptions:
    """Look for everything that would stop, bias or leak a training: broken files, bad tables, odd masks, leaks between splits.

    Attributes:
        folder: data folder in the layout of CAMUS or EchoNet-Dynamic, or with images/ and masks/.
        deep: decode every frame of every cine as well, which takes minutes on a whole data set.
        json: write one line of JSON to stdout in place of the table.
    """

    folder: Annotated[Positional[Path], arg(metavar="DIR")]
    deep: Flag = False
    json: Flag = False


def run(args: Sequence[str]) -> int:
    """Do with a data folder what a command line asks for."""
    if args and args[0] in ("-h", "--help"):
        say(_USAGE)
        return 0
    if not args or args[0] != "check":
        what = f"{args[0]} is nothing that can be done" if args else "what to do is missing"
        raise UsageError(f"data: {what}; give `echoseg data check DIR`")
    return _check(parse(CheckOptions, "data check", args[1:]))


def _check(options: CheckOptions) -> int:
    with Meter() as meter:
        findings = check_dataset(options.folder, deep=options.deep, progress=partial(meter.show, "check"))
    found = Counter(finding.severity for finding in findings)
    counts: dict[str, int] = {severity: found[severity] for severity in SEVERITIES}
    if options.json:
        write_json(
            {"folder": str(options.folder), "counts": counts, "findings": [asdict(finding) for finding in findings]}
        )
    else:
        _show(findings, options.folder, counts)
    return InputError.exit_code if counts["error"] else 0


def _show(findings: Sequence[Finding], folder: Path, counts: dict[str, int]) -> None:
    if findings:
        rows = [(one.severity, one.where, one.what, one.cure) for one in findings[:_SHOWN]]
        show_table(("", "where", "what", "cure"), rows)
    if len(findings) > _SHOWN:
        say(f"{len(findings) - _SHOWN} more findings; --json lists them all")
    words = ", ".join(f"{n} {name}{'s' if n != 1 and name != 'info' else ''}" for name, n in counts.items())
    say(f"{printable(str(folder))}: {words}")
