"""Benchmark sets: simulated data sets that everybody can make again, defined by seeds.

A set is a folder in the layout of EchoNet-Dynamic. Its training cines are partly labelled (two frames each, as an expert
would) and partly not; every mask, volume and visibility stands in `EvaluationMasks/`. The order of the labelled cines is
part of the set: a budget of 20 labels is the first 20 of them, whatever the seed of the training.

A set's definition never changes; another one gets another version in its name. What its seeds give depends on the
simulator and, in the last bits, on the processor and on numpy and scipy, so that `simulation.json` holds a hash of the
content. Scores can be compared where name and hash are equal.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from echoseg.errors import UsageError
from echoseg.simulator.folder import begin_folder, case_seed
from echoseg.simulator.motion import schedule_beats
from echoseg.simulator.parallel import check_workers
from echoseg.simulator.patient import sample_patient
from echoseg.simulator.presets import Preset, get_preset
from echoseg.simulator.randomness import Stream, stream
from echoseg.simulator.writers import ECHONET_SPLITS, ClipOptions, EchoNetCase, Progress, write_cases

_SHORTEST_S = 1.2


@dataclass(frozen=True)
class BenchmarkSet:
    """What a benchmark set consists of.

    Attributes:
        name: with its version.
        preset: how hard it is.
        seed: seed of the set.
        labelled: training cines whose ED and ES are labelled.
        unlabelled: training cines without any label.
        validation: validation cines.
        test: test cines.
        fps: frames per second.
        duration_s: length of the cines, two beats and at least 1.2 s if None. A cine whose first whole beat ends later is
            longer, so that ED, ES and the next ED are always in it.
        bulge_balanced: as in `Preset`. In version 1 what the septal bulge takes is missing in the masks, not in the stated volume.
    """

    name: str
    preset: str
    seed: int
    labelled: int = 60
    unlabelled: int = 180
    validation: int = 20
    test: int = 100
    fps: float = 50.0
    duration_s: float | None = None
    bulge_balanced: bool = False

    @property
    def physics(self) -> Preset:
        """The preset as this set uses it."""
        return replace(get_preset(self.preset), bulge_balanced=self.bulge_balanced)

    @property
    def n_cines(self) -> int:
        """Cines of all parts."""
        return self.labelled + self.unlabelled + self.validation + self.test

    def cases(self, root: Path, limit: int | None = None) -> Iterator[EchoNetCase]:
        """The cases in their order, at most `limit` of each part: labelled, unlabelled, validation, test."""
        preset = self.physics
        parts = (("TRAIN", 0, self.labelled), ("TRAIN", self.labelled, self.unlabelled))
        for split, first, count in (*parts, ("VAL", 0, self.validation), ("TEST", 0, self.test)):
            for number in range(first, first + (count if limit is None else min(limit, count))):
                seed = case_seed(self.seed, ECHONET_SPLITS.index(split), number)
                in_budget = split == "TRAIN" and number < self.labelled
                yield EchoNetCase(
                    root=root,
                    name=f"{self.preset}-{split.lower()}-{number:03d}",
                    seed=seed,
                    split=split,
                    preset=preset,
                    clip=ClipOptions(self.fps, covering_s(seed, preset, self.fps, self.duration_s)),
                    labelled=split != "TRAIN" or in_budget,
                    label_order=number if in_budget else None,
                )


SETS = {
    chosen.name: chosen
    for chosen in (
        BenchmarkSet("simecho-v1-standard", preset="standard", seed=20_011),
        BenchmarkSet("simecho-v1-mid", preset="mid", seed=20_012),
    )
}


def get_set(name: str) -> BenchmarkSet:
    """The benchmark set of that name."""
    if name not in SETS:
        raise UsageError(f"{name}: no such benchmark set; choose one of {', '.join(SETS)}")
    return SETS[name]


def write_set(
    root: Path | str,
    name: str,
    *,
    workers: int = 1,
    progress: Progress | None = None,
    limit: int | None = None,
) -> str:
    """Write a benchmark set; the same bytes on one machine, whatever `workers`.

    Args:
        root: folder; an earlier simulation in it is replaced, anything else is refused.
        name: one of `SETS`.
        workers: processes.
        progress: called after every cine.
        limit: cines of each part, for tests and a first look; the folder then calls itself limited.

    Returns:
        SHA-256 of the content of all cases.
    """
    chosen, folder = get_set(name), Path(root)
    if limit is not None and limit < 1:
        raise UsageError(f"limit={limit}: give at least 1")
    settings = asdict(chosen) | {"name": limited_name(name, limit), "limit": limit}
    check_workers(workers)
    record = begin_folder(folder, "echonet", chosen.seed, chosen.physics, {"set": settings})
    return write_cases(folder, record, list(chosen.cases(folder, limit)), workers=workers, progress=progress)


def limited_name(name: str, limit: int | None) -> str:
    """What a folder calls itself that holds a set, or the first cines of one.

    >>> limited_name("simecho-v1-mid", None), limited_name("simecho-v1-mid", 3)
    ('simecho-v1-mid', 'simecho-v1-mid[limit 3]')
    """
    return name if limit is None else f"{name}[limit {limit}]"


def covering_s(seed: int, preset: Preset, fps: float, duration_s: float | None = None) -> float:
    """Length of a cine that holds the whole beat whose ED and ES are labelled.

    Args:
        seed: the patient.
        preset: how hard it is.
        fps: frames per second.
        duration_s: shortest length; two beats and at least 1.2 s if None.
    """
    patient = sample_patient(stream(seed, Stream.PATIENT), preset)
    least_s = duration_s or max(2 * 60 / patient.heart_rate_bpm, _SHORTEST_S)
    beats = schedule_beats(stream(seed, Stream.RHYTHM), patient, least_s)
    whole = next(beat for beat in beats if beat.start_s >= -0.5 / fps)  # a start within half a frame is on frame 0
    return max(least_s, whole.end_s + 1 / fps)


__all__ = ["SETS", "BenchmarkSet", "covering_s", "get_set", "write_set"]
