"""Evaluation of an ejection fraction model: published error measures over several random clips."""

import csv
import dataclasses
import json
import statistics
from pathlib import Path

import numpy as np
import pytest

from echoseg.cine import View
from echoseg.datasets import open_dataset
from echoseg.ef_evaluation import evaluate_ef, predict_random
from echoseg.engine import EfRegressor
from echoseg.errors import InputError, UsageError
from echoseg.metrics import regression_scores
from tests.engine.ef_models import write_ef_model


@pytest.fixture(scope="module")
def regressor(tmp_path_factory) -> EfRegressor:
    return EfRegressor.load(write_ef_model(tmp_path_factory.mktemp("models") / "tiny", view=View.A4C))


@pytest.fixture(scope="module")
def evaluated(simulated_echonet, regressor, tmp_path_factory) -> tuple[dict, Path]:
    out = tmp_path_factory.mktemp("scores")
    return evaluate_ef(regressor, open_dataset(simulated_echonet), seeds=3, out=out), out


def rows(out: Path) -> list[dict[str, float]]:
    with (out / "cases.csv").open(newline="") as file:
        return [{k: float(v) for k, v in row.items() if k != "case"} for row in csv.DictReader(file)]


def test_scores_are_those_of_the_written_predictions(evaluated):
    document, out = evaluated
    table = rows(out)
    truth = [row["ef_published_percent"] for row in table]
    scores = [regression_scores([row[f"ef_clip_{i}_percent"] for row in table], truth) for i in range(3)]
    for name in ("mae", "rmse", "r2"):
        values = [getattr(one, name) for one in scores]
        assert document["one_clip"][name]["mean"] == pytest.approx(statistics.fmean(values), abs=1e-3)
        assert document["one_clip"][name]["sd"] == pytest.approx(statistics.stdev(values), abs=1e-3)
    mean = regression_scores([row["ef_regressed_percent"] for row in table], truth)
    assert document["mean_of_clips"]["mae"] == pytest.approx(mean.mae, abs=1e-3)
    assert json.loads((out / "evaluation.json").read_text()) == document


def test_the_table_names_what_varies(evaluated):
    document, _ = evaluated
    names = dict(document["table"])
    assert "+-" in names["EF MAE, one clip, 3 seeds"]
    assert "+-" not in names["EF MAE, mean of 3 clips"]
    assert names["EF R2, one clip, 3 seeds"].endswith("%")
    assert (document["data"]["cases"], document["data"]["failed"]) == (2, {})


def test_references_are_those_of_the_table(evaluated, simulated_echonet):
    published = [case.ef_percent for case in open_dataset(simulated_echonet).cases("test")]
    assert [row["ef_published_percent"] for row in rows(evaluated[1])] == pytest.approx(published, abs=1e-3)


def test_clips_depend_on_seed_and_case_alone(regressor, simulated_echonet):
    dataset = open_dataset(simulated_echonet)
    cine = dataset.load(dataset.cases("test")[0])
    three = predict_random(regressor, cine, "a", 3, mirror=False)
    assert predict_random(regressor, cine, "a", 2, mirror=False) == three[:2]
    assert len(set(three)) > 1
    assert predict_random(regressor, cine, "b", 3, mirror=False) != three


def test_half_a_beat_is_played_to_and_fro(regressor, simulated_camus):
    """Four to eight frames: without mirroring most of a clip is absent; the document says which it was."""
    dataset = open_dataset(simulated_camus)
    document = evaluate_ef(regressor, dataset, seeds=2, mirror=True)
    assert document["mirrored"] is True
    assert document["data"]["cases"] == 1
    ((reason, left_out),) = document["data"]["left_out"].items()
    assert reason == "not A4C, the only view of the training data" and len(left_out) == 1


class Nameless:
    """A data set without ejection fractions in its table, or with a broken cine."""

    name, root, dropped = "test", Path("root"), {}

    def __init__(self, dataset, ef: float | None):
        self.dataset, self.ef = dataset, ef

    def cases(self, split):
        return tuple(dataclasses.replace(case, ef_percent=self.ef) for case in self.dataset.cases(split))

    def splits(self):
        return self.dataset.splits()

    def load(self, case, labels="edes"):
        if case.id == self.dataset.cases("test")[0].id:
            raise InputError("broken.avi: cut off; copy it again")
        return self.dataset.load(case, labels)

    def fingerprint(self):
        return "0"


def test_a_broken_cine_costs_no_other(regressor, simulated_echonet):
    document = evaluate_ef(regressor, Nameless(open_dataset(simulated_echonet), 60.0), seeds=1)
    assert list(document["data"]["failed"].values()) == ["broken.avi: cut off; copy it again"]
    assert document["data"]["cases"] == 1
    assert document["one_clip"]["mae"]["sd"] is None
    assert document["one_clip"]["r2"]["mean"] is None


def test_nothing_to_compare_with_is_said(regressor, simulated_echonet):
    dataset = Nameless(open_dataset(simulated_echonet), None)
    with pytest.raises(InputError, match="no case of split 'test' has an ejection fraction in its table"):
        evaluate_ef(regressor, dataset)


@pytest.mark.parametrize(("options", "error"), [({"seeds": 0}, UsageError), ({"split": "nope"}, UsageError)])
def test_usage(regressor, simulated_echonet, options, error):
    with pytest.raises(error):
        evaluate_ef(regressor, open_dataset(simulated_echonet), **options)


def test_an_answer_of_the_mean_gray_is_what_the_tiny_network_gives(regressor, simulated_echonet):
    """A check of the whole way by arithmetic: 100 x mean gray of a clip at the network's size."""
    dataset = open_dataset(simulated_echonet)
    cine = dataset.load(dataset.cases("test")[1])
    (found,) = predict_random(regressor, cine, "x", 1, mirror=False)
    gray = cine.frames.mean() / 255 * 100
    assert found == pytest.approx(gray, rel=0.15)
    assert np.isfinite(found)
