"""`echoseg deid`: de-identified copies of ultrasound DICOM files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg
from tyro.constructors import PrimitiveConstructorSpec

from echoseg.cli.meter import Meter
from echoseg.cli.options import Flag, OutFolder, parse_with_inputs
from echoseg.cli.output import complain, printable, say, write_json
from echoseg.errors import EchosegError, InputError, OutputError, PartialFailureError, UsageError
from echoseg.io.deid.copying import Deidentifier, what_it_is
from echoseg.io.deid.pseudonyms import Pseudonyms
from echoseg.io.sector import Box
from echoseg.io.sniff import Format, sniff

_NO_DICOM = "file that is no DICOM"


def parse_box(text: str) -> Box:
    """`TOP,LEFT,BOTTOM,RIGHT` in pixels."""
    numbers = [int(part) for part in text.split(",")] if re.fullmatch(r"\d+(,\d+){3}", text) else []
    if len(numbers) != 4 or numbers[0] >= numbers[2] or numbers[1] >= numbers[3]:
        raise UsageError(
            f"--keep-box {text}: give TOP,LEFT,BOTTOM,RIGHT in pixels, the last two beyond the first two (60,100,540,700)"
        )
    top, left, bottom, right = numbers
    return top, left, bottom, right


_BOX = PrimitiveConstructorSpec(
    nargs=1,
    metavar="TOP,LEFT,BOTTOM,RIGHT",
    instance_from_str=lambda words: parse_box(words[0]),
    is_instance=lambda value: isinstance(value, tuple),
    str_from_instance=lambda value: [",".join(map(str, value))],
)


@dataclass(frozen=True)
class DeidOptions:
    """Write de-identified copies of ultrasound DICOM files: a clean header, and nothing in the picture but the ultrasound sector.

    Attributes:
        inputs: DICOM files, and folders that are searched for them.
        out: folder of the copies, a new or an empty one: PATIENT/STUDY/NUMBER.dcm under new names.
        keep_box: keep this part of every frame in place of the sector that is found; you have seen that no name is in it.
        shift_dates: move dates, by another number of days for each patient, in place of removing them.
        json: write one line of JSON to stdout in place of the text.
    """

    inputs: Annotated[Positional[tuple[Path, ...]], arg(metavar="INPUT...", help_behavior_hint="(required)")]
    out: OutFolder
    keep_box: Annotated[Annotated[Box, _BOX] | None, arg(help_behavior_hint="(default: the sector that is found)")] = (
        None
    )
    shift_dates: Flag = False
    json: Flag = False


@dataclass(frozen=True)
class _Ending:
    """How the copy of a file ended.

    Attributes:
        source: the original.
        copy: the new file, None where there is none.
        kept: share of the picture that was kept.
        error: why there is no copy.
    """

    source: Path
    copy: Path | None = None
    kept: float | None = None
    error: EchosegError | None = None


def run(args: Sequence[str]) -> int:
    """De-identify what a command line names."""
    options, inputs = parse_with_inputs(DeidOptions, "deid", args)
    _check_new(options.out)
    found, left_alone = _search(inputs, options.out)
    deidentifier = Deidentifier(options.out, Pseudonyms(options.shift_dates), options.keep_box)
    endings = []
    with Meter() as meter:
        for number, path in enumerate(found):
            meter.show("de-identifying", number, len(found))
            endings.append(_one(deidentifier, path))
        meter.show("de-identifying", len(found), len(found))
    if not endings:
        raise InputError(f"{printable(str(inputs[0]))}: no ultrasound DICOM file; {_left(left_alone) or 'name others'}")
    _show(options, endings, left_alone)
    errors = [ending.error for ending in endings if ending.error is not None]
    if not errors:
        return 0
    return errors[0].exit_code if len(errors) == len(endings) else PartialFailureError.exit_code


def _check_new(out: Path) -> None:
    """Refuse a folder with anything in it: what it holds could be taken for de-identified."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(
            f"{out}: not an empty folder; give a new one with -o, so that it holds de-identified files only"
        )


def _search(inputs: Sequence[Path], out: Path) -> tuple[list[Path], Counter[str]]:
    """Files to work on, and what was left alone by kind."""
    found: dict[Path, None] = {}
    left_alone: Counter[str] = Counter()
    for path in inputs:
        if not path.exists():
            raise InputError(f"{path}: no such file or folder; check the path")
        if not path.is_dir():
            found[path] = None
            continue
        for file in sorted(file for file in path.rglob("*") if file.is_file() and out not in file.parents):
            noun = _other(file)
            if noun is None:
                found[file] = None
            else:
                left_alone[noun] += 1
    return list(found), left_alone


def _other(file: Path) -> str | None:
    """A noun for a file in a searched folder that is no ultrasound, None for one to work on or to complain about."""
    try:
        return what_it_is(file) if sniff(file) is Format.DICOM else _NO_DICOM
    except InputError:
        return _NO_DICOM if not _starts_like_dicom(file) else None


def _starts_like_dicom(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(132)[128:] == b"DICM"


def _one(deidentifier: Deidentifier, path: Path) -> _Ending:
    try:
        if sniff(path) is not Format.DICOM:
            raise InputError(f"{path}: no DICOM file; other formats have no header to clean, name DICOM files")
        noun = what_it_is(path)
        if noun is not None:
            raise InputError(f"{path}: a {noun}; only ultrasound pictures are de-identified, leave it out")
        copied = deidentifier.copy(path)
    except OutputError:
        raise  # a full disk will not take the next one either
    except EchosegError as error:
        complain(str(error))
        return _Ending(path, error=error)
    return _Ending(path, copied.path, copied.kept)


def _show(options: DeidOptions, endings: Sequence[_Ending], left_alone: Counter[str]) -> None:
    done = [ending for ending in endings if ending.copy is not None]
    if left_alone:
        complain(_left(left_alone))
    if options.json:
        write_json(
            {
                "out": str(options.out),
                "done": len(done),
                "failed": len(endings) - len(done),
                "left_alone": dict(left_alone),
                "files": [
                    {
                        "source": str(ending.source),
                        "copy": None if ending.copy is None else str(ending.copy),
                        "kept_share": None if ending.kept is None else round(ending.kept, 4),
                        "error": None if ending.error is None else str(ending.error),
                    }
                    for ending in endings
                ],
            }
        )
        return
    for ending in done:
        say(f"{printable(str(ending.source))}  ->  {ending.copy}  ({ending.kept or 0:.0%} of the picture kept)")
    say(f"{len(done)} of {len(endings)} files de-identified; look at the pictures before you pass them on")


def _left(left_alone: Counter[str]) -> str:
    """What was left alone, counted."""
    kinds = [f"{number} {noun}{'s' if number > 1 else ''}" for noun, number in sorted(left_alone.items())]
    kinds = [kind.replace("file that is no DICOMs", "files that are no DICOM") for kind in kinds]
    return f"left alone and not copied: {', '.join(kinds)}" if kinds else ""
