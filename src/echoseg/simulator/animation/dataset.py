"""A folder of labelled stills as a folder of animated half sequences, in the layout of CAMUS."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from echoseg.cine import Cine, Instant, View
from echoseg.errors import InputError, UsageError
from echoseg.simulator.animation.clip import SEMI_SYNTHETIC, AnimatedClip, ClipMotion, animate
from echoseg.simulator.folder import begin_folder, case_seed
from echoseg.simulator.parallel import check_workers, in_order
from echoseg.simulator.randomness import uniform
from echoseg.simulator.writers import (
    CAMUS_SPLITS,
    CAMUS_VIEWS,
    Progress,
    camus_name,
    write_camus_view,
    write_patient_lists,
)

LICENCE = (
    "The frames are made of real stills and carry their licence; so do weights that are trained on them. "
    "They are semi-synthetic: train on them, quote no result measured on them as one on real cines."
)
EJECTION_S = (0.25, 0.39)
"""Times from end-diastole to end-systole of the middle four fifths of CAMUS's A4C half sequences."""

_TAGS = dict(CAMUS_VIEWS)
_SPLITS = dict(zip(("train", "val", "test"), CAMUS_SPLITS, strict=True))
_PATIENT = re.compile(r"patient\d{4}")


@dataclass(frozen=True)
class StillsCase:
    """Two labelled stills of a data set, known without opening them.

    Attributes:
        id: unique in its data set.
        patient: of whom.
        view: apical view.
        split: train, val or test; the animated case lies in the same one.
        load: reads them, in the worker process: a cine with instants and masks of ED and ES.
        info: more lines for `Info_*.cfg`.
    """

    id: str
    patient: str
    view: View
    split: str
    load: Callable[[], Cine]
    info: Mapping[str, str]


@dataclass(frozen=True)
class _Job:
    """One case with the place where it is written."""

    case: StillsCase
    folder: Path
    fps: float
    seed: int

    def __str__(self) -> str:
        return self.case.id


def animate_cine(cine: Cine, motion: ClipMotion | None = None, seed: int = 0) -> AnimatedClip:
    """Animate between the labelled frames of a cine; whatever it shows between them is left out.

    Raises:
        InputError: ED or ES has no mask, or `animate` refuses them.
    """
    instants = [cine.instants.get(instant) for instant in (Instant.ED, Instant.ES)]
    ed, es = (frame if frame in cine.masks else None for frame in instants)
    if ed is None or es is None:
        raise InputError(f"{cine.source}: ED and ES are not both labelled; animate cases whose stills have masks")
    try:
        return animate(
            cine.frames[ed], cine.masks[ed], cine.frames[es], cine.masks[es], motion=motion, seed=seed, spacing=cine.spacing
        )  # fmt: skip
    except InputError as error:
        raise InputError(f"{cine.source}: {error}") from error


def write_animated(
    root: Path | str,
    cases: Sequence[StillsCase],
    source: Mapping[str, str],
    *,
    seed: int = 0,
    fps: float = 50.0,
    workers: int = 1,
    progress: Progress | None = None,
) -> dict[str, int]:
    """Write the cases in the layout of CAMUS: stills, half sequence, the masks of all of its frames, `Info_*.cfg`, lists of patients.

    Only the views that the source has are written. Patients keep their names where they are those of CAMUS; otherwise every case becomes
    a patient of its own, and `simulation.json` says which. The lists are written last: a run that was stopped leaves none. The same
    seed gives the same bytes, whatever `workers`. Cases without labelled ED and ES are left out.

    Args:
        root: folder; an earlier simulation in it is replaced, anything else is refused.
        cases: what to animate.
        source: where the stills come from, for `simulation.json`.
        seed: of the ejection times.
        fps: frames per second.
        workers: processes.
        progress: called after every case.

    Returns:
        Number of cases that were written, for train, val and test.

    Raises:
        InputError: no case has labelled ED and ES, or one cannot be animated.
    """
    folder = Path(root)
    names = _patient_names(cases)
    settings = {
        "kind": SEMI_SYNTHETIC,
        "source": dict(source),
        "licence": LICENCE,
        "fps": fps,
        "ejection_s": list(EJECTION_S),
        "cases": {f"{name}_{_TAGS[case.view]}": case.id for name, case in zip(names, cases, strict=True)},
    }
    check_workers(workers)
    begin_folder(folder, "camus", seed, None, settings)
    jobs = [
        _Job(case, folder / "database_nifti" / name, fps, case_seed(seed, *case.id.encode()))
        for name, case in zip(names, cases, strict=True)
    ]
    written = []
    for done, labelled in enumerate(in_order(_write_case, jobs, workers), start=1):
        if labelled:
            written.append(jobs[done - 1])
        if progress is not None:
            progress(done, len(jobs))
    if not written:
        raise InputError(f"{folder}: no case of the stills has both ED and ES labelled; choose another data set")
    # a patient with two views is listed once
    splits = {job.folder.name: _SPLITS[job.case.split] for job in written}
    write_patient_lists(folder, {split: [n for n, s in splits.items() if s == split] for split in CAMUS_SPLITS})
    return {split: sum(job.case.split == split for job in written) for split in _SPLITS}


def _patient_names(cases: Sequence[StillsCase]) -> list[str]:
    """Name of the patient that each case is written as."""
    if not cases:
        raise UsageError("0 cases: give a data set with labelled stills")
    for case in cases:
        if case.view not in _TAGS:
            raise InputError(f"{case.id}: its view is not known; name it in the column `view` of cases.csv")
    places = Counter((case.patient, case.view) for case in cases)
    if all(_PATIENT.fullmatch(case.patient) for case in cases) and max(places.values()) == 1:
        return [case.patient for case in cases]
    return [camus_name(number) for number in range(1, len(cases) + 1)]


def _write_case(job: _Job) -> bool:
    """Animate and write one case; False where ED and ES are not both labelled."""
    cine = job.case.load()
    if not {cine.instants.get(Instant.ED), cine.instants.get(Instant.ES)} <= set(cine.masks):
        return False
    ejection_s = uniform(np.random.default_rng(job.seed), EJECTION_S)
    clip = animate_cine(cine, ClipMotion(fps=job.fps, ejection_s=ejection_s), job.seed)
    info = {
        "ED": clip.ed_frame + 1,
        "ES": clip.es_frame + 1,
        "NbFrame": len(clip.frames),
        "FrameRate": f"{clip.fps:g}",
        "Origin": SEMI_SYNTHETIC,
        **job.case.info,
    }
    write_camus_view(job.folder, _TAGS[job.case.view], clip, info)
    return True
