"""A small network that learns from labels and from a trained model."""

import dataclasses
import json

import pytest
import torch

from echoseg.batch import IGNORE, ClipBatch
from echoseg.engine import MODEL_FILE, find_model
from echoseg.errors import UsageError
from echoseg.methods import build_method
from echoseg.methods.distilled import Distilled, DistilledConfig, ModelTeacher
from echoseg.methods.framewise import FrameWiseConfig
from echoseg.recipes import DataConfig, RunConfig
from echoseg.recipes.run import train_run
from echoseg.train import TrainConfig

SMALL = DistilledConfig("resnet10t", stages=2, decoder=(16, 8), channels=4, teacher="a4c-small")
MEAN, STD = 0.2, 0.25


def gray(side=64):
    rows, cols = torch.meshgrid(torch.linspace(-1, 1, side), torch.linspace(-1, 1, side), indexing="ij")
    sector = (rows > cols.abs() - 1).float()
    blood = ((rows / 0.6) ** 2 + (cols / 0.3) ** 2 > 1).float()
    return (0.5 * sector * blood).expand(2, 1, side, side).contiguous()


def clips(labelled=True):
    frames = ((gray() - MEAN) / STD).unsqueeze(0)
    masks = torch.full((1, 2, 64, 64), IGNORE, dtype=torch.uint8)
    if labelled:
        masks[:] = 0
        masks[..., 20:44, 24:40] = 1
    return ClipBatch(frames + 3, frames, masks, torch.full((1, 2), labelled), ("one",))


def student(**changes) -> Distilled:
    torch.manual_seed(0)
    method = build_method("distilled", dataclasses.replace(SMALL, **changes))
    method.normalised_with(MEAN, STD)
    return method


def test_the_teacher_says_what_its_graph_says():
    """At its own size the frames reach the graph unchanged but for its normalisation."""
    import onnxruntime

    teacher, folder = ModelTeacher("a4c-small", 4), find_model("a4c-small")
    frames = gray(folder.config.height)
    session = onnxruntime.InferenceSession(str(folder.path / MODEL_FILE))
    given = ((frames - folder.config.mean) / folder.config.std).numpy()
    expected = torch.from_numpy(session.run(None, {session.get_inputs()[0].name: given})[0]).softmax(1)
    torch.testing.assert_close(teacher.probabilities(frames), expected, atol=1e-4, rtol=1e-4)


def test_probabilities_stay_probabilities_at_another_size():
    found = ModelTeacher("a4c-small", 4).probabilities(gray())
    assert found.shape == (2, 4, 64, 64)
    torch.testing.assert_close(found.sum(1), torch.ones(2, 64, 64))


def test_a_student_of_the_lv_alone_hears_of_the_lv_alone():
    alone, all_four = (ModelTeacher("a4c-small", k).probabilities(gray()) for k in (1, 4))
    torch.testing.assert_close(alone, all_four[:, 1:2])


def test_the_teacher_sees_the_weak_view_in_gray_values():
    """And frames without a label are learned from it, too."""
    method, seen = student(), []
    method._teacher = ModelTeacher("a4c-small", 4)
    method._teacher.probabilities = lambda frames: seen.append(frames) or torch.full((len(frames), 4, 64, 64), 0.25)
    result = method.training_step(clips(labelled=False), None, 0)
    torch.testing.assert_close(seen[0], gray())
    assert result.logs["ce"] == 0
    assert result.logs["teacher"] > 0
    assert float(result.loss.detach()) == pytest.approx(0.5 * result.logs["teacher"])


def test_no_share_of_the_labels_means_the_teacher_alone():
    one, other = student(share=1.0), student(share=1.0)
    moved = clips()
    moved.masks[..., :20, :] = 1
    assert torch.equal(one.training_step(clips(), None, 0).loss, other.training_step(moved, None, 0).loss)


def test_a_student_comes_nearer_to_its_teacher():
    method = student(share=1.0)
    optimiser = torch.optim.Adam(method.parameters(), 1e-2)
    told = []
    for step in range(12):
        result = method.training_step(clips(), None, step)
        told.append(result.logs["teacher"])
        optimiser.zero_grad()
        result.loss.backward()
        optimiser.step()
    assert told[-1] < 0.7 * told[0]


def test_the_teacher_is_no_part_of_the_student():
    """Its weights have the names of the frame-wise network, and a finished run needs no teacher."""
    method = student()
    method.training_step(clips(), None, 0)
    plain = build_method("framewise", FrameWiseConfig("resnet10t", stages=2, decoder=(16, 8), channels=4))
    assert method.state_dict().keys() == plain.state_dict().keys()
    plain.load_state_dict(method.state_dict())


def test_teachers_that_cannot_teach_are_named(tmp_path):
    model = find_model("a4c-sim")
    for name, change, message in (
        ("windows", {"temporal": {"kind": "window", "clip_length": 5, "step_s": None}}, "kind window; one of single"),
        ("lv", {"structures": {"1": "LV"}, "activation": "sigmoid"}, "knows no MYOCARDIUM, LA;"),
    ):
        folder = tmp_path / name
        folder.mkdir()
        for file in model.path.iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | change))
        with pytest.raises(UsageError, match=message):
            ModelTeacher(str(folder), 4)
    with pytest.raises(UsageError, match="need 0 < share <= 1"):
        dataclasses.replace(SMALL, share=0.0)


def test_a_run_records_its_teacher_and_its_card_names_it(simulated_camus, tmp_path):
    chosen = RunConfig(
        "distilled",
        SMALL,
        DataConfig(size=48, clip_length=2, batch=1),
        TrainConfig(steps=1, steps_per_epoch=1, precision="32-true", average=0.9),
    )
    folder = train_run(chosen, simulated_camus, tmp_path / "run", device="cpu")
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    sha256 = find_model("a4c-small").config.sha256[MODEL_FILE]
    assert record["data"]["teacher"] == sha256
    assert f"taught by a4c-small ({sha256[:12]})" in (folder / "card.md").read_text()
