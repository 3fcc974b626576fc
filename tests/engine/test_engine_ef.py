"""Ejection fraction models in the engine: where clips lie, what a model folder says, what is predicted."""

import dataclasses
import json

import numpy as np
import pytest
from tests.engine.ef_models import CONFIG, write_ef_model

from echoseg.cine import Cine, CineMeta, View
from echoseg.clinical import RegressedEf
from echoseg.engine import CONFIG_FILE, ClipPlan, EfConfig, EfRegressor, Segmenter, is_ef_folder, list_models, mirrored
from echoseg.errors import InputError, ModelError


def cine(grays: list[int], fps: float | None = 25.0, view: View = View.UNKNOWN, shape=(16, 16)) -> Cine:
    """Frame t is gray `grays[t]` all over."""
    frames = np.stack([np.full(shape, gray, np.uint8) for gray in grays])
    return Cine(CineMeta("made", *shape, len(grays), fps=fps, view=view), frames)


@pytest.fixture(params=["onnx", "openvino"])
def regressor(tmp_path, request) -> EfRegressor:
    return EfRegressor.load(write_ef_model(tmp_path / "tiny"), backend=request.param)


@pytest.mark.parametrize(
    ("n_frames", "starts"), [(100, 100 - 3 * 2), (8, 2), (7, 2), (1, 2)], ids=["long", "exact", "short", "one"]
)
def test_clips_may_start_wherever_they_fit_and_a_short_cine_is_continued(n_frames, starts):
    assert ClipPlan(n_frames, 4, 2).starts == starts


def test_a_clip_holds_every_step_th_frame():
    assert ClipPlan(100, 4, 3).frames(5).tolist() == [5, 8, 11, 14]


@pytest.mark.parametrize(
    ("clips", "starts"), [(1, (46,)), (2, (0, 93)), (5, (0, 23, 46, 70, 93))], ids=["one", "two", "five"]
)
def test_clips_lie_evenly_over_the_cine(clips, starts):
    assert ClipPlan(100, 4, 2).evenly(clips) == starts


def test_no_clip_is_taken_twice():
    assert ClipPlan(8, 4, 2).evenly(5) == (0, 1)


@pytest.mark.parametrize(
    ("n_frames", "order"), [(4, [1, 0, 0, 1, 2, 3, 3, 2]), (5, [1, 0, 0, 1, 2, 3, 4, 4, 3]), (1, [0])]
)
def test_a_mirrored_cine_has_half_of_it_on_either_side(n_frames, order):
    frames = np.arange(n_frames, dtype=np.uint8).reshape(-1, 1, 1)
    assert mirrored(frames).ravel().tolist() == order


def test_the_mean_of_the_clips_is_the_answer(regressor):
    """Twelve frames, 25 a second, clips of every second one: starts 0, 1, 2, 4 and 5 of 0 to 5."""
    grays = list(range(0, 240, 20))
    found = regressor(cine(grays))
    expected = [100 / 255 * np.mean([grays[s + 2 * k] for k in range(4)]) for s in (0, 1, 2, 4, 5)]
    assert found.clips == pytest.approx(expected, rel=1e-5)
    assert found.ef_percent == pytest.approx(np.mean(expected))
    assert found.sd_percent == pytest.approx(np.std(expected, ddof=1))
    assert (found.model, found.warnings) == ("tiny-ef 2", ())


def test_absent_frames_do_not_count(regressor):
    """Three frames at a step of two: the clips hold frames 0 and 2, and frame 1."""
    assert regressor(cine([100, 50, 200])).clips == pytest.approx([100 / 255 * 150, 100 / 255 * 50], rel=1e-5)


def test_a_single_clip_has_no_spread(regressor):
    found = regressor(cine([60] * 12), clips=1)
    assert (len(found.clips), found.sd_percent) == (1, None)


def test_a_prediction_is_not_clamped(tmp_path):
    regressor = EfRegressor.load(write_ef_model(tmp_path / "wide", mean=-2.0))
    assert regressor(cine([0] * 12)).ef_percent == pytest.approx(200.0, rel=1e-5)


def test_frames_are_resized_as_in_training(regressor):
    """A letterbox of a frame twice as wide as high: half of the input is black."""
    assert regressor(cine([100] * 12, shape=(20, 40))).ef_percent == pytest.approx(100 * 100 / 255 / 2, rel=1e-4)


def test_an_unknown_frame_rate_and_another_view_are_said(tmp_path):
    regressor = EfRegressor.load(write_ef_model(tmp_path / "a4c", view=View.A4C))
    (said,) = regressor(cine([1] * 12, fps=None)).warnings
    assert "frame rate unknown" in said and "80 ms apart" in said and "--fps" in said
    (said,) = regressor(cine([1] * 12, view=View.A2C)).warnings
    assert said == "view A2C, but tiny-ef 2 learned on A4C alone"
    assert regressor(cine([1] * 12, view=View.A4C)).warnings == ()


def test_a_cine_that_ends_early_is_refused(regressor):
    short = cine([1] * 6)
    with pytest.raises(InputError, match=r"made: 12 frames were announced, but frame 11 cannot be read"):
        regressor.input(short, regressor.plan(12, 25.0), (0, 5))


def test_the_configuration_survives_its_own_text():
    config = dataclasses.replace(CONFIG, view=View.A4C, resize="stretch", licence="CC0", details={"a": 1})
    assert EfConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("clip", {"length": 4}, r"'clip\.step_s' is missing"),
        ("clip", {"length": "4", "step_s": 0.1}, r"clip\.length='4'"),
        ("view", "A9C", "view='A9C'"),
        ("more", 1, "unknown key 'more'"),
        ("schema", 9, "schema 9"),
        ("normalisation", {"mean": 0.0, "std": 0.0}, "std positive"),
        ("input", {"height": 4, "width": 4, "resize": "letterbox"}, "too small"),
        ("input", {"height": 16, "width": 16, "resize": "squash"}, "resize='squash'"),
    ],
)
def test_a_damaged_configuration_names_the_key(tmp_path, key, value, said):
    folder = write_ef_model(tmp_path / "tiny")
    document = json.loads((folder / CONFIG_FILE).read_text())
    (folder / CONFIG_FILE).write_text(json.dumps({**document, key: value}))
    with pytest.raises(ModelError, match=said):
        EfRegressor.load(folder)


def test_a_network_of_another_signature_is_refused(tmp_path):
    folder = write_ef_model(tmp_path / "tiny", clip_length=8)
    with pytest.raises(ModelError, match=r"config\.json asks for .* export the model again"):
        EfRegressor.load(folder)


def test_changed_weights_are_refused(tmp_path):
    folder = write_ef_model(tmp_path / "tiny")
    (folder / "model.onnx").write_bytes(b"other")
    with pytest.raises(ModelError, match="sha256"):
        EfRegressor.load(folder)


def test_models_of_the_two_kinds_are_told_apart(tmp_path):
    folder = write_ef_model(tmp_path / "tiny")
    assert is_ef_folder(folder)
    assert not is_ef_folder(tmp_path)
    assert list_models(tmp_path) == ()
    with pytest.raises(ModelError, match=r"draws no masks; give it with --ef-model"):
        Segmenter.load(folder)
    shipped = list_models()[0].path
    assert not is_ef_folder(shipped)
    with pytest.raises(ModelError, match=r"no model that regresses the ejection fraction"):
        EfRegressor.load(shipped)
    with pytest.raises(ModelError, match="no such model or folder"):
        EfRegressor.load("nothing")


@pytest.mark.parametrize("clips", [(), (50.0, float("nan"))])
def test_a_result_needs_finite_predictions(clips):
    with pytest.raises(InputError, match="at least one, all finite"):
        RegressedEf(clips, "tiny 1")
