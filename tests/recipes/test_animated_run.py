"""Training on animated stills: a flag of every recipe, off by default."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from echoseg.data import ClipStream
from echoseg.datasets import open_dataset
from echoseg.errors import UsageError
from echoseg.recipes import RECIPES, DataConfig, RunConfig, recipe
from echoseg.recipes.run import build_training


@pytest.fixture(scope="module")
def stills_folder(simulated_camus, tmp_path_factory) -> Path:
    """The simulated patients as a copy of CAMUS without half sequences has them."""
    root = tmp_path_factory.mktemp("stills") / "camus"
    shutil.copytree(simulated_camus, root, ignore=shutil.ignore_patterns("*half_sequence*"))
    return root


def config(*, animate: bool) -> RunConfig:
    chosen = recipe("echoforge-lite")
    network = dataclasses.replace(chosen.network, backbone="resnet10t", width=32, hidden=32, layers=1, queries=4)
    data = dataclasses.replace(chosen.data, size=64, batch=1, clip_length=5, animate=animate)
    return dataclasses.replace(
        chosen, network=network, data=data, train=dataclasses.replace(chosen.train, steps=2, steps_per_epoch=1)
    )


def test_two_steps_on_animated_stills(stills_folder, tmp_path):
    training = build_training(config(animate=True), open_dataset(stills_folder), tmp_path, device="cpu")
    clip = training.labelled.batch(0).weak[0, :, 0]
    steps = (clip[1:] - clip[:-1]).abs().mean((1, 2))
    assert bool((steps > 0).all())  # as stills, a clip shows ED, then ES: one step
    method = training.fit(tensorboard=False)
    assert training.step == 2
    assert all(bool(torch.isfinite(p).all()) for p in method.parameters())


def test_off_is_the_default_and_draws_what_was_drawn_before(stills_folder, tmp_path):
    assert not any(recipe(name).data.animate for name in RECIPES)
    training = build_training(config(animate=False), open_dataset(stills_folder), tmp_path, device="cpu")
    plain = ClipStream(training.labelled.store, dataclasses.replace(training.labelled.config))
    batch = training.labelled.batch(1)
    assert torch.equal(batch.clip, plain.batch(1).clip)
    weak = batch.weak[0, :, 0].numpy()
    assert [bool(np.array_equal(weak[t], weak[t + 1])) for t in range(4)] == [True, True, False, True]


def test_animating_cines_that_need_none_is_refused(simulated_camus, tmp_path):
    with pytest.raises(UsageError, match=r"has no cine of two labelled stills; leave --data\.animate out"):
        build_training(config(animate=True), open_dataset(simulated_camus), tmp_path, device="cpu")


def test_a_clip_of_two_frames_has_nothing_between_them():
    with pytest.raises(UsageError, match=r"data\.clip_length=2: leaves nothing to animate"):
        DataConfig(clip_length=2, animate=True)
