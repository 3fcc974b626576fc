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
from echoseg.cli.stills import animate_folder
from echoseg.errors import UsageError
from echoseg.simulator import SETS, BenchmarkSet, ClipOptions, through_the_apex, write_camus, write_echonet, write_set

CINES = 20
_SHARES = (0.7, 0.1, 0.2)  # training, validation, test
_FIXED_BY_A_SET = ("--format", "--cines", "--splits", "--preset", "--seed", "--foreshortened", "--fps", "--duration")
_FIXED_BY_STILLS = ("--set", "--format", "--cines", "--splits", "--preset", "--foreshortened", "--duration")
_SPLITS = {"echonet": ("TRAIN", "VAL", "TEST"), "camus": ("training", "validation", "testing")}


@dataclass(frozen=True)
class SimulateOptions:
    """Make a data set of simulated cines with exact masks and volumes; the same seed gives the same files.

    Attributes:
        out: folder to make; an earlier simulation in it is replaced, anything else is left alone.
        set: benchmark set, whose size, seed, preset and timing are fixed: training cines with and without labels, validation
            and 100 test cines, for scores that others can compare.
        from_stills: data folder whose labelled ED and ES frames are animated, in place of simulating: semi-synthetic half beats in the
            layout of CAMUS, under the licence of that folder.
        format: layout: of EchoNet-Dynamic (A4C videos), or of CAMUS (A2C and A4C half beats of each patient).
        cines: number of cines (camus: of patients), of which 70 % are for training, 10 % for validation, 20 % for testing.
        splits: number of cines for each, in place of --cines.
        preset: how hard the images are to read; broad is for models that are to work on real hearts.
        seed: seed of the data set.
        foreshortened: let the planes of both views miss the apex, as in hospitals; the masks then hold less than the stated volumes. camus only:
            the cines of echonet always are as the preset says.
        workers: processes.
        fps: frames per second.
        duration: seconds of each cine; echonet only.
        json: write one line of JSON to stdout.
    """

    out: Annotated[Positional[Path], arg(metavar="OUT")]
    set: Annotated[
        Literal["simecho-v1-standard", "simecho-v1-mid"] | None, arg(help_behavior_hint="(default: none)")
    ] = None
    from_stills: Annotated[Path | None, arg(metavar="DIR", help_behavior_hint="(default: none)")] = None
    format: Literal["echonet", "camus"] = "echonet"
    cines: Annotated[int | None, arg(metavar="N", help_behavior_hint=f"(default: {CINES})")] = None
    splits: Annotated[
        tuple[int, int, int] | None, arg(metavar="TRAIN VAL TEST", help_behavior_hint="(default: from --cines)")
    ] = None
    preset: Literal["easy", "standard", "mid", "hard", "broad"] = "standard"
    seed: int = 0
    foreshortened: Flag = False
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
        if self.foreshortened and self.format != "camus":
            raise UsageError("--foreshortened: belongs to --format camus; the cines of echonet are as the preset says")
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
    if options.from_stills is not None:
        refuse_beside_stills(args)
        return _run_stills(options, options.from_stills)
    if options.set is not None:
        refuse_beside_set(args)
        return _run_set(options, SETS[options.set])
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
                preset=options.preset if options.foreshortened else through_the_apex(options.preset),
                workers=workers,
                progress=progress,
                fps=options.fps,
            )
    if options.json:
        write_json({"out": str(options.out), "format": options.format, "counts": counts, "seed": options.seed})
    else:
        say(_text(options))
    return 0


def refuse_beside_set(args: Sequence[str]) -> None:
    """A set decides about everything but the number of processes; also a default that is given would be passed over."""
    for flag in _FIXED_BY_A_SET:
        if any(word.partition("=")[0] == flag for word in args):
            raise UsageError(
                f"{flag} and --set contradict each other: a benchmark set is the same everywhere; drop one"
            )


def refuse_beside_stills(args: Sequence[str]) -> None:
    """Stills decide about layout, number, splits and looks; also a default that is given would be passed over."""
    for flag in _FIXED_BY_STILLS:
        if any(word.partition("=")[0] == flag for word in args):
            raise UsageError(f"{flag} and --from-stills contradict each other: the stills decide about that; drop one")


def _run_stills(options: SimulateOptions, stills: Path) -> int:
    workers = cpu_count() if options.workers is None else options.workers
    with Meter() as meter:
        progress = partial(meter.show, "animate")
        counts = animate_folder(
            stills, options.out, seed=options.seed, fps=options.fps, workers=workers, progress=progress
        )
    if options.json:
        made = {"out": str(options.out), "format": "camus", "kind": "semi-synthetic", "from_stills": str(stills)}
        write_json({**made, "counts": counts, "seed": options.seed})
        return 0
    out, train, val, test = shlex.quote(printable(str(options.out))), *counts.values()
    say(f"{out}: {train + val + test} animated cases for training ({train}), validation ({val}) and testing ({test})")
    say("semi-synthetic: the frames carry the licence of the stills\n")
    say(_how_to_go_on(options.out, "database_nifti"))
    return 0


def _run_set(options: SimulateOptions, chosen: BenchmarkSet) -> int:
    workers = cpu_count() if options.workers is None else options.workers
    with Meter() as meter:
        sha256 = write_set(options.out, chosen.name, workers=workers, progress=partial(meter.show, "simulate"))
    parts = {part: getattr(chosen, part) for part in ("labelled", "unlabelled", "validation", "test")}
    if options.json:
        write_json({"out": str(options.out), "set": chosen.name, "sha256": sha256, "counts": parts})
        return 0
    counts = ", ".join(f"{n} {part}" for part, n in parts.items())
    out = shlex.quote(printable(str(options.out)))
    say(f"{out}: {chosen.name} {sha256[:12]}, {chosen.n_cines} cines ({counts})\n")
    say(_how_to_go_on(options.out, "Videos"))
    return 0


def _text(options: SimulateOptions) -> str:
    out = shlex.quote(printable(str(options.out)))
    train, val, test = options.counts
    what = "cines" if options.format == "echonet" else "patients, two views each,"
    inputs = "Videos" if options.format == "echonet" else "database_nifti"
    made = f"{out}: {train + val + test} {what} for training ({train}), validation ({val}) and testing ({test})"
    return f"{made}\n\n{_how_to_go_on(options.out, inputs)}"


def _how_to_go_on(folder: Path, below: str) -> str:
    out, inputs = (shlex.quote(printable(str(path))) for path in (folder, folder / below))
    return (
        "how to go on:\n"
        f"  echoseg data check {out}\n"
        f"  echoseg segment {inputs} -o results\n"
        f"  echoseg train echoforge-lite --data {out} -o run\n"
        f"  echoseg evaluate run --data {out} -o scores"
    )
