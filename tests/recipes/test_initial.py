"""Runs that start at the weights of another run or of a model folder."""

import dataclasses
import json
import shutil

import onnxruntime
import pytest
import torch

from echoseg.datasets import open_dataset
from echoseg.engine import MODEL_FILE, find_model
from echoseg.errors import ModelError, UsageError
from echoseg.methods import build_method
from echoseg.methods.cps import CPSConfig
from echoseg.methods.framewise import FrameWiseConfig
from echoseg.methods.meanteacher import MeanTeacherConfig
from echoseg.recipes import DataConfig, RunConfig, ef_recipe, recipe
from echoseg.recipes.initial import InitialWeights, graph_weights
from echoseg.recipes.run import build_training, train_run
from echoseg.train import BEST, TrainConfig
from echoseg.train.checkpoint import FORMAT

SMALL = FrameWiseConfig("resnet10t", stages=2, decoder=(16, 8), channels=4)


def config(network=SMALL, method="framewise", **train) -> RunConfig:
    return RunConfig(
        method,
        network,
        DataConfig(size=48, clip_length=2, batch=1),
        TrainConfig(**{"steps": 2, "steps_per_epoch": 1, "precision": "32-true"} | train),
    )


@pytest.fixture(scope="module")
def first(simulated_camus, tmp_path_factory):
    """A finished run."""
    folder = tmp_path_factory.mktemp("initial") / "first"
    train_run(config(), simulated_camus, folder, device="cpu")
    return folder


def started(chosen: RunConfig, data, folder):
    """The method of a run before its first step."""
    return build_training(chosen, open_dataset(data), folder, device="cpu").method.eval()


def frames(side=48):
    return torch.randn(3, 1, side, side, generator=torch.Generator().manual_seed(0)).cumsum(-1) / 3


def of_graph(folder, given):
    session = onnxruntime.InferenceSession(str(folder / MODEL_FILE))
    return torch.from_numpy(session.run(None, {"frames": given.numpy()})[0])


def test_a_run_starts_at_the_best_weights_of_another(first, simulated_camus, tmp_path):
    method = started(config(init=str(first), seed=7), simulated_camus, tmp_path)
    best = torch.load(first / "checkpoints" / "best.ckpt", weights_only=True)["method"]
    assert all(torch.equal(value, best[name]) for name, value in method.state_dict().items())


def test_a_run_starts_at_what_a_model_folder_computes(first, simulated_camus, tmp_path):
    """Batch normalisation was folded away in the graph; the method computes the same all the same, and trains from there."""
    method = started(config(init=str(first / "model"), seed=7), simulated_camus, tmp_path)
    expected = of_graph(first / "model", frames())
    with torch.no_grad():
        assert torch.allclose(method(frames().unsqueeze(1)).squeeze(1), expected, atol=1e-4)
    spread = [m.running_var for m in method.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert all(bool((one != 1).any()) for one in spread)


@pytest.mark.parametrize("name", ["a4c", "a4c-small", "a4c-sim"])
def test_shipped_models_can_be_trained_on(name):
    """In training mode too: the statistics of the batches that were measured are those of the batch."""
    chosen = recipe(name)
    method = build_method(chosen.method, chosen.network)
    given = frames(find_model(name).config.height)
    InitialWeights.find(name).load_into(method, given)
    expected = of_graph(find_model(name).path, given)
    with torch.no_grad():
        scale = float(expected.abs().max())
        assert float((method.eval()(given.unsqueeze(1)).squeeze(1) - expected).abs().max()) < 1e-5 * scale
        assert float((method.train()(given.unsqueeze(1)).squeeze(1) - expected).abs().max()) < 1e-2 * scale


def test_student_and_teacher_start_at_a_frame_wise_run(first, simulated_camus, tmp_path):
    network = MeanTeacherConfig(**dataclasses.asdict(SMALL))
    method = started(config(network, "meanteacher", init=str(first)), simulated_camus, tmp_path)
    best = torch.load(first / "checkpoints" / "best.ckpt", weights_only=True)["method"]
    assert torch.equal(method.student.classifier.weight, best["classifier.weight"])
    assert torch.equal(method.teacher.model.encoder.body.conv1[0].weight, best["encoder.body.conv1.0.weight"])


def test_the_last_layer_is_new_where_the_structures_differ(first, simulated_echonet, tmp_path):
    network = dataclasses.replace(SMALL, channels=1)
    method = started(config(network, init=str(first)), simulated_echonet, tmp_path)
    best = torch.load(first / "checkpoints" / "best.ckpt", weights_only=True)["method"]
    assert method.classifier.weight.shape[0] == 1
    assert torch.equal(method.decoder[0][0][0].weight, best["decoder.0.0.0.weight"])


def test_another_network_is_named(first, simulated_camus, tmp_path):
    wider = dataclasses.replace(SMALL, decoder=(24, 8))
    with pytest.raises(
        UsageError, match=r"--init .*: decoder\.0\.0\.0\.weight is \(24, .* the other network has \(16,"
    ):
        started(config(wider, init=str(first)), simulated_camus, tmp_path)
    with pytest.raises(UsageError, match=r"encoder\.body\.\S+ is .*, the other network has none"):
        started(
            config(dataclasses.replace(SMALL, backbone="mobilenetv3_small_050"), init=str(first)),
            simulated_camus,
            tmp_path,
        )
    with pytest.raises(UsageError, match="start alike and stay alike"):
        started(config(CPSConfig(**dataclasses.asdict(SMALL)), "cps", init=str(first)), simulated_camus, tmp_path)


def test_a_temporal_network_does_not_start_at_a_model_folder(first, simulated_camus, tmp_path):
    chosen = recipe("pkecho-lite")
    chosen = dataclasses.replace(chosen, train=dataclasses.replace(chosen.train, init=str(first / "model")))
    with pytest.raises(UsageError, match="starts a U-Net of single frames only; name a run"):
        started(chosen, simulated_camus, tmp_path)


def test_what_is_neither_run_nor_model_is_named(simulated_camus, tmp_path):
    with pytest.raises(ModelError, match="no such model or folder"):
        train_run(config(init=str(tmp_path / "none")), simulated_camus, tmp_path / "run", device="cpu")
    with pytest.raises(UsageError, match=r"a regressor starts at what --network\.weights"):
        chosen = ef_recipe("css-ef-m-lite")
        dataclasses.replace(chosen, train=dataclasses.replace(chosen.train, init="a4c"))
    with pytest.raises(ModelError, match=r"some model: model\.onnx cannot be read"):
        graph_weights(b"no graph at all", "some model")


def test_a_model_that_was_changed_is_no_start(first, simulated_camus, tmp_path):
    shutil.copytree(first / "model", tmp_path / "changed")
    with (tmp_path / "changed" / MODEL_FILE).open("ab") as file:
        file.write(b"changed")
    with pytest.raises(ModelError, match="the file was changed or cut short"):
        started(config(init=str(tmp_path / "changed")), simulated_camus, tmp_path / "run")


def test_the_record_holds_what_the_run_started_from(first, simulated_camus, tmp_path):
    start, folder = tmp_path / "start", tmp_path / "second"
    shutil.copytree(first / "model", start)
    chosen = config(init=str(start))
    model = train_run(chosen, simulated_camus, folder, device="cpu")
    digest = json.loads((folder / "run.json").read_text())["data"]["init"]
    assert f"from weights {digest[:12]} (sha256)" in (model / "card.md").read_text()
    with (start / MODEL_FILE).open("ab") as file:
        file.write(b"changed")
    with pytest.raises(UsageError, match=r"data\.init \(.* before, .* now\) differs"):
        train_run(chosen, simulated_camus, folder, device="cpu", resume=True)


def saved(method, folder):
    """The weights of a method as the best of a run."""
    (folder / BEST).parent.mkdir(parents=True)
    torch.save({"format": FORMAT, "method": method.state_dict()}, folder / BEST)
    return str(folder)


def small(name, **network):
    chosen = recipe(f"{name}-lite").network
    backbone = "resnet18" if name == "sscf" else "resnet10t"
    return build_method(name, dataclasses.replace(chosen, backbone=backbone, **network))


@pytest.mark.parametrize(
    ("name", "off"),
    [("sscf", {"weight": 0.0}), ("meanteacher", {"consistency_weight": 0.0}), ("echoforge", {"cpr": False})],
)
def test_a_method_starts_at_its_control(name, off, tmp_path):
    """Also its teacher, which the control of SSCF lacks; what a control never had stays random, and alike in both networks."""
    source = saved(small(name, **off), tmp_path)
    method = small(name)
    InitialWeights.find(source).load_into(method, frames())
    best = torch.load(tmp_path / BEST, weights_only=True)["method"]
    weights = method.state_dict()
    assert all(torch.equal(weights[key], value) for key, value in best.items())
    for key, value in weights.items():
        student = key.replace("teacher.model.", "net." if name == "sscf" else "student.").replace("teacher.", "net.")
        assert torch.equal(value, weights[student]), key


def test_a_frame_wise_run_starts_at_a_student(tmp_path):
    source = saved(small("meanteacher"), tmp_path)
    method = build_method("framewise", dataclasses.replace(recipe("framewise").network, backbone="resnet10t"))
    InitialWeights.find(source).load_into(method, frames())
    best = torch.load(tmp_path / BEST, weights_only=True)["method"]
    assert torch.equal(method.classifier.weight, best["student.classifier.weight"])


def test_a_curriculum_begins_anew(tmp_path):
    """The epoch belongs to the run that is over, not to its weights."""
    other = small("echoforge")
    other.on_epoch_end(40)
    method = small("echoforge")
    InitialWeights.find(saved(other, tmp_path)).load_into(method, frames())
    assert int(other.epoch) == 41
    assert int(method.epoch) == 0
