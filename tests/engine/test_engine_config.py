import json

import numpy as np
import pytest

from echoseg.engine import ModelConfig, Temporal
from echoseg.errors import ModelError


def test_round_trip_keeps_every_field(tiny):
    config = tiny.config(
        structures={1: "LV", 2: "MYOCARDIUM", 3: "LA"},
        activation="softmax",
        resize="stretch",
        temporal=Temporal("window", 32, 0.04),
        postprocess=("largest_component", "fill_holes"),
        sha256={"model.onnx": "ab"},
        temperature=1.5,
        doubtful_below=0.9,
        min_fps=20.0,
        gray_range=(0.1, 0.5),
        details={"data": {"patients": 3}},
    )
    assert ModelConfig.from_json(config.to_json()) == config


def test_round_trip_of_defaults(tiny):
    config = tiny.config()
    assert ModelConfig.from_json(config.to_json()) == config
    assert config.n_channels == 1


def test_postprocess_missing_means_none(tiny):
    document = json.loads(tiny.config(postprocess=("fill_holes",)).to_json())
    del document["postprocess"]
    assert ModelConfig.from_json(json.dumps(document)).postprocess == ()


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("schema",), 2, "schema 2"),
        (("name",), 3, "name=3"),
        (("input",), {"height": 32, "width": 32}, "input.resize"),
        (("input", "height"), 1.5, "whole number"),
        (("input", "resize"), "crop", "resize='crop'"),
        (("normalisation", "std"), 0, "std=0"),
        (("normalisation", "std"), True, "must be a number"),
        (("temporal", "kind"), "clip", "temporal.kind='clip'"),
        (("temporal", "clip_length"), 4, "temporal.clip_length=4"),
        (("temporal", "step_s"), -1, "temporal.step_s"),
        (("structures",), {"2": "MYOCARDIUM"}, "without gaps"),
        (("structures",), {"1": "LA"}, "structure 1 = 'LA'"),
        (("structures",), {"1": "LV", "2": "MYOCARDIUM"}, "use softmax"),
        (("structures",), {"a": "LV"}, "structures="),
        (("activation",), "relu", "activation='relu'"),
        (("postprocess",), ["erode"], "postprocess='erode'"),
        (("postprocess",), "fill_holes", "list of texts"),
        (("sha256",), None, "'sha256' is missing"),
        (("temperature",), 0, "temperature=0"),
        (("doubtful_below",), 1.5, "doubtful_below=1.5"),
        (("min_fps",), 0, "min_fps"),
        (("gray_range",), [0.5, 0.1], "the smaller first"),
        (("gray_range",), [0.5], "list of two numbers"),
        (("gray_range",), ["a", 1], "must be a number"),
        (("colour",), "red", "unknown key 'colour'"),
    ],
)
def test_wrong_values_are_named(tiny, path, value, says):
    document = json.loads(tiny.config().to_json())
    target = document
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    with pytest.raises(ModelError, match=says.replace("(", r"\(")):
        ModelConfig.from_json(json.dumps(document))


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '"x"'])
def test_not_an_object(text):
    with pytest.raises(ModelError):
        ModelConfig.from_json(text)


def test_lookup_is_the_formula(tiny):
    config = tiny.config(mean=0.2, std=0.4)
    np.testing.assert_allclose(config.lookup(), (np.arange(256) / 255 - 0.2) / 0.4, rtol=1e-6)


@pytest.mark.parametrize(
    ("step_s", "fps", "stride"), [(None, 50, 1), (0.04, None, 1), (0.04, 50, 2), (0.04, 20, 1), (0.04, 63, 3)]
)
def test_stride_is_the_step_in_frames(step_s, fps, stride):
    assert Temporal("window", 8, step_s).stride(fps) == stride
