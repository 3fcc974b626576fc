"""Runs of methods that see windows: the engine cuts a cine at the pace at which the training clips were cut."""

import dataclasses

import numpy as np
import pytest
from tests.recipes.test_runs import shrunk

from echoseg.data import CineStore, frame_step
from echoseg.datasets import open_dataset
from echoseg.methods import build_method
from echoseg.recipes import recipe
from echoseg.recipes.run import build_training, model_config


@pytest.mark.parametrize("length", [3, 6])
def test_an_exported_window_has_length_and_pace_of_the_training_clips(length, simulated_echonet, tmp_path):
    config = shrunk("sscf-lite", clip_length=length)
    training = build_training(config, open_dataset(simulated_echonet), tmp_path, device="cpu")
    beats = [abs(cine.es_frame - cine.ed_frame) for cine in training.labelled.store]
    temporal = model_config(config, training.method, {"notes": training.notes}).temporal
    assert (temporal.kind, temporal.clip_length) == ("window", length)
    assert temporal.step_s == pytest.approx(np.median(beats) / (length - 1) / 25)
    for rate in (None, 25.0, 50.0, 200.0):
        assert temporal.stride(rate) == frame_step(rate, temporal.step_s)


def test_a_frame_by_frame_method_has_no_pace(simulated_echonet):
    config = shrunk("framewise")
    method = build_method(config.method, config.network)
    temporal = model_config(config, method, {"notes": {"mean": 0.1, "std": 0.2, "step_s": 0.04}}).temporal
    assert (temporal.kind, temporal.clip_length, temporal.step_s) == ("frame", 1, None)


def test_unlabelled_triplets_come_from_labelled_cines_too(simulated_echonet, tmp_path):
    config = shrunk("echonet-sscf")
    training = build_training(config, open_dataset(simulated_echonet), tmp_path, device="cpu")
    assert isinstance(training.labelled.store, CineStore)
    names = [{cine.case.id for cine in stream.store} for stream in (training.labelled, training.unlabelled)]
    assert names[0] == names[1]
    assert not bool(training.unlabelled.batch(0).labelled.any())


def test_without_a_weight_the_recipe_is_the_supervised_control(simulated_echonet, tmp_path):
    config = shrunk("sscf-lite")
    control = dataclasses.replace(config, network=dataclasses.replace(config.network, weight=0.0))
    assert recipe("sscf-lite").network.weight == 1
    training = build_training(control, open_dataset(simulated_echonet), tmp_path, device="cpu")
    training.fit(tensorboard=False)
    assert "consistency" not in (tmp_path / "metrics.jsonl").read_text()
