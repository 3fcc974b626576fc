"""`echoseg evaluate --ef`: results of `segment` or `measure` against a table of reference values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from echoseg.cli.batch import make_folder
from echoseg.cli.options import Flag, OutFolder, parse
from echoseg.cli.output import complain, printable, say, write_json
from echoseg.cli.table import show_table
from echoseg.errors import PartialFailureError

_TITLES = {"ef": "EF", "edv": "EDV", "esv": "ESV"}


@dataclass(frozen=True)
class EvaluateEfOptions:
    """Compare results of `segment` or `measure` with a CSV table of reference values: bias, limits of agreement, MAE, ICC, r.

    Attributes:
        results: folder that `segment` or `measure` wrote, or its summary.csv or studies.csv.
        ef: CSV table with a column that names the cine (file) or the study (study, patient), and ef in percent; edv and esv in mL
            are compared, too.
        out: folder for agreement.json, pairs.csv and cohort.html.
        json: write one line of JSON to stdout in place of the table.
    """

    results: Annotated[Positional[Path], arg(metavar="RESULTS")]
    ef: Annotated[Path, arg(metavar="REFERENCE.csv")]
    out: OutFolder
    json: Flag = False


def run(args: Sequence[str]) -> int:
    """Compare what a command line names."""
    # `--ef` wants a value, and `evaluate --ef --help` has none to give.
    words = ["--help"] if {"-h", "--help"} & set(args) else args
    options = parse(EvaluateEfOptions, "evaluate", words)
    from echoseg.reference_comparison import compare_with_references

    make_folder(options.out)
    document = compare_with_references(options.ef, options.results, options.out)
    for text in _complaints(document):
        complain(text)
    if options.json:
        write_json(document)
    else:
        _show(document, options)
    return PartialFailureError.exit_code if document["failed"] else 0


def _complaints(document: Mapping[str, Any]) -> Iterator[str]:
    """What could not be compared, by name."""
    from echoseg.reference_values import shown

    for name, reason in document["failed"].items():
        yield f"{name}: has a reference, but no ejection fraction: {reason}"
    for name, others in document["ambiguous"].items():
        yield f"{name}: several results answer to it ({shown(others)}); write its path in the table"
    for key, words in (("without_result", "rows without a result"), ("without_reference", "results without a row")):
        if document[key]:
            yield f"{len(document[key])} {words}: {shown(document[key])}"


def _show(document: Mapping[str, Any], options: EvaluateEfOptions) -> None:
    agreement = document["agreement"]
    header = ("result minus reference", *(f"{_TITLES[key]}, {found['unit']}" for key, found in agreement.items()))
    show_table(header, _rows(list(agreement.values())), right=range(1, len(header)))
    for flag, found in document["ef_by_quality"].items():
        if found["n"]:
            say(f"EF, quality {flag}: n = {found['n']}, bias {found['bias']:+.1f}, MAE {found['mae']:.1f} points")
    say("in brackets: 95 % interval, bootstrap over patients")
    page = ", cohort.html" if options.results.is_dir() else ""
    say(f"agreement  {printable(str(options.out))}/agreement.json, pairs.csv{page}")


def _rows(found: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    yield "n", *(str(one["n"]) for one in found)
    for title, name, form in (
        ("bias", "bias", "+.1f"),
        ("SD of differences", "sd", ".1f"),
        ("MAE", "mae", ".1f"),
        ("ICC(2,1)", "icc", ".3f"),
        ("r", "r", ".3f"),
    ):
        yield title, *(_value(one, name, form) for one in found)
    for title, index, name in (
        ("lower limit of agreement", 0, "lower_limit"),
        ("upper limit of agreement", 1, "upper_limit"),
    ):
        yield title, *(_value({**one, name: one["limits"][index]}, name, "+.1f") for one in found)


def _value(found: Mapping[str, Any], name: str, form: str) -> str:
    """A statistic with its interval."""
    if found[name] is None:
        return "undefined"
    low, high = found["intervals"][name]
    return f"{found[name]:{form}}" + ("" if low is None else f" ({low:{form}} to {high:{form}})")
