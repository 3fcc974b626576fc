"""CSS, stages 2 and 3: R(2+1)D against torchvision's, the guided and the distilled regressor."""

import dataclasses
import math

import pytest
import torch
from torchvision.models.video import r2plus1d_18

from echoseg.batch import EfBatch
from echoseg.errors import ModelError, UsageError
from echoseg.methods.ef import EF_METHODS, build_ef_method, ef_config_class
from echoseg.methods.ef.base import EfGraph, LvProbability, ef_graph
from echoseg.methods.ef.distilled import DistilledEf, DistilledEfConfig
from echoseg.methods.ef.guided import GuidedEf, GuidedEfConfig
from echoseg.methods.ef.network import R2Plus1D, R2Plus1DConfig
from echoseg.methods.framewise import FrameWise, FrameWiseConfig
from echoseg.nn.cost import gmacs, parameters

TINY = R2Plus1DConfig(width=4, blocks=(1, 1, 1, 1))
SIDE, LENGTH = 16, 4
SIZE = {"width": TINY.width, "blocks": TINY.blocks}


def batch(n: int = 2, channels: int = 2, ef: float = 60.0, seed: int = 0) -> EfBatch:
    rng = torch.Generator().manual_seed(seed)
    clip = torch.randn(n, LENGTH, channels, SIDE, SIDE, generator=rng)
    return EfBatch(clip, torch.full((n,), ef), tuple(f"c{i}" for i in range(n)))


def distilled(**changes) -> DistilledEf:
    torch.manual_seed(0)
    return DistilledEf(DistilledEfConfig(**SIZE, **changes))


def trained_teacher() -> GuidedEf:
    """Weights and batch statistics that differ from fresh ones."""
    torch.manual_seed(1)
    teacher = GuidedEf(GuidedEfConfig(**SIZE))
    optimiser = torch.optim.SGD(teacher.parameters(), 1e-3)
    for seed in range(3):
        optimiser.zero_grad()
        teacher.training_step(batch(seed=seed, ef=50.0), None, 0).loss.backward()
        optimiser.step()
    return teacher


def test_the_paper_size_is_r2plus1d_18_with_another_channel():
    with torch.device("meta"):
        guided, alone = R2Plus1D(R2Plus1DConfig(), 2).eval(), R2Plus1D(R2Plus1DConfig(), 1).eval()
        theirs = r2plus1d_18(weights=None)
        clip = torch.zeros(1, 32, 2, 112, 112)
    assert (parameters(guided), parameters(alone)) == (31_302_843, 31_300_638)
    assert parameters(guided) == pytest.approx(31.30e6, rel=0.01)
    assert parameters(theirs) - parameters(alone) == (400 - 1) * 513
    assert gmacs(alone, clip[:, :, :1]) == pytest.approx(81.0, rel=0.001)
    assert gmacs(guided, clip) == pytest.approx(81.26, abs=0.01)


def test_the_lite_size_is_small():
    with torch.device("meta"):
        method = R2Plus1D(R2Plus1DConfig(width=16, blocks=(1, 1, 1, 1)), 2).eval()
        clip = torch.zeros(1, 16, 2, 112, 112)
    assert parameters(method) == 783_771
    assert gmacs(method, clip) < 1.4


@pytest.fixture(scope="module")
def torchvisions() -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    network = r2plus1d_18(weights=None)
    with torch.no_grad():
        for name, value in network.named_buffers():
            if name.endswith("running_mean"):
                value.normal_()
    return network.state_dict()


def test_torchvisions_weights_give_torchvisions_features(torchvisions, tmp_path):
    """Gray shown to three equal channels; only the last layer differs."""
    torch.save(torchvisions, tmp_path / "kinetics.pt")
    ours = R2Plus1D(R2Plus1DConfig(weights=str(tmp_path / "kinetics.pt")), 1).eval()
    theirs = r2plus1d_18(weights=None).eval()
    theirs.load_state_dict(torchvisions)
    theirs.fc = ours.fc
    clip = torch.randn(1, 4, 1, 32, 32)
    with torch.no_grad():
        expected = theirs(clip.transpose(1, 2).expand(-1, 3, -1, -1, -1))[:, 0]
        torch.testing.assert_close(ours(clip), expected, atol=1e-3, rtol=1e-4)


def test_a_pretrained_stem_keeps_its_colours_and_gets_uniform_weights_for_the_masks(torchvisions, tmp_path):
    torch.save(torchvisions, tmp_path / "kinetics.pt")
    stem = R2Plus1D(R2Plus1DConfig(weights=str(tmp_path / "kinetics.pt")), 2).stem[0].weight.detach()
    assert torch.equal(stem[:, :3], torchvisions["stem.0.weight"])
    extra = stem[:, 3]
    assert -1 <= float(extra.min()) < -0.9 and 0.9 < float(extra.max()) <= 1
    assert float(extra.std()) == pytest.approx(1 / math.sqrt(3), rel=0.05)


def test_the_last_bias_starts_at_a_mean_ejection_fraction():
    network = R2Plus1D(TINY, 1)
    assert network.fc.bias.tolist() == [pytest.approx(55.6)]


def test_weights_of_another_size_or_none_at_all_are_refused(torchvisions, tmp_path):
    torch.save(torchvisions, tmp_path / "kinetics.pt")
    with pytest.raises(ModelError, match=r"fit width 64 and blocks 2 2 2 2 alone"):
        R2Plus1D(dataclasses.replace(TINY, weights=str(tmp_path / "kinetics.pt")), 1)
    with pytest.raises(UsageError, match=r"none\.pt: no such file"):
        R2Plus1D(dataclasses.replace(TINY, weights=str(tmp_path / "none.pt")), 1)
    (tmp_path / "broken.pt").write_bytes(b"broken")
    with pytest.raises(ModelError, match=r"broken\.pt.*Give weights=none"):
        R2Plus1D(dataclasses.replace(TINY, weights=str(tmp_path / "broken.pt")), 1)


@pytest.mark.parametrize("name", sorted(EF_METHODS))
def test_every_regressor_keeps_the_contract(name):
    torch.manual_seed(0)
    method = build_ef_method(name, ef_config_class(name)(**SIZE))
    channels = 2 if method.guided else 1
    assert method(batch(3, channels).clip).shape == (3,)
    step = method.training_step(batch(channels=channels), batch(seed=1), 0)
    step.loss.backward()
    assert all(p.grad is not None for p in method.parameters() if p.requires_grad)
    alone = method.eval()(batch(3, channels).clip[1:2])
    torch.testing.assert_close(alone, method(batch(3, channels).clip)[1:2], atol=1e-3, rtol=1e-4)


def test_an_unknown_regressor_is_answered_with_the_list():
    with pytest.raises(UsageError, match=r"'nope' is not known; choose one of css-ef-e, css-ef-m"):
        build_ef_method("nope", TINY)


def test_stage_two_is_the_squared_error_of_labelled_clips():
    method = GuidedEf(GuidedEfConfig(**SIZE)).eval()
    one, other = batch(ef=40.0), batch(ef=60.0)
    expected = (method(one.clip) - 40).square().mean()
    assert float(method.training_step(one, None, 0).loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)
    # unlabelled clips, whatever their labels, change nothing
    found = method.training_step(one, other, 0).loss
    assert float(found.detach()) == pytest.approx(float(expected.detach()), rel=1e-5)


def test_the_student_starts_as_its_teacher_without_the_masks():
    teacher, student = trained_teacher(), distilled()
    student.adopt(teacher.net)
    clip = batch().clip
    student.eval()
    torch.testing.assert_close(student.teacher(clip), teacher.eval()(clip))
    assert not torch.allclose(student(clip), teacher(clip), atol=1e-3)
    with torch.no_grad():
        student.teacher.stem[0].weight[:, 3:] = 0
    torch.testing.assert_close(student(clip), student.teacher(clip))


@pytest.mark.parametrize(("convention", "weight"), [("code", 2.5), ("paper", 5.0)])
def test_the_effective_weight_of_distillation(convention, weight):
    method = distilled(convention=convention).eval()
    labelled, unlabelled = batch(channels=1), batch(seed=1, ef=math.nan)
    result = method.training_step(labelled, unlabelled, 0)
    supervised = (method(labelled.clip) - 60).square().mean()
    gap = (method(unlabelled.clip) - method.teacher(unlabelled.clip)).square().mean()
    assert float(result.loss.detach()) == pytest.approx(float((supervised + weight * gap).detach()), rel=1e-5)
    assert result.logs["w_effective"] == weight


def test_a_student_that_says_what_its_teacher_says_has_no_distillation_loss():
    method = distilled()
    method.adopt(trained_teacher().net)
    with torch.no_grad():
        method.teacher.stem[0].weight[:, 3:] = 0
    method.eval()
    assert method.training_step(batch(channels=1), batch(seed=2), 0).logs["distilled"] == pytest.approx(0, abs=1e-6)


def test_teacher_weights_and_statistics_are_unchanged_by_a_step():
    method = distilled()
    method.adopt(trained_teacher().net)
    before = {k: v.clone() for k, v in method.teacher.state_dict().items()}
    optimiser = torch.optim.SGD([p for p in method.parameters() if p.requires_grad], 1e-2)
    method.train()
    assert not method.teacher.training
    method.training_step(batch(channels=1), batch(seed=1), 0).loss.backward()
    optimiser.step()
    assert all(p.grad is None for p in method.teacher.parameters())
    assert all(torch.equal(v, before[k]) for k, v in method.teacher.state_dict().items())
    assert method.inference_parameters() == parameters(method.net)


def test_the_student_never_sees_masks():
    method = distilled().eval()
    clip = batch().clip
    other = clip.clone()
    other[:, :, 1] = 5
    assert torch.equal(method(clip), method(other))


def test_labels_of_unlabelled_clips_never_reach_the_loss():
    losses = {
        float(distilled().eval().training_step(batch(channels=1), batch(seed=1, ef=ef), 0).loss.detach())
        for ef in (math.nan, 10.0)
    }
    assert len(losses) == 1


def stage_one(channels: int = 1) -> FrameWise:
    torch.manual_seed(0)
    return FrameWise(FrameWiseConfig(backbone="resnet10t", decoder=(8, 8, 8, 8), channels=channels))


@pytest.mark.parametrize("channels", [1, 4])
def test_masks_are_probabilities_of_the_lv_whatever_the_normalisation(channels):
    method = stage_one(channels).eval()
    gray = torch.rand(1, 3, 1, 32, 32)
    logits = method((gray - 0.2) / 0.4)
    expected = logits.sigmoid() if channels == 1 else logits.softmax(2)[:, :, 1:2]
    found = LvProbability(method, (0.2, 0.4), (0.5, 0.3))((gray - 0.5) / 0.3)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-3)


def test_stage_one_is_frozen_and_stays_in_evaluation():
    masks = LvProbability(stage_one(), (0.0, 1.0), (0.0, 1.0)).train()
    assert not masks.method.training
    assert not any(p.requires_grad for p in masks.parameters())


def test_a_method_that_sees_clips_cannot_be_stage_one():
    method = stage_one()
    method.temporal = "stream"
    with pytest.raises(UsageError, match=r"of kind stream: stage 2 takes those of a frame-wise one"):
        LvProbability(method, (0.0, 1.0), (0.0, 1.0))


def test_the_exported_graph_feeds_the_masks_that_training_feeds():
    guided, masks = GuidedEf(GuidedEfConfig(**SIZE)).eval(), LvProbability(stage_one(), (0.1, 1.2), (0.1, 1.2))
    graph = EfGraph(guided, masks).eval()
    clip, present = torch.randn(1, LENGTH, 1, 32, 32), torch.tensor([[1.0, 1.0, 1.0, 0.0]])
    channel = 2 * masks(clip) - 1
    channel[:, -1] = -1
    gray = clip.clone()
    gray[:, -1] = 0
    torch.testing.assert_close(graph(clip, present), guided(torch.cat([gray, channel], 2)))
    garbage = clip.clone()
    garbage[:, -1] = 99
    torch.testing.assert_close(graph(garbage, present), graph(clip, present))


def test_a_guided_graph_needs_masks_and_any_other_none():
    masks = LvProbability(stage_one(), (0.0, 1.0), (0.0, 1.0))
    for method, given in ((GuidedEf(GuidedEfConfig(**SIZE)), None), (distilled(), masks)):
        with pytest.raises(ValueError, match="a guided method needs masks"):
            ef_graph(method, given, LENGTH, (SIDE, SIDE))


@pytest.mark.parametrize("wrong", [{"width": 1}, {"blocks": (1, 0, 1, 1)}, {"unlabelled_weight": -1.0}])
def test_configuration_names_what_is_wrong(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        DistilledEfConfig(**wrong)
