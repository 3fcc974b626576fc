"""Options that several verbs share, and the one way in which a verb's words become a dataclass."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, TypeVar

import tyro
from tyro.conf import Positional, arg
from tyro.constructors import PrimitiveConstructorSpec

from echoseg.cine import Spacing
from echoseg.errors import InputError, UsageError
from echoseg.report import FORMATS
from echoseg.report.case import USUAL_FORMATS
from echoseg.report.dicom_files import DICOM_FORMATS

T = TypeVar("T")

_STYLE = (tyro.conf.FlagCreatePairsOff, tyro.conf.DisallowNone)
_FROM_FILE = "(default: from the file)"
_OLD_NAMES = {"dicom-seg": "seg", "dicom-sr": "sr", "dicom": "seg,sr"}


@dataclass(frozen=True)
class Shard:
    """A share of the cases, for several machines that work on the same list.

    Attributes:
        number: which share, 1 is the first.
        of: number of shares.
    """

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def take(self, items: Sequence[T]) -> tuple[T, ...]:
        """Every `of`-th item, beginning with the one at `number`."""
        return tuple(items[self.number - 1 :: self.of])


def parse_spacing(text: str) -> Spacing:
    """`0.3` (square pixels) or `0.308,0.154` (rows, columns) in mm."""
    try:
        sizes = [float(part) for part in text.split(",")]
        if len(sizes) not in (1, 2):
            raise ValueError
        return Spacing(sizes[0], sizes[-1])
    except (ValueError, InputError):
        raise UsageError(
            f"--spacing-mm {text}: give the size of a pixel in mm, or ROW,COL where pixels are not square (0.308,0.154)"
        ) from None


def parse_fps(text: str) -> float:
    """A positive frame rate."""
    try:
        fps = float(text)
    except ValueError:
        fps = math.nan
    if not (math.isfinite(fps) and fps > 0):
        raise UsageError(f"--fps {text}: give a positive number of frames per second")
    return fps


def parse_formats(text: str) -> frozenset[str]:
    """Names of formats, with commas between them."""
    known = FORMATS | DICOM_FORMATS
    chosen = frozenset(part.strip() for part in text.split(","))
    for name in sorted(chosen - known):
        cure = f"write {_OLD_NAMES[name]}" if name in _OLD_NAMES else f"choose among {', '.join(sorted(known))}"
        raise UsageError(f"--formats {text}: {name!r} is unknown; {cure}")
    return chosen


def formats_of(chosen: frozenset[str] | None, *, is_dicom: bool) -> tuple[frozenset[str], frozenset[str]]:
    """What to write of a case: files, and DICOM objects.

    What hospitals file, a segmentation and a structured report, is made of DICOM sources unless the call says otherwise.

    Args:
        chosen: what the call says, None where it says nothing.
        is_dicom: whether the source is a DICOM object.
    """
    if chosen is None:
        return USUAL_FORMATS, _usual_dicom_formats() if is_dicom else frozenset()
    return chosen - DICOM_FORMATS, chosen & DICOM_FORMATS


def _usual_dicom_formats() -> frozenset[str]:
    """A report takes a package of the extra `dicom`, a segmentation none."""
    return frozenset({"seg", "sr"} if find_spec("highdicom") else {"seg"})


def parse_shard(text: str) -> Shard:
    """`I/N` with 1 <= I <= N."""
    first, _, second = text.partition("/")
    if not (first.isdecimal() and second.isdecimal() and 1 <= int(first) <= int(second)):
        raise UsageError(f"--shard {text}: give I/N, for example 1/4 for the first of four shares")
    return Shard(int(first), int(second))


def _spec(
    kind: type[T], metavar: str, read: Callable[[str], T], show: Callable[[T], str]
) -> PrimitiveConstructorSpec[T]:
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=metavar,
        instance_from_str=lambda words: read(words[0]),
        is_instance=lambda value: isinstance(value, kind),
        str_from_instance=lambda value: [show(value)],
    )


InputsOrServer = Annotated[Positional[tuple[Path, ...]], arg(metavar="INPUT...", help_behavior_hint="(or --dicomweb)")]
Flag = Annotated[bool, arg(help_behavior_hint="")]
OutFolder = Annotated[Path, arg(aliases=["-o"], metavar="DIR")]
DataFolder = Annotated[Path, arg(metavar="DIR")]
SpacingMm = Annotated[
    Annotated[Spacing, _spec(Spacing, "MM", parse_spacing, lambda s: f"{s.row_mm},{s.col_mm}")] | None,
    arg(help_behavior_hint=_FROM_FILE),
]
Fps = Annotated[
    Annotated[float, _spec(float, "FPS", parse_fps, str)] | None,
    arg(help_behavior_hint=_FROM_FILE),
]
Formats = Annotated[frozenset[str], _spec(frozenset, "NAME,...", parse_formats, lambda names: ",".join(sorted(names)))]
SourceFormats = Annotated[
    Annotated[frozenset[str], _spec(frozenset, "NAME,...", parse_formats, lambda names: ",".join(sorted(names)))]
    | None,
    arg(help_behavior_hint="(default: csv,html,mp4,nifti, and seg,sr of DICOM cines)"),
]
ShardOption = Annotated[
    Annotated[Shard, _spec(Shard, "I/N", parse_shard, str)] | None,
    arg(help_behavior_hint="(default: all cases)"),
]
Backend = Annotated[str, arg(metavar="NAME")]
Threads = Annotated[int | None, arg(metavar="N", help_behavior_hint="(default: one per core)")]


def parse(kind: type[T], verb: str, args: Sequence[str]) -> T:
    """The words after a verb as an instance of a dataclass, whose docstrings are the help.

    Raises:
        SystemExit: help was asked for (0), or the words do not fit (2).
    """
    return tyro.cli(kind, prog=f"echoseg {verb}", args=list(args), config=_STYLE)


def parse_with_inputs(
    kind: type[T], verb: str, args: Sequence[str], *, needs_inputs: bool = True
) -> tuple[T, tuple[Path, ...]]:
    """The same for a verb whose inputs may stand anywhere, before and after its options (`a.avi -o out b.avi`).

    Args:
        kind: dataclass; its first field holds the inputs.
        verb: for the help.
        args: the words.
        needs_inputs: refuse a call without any.

    Returns:
        The options, and all inputs.
    """
    options, rest = tyro.cli(kind, prog=f"echoseg {verb}", args=list(args), config=_STYLE, return_unknown_args=True)
    if any(word.startswith("-") for word in rest):
        parse(kind, verb, args)  # says which option there is not
    first: tuple[Path, ...] = next(iter(vars(options).values()))
    inputs = (*first, *map(Path, rest))
    if needs_inputs and not inputs:
        raise UsageError("no input is given; name at least one file or folder")
    _check_numbers(inputs)
    return options, inputs


def _check_numbers(inputs: Sequence[Path]) -> None:
    """Refuse a call in which a number strayed among the inputs."""
    for path in inputs:
        if not path.exists() and re.fullmatch(r"[0-9.]+", str(path)):
            raise UsageError(
                f"{path}: no such file or folder; where pixels are not square, --spacing-mm takes ROW,COL with a comma"
            )
