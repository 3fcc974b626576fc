"""Stages 2 and 3: from a run of the stage before to a model folder; what does not fit is refused."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from echoseg.data import CineStore
from echoseg.datasets import open_dataset
from echoseg.engine import EfRegressor
from echoseg.errors import ModelError, UsageError
from echoseg.methods.framewise import FrameWiseConfig
from echoseg.recipes import EF_RECIPES, DataConfig, EfRunConfig, RunConfig, ef_recipe, recipe
from echoseg.recipes.ef_base import EfDataConfig, ef_config_from_json
from echoseg.recipes.ef_run import MaskMaker, build_ef_training
from echoseg.recipes.finished import calibrate_run, load_run, read_record
from echoseg.recipes.run import build_training, export_run, run_record, train_run
from echoseg.recipes.stores import Stores
from echoseg.train import TrainConfig

SIDE, LABELLED = 32, 2
TWO_STEPS = {"steps": 2, "steps_per_epoch": 1, "precision": "32-true"}


def stage_one() -> RunConfig:
    return RunConfig(
        "framewise",
        FrameWiseConfig(backbone="resnet10t", decoder=(8, 8, 8, 8)),
        DataConfig(size=SIDE, batch=1, clip_length=2, labelled_cines=LABELLED),
        TrainConfig(**TWO_STEPS),
    )


def shrunk(name: str, **data: object) -> EfRunConfig:
    """Two steps of a recipe, an epoch each, with a small network; everything else is the recipe's."""
    config = ef_recipe(name)
    changes = {"size": SIDE, "clip_length": 4, "batch": 2, "pad": 4, **data}
    if config.data.unlabelled_batch:
        changes |= {"unlabelled_batch": 1}
    return dataclasses.replace(
        config,
        network=dataclasses.replace(config.network, width=4, blocks=(1, 1, 1, 1)),
        data=dataclasses.replace(config.data, **changes),
        train=dataclasses.replace(config.train, **TWO_STEPS),
    )


def trained_only(config: RunConfig, data: Path, run_dir: Path) -> None:
    """A run folder without its model: exporting takes longer than two steps of training."""
    run_dir.mkdir()
    (run_dir / "run.json").write_text(json.dumps(run_record(config, open_dataset(data))))
    build_training(config, open_dataset(data), run_dir, device="cpu").fit(tensorboard=False)


@pytest.fixture(scope="module")
def runs(simulated_echonet, tmp_path_factory) -> dict[str, Path]:
    """A finished run of every stage."""
    root = tmp_path_factory.mktemp("stages")
    trained_only(stage_one(), simulated_echonet, root / "masks")
    train_run(shrunk("css-ef-m", masks=str(root / "masks")), simulated_echonet, root / "m", device="cpu")
    train_run(shrunk("css-ef-e", teacher=str(root / "m")), simulated_echonet, root / "e", device="cpu")
    return {name: root / name for name in ("masks", "m", "e")}


@pytest.fixture(params=["m", "e"])
def stage(request) -> str:
    return str(request.param)


def stage_flag(runs, name: str) -> dict[str, str]:
    return {"masks": str(runs["masks"])} if name.startswith("css-ef-m") else {"teacher": str(runs["m"])}


@pytest.mark.parametrize("name", sorted(EF_RECIPES))
def test_two_steps_of_every_recipe(name, runs, simulated_echonet, tmp_path):
    config = shrunk(name, **stage_flag(runs, name))
    if name.endswith("lite"):
        # the runs of the fixture have the paper's time step
        config = dataclasses.replace(config, data=dataclasses.replace(config.data, step_s=0.04))
    training = build_ef_training(config, open_dataset(simulated_echonet), tmp_path, device="cpu")
    method = training.fit(tensorboard=False)
    assert training.step == 2
    assert all(bool(torch.isfinite(p).all()) for p in method.parameters())


def test_both_stages_end_in_a_model_that_takes_a_cine(runs, stage, simulated_echonet):
    regressor = EfRegressor.load(runs[stage] / "model")
    assert (regressor.config.clip_length, regressor.config.size) == (4, (SIDE, SIDE))
    assert regressor.config.view.value == "A4C"
    dataset = open_dataset(simulated_echonet)
    found = regressor(dataset.load(dataset.cases("test")[0]))
    assert len(found.clips) == 5
    assert 0 < found.ef_percent < 100


def test_the_exported_model_says_what_torch_says_on_the_masks_of_training(runs, simulated_echonet, tmp_path):
    """Masks in 255 steps from the store here, at full precision inside the model there."""
    dataset = open_dataset(simulated_echonet)
    training = build_ef_training(shrunk("css-ef-m", masks=str(runs["masks"])), dataset, tmp_path, device="cpu")
    best = torch.load(runs["m"] / "checkpoints" / "best.ckpt", weights_only=True)
    training.method.load_state_dict(best["method"])
    training.method.eval()
    regressor = EfRegressor.load(runs["m"] / "model")
    cine = dataset.load(dataset.cases("val")[0])
    plan = regressor.plan(len(cine), cine.fps)
    (held_out,) = (c for c in training.validate.cines if c.name == dataset.cases("val")[0].id)
    clip = training.validate.clips.cut(held_out, np.random.default_rng(0))
    start = plan.random(np.random.default_rng(0))
    theirs = regressor.predict(regressor.input(cine, plan, (start,)), start)
    ours = float(training.method(clip[None])[0].detach())
    assert theirs == pytest.approx(ours, abs=0.05)


def test_the_labelled_cines_are_those_of_stage_one(runs, simulated_echonet, tmp_path):
    dataset = open_dataset(simulated_echonet)
    training = build_ef_training(shrunk("css-ef-e", teacher=str(runs["m"])), dataset, tmp_path, device="cpu")
    train = CineStore.load(dataset, "train", size=SIDE)
    chosen = {cine.case.id for cine in train.split_budget(LABELLED, 0)[0]}
    assert {cine.name for cine in training.labelled.cines} == chosen
    unlabelled = training.unlabelled.cines
    assert {cine.name for cine in unlabelled} == {case.id for case in dataset.cases("train")} - chosen
    assert all(cine.ef_percent is None and cine.probability is not None for cine in unlabelled)
    # the student's own clips have no masks, and hold a traced frame as the published code's do
    assert all(cine.probability is None and len(cine.traced) == 2 for cine in training.labelled.cines)
    assert all(cine.traced == () for cine in unlabelled)


def test_the_published_codes_choice_of_clips_can_be_had(runs, simulated_echonet, tmp_path):
    config = shrunk("css-ef-e", teacher=str(runs["m"]), traced="code_compat")
    training = build_ef_training(config, open_dataset(simulated_echonet), tmp_path, device="cpu")
    assert all(len(cine.traced) == 2 and cine.ef_percent is None for cine in training.unlabelled.cines)


def test_student_and_teacher_begin_with_the_weights_of_stage_two(runs, simulated_echonet, tmp_path):
    dataset = open_dataset(simulated_echonet)
    training = build_ef_training(shrunk("css-ef-e", teacher=str(runs["m"])), dataset, tmp_path, device="cpu")
    trained = torch.load(runs["m"] / "checkpoints" / "best.ckpt", weights_only=True)["method"]
    for name, value in training.method.teacher.state_dict().items():
        assert torch.equal(value, trained[f"net.{name}"])
    assert torch.equal(training.method.net.fc.weight, trained["net.fc.weight"])


def test_a_regressor_has_nothing_to_calibrate(runs, simulated_echonet):
    with pytest.raises(UsageError, match="regresses the ejection fraction and has no probabilities"):
        calibrate_run(runs["m"], Stores(open_dataset(simulated_echonet)))


def test_masks_are_those_of_stage_one_on_every_frame(runs, simulated_echonet):
    stage = load_run(runs["masks"], read_record(runs["masks"]))
    store = CineStore.load(open_dataset(simulated_echonet), "val", size=SIDE)
    found = MaskMaker(stage, torch.device("cpu"), None)(store, "val")
    cine, (mean, std) = store[1], (stage.best["notes"]["mean"], stage.best["notes"]["std"])
    assert found[1].shape == cine.frames.shape
    gray = (torch.from_numpy(cine.frames[7]).float() / 255 - mean) / std
    with torch.no_grad():
        expected = stage.method.eval()(gray[None, None, None])[0, 0, 0].sigmoid().numpy()
    np.testing.assert_allclose(found[1][7] / 255, expected, atol=1 / 255)


def test_a_run_can_be_exported_and_teach_after_its_stage_one_is_gone(runs, simulated_echonet, tmp_path):
    shutil.copytree(runs["m"], tmp_path / "moved")
    export_run(tmp_path / "moved", tmp_path / "again")
    assert (tmp_path / "again" / "model.onnx").read_bytes() == (runs["m"] / "model" / "model.onnx").read_bytes()
    config = shrunk("css-ef-e", teacher=str(tmp_path / "moved"))
    build_ef_training(config, open_dataset(simulated_echonet), tmp_path / "e", device="cpu")
    assert (tmp_path / "e" / "masks" / "run.json").is_file()


def test_the_best_weights_are_those_with_the_smallest_error(runs, stage):
    rows = [json.loads(line) for line in (runs[stage] / "metrics.jsonl").read_text().splitlines()]
    errors = [row["val_mse"] for row in rows if "val_mse" in row]
    best = torch.load(runs[stage] / "checkpoints" / "best.ckpt", weights_only=True)
    assert best["val_mse"] == pytest.approx(min(errors), rel=1e-4)
    card = (runs[stage] / "model" / "card.md").read_text()
    assert f"{best['val_mse'] ** 0.5:.2f}" in card
    assert "not a medical device" in card and f"{LABELLED} cines with labels" in card


def test_the_effective_weight_of_distillation_is_logged(runs):
    rows = [json.loads(line) for line in (runs["e"] / "metrics.jsonl").read_text().splitlines()]
    assert {row["w_effective"] for row in rows if "loss" in row} == {2.5}


def refused(runs, simulated_echonet, tmp_path, config, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_ef_training(config, open_dataset(simulated_echonet), tmp_path / "run", device="cpu")


@pytest.mark.parametrize(("name", "flag"), [("css-ef-m", "masks"), ("css-ef-e", "teacher")])
def test_a_missing_stage_names_its_flag(runs, simulated_echonet, tmp_path, name, flag):
    refused(runs, simulated_echonet, tmp_path, shrunk(name), rf"data\.{flag}: is not given; .*--data\.{flag} RUN")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": 64}, r"data\.size=64: the earlier stage in .* has 32; set --data\.size 32"),
        ({"clip_length": 8}, r"data\.clip_length=8: .* has 4; set --data\.clip-length 4"),
        ({"step_s": 0.2}, r"data\.step_s=0\.2"),
    ],
)
def test_a_stage_of_another_geometry_is_refused(runs, simulated_echonet, tmp_path, changes, message):
    refused(runs, simulated_echonet, tmp_path, shrunk("css-ef-e", teacher=str(runs["m"]), **changes), message)


def test_a_teacher_of_another_size_is_refused(runs, simulated_echonet, tmp_path):
    config = shrunk("css-ef-e", teacher=str(runs["m"]))
    config = dataclasses.replace(config, network=dataclasses.replace(config.network, blocks=(2, 1, 1, 1)))
    refused(runs, simulated_echonet, tmp_path, config, r"set --network\.blocks 1 1 1 1")


def test_a_run_of_the_wrong_stage_is_refused(runs, simulated_echonet, tmp_path):
    config = shrunk("css-ef-e", teacher=str(runs["masks"]))
    refused(runs, simulated_echonet, tmp_path, config, r"is a run of framewise; --data\.teacher takes one of css-ef-m")


def test_masks_trained_on_other_data_are_refused(runs, simulated_camus, tmp_path):
    """Which of these cines they may have seen with labels is not known."""
    config = shrunk("css-ef-m", masks=str(runs["masks"]))
    with pytest.raises(UsageError, match="stage 1 was trained on other data"):
        build_ef_training(config, open_dataset(simulated_camus), tmp_path / "run", device="cpu")


def test_a_folder_without_a_run_is_refused(simulated_echonet, tmp_path):
    config = shrunk("css-ef-m", masks=str(tmp_path))
    with pytest.raises(ModelError, match=r"holds no run\.json"):
        build_ef_training(config, open_dataset(simulated_echonet), tmp_path / "run", device="cpu")


@pytest.mark.parametrize("name", sorted(EF_RECIPES))
def test_every_recipe_survives_its_own_record(name):
    config = ef_recipe(name)
    assert ef_config_from_json(json.loads(json.dumps(dataclasses.asdict(config)))) == config
    assert config.network.weights == "none"
    assert config.model.licence


def test_a_record_of_another_version_is_refused_in_a_sentence():
    record = json.loads(json.dumps(dataclasses.asdict(ef_recipe("css-ef-m"))))
    record["data"]["tune"] = 1
    with pytest.raises(ModelError, match=r"configuration cannot be read .* another version"):
        ef_config_from_json(record)


def test_the_papers_schedule():
    config = ef_recipe("css-ef-m")
    rates = [config.train.learning_rate(epoch * config.train.steps_per_epoch) for epoch in (0, 14, 15, 24)]
    assert rates == pytest.approx([1e-4, 1e-4, 1e-5, 1e-5])
    assert (config.train.weight_decay, config.train.grad_clip, config.train.optimiser) == (1e-4, 0, "sgd")
    assert config.train.steps == 25 * 46


def test_both_lists_of_recipes_are_named_where_a_recipe_is_unknown():
    for ask in (recipe, ef_recipe):
        with pytest.raises(UsageError, match=r"framewise.*css-ef-m"):
            ask("nope")


@pytest.mark.parametrize("wrong", [{"size": 0}, {"step_s": -1.0}, {"pad": -1}, {"batch": 0}])
def test_data_configuration_names_the_flag(wrong):
    with pytest.raises(UsageError, match=f"data.{next(iter(wrong))}={next(iter(wrong.values()))}"):
        EfDataConfig(**wrong)
