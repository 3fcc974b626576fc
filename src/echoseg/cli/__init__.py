"""The command line: a table of verbs, each in a file of its own that is imported only when it is called.

`echoseg --help`, `--version` and `info` answer from this file, `info.py` and the standard library, so that they are quick.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from echoseg.cli.output import complain, say, tolerate_encodings, write_json
from echoseg.errors import EchosegError, UsageError
from echoseg.version import __version__

USAGE_ERROR, INTERRUPTED, BROKEN_PIPE = 2, 130, 141

VERBS = {
    "demo": ("echoseg.cli.demo", "see it work on simulated cines, with no data of your own"),
    "segment": ("echoseg.cli.segment", "cines -> masks, volumes, ejection fraction, a report for each"),
    "measure": ("echoseg.cli.measure", "volumes and ejection fraction from masks that exist already"),
    "simulate": ("echoseg.cli.simulate", "make a data set of simulated cines with exact masks"),
    "data": ("echoseg.cli.data", "check what is wrong with a data folder, and how to mend it"),
    "deid": ("echoseg.cli.deid", "copies of DICOM files without who the patient is"),
    "train": ("echoseg.cli.train", "train a model on a data folder"),
    "evaluate": ("echoseg.cli.evaluate", "score a model on a data folder"),
    "benchmark": ("echoseg.cli.benchmark", "train and score methods side by side: one table with intervals"),
    "export": ("echoseg.cli.export", "turn a training run into a model folder"),
    "info": ("echoseg.cli.info", "version, models that ship, optional parts that are installed"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line.

    Args:
        argv: its words without the program's name; those of the process if None.

    Returns:
        The exit code: 0 done, 2 usage, 3 bad input, 4 model missing or corrupt, 5 some cases failed and the rest are written,
        130 interrupted, 1 anything else that stopped it.
    """
    args = list(sys.argv[1:] if argv is None else argv)
    tolerate_encodings()
    try:
        code = _answered(args)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has enough; nothing more can be said there
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    return code


def _answered(args: list[str]) -> int:
    try:
        return _dispatch(args)
    except SystemExit as stop:  # tyro has shown its help or complained
        return stop.code if isinstance(stop.code, int) else USAGE_ERROR
    except EchosegError as error:
        return _failed(str(error), error.exit_code, args)
    except KeyboardInterrupt as stop:
        return _failed(str(stop) or "interrupted", INTERRUPTED, args)
    except BrokenPipeError:
        raise
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _failed(f"{where}{error.strerror or error}; see to it and repeat the call", EchosegError.exit_code, args)


def _failed(message: str, code: int, args: list[str]) -> int:
    complain(message)
    if "--json" in args:
        write_json({"error": message, "exit_code": code})
    return code


def _dispatch(args: list[str]) -> int:
    if not args:
        say(_help())
        return USAGE_ERROR
    verb, *rest = args
    if verb in ("-h", "--help", "help"):
        say(_help())
        return 0
    if verb == "--version":
        say(f"echoseg {__version__}")
        return 0
    if verb not in VERBS:
        raise UsageError(_unknown(verb))
    module, _ = VERBS[verb]
    code: int = import_module(module).run(rest)
    return code


def _help() -> str:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {verb:<{width}}  {line}" for verb, (_, line) in VERBS.items())
    return (
        f"echoseg {__version__}: left-ventricle segmentation of every frame of an echocardiogram\n\n"
        "usage: echoseg VERB ...\n"
        "       echoseg VERB --help     what a verb takes\n"
        "       echoseg --version\n\n"
        f"verbs:\n{verbs}\n\n"
        "example:\n  echoseg segment clip.avi -o results\n\n"
        "Exit codes: 0 done, 2 usage, 3 bad input, 4 model, 5 some cases failed and the rest are written, 130 interrupted.\n"
        "Research use; not a medical device."
    )


def _unknown(verb: str) -> str:
    import difflib

    near = difflib.get_close_matches(verb, VERBS, 1)
    cure = f"did you mean `echoseg {near[0]}`?" if near else f"choose one of {', '.join(VERBS)}"
    return f"{verb}: no such verb; {cure}"
