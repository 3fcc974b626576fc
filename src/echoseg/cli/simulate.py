"""`echoseg simulate`: a data set of simulated cines with exact masks and volumes."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from echoseg.cli.info import cpu_count
from echoseg.cli.meter import Meter
from echoseg.cli.options import Flag, parse
from echoseg.cli.output import printable, say, write_json
from echoseg.errors import UsageError
from echoseg.simulator import ClipOptions, write_camus, write_echonet

CINES = 20
_SHARES = (0.7, 0.1, 0.2)  # training, validation, test
_SPLITS = {"echonet": ("TRAIN", "VAL", "TEST"), "camus": ("training", "validation", "testing")}


@dataclass(frozen=True)
class SimulateOptions:
    """Make a data set of simulated cines with exact masks and volumes; the same seed gives the same files.

    Attributes:
        out: folder to make; an earlier simulation in it is replaced, anything else is left alone.
        format: layout: of EchoNet-Dynamic (A4C videos), or of CAMUS (A2C and A4C half beats of each patient).
        cines: number of cines (camus: of patients), of which 70 % are for training, 10 % for validation, 20 % for testing.
        splits: number of cines for each, in place of --cines.
        preset: how hard the images are to read.
        seed: seed of the data set.
        workers: processes.
        fps: frames per second.
        duration: seconds of each cine; echonet only.
        json: write one line of JSON to stdout.
    """

    out: Annotated[Positional[Path], arg(metavar="OUT")]
    format: Literal["echonet", "camus"] = "echonet"
    cines: Annotated[int | None, arg(metavar="N", help_behavior_hint=f"(default: {CINES})")] = None
    splits: Annotated[
        tuple[int, int, int] | None, arg(metavar="TRAIN VAL TEST", help_behavior_hint="(default: from --cines)")
    ] = None
    preset: Literal["easy", "standard", "mid", "hard"] = "standard"
    seed: int = 0
    workers: Annotated[int | None, arg(metavar="W", help_behavior_hint="(default: one per core)")] = None
    fps: float = 50.0
    duration: Annotated[float | None, arg(metavar="S", help_behavior_hint="(default: two beats)")] = None
    json: Flag = False

    def __post_init__(self) -> None:
        if self.cines is not None and self.splits is not None:
            raise UsageError("--cines and --splits contradict each other; give one of them")
        if self.cines is not None and self.cines < 1:
            raise UsageError(f"--cines {self.cines}: give at least 1")
        if self.splits is not None and (min(self.splits) < 0 or not any(self.splits)):
            raise UsageError(f"--splits {' '.join(map(str, self.splits))}: give three numbers, not all of them 0")
        if self.seed < 0:
            raise UsageError(f"--seed {self.seed}: give 0 or more")
        if not 5 <= self.fps <= 1000:
            raise UsageError(f"--fps {self.fps:g}: give 5 to 1000")
        if self.duration is not None and self.format == "camus":
            raise UsageError("--duration: the cines of camus are half beats; leave it out, or use --format echonet")
        if self.duration is not None and not 0.1 <= self.duration <= 600:
            raise UsageError(f"--duration {self.duration:g}: give 0.1 to 600 seconds")

    @property
    def counts(self) -> tuple[int, int, int]:
        """Cines for training, validation and testing."""
        return self.splits or divide(self.cines or CINES)


def divide(cines: int) -> tuple[int, int, int]:
    """Numbers for training, validation and testing; from three cines on, none is 0.

    >>> divide(20), divide(4), divide(1)
    ((14, 2, 4), (2, 1, 1), (1, 0, 0))
    """
    least = 1 if cines >= len(_SHARES) else 0
    val, test = (max(least, round(share * cines)) for share in _SHARES[1:])
    return cines - val - test, val, test


def run(args: Sequence[str]) -> int:
    """Simulate what a command line asks for."""
    options = parse(SimulateOptions, "simulate", args)
    counts = dict(zip(_SPLITS[options.format], options.counts, strict=True))
    workers = min(cpu_count(), sum(options.counts)) if options.workers is None else options.workers
    with Meter() as meter:
        progress = partial(meter.show, "simulate")
        if options.format == "echonet":
            clip = ClipOptions(options.fps, options.duration)
            write_echonet(
                options.out,
                counts,
                seed=options.seed,
                preset=options.preset,
                workers=workers,
                progress=progress,
                clip=clip,
            )
        else:
            write_camus(
                options.out,
                counts,
                seed=options.seed,
                preset=options.preset,
                workers=workers,
                progress=progress,
                fps=options.fps,
            )
    if options.json:
        write_json({"out": str(options.out), "format": options.format, "counts": counts, "seed": options.seed})
    else:
        say(_text(options))
    return 0


def _text(options: SimulateOptions) -> str:
    name = str(options.out)
    out = shlex.quote(printable(name))
    train, val, test = options.counts
    what = "cines" if options.format == "echonet" else "patients, two views each,"
    inputs = shlex.quote(printable(f"{name}/{'Videos' if options.format == 'echonet' else 'database_nifti'}"))
    return (
        f"{out}: {train + val + test} {what} for training ({train}), validation ({val}) and testing ({test})\n\n"
        "how to go on:\n"
        f"  echoseg data check {out}\n"
        f"  echoseg segment {inputs} -o results\n"
        f"  echoseg train echoforge-lite --data {out} -o run\n"
        f"  echoseg evaluate run --data {out} -o scores"
    )
