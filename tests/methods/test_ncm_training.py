"""The NCM-style method as a whole: its loss, what unlabelled frames do, switches, export."""

import dataclasses

import pytest
import torch
from tests.contract.test_methods_contract import LENGTH, SIDE, TINY, clip_batch

from echoseg.errors import UsageError
from echoseg.export import PARITY, measure_parity, write_onnx
from echoseg.losses import gaussian_ramp, supervised_loss
from echoseg.methods import METHODS
from echoseg.methods.ncm import NCM, NCMConfig
from echoseg.methods.ncm.boundary import boundary_constraint
from echoseg.recipes import RECIPES, recipe

CONFIG: NCMConfig = TINY["ncm"]


def ncm(**changes: object) -> NCM:
    torch.manual_seed(0)
    return NCM(dataclasses.replace(CONFIG, **changes))


def awake(method: NCM) -> NCM:
    """Every zero-initialised projection filled, so that every part is at work."""
    with torch.no_grad():
        for layer in (method.net.local.out, method.net.refine):
            torch.nn.init.normal_(layer.weight, std=0.5)
    return method


def trained(method: NCM, steps: int = 6) -> NCM:
    optimiser = torch.optim.Adam(method.parameters(), 2e-3)
    for step in range(steps):
        optimiser.zero_grad()
        method.training_step(clip_batch(step), clip_batch(step + 50, labelled=False), step).loss.backward()
        optimiser.step()
    return method


@pytest.mark.parametrize("channels", [1, 4])
def test_the_loss_is_that_of_the_docs_page(channels):
    """(CE + Dice)(refined) + 0.4 (CE + Dice)(coarse) + ramp * 0.1 * mean over streams of the constraint."""
    method = awake(ncm(channels=channels, boundary_weight=0.1, boundary_ramp=10, boundary_share=0.03))
    labelled, unlabelled = clip_batch(), clip_batch(1, labelled=False)
    found = method.training_step(labelled, unlabelled, 5)
    out, other = method.net.forward_all(labelled.clip), method.net(unlabelled.clip)
    supervised = [supervised_loss(x, labelled.masks, labelled.labelled) for x in (out.refined, out.coarse)]
    # 0.03 * 64 pixels, rounded
    probs = [x.sigmoid() if channels == 1 else x.softmax(2)[:, :, 1:] for x in (out.refined, other)]
    boundary = sum(boundary_constraint(p, 2) for p in probs) / 2
    expected = sum(supervised[0]) + 0.4 * sum(supervised[1]) + 0.1 * gaussian_ramp(5, 10) * boundary
    torch.testing.assert_close(found.loss, expected)
    assert float(boundary.detach()) > 0
    assert 0 < found.logs["unreliable"] <= 1


def test_unlabelled_frames_teach_through_the_constraint_alone():
    """Without labels nothing but the constraint gives a gradient, and with weight 0 nothing at all."""
    batch = clip_batch(labelled=False)
    for weight, expected in ((0.1, True), (0.0, False)):
        method = awake(ncm(boundary_weight=weight))
        method.training_step(batch, None, 0).loss.backward()
        moved = sum(float(p.grad.abs().sum()) for p in method.parameters() if p.grad is not None)
        assert (moved > 0) == expected


def test_weight_zero_does_not_compute_the_unlabelled_stream():
    method, counted = ncm(boundary_weight=0.0), []
    method.net.encoder.register_forward_pre_hook(lambda _, x: counted.append(len(x[0])))
    method.training_step(clip_batch(), clip_batch(1, labelled=False), 0)
    assert counted == [2 * LENGTH]


def test_at_first_neither_neighbours_nor_refinement_change_anything():
    method = ncm().eval()
    out = method.net.forward_all(clip_batch().clip)
    assert torch.equal(out.refined, out.coarse)
    clip = clip_batch().clip
    one_by_one = torch.cat([method(clip[:, t : t + 1]) for t in range(LENGTH)], 1)
    torch.testing.assert_close(method(clip), one_by_one, atol=1e-4, rtol=1e-4)


def test_a_frame_sees_the_one_before_and_the_next_and_no_other():
    method = awake(ncm()).eval()
    clip, other = clip_batch().clip, clip_batch().clip
    other[:, 2] += torch.randn_like(other[:, 2])
    changed = (method(clip) - method(other)).abs().amax((0, 2, 3, 4)).detach()
    assert (changed > 1e-3).tolist() == [False, True, True, True, False]
    assert float(changed[[0, 4]].max()) < 1e-5


def test_refinement_touches_only_the_surroundings_of_unreliable_pixels():
    method = awake(ncm()).eval()
    with torch.no_grad():
        method.net.coarse.bias.fill_(40.0)
        out = method.net.forward_all(clip_batch().clip)
    assert float(out.unreliable) == 0
    assert torch.equal(out.refined, out.coarse)


@pytest.mark.parametrize(
    ("switch", "gone"),
    [({"local": False}, "net.local."), ({"scale_layers": 0}, "net.cross_scale."), ({"uma": False}, "net.uma.")],
)
def test_each_part_can_be_switched_off(switch, gone):
    full, without = {n for n, _ in ncm().named_parameters()}, ncm(**switch)
    left = {n for n, _ in without.named_parameters()}
    assert left < full
    assert any(n.startswith(gone) for n in full - left)
    without.training_step(clip_batch(), None, 0).loss.backward()
    assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in without.parameters())


def test_without_uma_the_coarse_logits_are_the_only_ones_and_count_once():
    method, batch = ncm(uma=False, boundary_weight=0.0), clip_batch()
    found = method.training_step(batch, None, 0)
    logs = found.logs
    assert float(found.loss.detach()) == pytest.approx(logs["ce"] + logs["dice_loss"], rel=1e-5)


def test_a_window_of_the_trained_length_is_exported_and_agrees_with_torch(tmp_path):
    method = trained(awake(ncm(scale_layers=1)), 3)
    reloaded = NCM(method.config).eval()
    reloaded.load_state_dict(method.state_dict())
    graph = reloaded.export_graph(SIDE, SIDE)
    assert graph.inputs[0].shape == (1, LENGTH, 1, SIDE, SIDE)
    assert reloaded.net.forward_all(clip_batch().clip).unreliable > 0
    write_onnx(graph, tmp_path / "model.onnx")
    assert measure_parity(graph, tmp_path / "model.onnx") <= PARITY


def test_sizes_that_the_strides_do_not_divide_are_taken():
    clip = torch.randn(1, 2, 1, 72, 56)
    assert ncm().eval()(clip).shape == clip.shape


def test_everything_says_that_it_is_an_interpretation():
    module = __import__(METHODS["ncm"][0], fromlist=["x"])
    assert "interpretation, not a reproduction" in " ".join(module.__doc__.split()).lower()
    names = [name for name in RECIPES if "ncm" in name]
    assert sorted(names) == ["camus-ncm", "echonet-ncm", "ncm-lite"]
    for name in names:
        info = recipe(name).model
        assert "interpretation" in info.summary
        assert any("abstract" in limit for limit in info.limits)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("channels", 3),
        ("width", 48),
        ("width", 0),
        ("heads", 5),
        ("reliable", 0.5),
        ("boundary_weight", -0.1),
        ("radius", 0),
    ],
)
def test_configuration_names_what_is_wrong(name, value):
    with pytest.raises(UsageError, match=f"{name}={value}"):
        NCMConfig(**{name: value})
