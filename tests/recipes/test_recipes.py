"""The list of recipes: all build, all survive the journey through run.json."""

import dataclasses
import json

import pytest
import torch

from echoseg.errors import ModelError, UsageError
from echoseg.methods import build_method
from echoseg.recipes import RECIPES, DataConfig, recipe
from echoseg.recipes.base import config_from_json, without_pretrained


@pytest.fixture(params=sorted(RECIPES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_recipe_builds_its_network(name):
    config = recipe(name)
    with torch.device("meta"):
        method = build_method(config.method, config.network)
    assert method.inference_parameters() > 1e5
    assert method.channels in (1, 4)


def test_every_recipe_starts_where_the_hub_cannot_be_reached(name):
    assert recipe(name).network.weights == "none"


def test_every_recipe_survives_its_own_record(name):
    config = recipe(name)
    assert config_from_json(json.loads(json.dumps(dataclasses.asdict(config)))) == config


def test_every_recipe_says_what_the_weights_may_be_used_for(name):
    info = recipe(name).model
    assert info.name
    assert info.licence
    if "camus" in name or (name.startswith("a4c") and name != "a4c-sim"):
        assert "CC BY-NC-SA 4.0" in info.licence


def test_an_unknown_recipe_is_answered_with_the_list():
    with pytest.raises(UsageError, match="recipe 'nope' is not known") as caught:
        recipe("nope")
    assert all(name in str(caught.value) for name in RECIPES)


@pytest.mark.parametrize("wrong", [{"clip_length": 1}, {"labelled_cines": 0}])
def test_data_configuration_names_the_flag(wrong):
    name, value = next(iter(wrong.items()))
    with pytest.raises(UsageError, match=f"data.{name}={value}"):
        DataConfig(**wrong)


def edited(part: str, **changes: object) -> dict:
    """The record of a recipe after somebody touched it."""
    record = json.loads(json.dumps(dataclasses.asdict(recipe("framewise"))))
    (record[part] if part else record).update(changes)
    return record


@pytest.mark.parametrize(
    "record",
    [edited("train", lr=-1.0), edited("network", swin=True), edited("", method="nope"), edited("", tune=1), {}],
)
def test_a_record_of_another_version_is_refused_in_a_sentence(record):
    with pytest.raises(ModelError, match=r"configuration cannot be read .* another version"):
        config_from_json(record)


def test_trained_weights_replace_pretrained_ones_without_fetching_those():
    network = dataclasses.replace(recipe("camus-echoforge").network, weights="hub")
    assert without_pretrained(network) == recipe("camus-echoforge").network
