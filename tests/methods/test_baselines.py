"""Mean teacher and cross pseudo supervision: who sees what, who learns from whom, and the supervised-only control."""

import copy
import dataclasses
from functools import partial

import onnx
import pytest
import torch
from tests.contract.test_methods_contract import SIDE, TINY, clip_batch
from torch import Tensor

from echoseg.batch import ClipBatch, frames_of_step
from echoseg.errors import UsageError
from echoseg.export import PARITY, measure_parity, write_onnx
from echoseg.losses import bernoulli_kl, confident_ce, gaussian_ramp, probability_mse, supervised_loss
from echoseg.methods import Method
from echoseg.methods.cps import CPS, CPSConfig
from echoseg.methods.framewise import FrameWise
from echoseg.methods.meanteacher import MeanTeacher, MeanTeacherConfig

MT: MeanTeacherConfig = TINY["meanteacher"]
XS: CPSConfig = TINY["cps"]


def mean_teacher(**changes: object) -> MeanTeacher:
    torch.manual_seed(0)
    return MeanTeacher(dataclasses.replace(MT, **changes))


def cps(**changes: object) -> CPS:
    torch.manual_seed(0)
    return CPS(dataclasses.replace(XS, **changes))


def two_views(seed: int = 0, labelled: bool = True) -> ClipBatch:
    """A batch whose weak view differs from the strong one."""
    batch = clip_batch(seed, labelled=labelled)
    return dataclasses.replace(batch, weak=batch.clip + 0.5 * torch.randn_like(batch.clip))


def trained(method: Method, steps: int = 6, lr: float = 2e-3) -> Method:
    optimiser = torch.optim.Adam([p for p in method.parameters() if p.requires_grad], lr)
    for step in range(steps):
        optimiser.zero_grad()
        method.training_step(clip_batch(step), clip_batch(step + 50, labelled=False), step).loss.backward()
        optimiser.step()
        method.after_optimizer_step(step)
    return method


def weights(module: torch.nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in module.parameters()]


def same(one: list[Tensor], two: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize(
    ("target", "loss", "expected"),
    [("soft", "mse", probability_mse), ("soft", "kl", bernoulli_kl), ("hard", "mse", None)],
)
def test_mean_teachers_loss_is_supervision_and_weighted_consistency(target, loss, expected):
    """Student on the strong view, teacher on the weak one, of frames of both streams."""
    method = mean_teacher(target=target, loss=loss, consistency_weight=3.0, ramp=10, frames=2, threshold=0.52)
    with torch.no_grad():
        for parameter in method.teacher.model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    labelled, unlabelled, step = two_views(), two_views(1, labelled=False), 4
    found = method.training_step(labelled, unlabelled, step)

    frames = frames_of_step(labelled, unlabelled, 2, step)
    student = method.student.segment_frames(frames.strong)
    teacher = method.teacher.model.segment_frames(frames.weak)[frames.drawn]
    ce, dice = supervised_loss(student[:, None], frames.masks[:, None], frames.labelled[:, None])
    mine = student[frames.drawn]
    consistency = expected(mine, teacher) if expected else confident_ce(mine, teacher, 0.52)[0]
    assert float(consistency.detach()) > 0
    torch.testing.assert_close(found.loss, ce + dice + 3 * gaussian_ramp(4, 10) * consistency)
    assert found.logs["consistency"] == pytest.approx(float(consistency.detach()))
    assert int(frames.drawn.sum()) == 2 * 4


@pytest.mark.parametrize(("build", "weight"), [(mean_teacher, "consistency_weight"), (cps, "cross_weight")])
def test_what_learns_without_labels_waits_for_its_start(build, weight):
    """Before it a step is its control's; the ramp counts from there."""
    waiting = build(**{weight: 2.0}, start=3, ramp=4)
    control = build(**{weight: 0.0})
    early = waiting.training_step(two_views(), two_views(1, labelled=False), 2)
    torch.testing.assert_close(early.loss, control.training_step(two_views(), None, 2).loss)
    later = waiting.training_step(two_views(), two_views(1, labelled=False), 5)
    assert later.logs["lambda"] == pytest.approx(2 * gaussian_ramp(2, 4))


def test_the_threshold_decides_which_pixels_teach():
    batch = two_views()
    logs = {
        t: mean_teacher(target="hard", threshold=t).training_step(batch, None, 0).logs for t in (0.5, 0.7, 0.999999)
    }
    assert logs[0.5]["confident"] == 1
    assert 1 > logs[0.7]["confident"] >= logs[0.999999]["confident"] == 0
    assert logs[0.999999]["consistency"] == 0


def test_the_teacher_is_the_average_of_the_students_weights():
    """d = min(decay, 1 - 1 / (step + 1)): a plain mean of the first steps, then exponential."""
    method = mean_teacher(decay=0.6)
    expected = None
    for step, value in enumerate((1.0, 4.0, -2.0, 3.0)):
        with torch.no_grad():
            for parameter in method.student.parameters():
                parameter.fill_(value)
        method.after_optimizer_step(step)
        d = (0.0, 0.5, 0.6, 0.6)[step]
        expected = value if expected is None else d * expected + (1 - d) * value
    for parameter in method.teacher.parameters():
        torch.testing.assert_close(parameter, torch.full_like(parameter, expected))


def test_no_gradient_reaches_the_teacher_and_it_moves_only_after_the_optimiser():
    method = mean_teacher()
    before = copy.deepcopy(method.teacher.state_dict())
    method.train().training_step(two_views(), two_views(1, labelled=False), 9).loss.backward()
    assert all(p.grad is None for p in method.teacher.parameters())
    assert all(torch.equal(v, before[k]) for k, v in method.teacher.state_dict().items())
    with torch.no_grad():
        method.student.classifier.bias.add_(1.0)
    method.after_optimizer_step(9)
    assert not torch.equal(method.teacher.model.classifier.bias, before["model.classifier.bias"])


def test_the_student_never_sees_the_weak_view_and_the_teacher_never_the_strong_one():
    method, batch = mean_teacher(), two_views()
    seen: dict[str, list[Tensor]] = {"student": [], "teacher": []}
    method.student.encoder.register_forward_pre_hook(lambda _, x: seen["student"].append(x[0].detach().clone()))
    method.teacher.model.encoder.register_forward_pre_hook(lambda _, x: seen["teacher"].append(x[0].clone()))
    method.training_step(batch, None, 0)
    for who, view in (("student", batch.clip), ("teacher", batch.weak)):
        (frames,) = seen[who]
        known = view.flatten(0, 1)
        assert all(any(torch.equal(frame, other) for other in known) for frame in frames)


def test_weight_zero_is_the_supervised_baseline_with_averaged_weights():
    """Same labelled frames, same loss, same gradients as the frame-wise baseline; prediction by the average."""
    torch.manual_seed(0)
    plain = trained(FrameWise(TINY["framewise"]))
    control = trained(mean_teacher(consistency_weight=0.0))
    assert same(weights(plain), weights(control.student))
    average = mean_teacher(consistency_weight=0.0)
    clip = clip_batch().clip
    assert not torch.equal(control.eval()(clip), plain.eval()(clip))
    assert torch.equal(control(clip), control.teacher.model(clip))
    assert not same(weights(average.teacher), weights(control.teacher))


def test_weight_zero_does_not_compute_unlabelled_frames():
    method = mean_teacher(consistency_weight=0.0)
    counted: list[int] = []
    method.student.encoder.register_forward_pre_hook(lambda _, x: counted.append(len(x[0])))
    method.teacher.model.encoder.register_forward_pre_hook(lambda _, x: counted.append(len(x[0])))
    method.training_step(clip_batch(), clip_batch(1, labelled=False), 0)
    assert counted == [4]


@pytest.mark.parametrize("who", ["teacher", "student"])
def test_the_network_asked_for_predicts(who):
    method = trained(mean_teacher(predict=who), 3).eval()
    clip = clip_batch().clip
    expected = method.teacher.model if who == "teacher" else method.student
    assert torch.equal(method(clip), expected(clip))
    assert method.inference_parameters() == sum(p.numel() for p in method.student.parameters())


def test_the_two_networks_of_cps_start_differently():
    method = cps()
    assert not torch.equal(method.first.encoder.body.conv1[0].weight, method.second.encoder.body.conv1[0].weight)
    assert not torch.equal(method.first.classifier.weight, method.second.classifier.weight)


@pytest.mark.parametrize("channels", [1, 4])
def test_each_network_learns_the_hard_labels_of_the_other(channels):
    """L = L_sup,1 + L_sup,2 + weight (CE(p_1, y_2) + CE(p_2, y_1)), written out with torch's cross-entropy."""
    method = cps(cross_weight=1.5, ramp=10, frames=2, channels=channels)
    labelled, unlabelled, step = clip_batch(), clip_batch(1, labelled=False), 6
    found = method.training_step(labelled, unlabelled, step)

    frames = frames_of_step(labelled, unlabelled, 2, step)
    one, two = method.first.segment_frames(frames.strong), method.second.segment_frames(frames.strong)
    masks, flags = frames.masks[:, None], frames.labelled[:, None]
    supervised = sum(sum(supervised_loss(x[:, None], masks, flags)) for x in (one, two))
    pairs = ((one[frames.drawn], two[frames.drawn]), (two[frames.drawn], one[frames.drawn]))
    if channels == 1:
        cross = sum(torch.nn.functional.binary_cross_entropy_with_logits(p, (q.detach() > 0).float()) for p, q in pairs)
    else:
        cross = sum(torch.nn.functional.cross_entropy(p, q.detach().argmax(1)) for p, q in pairs)
    torch.testing.assert_close(found.loss, supervised + 1.5 * gaussian_ramp(6, 10) * cross)
    assert found.logs["cross"] == pytest.approx(float(cross.detach()), rel=1e-5)


def test_labels_of_the_other_carry_no_gradient_back():
    """The first network's gradient is that of its own cross-entropy, with the second's labels held fixed."""
    method, batch = cps(), clip_batch(labelled=False)
    method.training_step(batch, None, 0).loss.backward()
    found = method.first.classifier.bias.grad.clone()
    method.zero_grad()
    frames = frames_of_step(batch, None, XS.frames, 0)
    with torch.no_grad():
        label = (method.second.segment_frames(frames.strong) > 0).float()
    logits = method.first.segment_frames(frames.strong)
    (1.5 * torch.nn.functional.binary_cross_entropy_with_logits(logits, label)).backward()
    torch.testing.assert_close(method.first.classifier.bias.grad, found)


def test_weight_zero_of_cps_is_the_supervised_baseline():
    torch.manual_seed(0)
    plain = trained(FrameWise(TINY["framewise"]))
    assert same(weights(plain), weights(trained(cps(cross_weight=0.0)).first))


def test_first_or_mean_of_both_networks_predicts():
    clip = clip_batch().clip
    first, mean = cps().eval(), cps(predict="mean").eval()
    assert torch.equal(first(clip), first.first(clip))
    torch.testing.assert_close(mean(clip), (mean.first(clip) + mean.second(clip)) / 2)
    assert mean.inference_parameters() == 2 * first.inference_parameters()


@pytest.mark.parametrize(("build", "networks"), [(mean_teacher, 1), (partial(cps, predict="mean"), 2)])
def test_the_exported_graph_holds_the_networks_that_predict_and_agrees_with_torch(build, networks, tmp_path):
    method = trained(build(stages=2, decoder=(16, 8)), 3).eval()
    graph = method.export_graph(SIDE, SIDE)
    write_onnx(graph, tmp_path / "model.onnx")
    assert measure_parity(graph, tmp_path / "model.onnx") <= PARITY
    stored = sum(onnx.numpy_helper.to_array(t).size for t in onnx.load(tmp_path / "model.onnx").graph.initializer)
    own = sum(p.numel() for p in method.parameters())
    assert method.inference_parameters() == own * networks // 2
    assert 0.95 * method.inference_parameters() < stored < 1.05 * method.inference_parameters()


@pytest.mark.parametrize(
    ("config", "name", "value"),
    [
        (MeanTeacherConfig, "consistency_weight", -1.0),
        (MeanTeacherConfig, "start", -1),
        (MeanTeacherConfig, "ramp", -1),
        (MeanTeacherConfig, "threshold", 1.5),
        (MeanTeacherConfig, "decay", 1.0),
        (MeanTeacherConfig, "stages", 9),
        (CPSConfig, "cross_weight", -1.0),
        (CPSConfig, "start", -1),
        (CPSConfig, "frames", 0),
        (CPSConfig, "channels", 3),
    ],
)
def test_configuration_names_what_is_wrong(config, name, value):
    with pytest.raises(UsageError, match=f"{name}={value}"):
        config(**{name: value})
