"""From a recipe and a data folder to a run folder with a model folder in it."""

import dataclasses
import json
import shutil
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch

from echoseg.datasets import open_dataset
from echoseg.engine import MODEL_FILE, Segmenter
from echoseg.errors import ModelError, OutputError, UsageError
from echoseg.methods.css import Cycle
from echoseg.recipes import RECIPES, RunConfig, recipe
from echoseg.recipes.run import build_fabric, build_training, cines_text, export_run, train_run
from echoseg.recipes.stores import Stores
from echoseg.simulator import write_camus
from echoseg.train import TrainConfig

SMALL = {
    "cps": {"backbone": "resnet10t"},
    "css": {"backbone": "resnet10t", "pooling": 16, "cycle": Cycle(template=3, search=1, phase=1, shift=1)},
    "distilled": {"backbone": "resnet10t", "teacher": "a4c-small"},
    "echoforge": {"backbone": "resnet10t", "width": 32, "hidden": 32, "layers": 1, "queries": 4},
    "framewise": {"backbone": "resnet10t"},
    "meanteacher": {"backbone": "resnet10t"},
    "ncm": {"backbone": "resnet10t", "width": 32, "hidden": 32, "points": 2},
    "pkecho": {"backbone": "resnet10t"},
    "sscf": {"width": 8},
}


def shrunk(name: str, **data: object) -> RunConfig:
    """Two steps of a recipe, an epoch each, at 64 px with a small encoder; everything else is the recipe's."""
    config = recipe(name)
    stored = None if config.data.stored_size is None else 96
    window = None if config.data.unlabelled_clip_length is None else 5
    budget = None if config.data.labelled_cines is None else 2
    return dataclasses.replace(
        config,
        network=dataclasses.replace(config.network, **SMALL[config.method]),
        data=dataclasses.replace(
            config.data,
            **{"size": 64, "stored_size": stored, "batch": 1, "clip_length": 3, "unlabelled_clip_length": window}
            | {"labelled_cines": budget}
            | data,
        ),
        train=dataclasses.replace(config.train, steps=2, steps_per_epoch=1, precision="32-true", init=None),
    )


@pytest.fixture
def data_for(simulated_echonet, simulated_camus):
    """The simulated data set in the layout that a recipe was written for."""
    return lambda name: simulated_camus if "camus" in name or name.startswith(("a4c", "adapt")) else simulated_echonet


@pytest.fixture(scope="module")
def finished(simulated_echonet, tmp_path_factory) -> tuple[RunConfig, Path, Path]:
    """A run of the frame-wise recipe: its configuration, its data, its folder."""
    config, run_dir = shrunk("framewise"), tmp_path_factory.mktemp("runs") / "framewise"
    assert train_run(config, simulated_echonet, run_dir, device="cpu") == run_dir / "model"
    return config, simulated_echonet, run_dir


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_two_steps_of_every_recipe(name, data_for, tmp_path):
    training = build_training(shrunk(name), open_dataset(data_for(name)), tmp_path, device="cpu")
    method = training.fit(tensorboard=False)
    assert training.step == 2
    assert all(bool(torch.isfinite(p).all()) for p in method.parameters())
    assert (tmp_path / "checkpoints" / "best.ckpt").is_file()


@pytest.mark.parametrize(("name", "structures"), [("a4c", ["LV", "MYOCARDIUM", "LA"]), ("echoforge-lite", ["LV"])])
def test_a_run_ends_in_a_model_that_segments(name, structures, data_for, tmp_path):
    config, data = shrunk(name, also_share=0.0), data_for(name)
    segmenter = Segmenter.load(train_run(config, data, tmp_path / "run", device="cpu"))
    assert list(segmenter.config.structures.values()) == structures
    assert (segmenter.config.height, segmenter.config.name) == (64, config.model.name)
    dataset = open_dataset(data)
    cine = dataset.load(dataset.cases("test")[0])
    assert segmenter(cine).masks.shape == cine.frames.shape


def test_a_run_leaves_a_record_that_makes_it_repeatable(finished):
    config, data, run_dir = finished
    record = json.loads((run_dir / "run.json").read_text())
    assert record["config"]["train"]["seed"] == config.train.seed
    assert record["data"] == {"layout": "echonet", "fingerprint": open_dataset(data).fingerprint()}
    assert record["versions"]["torch"] == metadata.version("torch")
    steps = [json.loads(line)["step"] for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    assert steps == [0, 1, 1]
    assert list((run_dir / "tensorboard").iterdir())


def test_the_card_tells_data_licence_limits_and_what_was_measured(finished):
    _, data, run_dir = finished
    card = (run_dir / "model" / "card.md").read_text()
    for part in (open_dataset(data).fingerprint()[:16], "seed 0", "LV Dice", "not a medical device"):
        assert part in card


def test_gray_statistics_of_the_training_cines_go_with_the_model(finished):
    _, data, run_dir = finished
    dataset = open_dataset(data)
    frames = np.concatenate([dataset.load(case).frames for case in dataset.cases("train")]) / 255
    model = Segmenter.load(run_dir / "model").config
    assert model.mean == pytest.approx(frames.mean(), abs=0.01)
    assert model.std == pytest.approx(frames.std(), rel=0.1)


def test_a_setting_that_came_later_does_not_forbid_to_resume(finished, tmp_path):
    """The record of an older version lacks it; its default is what that version did."""
    config, data, run_dir = finished
    shutil.copytree(run_dir, tmp_path / "old")
    record = json.loads((run_dir / "run.json").read_text())
    del record["config"]["train"]["init"], record["config"]["data"]["augment"]["strength"]
    (tmp_path / "old" / "run.json").write_text(json.dumps(record))
    train_run(config, data, tmp_path / "old", device="cpu", resume=True)
    del record["config"]["train"]["seed"]
    record["config"]["train"]["lr"] = 7.0
    (tmp_path / "old" / "run.json").write_text(json.dumps(record))
    with pytest.raises(UsageError, match=r"config\.train\.lr \(7\.0 before, .* now\) differs"):
        train_run(config, data, tmp_path / "old", device="cpu", resume=True)


def test_exporting_a_run_again_gives_the_same_bytes(finished, tmp_path):
    _, _, run_dir = finished
    export_run(run_dir, tmp_path / "again")
    for name in (MODEL_FILE, "config.json", "card.md"):
        assert (tmp_path / "again" / name).read_bytes() == (run_dir / "model" / name).read_bytes(), name


def test_an_export_never_replaces_what_is_no_model(finished, tmp_path):
    """It once removed whatever folder it was told to write to."""
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.md").write_text("years of work")
    with pytest.raises(OutputError, match=r"thesis: holds chapter1\.md, which is no part of a model"):
        export_run(finished[2], tmp_path / "thesis")
    assert (tmp_path / "thesis" / "chapter1.md").read_text() == "years of work"


def test_a_folder_without_a_run_cannot_be_exported(tmp_path):
    with pytest.raises(ModelError, match=r"holds no run\.json; give the folder"):
        export_run(tmp_path, tmp_path / "model")


def test_a_run_that_was_never_validated_cannot_be_exported(finished, tmp_path):
    shutil.copy(finished[2] / "run.json", tmp_path)
    with pytest.raises(ModelError, match=r"best\.ckpt"):
        export_run(tmp_path, tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_a_second_run_in_the_same_folder_is_refused(finished):
    config, data, run_dir = finished
    before = (run_dir / "metrics.jsonl").read_bytes()
    with pytest.raises(UsageError, match=r"holds a run already; add --resume .* or choose another folder"):
        train_run(config, data, run_dir, device="cpu")
    assert (run_dir / "metrics.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("part", "change"),
    [("train", {"lr": 0.5}), ("data", {"size": 96}), ("network", {"backbone": "resnet18"}), ("model", {"name": "x"})],
)
def test_resuming_with_another_configuration_names_what_changed(finished, part, change):
    config, data, run_dir = finished
    changed = dataclasses.replace(config, **{part: dataclasses.replace(getattr(config, part), **change)})
    (key, value), old = next(iter(change.items())), getattr(getattr(config, part), next(iter(change)))
    with pytest.raises(UsageError, match=rf"config\.{part}\.{key} \({old} before, {value} now\) differs"):
        train_run(changed, data, run_dir, device="cpu", resume=True)


def test_resuming_on_other_data_is_refused(finished, simulated_camus):
    config, _, run_dir = finished
    with pytest.raises(UsageError, match=r"data\.layout \(echonet before, camus now\) differs"):
        train_run(config, simulated_camus, run_dir, device="cpu", resume=True)


def test_four_channels_are_refused_on_labels_of_the_lv_alone(simulated_echonet, tmp_path):
    """The network would learn that myocardium and atrium are background."""
    with pytest.raises(UsageError, match=r"the masks hold no MYOCARDIUM, LA; .*--network\.channels 1"):
        train_run(shrunk("a4c", also_share=0.0), simulated_echonet, tmp_path / "run", device="cpu")


def test_unlabelled_cines_train_beside_labelled_ones(simulated_echonet, tmp_path):
    config = shrunk("echoforge-lite", labelled_cines=1, unlabelled_batch=1)
    training = build_training(config, open_dataset(simulated_echonet), tmp_path, device="cpu")
    labelled, unlabelled = ({cine.case.id for cine in s.store} for s in (training.labelled, training.unlabelled))
    assert (len(labelled), len(unlabelled)) == (1, 3)
    assert not labelled & unlabelled
    assert training.labelled.config.seed != training.unlabelled.config.seed
    assert not bool(training.unlabelled.batch(0).labelled.any())
    training.fit(tensorboard=False)
    assert training.step == 2


def test_cines_outside_the_budget_that_take_no_part_are_counted(simulated_echonet, tmp_path):
    config = shrunk("framewise", labelled_cines=1)
    notes = build_training(config, open_dataset(simulated_echonet), tmp_path, device="cpu").notes
    assert notes["unused"] == 3
    assert cines_text(notes) == (
        "; 1 cines with labels. 3 cines outside the label budget took no part (no unlabelled clips)."
    )
    used = shrunk("echoforge-lite", labelled_cines=1, unlabelled_batch=1)
    assert build_training(used, open_dataset(simulated_echonet), tmp_path, device="cpu").notes["unused"] == 0


def test_runs_on_the_same_data_share_what_was_decoded(simulated_echonet, tmp_path, monkeypatch):
    stores = Stores(open_dataset(simulated_echonet))
    first = build_training(shrunk("framewise"), stores, tmp_path, device="cpu")
    monkeypatch.setattr(stores.dataset, "load", lambda *_: pytest.fail("decoded again"))
    again = build_training(shrunk("framewise"), stores, tmp_path, device="cpu")
    assert again.labelled.store[0].frames is first.labelled.store[0].frames
    assert (again.notes["mean"], again.notes["std"]) == (first.notes["mean"], first.notes["std"])


def test_a_second_folder_gives_its_share_of_the_labelled_clips(simulated_camus, tmp_path):
    """Two of eight clips here, evenly spread, and the same ones whenever a step is asked for."""
    other = tmp_path / "other"
    write_camus(other, {"training": 2}, seed=9, preset="easy", fps=5.0)
    config = shrunk("a4c", also_share=0.25, batch=4)
    training = build_training(
        config, open_dataset(simulated_camus), tmp_path, device="cpu", also=Stores(open_dataset(other))
    )
    first, second = training.labelled.first, training.labelled.second
    batches = [training.labelled.batch(step) for step in (0, 1)]
    theirs = [second.clip(0), second.clip(1)]
    for batch, clip in zip(batches, theirs, strict=True):
        assert batch.cases[:3] == tuple(first.clip(p)[4] for p in (range(3) if batch is batches[0] else range(3, 6)))
        assert torch.equal(batch.clip[3], clip[0]) and batch.cases[3] == clip[4]
    assert torch.equal(training.labelled.batch(1).clip, batches[1].clip)
    folder = train_run(config, simulated_camus, tmp_path / "run", device="cpu", also=other)
    assert folder.is_dir()
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["data"]["also"] == open_dataset(other).fingerprint() != record["data"]["fingerprint"]


def test_a_second_folder_and_its_share_come_together(simulated_camus, tmp_path):
    with pytest.raises(UsageError, match=r"also_share=0\.5: name the second data folder with --also"):
        train_run(shrunk("a4c", also_share=0.5), simulated_camus, tmp_path / "run", device="cpu")
    with pytest.raises(UsageError, match=r"say which share .* with --data\.also-share"):
        train_run(shrunk("a4c-sim"), simulated_camus, tmp_path / "run", device="cpu", also=simulated_camus)
    with pytest.raises(UsageError, match=r"also_share=1"):
        shrunk("a4c", also_share=1)
    assert not (tmp_path / "run").exists()


def test_a_budget_of_everything_has_no_unlabelled_stream(simulated_echonet, tmp_path):
    config = shrunk("echoforge-lite", unlabelled_batch=1)
    assert build_training(config, open_dataset(simulated_echonet), tmp_path, device="cpu").unlabelled is None


def test_progress_is_told_while_cines_are_read(simulated_echonet, tmp_path):
    seen = []
    build_training(
        shrunk("framewise"),
        open_dataset(simulated_echonet),
        tmp_path,
        device="cpu",
        progress=lambda *told: seen.append(told),
    )
    assert seen == [("reading train cines", i, 4) for i in (1, 2, 3, 4)] + [("reading val cines", i, 2) for i in (1, 2)]


@pytest.mark.parametrize("device", ["tpu", "gpu", "CPU"])
def test_an_unknown_device_names_the_choice(device):
    with pytest.raises(UsageError, match=f"--device {device}: choose auto, cpu or cuda:N"):
        build_fabric(TrainConfig(), device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_said():
    with pytest.raises(UsageError, match="--device cuda:0: no CUDA device is visible; use --device cpu"):
        build_fabric(TrainConfig(), "cuda:0")
