"""EchoForge as a whole: size, teacher, pseudo-labels, learning."""

import dataclasses

import pytest
import torch
from tests.contract.test_methods_contract import TINY, clip_batch

from echoseg.errors import UsageError
from echoseg.methods.echoforge import EchoForge, EchoForgeConfig, FlameRise

CONFIG: EchoForgeConfig = TINY["echoforge"]


@pytest.fixture
def method() -> EchoForge:
    torch.manual_seed(0)
    return EchoForge(CONFIG)


def test_paper_preset_is_of_the_papers_size():
    with torch.device("meta"):
        method = EchoForge(EchoForgeConfig.paper())
    assert 60e6 < method.inference_parameters() < 70e6
    # without the reforging and the auxiliary classifier of the pixel embedding
    unused = 4 * 512 * 512 + (256 + 1)
    assert sum(p.numel() for p in method.net.parameters()) - method.inference_parameters() == unused


def test_without_cpr_inference_has_the_same_parameters():
    with_cpr, without = EchoForge(CONFIG), EchoForge(dataclasses.replace(CONFIG, cpr=False))
    assert with_cpr.inference_parameters() == without.inference_parameters()


@pytest.mark.parametrize("off", [(), ("tsf",), ("arc",), ("cpr",), ("arc", "cpr"), ("tsf", "arc", "cpr")], ids="-".join)
def test_whatever_is_switched_off_the_rest_learns(off):
    method = EchoForge(dataclasses.replace(CONFIG, **dict.fromkeys(off, False)))
    method.on_epoch_end(0)
    method.training_step(clip_batch(), None, 0).loss.backward()
    idle = [name for name, one in method.named_parameters() if one.requires_grad and one.grad is None]
    assert idle == []


def test_no_gradient_reaches_the_teacher_and_it_stays_in_evaluation(method):
    method.on_epoch_end(0)
    before = {k: v.clone() for k, v in method.teacher.state_dict().items()}
    method.train()
    assert not method.teacher.training
    method.training_step(clip_batch(), None, 0).loss.backward()
    assert all(p.grad is None for p in method.teacher.parameters())
    assert all(torch.equal(v, before[k]) for k, v in method.teacher.state_dict().items())


def test_teacher_is_the_student_of_the_epoch_before(method):
    with torch.no_grad():
        for parameter in method.net.parameters():
            parameter.add_(0.1)
    assert not torch.equal(method.teacher.project[0].weight, method.net.project[0].weight)
    method.on_epoch_end(3)
    assert int(method.epoch) == 4
    for mine, other in zip(method.net.state_dict().values(), method.teacher.state_dict().values(), strict=True):
        assert torch.equal(mine, other)


def test_first_pseudo_labels_are_the_teachers_own_predictions(method):
    """The output projection of the reforging starts at zero."""
    weak = clip_batch().weak
    with torch.no_grad():
        plain = method.teacher(weak).logits[:, 1:-1].sigmoid()
    torch.testing.assert_close(method.pseudo_labels(weak), plain)


def test_reforging_learns_from_the_swap_of_ed_and_es(method):
    method.training_step(clip_batch(), None, 0).loss.backward()
    assert float(method.net.reforge.out.weight.grad.abs().sum()) > 0
    with torch.no_grad():
        method.net.reforge.out.weight.normal_()
    method.zero_grad()
    method.training_step(clip_batch(), None, 0).loss.backward()
    for name in ("to_q", "to_k", "to_v"):
        assert float(getattr(method.net.reforge, name).weight.grad.abs().sum()) > 0


def test_no_pseudo_loss_up_to_the_end_of_the_burn_in():
    curriculum = FlameRise(burn_in=3, full=6, strict=0.5, lenient=0.5)
    method = EchoForge(dataclasses.replace(CONFIG, curriculum=curriculum))
    for epoch in range(6):
        logs = method.training_step(clip_batch(), None, 0).logs
        assert ("pseudo" in logs) == (epoch > 3)
        method.on_epoch_end(epoch)


def test_overfits_two_clips():
    torch.manual_seed(0)
    method = EchoForge(dataclasses.replace(CONFIG, backbone="resnet18", width=64, hidden=64))
    optimiser = torch.optim.Adam([p for p in method.parameters() if p.requires_grad], 2e-3)
    batch = clip_batch()
    for step in range(120):
        optimiser.zero_grad()
        method.training_step(batch, None, step).loss.backward()
        optimiser.step()
        if step % 20 == 19:
            method.on_epoch_end(step // 20)
            if _dice(method, batch) > 0.98:
                break
    assert _dice(method, batch) > 0.98


def _dice(method: EchoForge, batch) -> float:
    """On the labelled frames, in training mode as two clips are too few for batch statistics."""
    with torch.no_grad():
        predicted = (method.net(batch.clip).logits[:, :, 0] > 0)[batch.labelled]
    truth = (batch.masks == 1)[batch.labelled]
    return float(2 * (predicted & truth).sum() / (predicted.sum() + truth.sum()))


@pytest.mark.parametrize("wrong", [{"width": 33}, {"queries": 0}, {"arc_temperature": 0.0}])
def test_configuration_names_what_is_wrong(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        EchoForgeConfig(**wrong)
