"""The contract that every method keeps; a new method is picked up from the list of methods."""

import copy

import numpy as np
import pytest
import torch

from echoseg.batch import IGNORE, ClipBatch
from echoseg.engine import ModelConfig, Segmenter, Temporal
from echoseg.export import Card, export_method
from echoseg.methods import METHODS, Method, build_method
from echoseg.methods.cps import CPSConfig
from echoseg.methods.css import CssConfig, Cycle
from echoseg.methods.distilled import DistilledConfig
from echoseg.methods.echoforge import EchoForgeConfig, FlameRise
from echoseg.methods.framewise import FrameWiseConfig
from echoseg.methods.meanteacher import MeanTeacherConfig
from echoseg.methods.ncm import NCMConfig
from echoseg.methods.pkecho import PKEchoConfig
from echoseg.methods.sscf import SSCFConfig

SIDE, LENGTH = 64, 5

TINY = {
    "css": CssConfig(
        backbone="resnet10t", stages=3, pooling=16, rates=(1, 2, 3), cycle=Cycle(template=3, search=1, phase=1, shift=1)
    ),
    "cps": CPSConfig(backbone="resnet10t", decoder=(16, 16, 8, 8), ramp=0),
    "distilled": DistilledConfig(backbone="resnet10t", decoder=(16, 16, 8, 8), teacher="a4c-small"),
    "echoforge": EchoForgeConfig(
        backbone="resnet10t", width=32, hidden=32, layers=1, queries=4, patch=2,
        curriculum=FlameRise(burn_in=0, full=1, strict=0.5, lenient=0.5),
    ),
    "framewise": FrameWiseConfig(backbone="resnet10t", decoder=(16, 16, 8, 8)),
    "meanteacher": MeanTeacherConfig(backbone="resnet10t", decoder=(16, 16, 8, 8), ramp=0),
    "ncm": NCMConfig(backbone="resnet10t", width=32, hidden=32, points=2, boundary_ramp=0),
    "pkecho": PKEchoConfig(backbone="resnet10t", frames=4),
    "sscf": SSCFConfig(width=8, ramp=1, unsupervised=2),
}  # fmt: skip


def make(name: str) -> Method:
    torch.manual_seed(0)
    return build_method(name, TINY[name])


def clip_batch(seed: int = 0, batch: int = 2, labelled: bool = True) -> ClipBatch:
    """Bright discs that shrink; first and last frame labelled."""
    rng = torch.Generator().manual_seed(seed)
    axis = torch.arange(SIDE)
    clip = 0.3 * torch.randn(batch, LENGTH, 1, SIDE, SIDE, generator=rng)
    masks = torch.full((batch, LENGTH, SIDE, SIDE), IGNORE, dtype=torch.uint8)
    flags = torch.zeros(batch, LENGTH, dtype=torch.bool)
    for b in range(batch):
        row, col = torch.randint(24, 40, (2,), generator=rng).tolist()
        for t in range(LENGTH):
            disc = (axis[:, None] - row) ** 2 + (axis[None] - col) ** 2 < (18 - 2 * t) ** 2
            clip[b, t, 0] += 2 * disc
            if labelled and t in (0, LENGTH - 1):
                masks[b, t], flags[b, t] = disc.to(torch.uint8), True
    return ClipBatch(clip, clip.clone(), masks, flags, tuple(f"case{b}" for b in range(batch)))


def advance(method: Method) -> Method:
    """Past the burn-in, so that every loss term is at work."""
    method.on_epoch_end(0)
    return method


@pytest.fixture(params=sorted(METHODS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_every_method_is_under_contract():
    assert sorted(TINY) == sorted(METHODS)


@pytest.mark.parametrize("training", [True, False])
def test_forward_returns_every_frame_in_both_modes(name, training):
    method = make(name).train(training)
    logits = method(clip_batch().clip)
    assert logits.shape == (2, LENGTH, method.channels, SIDE, SIDE)
    assert bool(torch.isfinite(logits).all())


def test_every_learning_parameter_gets_a_finite_gradient(name):
    method = advance(make(name))
    method.training_step(clip_batch(), None, 0).loss.backward()
    for label, parameter in method.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, label
            assert bool(torch.isfinite(parameter.grad).all()), label


def test_a_step_without_any_label_is_finite_and_differentiable(name):
    method = advance(make(name))
    loss = method.training_step(clip_batch(labelled=False), None, 0).loss
    loss.backward()
    assert bool(torch.isfinite(loss))


def test_unlabelled_clips_are_taken_beside_labelled_ones(name):
    loss = advance(make(name)).training_step(clip_batch(), clip_batch(1, labelled=False), 0).loss
    assert bool(torch.isfinite(loss))


def test_masks_of_unlabelled_frames_never_reach_a_loss(name):
    batch, garbage = clip_batch(), clip_batch()
    garbage.masks[:, 1:-1] = torch.randint(0, 4, garbage.masks[:, 1:-1].shape, dtype=torch.uint8)
    torch.manual_seed(1)
    clean = advance(make(name)).training_step(batch, None, 0)
    torch.manual_seed(1)
    dirty = advance(make(name)).training_step(garbage, None, 0)
    assert torch.equal(clean.loss, dirty.loss)
    assert clean.logs == dirty.logs


def test_forward_does_not_depend_on_batch_mates_in_evaluation(name):
    method = make(name).eval()
    clip = clip_batch(batch=3).clip
    together, alone = method(clip), torch.cat([method(clip[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


def test_saved_and_loaded_method_is_identical(name, tmp_path):
    method = advance(make(name)).eval()
    torch.save(method.state_dict(), tmp_path / "state.pt")
    other = build_method(name, TINY[name]).eval()
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    clip = clip_batch().clip
    assert torch.equal(method(clip), other(clip))


def test_same_seed_same_losses(name):
    def losses() -> list[float]:
        method = make(name)
        optimiser = torch.optim.Adam([p for p in method.parameters() if p.requires_grad], 1e-3)
        out = []
        for step in range(3):
            result = method.training_step(clip_batch(step), None, step)
            optimiser.zero_grad()
            result.loss.backward()
            optimiser.step()
            method.on_epoch_end(step)
            out.append(result.loss.item())
        return out

    assert losses() == losses()


def test_forty_steps_lower_the_supervised_loss(name):
    method = make(name)
    optimiser = torch.optim.Adam([p for p in method.parameters() if p.requires_grad], 5e-3)
    seen = []
    for step in range(40):
        result = method.training_step(clip_batch(step % 2), None, step)
        optimiser.zero_grad()
        result.loss.backward()
        optimiser.step()
        method.after_optimizer_step(step)
        seen.append(result.logs["ce"] + result.logs["dice_loss"])
    assert np.mean(seen[-4:]) < 0.7 * np.mean(seen[:4])


def test_exported_model_gives_the_masks_of_the_method(name, tmp_path):
    """torch's clip forward and the engine's frame-after-frame run agree on every frame."""
    method = make(name)
    optimiser = torch.optim.Adam([p for p in method.parameters() if p.requires_grad], 2e-3)
    for step in range(15):
        optimiser.zero_grad()
        method.training_step(clip_batch(step % 2), None, step).loss.backward()
        optimiser.step()
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (LENGTH, SIDE, SIDE), dtype=np.uint8)
    config = ModelConfig(
        name="tiny", version="0", structures={1: "LV"}, activation=method.activation, height=SIDE, width=SIDE,
        mean=0.5, std=0.25, temporal=Temporal(method.temporal, LENGTH if method.temporal == "window" else 1),
        postprocess=(),
    )  # fmt: skip
    export_method(copy.deepcopy(method), config, Card("test", "none"), tmp_path / "tiny")
    from echoseg.cine import Cine, CineMeta

    cine = Cine(CineMeta("noise", SIDE, SIDE, LENGTH), frames)
    gray = (torch.from_numpy(frames).float() / 255 - 0.5) / 0.25
    logits = method.eval()(gray[None, :, None])[0, :, 0]
    theirs = (logits > 0).numpy().astype(np.uint8)
    # a pixel exactly at the threshold may fall either way
    certain = logits.detach().abs().numpy() > 1e-2
    for backend in ("onnx", "openvino"):
        ours = Segmenter.load(tmp_path / "tiny", backend=backend)(cine).masks.to_array()
        assert np.array_equal(ours[certain], theirs[certain]), backend
    assert method.inference_parameters() <= sum(p.numel() for p in method.parameters())
