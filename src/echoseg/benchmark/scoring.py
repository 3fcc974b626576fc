"""A trained model on the test cines of a data set: what the statistics need of every case."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from echoseg.cine import Cine, Structure
from echoseg.datasets import Case, Dataset, read_simulation
from echoseg.engine import Segmenter
from echoseg.errors import InputError
from echoseg.evaluation import (
    CLEAR,
    DROPOUT,
    BorderVisibility,
    Evaluation,
    border_visibility,
    finite,
    summarise,
    write_evaluation,
)
from echoseg.metrics import SegmentationScores

Progress = Callable[[str, int, int], None]

DICE = ("dice_ed", "dice_es", "dice_edes", "dice_all", "dice_clear", "dice_dropout")
METRICS = (*DICE, "hd95", "assd", "jitter", "ef_error")
"""Numbers of a case: Dice, distances, roughness of the area over time, absolute EF error in points."""


@dataclass(frozen=True, eq=False)
class TestCase:
    """A test cine with the masks of all frames."""

    __test__ = False  # no test of pytest

    case: Case
    cine: Cine
    border: BorderVisibility | None


class TestCines:
    """The test split of a data set, decoded once for all models that are scored on it."""

    __test__ = False

    def __init__(self, dataset: Dataset, split: str = "test") -> None:
        """Nothing is decoded yet."""
        self.dataset, self.split = dataset, split
        self.simulation = read_simulation(dataset.root)
        self._kept: list[TestCase] = []

    def load(self, progress: Progress | None = None) -> list[TestCase]:
        """The cines; decoded at the first call.

        Raises:
            InputError: the split is empty, or a cine cannot be read.
        """
        cases = self.dataset.cases(self.split)
        if not cases:
            raise InputError(f"{self.dataset.root}: split {self.split!r} is empty; a benchmark needs test cines")
        for case in cases[len(self._kept) :]:
            cine = self.dataset.load(case, "all")
            self._kept.append(TestCase(case, cine, border_visibility(self.dataset, case, cine)))
            if progress is not None:
                progress("reading test cines", len(self._kept), len(cases))
        return self._kept


@dataclass
class Scores:
    """What a model reached.

    Attributes:
        cases: metric -> case -> value; cases without a value are left out.
        ef: case -> (predicted, reference) percent, of the masks at ED and ES.
        empty: frames without a mask although there is an LV.
        frames: frames that were scored.
        seconds: of segmenting alone, CPU time of the process and wall time.
        document: content of `evaluation.json`.
    """

    cases: dict[str, dict[str, float]] = field(default_factory=dict)
    ef: dict[str, tuple[float, float]] = field(default_factory=dict)
    empty: int = 0
    frames: int = 0
    seconds: tuple[float, float] = (0.0, 0.0)
    document: Mapping[str, Any] = field(default_factory=dict)


def score(segmenter: Segmenter, test: TestCines, out: Path, progress: Progress | None = None) -> Scores:
    """Segment every test cine and compare every frame; writes the files of `echoseg evaluate` to `out`."""
    evaluation = Evaluation("all", (Structure.LV,))
    cpu = wall = 0.0
    cines = test.load(progress)
    for i, item in enumerate(cines):
        started = time.process_time(), time.perf_counter()
        segmentation = segmenter(item.cine)
        cpu, wall = cpu + time.process_time() - started[0], wall + time.perf_counter() - started[1]
        evaluation.add(item.case, item.cine, segmentation, item.border)
        if progress is not None:
            progress("scoring", i + 1, len(cines))
    if Structure.LV not in evaluation.scores:
        raise InputError(
            f"{test.dataset.root}: no LV of split {test.split!r} could be scored; run `echoseg data check`"
        )
    document = summarise(evaluation, segmenter.config.title, test.dataset, test.split, test.simulation)
    write_evaluation(out, evaluation, document)
    lv = evaluation.scores[Structure.LV]
    ef = {e.case: (e.predicted, e.reference) for e in evaluation.ejections}
    known = {case: (a, b) for case, (a, b) in ef.items() if a is not None and b is not None}
    errors = {case: abs(a - b) for case, (a, b) in known.items()}
    return Scores(
        finite({**by_case(lv), "jitter": evaluation.roughness, "ef_error": errors}),
        known,
        document["LV"]["all"]["n_empty_pred"],
        sum(len(item.cine) for item in cines),
        (cpu, wall),
        document,
    )


def by_case(lv: SegmentationScores) -> dict[str, dict[str, float]]:
    """Mean of every metric over the frames of each case."""
    ends = SegmentationScores(lv.with_distances, [s for s in lv.frames if s.tags["instant"] in ("ED", "ES")])
    return {
        "dice_ed": lv.where(instant="ED").per_case(),
        "dice_es": lv.where(instant="ES").per_case(),
        "dice_edes": ends.per_case(),
        "dice_all": lv.per_case(),
        "dice_clear": lv.where(border=CLEAR).per_case(),
        "dice_dropout": lv.where(border=DROPOUT).per_case(),
        "hd95": lv.per_case("hd95_pooled"),
        "assd": lv.per_case("assd"),
    }
