"""SSCF's losses, mean teacher and training step."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from tests.contract.test_methods_contract import clip_batch

from echoseg.batch import IGNORE, ClipBatch
from echoseg.methods.sscf import SSCF, SSCFConfig
from echoseg.methods.sscf.method import Views, consistency, squared_dice
from echoseg.recipes import recipe

CONFIG = SSCFConfig(width=8, ramp=10, unsupervised=3)
SIDE = 48


def build(**changes: object) -> SSCF:
    torch.manual_seed(0)
    return SSCF(dataclasses.replace(CONFIG, **changes))


def batch(clips: int = 1, length: int = 5, seed: int = 0, labelled: bool = True) -> ClipBatch:
    """The contract's discs, smaller."""
    whole = clip_batch(seed, clips, labelled)
    place = slice(8, 8 + SIDE)
    cut = {name: getattr(whole, name)[:, :length, ..., place, place] for name in ("clip", "weak", "masks")}
    return dataclasses.replace(whole, **cut, labelled=whole.labelled[:, :length])


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def test_consistency_by_hand():
    """p_s = 0.3, p_t = 0.6: the printed KL, of the foreground alone, would be -0.208; that of both outcomes is 0.184."""
    student, teacher = torch.full((1, 1, 4, 4), logit(0.3)), torch.full((1, 1, 4, 4), logit(0.6))
    assert 0.3 * math.log(0.3 / 0.6) == pytest.approx(-0.208, abs=5e-4)
    kl = 0.3 * math.log(0.3 / 0.6) + 0.7 * math.log(0.7 / 0.4)
    assert float(consistency(student, teacher)) == pytest.approx(0.5 * 0.3**2 + 0.5 * kl, rel=1e-5)


@pytest.mark.parametrize("channels", [1, 4])
def test_consistency_is_zero_if_and_only_if_both_agree(channels):
    student = 3 * torch.randn(2, channels, 6, 6, generator=torch.Generator().manual_seed(0))
    assert float(consistency(student, student)) == pytest.approx(0, abs=1e-7)
    other = student.clone()
    other[0, 0, 2, 3] += 1
    assert float(consistency(student, other)) > 1e-6
    assert float(consistency(other, student)) > 1e-6


def test_squared_dice_by_hand():
    """Two pixels of four labelled, p = 0.5 everywhere: 1 - 2 * 1 / (4 * 0.25 + 2)."""
    target = torch.tensor([1.0, 1.0, 0.0, 0.0]).view(1, 1, 2, 2)
    valid = torch.ones(1, 1, 2, 2, dtype=torch.bool)
    assert float(squared_dice(torch.zeros(1, 1, 2, 2), target, valid)) == pytest.approx(1 - 2 / 3, abs=1e-5)
    assert float(squared_dice(40 * (target - 0.5), target, valid)) == pytest.approx(0, abs=1e-5)
    assert float(squared_dice(torch.full((1, 1, 2, 2), -90.0), 0 * target, valid)) == pytest.approx(0, abs=1e-5)


def test_squared_dice_leaves_out_ignored_pixels_and_the_background():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, 3, 3, generator=generator)
    labels = torch.randint(0, 4, (2, 3, 3), generator=generator)
    target = torch.nn.functional.one_hot(labels, 4).permute(0, 3, 1, 2).float()
    valid = torch.rand(2, 1, 3, 3, generator=generator) > 0.3
    wanted = []
    for n in range(2):
        for k in (1, 2, 3):
            p = torch.softmax(logits[n], 0)[k][valid[n, 0]].numpy()
            g = target[n, k][valid[n, 0]].numpy()
            wanted.append(1 - 2 * (p * g).sum() / ((p**2).sum() + (g**2).sum()))
    assert float(squared_dice(logits, target, valid)) == pytest.approx(np.mean(wanted), abs=1e-4)


def test_views_number_the_frames_of_clips_of_different_length():
    views = Views.of(batch(1, 5), batch(2, 3, labelled=False))
    assert views.labelled == [(0, 0, 1), (3, 4, 4)]
    # frames 0-4 are the labelled clip, 5-7 and 8-10 the others
    assert views.others == [
        (0, 1, 2), (1, 2, 3), (2, 3, 4),
        (5, 5, 6), (5, 6, 7), (6, 7, 7), (8, 8, 9), (8, 9, 10), (9, 10, 10),
    ]  # fmt: skip
    assert views.strong.shape == views.weak.shape == (11, 1, SIDE, SIDE)
    assert views.masks.shape == (11, SIDE, SIDE)


def test_supervised_loss_is_that_of_the_labelled_frames_in_the_clip():
    """Half Dice, half cross-entropy of frames 0 and 4, from their replicated triplets."""
    method, data = build(weight=0.0), batch(1)
    result = method.training_step(data, None, 0)
    fresh = build(weight=0.0)
    logits = fresh.net.segment(data.clip[0], [(0, 0, 1), (3, 4, 4)])
    masks = data.masks[0, [0, 4]].unsqueeze(1).float()
    p = logits.sigmoid()
    ce = -(masks * p.log() + (1 - masks) * (1 - p).log()).mean()
    ends = [1 - 2 * (p[i] * masks[i]).sum() / (p[i].square().sum() + masks[i].sum()) for i in range(2)]
    torch.testing.assert_close(result.loss, 0.5 * sum(ends) / 2 + 0.5 * ce, rtol=1e-4, atol=1e-5)


def test_ramp_is_quadratic_in_the_step():
    method, data = build(ramp=8), batch(1)
    weights = [method.training_step(data, None, step).logs["lambda"] for step in (0, 4, 8, 20)]
    assert weights == [0, 0.25, 1, 1]


def test_consistency_enters_with_its_weight():
    method, data = build(weight=3.0, ramp=2), batch(1)
    result = method.training_step(data, None, 1)
    logs = result.logs
    supervised = 0.5 * logs["dice_loss"] + 0.5 * logs["ce"]
    assert logs["lambda"] == 0.75
    assert logs["consistency"] > 0
    assert result.loss.item() == pytest.approx(supervised + 0.75 * logs["consistency"], rel=1e-5)


def seen_by(method: SSCF) -> list[int]:
    """Number of frames that the teacher's middle encoder gets in each call."""
    sizes: list[int] = []
    assert method.teacher is not None
    method.teacher.model.encoders[1].register_forward_pre_hook(lambda _, inputs: sizes.append(len(inputs[0])))
    return sizes


def test_the_step_takes_as_many_unlabelled_triplets_as_it_is_told():
    for count, wanted in ((1, 1), (3, 3), (50, 3 + 2 * 3)):
        method = build(unsupervised=count)
        sizes = seen_by(method)
        method.training_step(batch(1), batch(2, 3, seed=1, labelled=False), 4)
        assert sizes == [wanted]


def test_triplets_are_drawn_from_both_streams_and_anew_each_step(monkeypatch):
    method, drawn = build(unsupervised=2), []
    segment = method.teacher.model.segment
    monkeypatch.setattr(
        method.teacher.model, "segment", lambda frames, triplets: (drawn.append(triplets), segment(frames, triplets))[1]
    )
    streams = batch(1), batch(1, seed=1, labelled=False)
    for step in (*range(8), 0):
        method.training_step(*streams, step)
    centres = {current for triplets in drawn for _, current, _ in triplets}
    assert centres & {1, 2, 3}
    assert centres & {5, 6, 7, 8, 9}
    assert not centres & {0, 4}  # labelled
    assert drawn[0] == drawn[8]
    assert len({tuple(triplets) for triplets in drawn}) > 4


def test_the_teacher_sees_the_weak_view_with_noise_of_its_own():
    method, data = build(noise=0.05), batch(1)
    data = dataclasses.replace(data, weak=data.weak + 7)
    seen = []
    method.teacher.model.encoders[1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    method.training_step(data, None, 3)
    noise = seen[0] - data.weak[0, 1:4]
    assert float(noise.std()) == pytest.approx(0.05, rel=0.05)
    assert float(noise.mean()) == pytest.approx(0, abs=0.005)


def test_a_step_is_a_function_of_its_number():
    losses = [build().training_step(batch(1), None, step).loss.item() for step in (5, 5, 6)]
    assert losses[0] == losses[1] != losses[2]


def test_no_gradient_reaches_the_teacher_and_it_stays_in_evaluation():
    method = build().train()
    before = {k: v.clone() for k, v in method.teacher.state_dict().items()}
    assert not any(module.training for module in method.teacher.model.modules())
    method.training_step(batch(1), None, 9).loss.backward()
    assert all(p.grad is None and not p.requires_grad for p in method.teacher.parameters())
    assert all(torch.equal(v, before[k]) for k, v in method.teacher.state_dict().items())


def test_teacher_is_the_moving_average_of_its_student():
    """theta'_n = theta + 0.99^n (theta'_0 - theta) for a student that stands still, batch statistics too."""
    method = build()
    start = {name: value.clone() for name, value in method.teacher.model.state_dict().items()}
    with torch.no_grad():
        for parameter in method.net.parameters():
            parameter.add_(torch.randn_like(parameter))
    method.training_step(batch(1), None, 0)  # moves the batch statistics
    for step in range(69):
        method.after_optimizer_step(step)
    student = method.net.state_dict()
    for name, value in method.teacher.model.state_dict().items():
        if value.is_floating_point():  # weights and batch statistics
            wanted = student[name] + 0.99**69 * (start[name] - student[name])
            torch.testing.assert_close(value, wanted, rtol=1e-4, atol=1e-5)
        else:
            assert torch.equal(value, student[name])
    assert pytest.approx(0.5, abs=0.001) == 0.99**69


def test_without_a_weight_it_is_the_supervised_control():
    method, data = build(weight=0.0), batch(1)
    assert method.teacher is None
    alone = method.training_step(data, None, 5)
    beside = build(weight=0.0).training_step(data, batch(1, seed=1, labelled=False), 5)
    assert torch.equal(alone.loss, beside.loss)
    assert set(alone.logs) == {"ce", "dice_loss"}
    method.after_optimizer_step(0)
    nothing = method.training_step(batch(1, labelled=False), None, 5).loss
    nothing.backward()
    assert nothing.item() == 0


def test_student_predicts_unless_the_teacher_is_asked():
    frames, (student, teacher) = batch(1).clip, (build(predict=who).eval() for who in ("student", "teacher"))
    for method in (student, teacher):
        with torch.no_grad():
            method.net.head[2].bias.add_(100)
    assert student(frames).min().item() > 50 > teacher(frames).max().item()
    assert student.inference_parameters() == teacher.inference_parameters() == build(weight=0.0).inference_parameters()
    assert teacher.export_graph(SIDE, SIDE).module is teacher.teacher.model


def test_the_exported_window_has_the_length_of_the_training_clips():
    method = build()
    assert method.export_graph(SIDE, SIDE).inputs[0].shape == (1, 10, 1, SIDE, SIDE)
    method.training_step(batch(1, 5), batch(1, 3, labelled=False), 0)
    other = build()
    other.load_state_dict(method.state_dict())
    assert other.export_graph(SIDE, SIDE).inputs[0].shape == (1, 5, 1, SIDE, SIDE)


@pytest.mark.parametrize(
    "changes", [{"tce": False}, {"bssf": False}, {"dilations": (1, 2, 4)}, {"calibration": "kernels"}]
)
def test_variants_train(changes):
    method = build(**changes)
    loss = method.training_step(batch(1), batch(1, seed=1, labelled=False), 5).loss
    loss.backward()
    for name, parameter in method.net.named_parameters():
        assert parameter.grad is not None, name
        assert bool(torch.isfinite(parameter.grad).all()), name


def test_mixed_precision_stays_finite_with_four_structures():
    method, data = build(channels=4), batch(1)
    data.masks[data.masks != IGNORE] = torch.randint(0, 4, data.masks[data.masks != IGNORE].shape, dtype=torch.uint8)
    with torch.autocast("cpu", torch.bfloat16):
        result = method.training_step(data, None, 5)
    result.loss.backward()
    assert bool(torch.isfinite(result.loss))
    assert all(bool(torch.isfinite(p.grad).all()) for p in method.net.parameters())


@pytest.mark.parametrize("name", ["camus-sscf", "echonet-sscf", "sscf-lite"])
def test_the_ramp_of_a_recipe_lasts_as_long_as_its_training(name):
    config = recipe(name)
    assert config.network.ramp == config.train.steps


@pytest.mark.parametrize("name", ["camus-sscf", "echonet-sscf"])
def test_paper_recipes_hold_the_papers_constants(name):
    config = recipe(name)
    assert (config.data.size, config.train.lr, config.train.weight_decay) == (256, 1e-4, 1e-6)
    assert config.train.steps == 100 * config.train.steps_per_epoch
    assert (config.network.decay, config.network.weight, config.network.weights) == (0.99, 1.0, "none")
    assert (config.data.augment.rotate_deg, config.data.augment.flip) == (15, 0.5)
