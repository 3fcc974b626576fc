"""PKEcho-Net as a whole: its published size, any input, the loss of every stage, the exported window."""

import dataclasses

import numpy as np
import onnxruntime
import pytest
import torch
from tests.contract.test_methods_contract import LENGTH, SIDE, TINY, clip_batch
from tests.data.conftest import stored_cine

from echoseg.data import CineStore
from echoseg.errors import UsageError
from echoseg.export import PARITY, measure_parity, write_onnx
from echoseg.losses import soft_dice, targets
from echoseg.methods.pkecho import PKEcho, PKEchoConfig
from echoseg.methods.pkecho.boundary import boundary_loss, signed_distance
from echoseg.methods.pkecho.network import channels_last
from echoseg.nn.cost import gmacs, parameters
from echoseg.recipes import recipe
from echoseg.train import Validator

CONFIG: PKEchoConfig = TINY["pkecho"]
ENDS = torch.zeros(2, LENGTH, dtype=torch.bool)
ENDS[:, 0] = ENDS[:, -1] = True


def build(**changes: object) -> PKEcho:
    torch.manual_seed(0)
    return PKEcho(dataclasses.replace(CONFIG, **changes))


@pytest.mark.parametrize(
    ("backbone", "millions", "giga"), [("resnet18", 11.78, 42.1), ("resnet34", 21.89, 79.9), ("resnet50", 25.71, 108.6)]
)
def test_the_released_network_has_the_published_size(backbone, millions, giga):
    """Per clip of 10 frames at 320 px; the paper prints 11.7 / 21.8 / 25.7 M and 42 / 80 / 109 G."""
    with torch.device("meta"):
        method, clip = PKEcho(PKEchoConfig.released(backbone)).eval(), torch.empty(1, 10, 1, 320, 320)
    assert parameters(method) / 1e6 == pytest.approx(millions, rel=0.01)
    assert gmacs(method, clip) == pytest.approx(giga, rel=0.01)
    assert method.inference_parameters() == parameters(method)


@pytest.mark.parametrize("config", [PKEchoConfig(), PKEchoConfig.paper()])
def test_our_variants_are_of_the_published_size_too(config):
    with torch.device("meta"):
        assert parameters(PKEcho(config)) / 1e6 == pytest.approx(25.71, rel=0.01)


def test_attention_over_clips_costs_what_it_should():
    """Three blocks of a 32-wide attention with its norm."""
    with torch.device("meta"):
        apart = parameters(PKEcho(PKEchoConfig.paper())) - parameters(PKEcho(PKEchoConfig()))
    assert apart == 3 * (4 * 32 * 32 + 4 * 32 + 2 * 32)


@torch.no_grad()
@pytest.mark.parametrize(("length", "rows", "cols"), [(7, 112, 112), (10, 64, 96), (1, 50, 70), (3, 33, 31)])
def test_any_size_and_any_clip_length_go_through(length, rows, cols):
    """The public code failed at 112 px and at 7 frames."""
    logits = build().eval()(torch.randn(1, length, 1, rows, cols))
    assert logits.shape == (1, length, 1, rows, cols)
    assert bool(torch.isfinite(logits).all())


@torch.no_grad()
def test_forward_is_the_last_stage_and_the_ends_of_a_clip_are_its_own():
    method, clip = build().eval(), clip_batch().clip
    everything = method.stage_logits(clip, torch.ones_like(ENDS))
    assert everything.shape == (2 * LENGTH, 4, 1, SIDE, SIDE)
    torch.testing.assert_close(method(clip).flatten(0, 1), everything[:, -1], atol=1e-5, rtol=1e-4)
    ends = method.stage_logits(clip, ENDS)
    assert ends.shape == (4, 4, 1, SIDE, SIDE)
    torch.testing.assert_close(ends, everything[ENDS.flatten()], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("boundary", ["normalised", "raw", "off"])
def test_the_loss_is_the_sum_over_stages_of_dice_and_boundary(boundary):
    method, batch = build(boundary=boundary, dropout=0.0), clip_batch()
    result = method.training_step(batch, None, 0)
    logits = method.stage_logits(batch.clip, batch.labelled)
    target, valid = targets(batch.masks[batch.labelled], 1)
    expected = sum(soft_dice(logits[:, i], target, valid) for i in range(4))
    if boundary != "off":
        distance = signed_distance(target, normalised=boundary == "normalised")
        expected = expected + sum(boundary_loss(logits[:, i], distance, valid) for i in range(4))
    torch.testing.assert_close(result.loss, expected, atol=1e-4, rtol=1e-4)
    assert ("boundary" in result.logs) == (boundary != "off")


def test_unlabelled_frames_shape_the_kernels_of_the_labelled_ones():
    """They have no loss, but the clip shares its kernels: their pixels get a gradient."""
    batch = clip_batch()
    batch.clip.requires_grad_()
    build().training_step(batch, None, 0).loss.backward()
    assert float(batch.clip.grad[:, 1:-1].abs().sum()) > 0


def test_clips_without_labels_change_nothing():
    losses = []
    for unlabelled in (None, clip_batch(1, labelled=False)):
        method = build()
        losses.append(method.training_step(clip_batch(), unlabelled, 0).loss)
    assert torch.equal(*losses)


def test_ablations_learn():
    """Every switch of the paper's tables: a gradient for each parameter that is left."""
    variants = [
        {"hybrid": "off", "temporal_attention": False}, {"hybrid": "code_compat", "cross_video": True},
        {"region_proxies": (32, 8)}, {"region_proxies": (32, 4), "iterations": 1}, {"region_proxies": (), "iterations": 0},
        {"channels": 4},
    ]  # fmt: skip
    for changes in variants:
        method = build(**changes)
        method.training_step(clip_batch(), None, 0).loss.backward()
        assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in method.parameters()), changes


def test_four_labels_train_on_their_own_structures():
    batch, method = clip_batch(), build(channels=4)
    batch.masks[:, 0, :8, :8] = 3
    assert bool(torch.isfinite(method.training_step(batch, None, 0).loss))
    assert method(batch.clip).shape == (2, LENGTH, 4, SIDE, SIDE)


def test_half_precision_comes_close_and_its_logits_are_enlarged_in_full():
    method, batch = build(dropout=0.0), clip_batch()
    full = method.training_step(batch, None, 0).loss.item()
    with torch.autocast("cpu", torch.bfloat16):
        half = method.training_step(batch, None, 0).loss.item()
        assert method.stage_logits(batch.clip, ENDS).dtype == torch.float32
    assert half == pytest.approx(full, abs=0.15)


def test_channels_last_is_the_same_image():
    frames = torch.randn(3, 1, 4, 6)
    assert torch.equal(channels_last(frames), frames)
    assert channels_last(frames).stride() == (24, 1, 6, 1)
    mixed = torch.nn.functional.conv2d(channels_last(frames), torch.randn(8, 1, 3, 3))
    assert mixed.is_contiguous(memory_format=torch.channels_last)


def test_the_exported_window_is_the_method(tmp_path):
    """With every branch that the contract's configuration lacks; fewer iterations, as tracing is slow."""
    changes = {"cross_video": True, "hybrid": "code_compat", "channels": 4, "region_proxies": (16, 4), "iterations": 1}
    method = build(**changes).eval()
    graph = method.export_graph(40, 64)
    assert [tuple(x.shape) for x in graph.inputs] == [(1, CONFIG.frames, 1, 40, 64)]
    write_onnx(graph, tmp_path / "model.onnx")
    assert measure_parity(graph, tmp_path / "model.onnx") < PARITY / 10
    session = onnxruntime.InferenceSession(str(tmp_path / "model.onnx"), providers=["CPUExecutionProvider"])
    assert [(x.name, x.shape) for x in session.get_inputs()] == [("clip", [1, CONFIG.frames, 1, 40, 64])]
    assert [(x.name, x.shape) for x in session.get_outputs()] == [("logits", [1, CONFIG.frames, 4, 40, 64])]


def test_a_window_has_the_length_of_the_clips_that_were_trained(tmp_path):
    method = build()
    method.training_step(clip_batch(), None, 0)
    other = build()
    other.load_state_dict(method.state_dict())
    assert other.export_graph(32, 32).inputs[0].shape[1] == LENGTH != CONFIG.frames


def test_validation_and_export_give_one_clip_at_a_time(monkeypatch):
    """With the paper's attention over clips a larger batch would change the numbers."""
    method, seen = build(cross_video=True), []
    forward = method.forward
    monkeypatch.setattr(method, "forward", lambda clip: seen.append(clip.shape[0]) or forward(clip))
    store = CineStore((stored_cine("a"), stored_cine("b")))
    Validator(store, clip_length=4, mean=0.5, std=0.2)(method, torch.device("cpu"))
    assert seen == [1, 1]
    assert method.export_graph(32, 32).inputs[0].shape[0] == 1


@pytest.mark.parametrize("name", ["camus-pkecho", "echonet-pkecho"])
def test_recipes_are_the_papers_settings(name):
    config = recipe(name)
    assert (config.network.backbone, config.data.batch, config.data.clip_length) == ("resnet50", 8, 10)
    assert config.data.size == (320 if "camus" in name else 128)
    train = config.train
    assert (train.optimiser, train.lr, train.poly_power, train.weight_decay) == ("adam", 1e-3, 0.9, 0.0)
    assert train.steps / train.steps_per_epoch == 50
    augment = config.data.augment
    assert (augment.flip, augment.rotate_deg, augment.brightness, augment.contrast) == (0.5, 20.0, 0.15, (0.85, 1.15))
    assert np.ptp([*augment.zoom, *augment.aspect, *augment.gamma]) == augment.shift == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"channels": 2}, {"width": 48}, {"frames": 0}, {"iterations": -1}, {"dropout": 1.0},
        {"region_proxies": (4, 8)}, {"region_proxies": (32, 32)}, {"region_proxies": (64, 8)},
    ],
)  # fmt: skip
def test_configuration_names_what_is_wrong(wrong):
    name, value = next(iter(wrong.items()))
    with pytest.raises(UsageError) as caught:
        PKEchoConfig(**wrong)
    assert f"{name}={value}" in str(caught.value)
