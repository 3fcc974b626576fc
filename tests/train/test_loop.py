"""The loop: what it keeps, what it refuses, and a resumed run that equals an uninterrupted one."""

import dataclasses
import itertools
import json
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from tests.train.conftest import STEPS, Toy, build, difference

from echoseg.batch import ClipBatch
from echoseg.errors import EchosegError
from echoseg.methods import StepResult
from echoseg.train import BEST, LAST, load_checkpoint


class Lost(Toy):
    """A step whose loss, or whose gradient, is not finite."""

    def __init__(self, where: str) -> None:
        super().__init__()
        self.where = where

    def training_step(self, labelled: ClipBatch, unlabelled: ClipBatch | None, step: int) -> StepResult:
        result = super().training_step(labelled, unlabelled, step)
        if step != 3:
            return result
        # the square root of nothing is 0, its slope is not finite
        wrong = torch.nan if self.where == "loss" else (self.net[0].weight * 0).sum().sqrt()
        return StepResult(result.loss + wrong, {})


def rows(run_dir: Path) -> list[dict]:
    return [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]


def scripted(*dice: float):
    """A validation that says what it is told to say."""
    answers = itertools.chain(dice)
    return lambda _method, _device: {"val_dice": next(answers)}


def fit(training, **options):
    return training.fit(tensorboard=False, **options)


def test_the_toy_learns(tmp_path):
    fit(build(tmp_path, steps=60, steps_per_epoch=20, lr=0.03))
    ce = [row["ce"] for row in rows(tmp_path) if "ce" in row]
    assert sum(ce[-10:]) < 0.7 * sum(ce[:10])
    assert load_checkpoint(tmp_path / BEST)["val_dice"] > 0.8


def test_hooks_are_called_after_every_step_and_every_epoch_the_last_being_short(tmp_path):
    training = build(tmp_path)
    fit(training)
    assert training.method.steps == list(range(7))
    assert training.method.epochs == [0, 1, 2, 3]


def test_every_step_has_the_learning_rate_of_the_schedule(tmp_path):
    fit(build(tmp_path, warmup_steps=3))
    config = dataclasses.replace(STEPS, warmup_steps=3)
    written = [row["lr"] for row in rows(tmp_path) if "lr" in row]
    assert written == pytest.approx([config.learning_rate(step) for step in range(7)], rel=1e-5)


def test_gradients_are_clipped_to_the_norm(tmp_path):
    training = build(tmp_path, optimiser="sgd", steps=1, poly_power=0.0, lr=1.0, grad_clip=0.01)
    before = [p.detach().clone() for p in training.method.parameters()]
    fit(training)
    moved = [(a - b).detach().norm() for a, b in zip(training.method.parameters(), before, strict=True)]
    assert float(torch.stack(moved).norm()) == pytest.approx(0.01, rel=1e-3)
    assert rows(tmp_path)[0]["grad_norm"] > 0.01


@pytest.mark.parametrize(
    ("where", "what"), [("loss", "the loss is nan"), ("gradient", "the norm of the gradient is nan")]
)
def test_a_run_that_diverges_names_step_and_cines_and_keeps_its_checkpoint(tmp_path, where, what):
    training = build(tmp_path, method=Lost(where))
    with pytest.raises(EchosegError, match=rf"{what} at step 3 \(cines cine\d, cine\d\); lower --train\.lr"):
        fit(training)
    assert load_checkpoint(tmp_path / LAST)["step"] == 2
    assert all(bool(torch.isfinite(p).all()) for p in training.method.parameters())


def test_best_is_the_checkpoint_with_the_best_validation_and_is_what_fit_returns(tmp_path):
    training = build(tmp_path, validate=scripted(0.2, 0.6, 0.6, 0.4))
    method = fit(training)
    best, last = load_checkpoint(tmp_path / BEST), load_checkpoint(tmp_path / LAST)
    assert (best["step"], best["val_dice"]) == (4, 0.6)
    assert (last["step"], last["best"]) == (7, 0.6)
    assert difference(dict(method.state_dict()), best["method"]) is None
    assert difference(best["method"], last["method"]) is not None
    assert not method.training
    assert [row["val_dice"] for row in rows(tmp_path) if "val_dice" in row] == [0.2, 0.6, 0.6, 0.4]


def test_validation_may_be_rare_but_is_never_missing_at_the_end(tmp_path):
    fit(build(tmp_path, validate_every=0))
    assert [row["step"] for row in rows(tmp_path) if "val_dice" in row] == [6]


def test_the_averaged_weights_are_validated_and_kept(tmp_path):
    seen = []

    def validate(method, _device):
        seen.append({k: v.clone() for k, v in method.state_dict().items()})
        return {"val_dice": float(len(seen))}

    training = build(tmp_path, average=0.9, validate=validate)
    method = fit(training)
    assert difference(dict(method.state_dict()), seen[-1]) is None
    assert difference(seen[-1], load_checkpoint(tmp_path / LAST)["method"]) is not None


def test_mixed_precision_reaches_the_training_step(tmp_path):
    """Fabric wraps forward() alone: bf16-mixed once trained in fp32 without a word."""
    for precision, expected in (("32-true", False), ("bf16-mixed", True)):
        training = build(tmp_path / precision, precision=precision, steps=2)
        fit(training)
        assert training.method.autocast == [expected] * 2


@pytest.mark.parametrize("fatal_step", range(8))
def test_a_run_interrupted_anywhere_ends_in_the_same_weights(tmp_path, fatal_step):
    """Weights, moments, average, torch's generator, logs and best checkpoint; step 7 is never asked for."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    fit(build(whole, average=0.9))
    if fatal_step < STEPS.steps:
        with pytest.raises(KeyboardInterrupt):
            fit(build(broken, average=0.9, fatal_step=fatal_step))
    else:
        fit(build(broken, average=0.9, fatal_step=fatal_step))
    torch.manual_seed(99)
    resumed = build(broken, average=0.9)
    fit(resumed, resume=True)
    for name in (LAST, BEST):
        assert difference(load_checkpoint(whole / name), load_checkpoint(broken / name)) is None
    assert (whole / "metrics.jsonl").read_bytes() == (broken / "metrics.jsonl").read_bytes()
    # checkpoints are written every second step, so no more than one step is repeated
    assert len(resumed.method.steps) == STEPS.steps - (STEPS.steps if fatal_step == 7 else fatal_step // 2 * 2)


def test_a_resumed_run_remembers_the_best_validation(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit(build(tmp_path, validate=scripted(0.9, 0.1), fatal_step=4))
    fit(build(tmp_path, validate=scripted(0.3, 0.5)), resume=True)
    best = load_checkpoint(tmp_path / BEST)
    assert (best["step"], best["val_dice"]) == (2, 0.9)


def test_sgd_resumes_with_its_momentum(tmp_path):
    fit(build(tmp_path / "whole", optimiser="sgd"))
    with pytest.raises(KeyboardInterrupt):
        fit(build(tmp_path / "broken", optimiser="sgd", fatal_step=5))
    fit(build(tmp_path / "broken", optimiser="sgd"), resume=True)
    ends = [load_checkpoint(tmp_path / name / LAST) for name in ("whole", "broken")]
    assert difference(*ends) is None


def test_the_loss_scale_of_fp16_is_resumed(tmp_path):
    """A step that overflows is skipped and halves the scale: no reason to stop, and not to be forgotten by a restart."""

    class Steep(Toy):
        def training_step(self, labelled, unlabelled, step):
            result = super().training_step(labelled, unlabelled, step)
            return StepResult(result.loss * (1e36 if step < 2 else 1.0), result.logs)

    def in_fp16(run_dir, **options):
        fabric = Fabric(accelerator="cpu", devices=1, plugins=MixedPrecision("16-mixed", device="cpu"))
        return build(run_dir, method=Steep(), fabric=fabric, precision="16-mixed", **options)

    fit(in_fp16(tmp_path / "whole"))
    scale = load_checkpoint(tmp_path / "whole" / LAST)["precision"]["scale"]
    assert scale == 2.0**16 / 2**2
    assert [row["grad_norm"] is None for row in rows(tmp_path / "whole") if "loss" in row] == [True] * 2 + [False] * 5
    with pytest.raises(KeyboardInterrupt):
        fit(in_fp16(tmp_path / "broken", fatal_step=4))
    fit(in_fp16(tmp_path / "broken"), resume=True)
    assert load_checkpoint(tmp_path / "broken" / LAST)["precision"]["scale"] == scale


def test_the_optimiser_is_restored_after_the_weights_have_moved_to_their_device(tmp_path, monkeypatch):
    """Its state goes where the weights are when it is loaded; restored before, it stayed on the CPU of a CUDA run."""
    with pytest.raises(KeyboardInterrupt):
        fit(build(tmp_path, fatal_step=4))
    at_setup = []
    setup = Fabric.setup

    def watched(self, module, optimiser, **options):
        at_setup.append(len(optimiser.state))
        return setup(self, module, optimiser, **options)

    monkeypatch.setattr(Fabric, "setup", watched)
    fit(build(tmp_path), resume=True)
    assert at_setup == [0]


def test_resuming_a_finished_run_trains_nothing_and_returns_the_best(tmp_path):
    first = fit(build(tmp_path))
    again = build(tmp_path)
    second = fit(again, resume=True)
    assert again.method.steps == []
    assert difference(dict(first.state_dict()), dict(second.state_dict())) is None


def test_half_a_checkpoint_of_a_killed_run_is_cleared_away(tmp_path):
    leftover = tmp_path / "checkpoints" / ".1a2b3c4d.last.ckpt"
    leftover.parent.mkdir()
    leftover.write_bytes(b"half")
    fit(build(tmp_path), resume=True)
    assert sorted(path.name for path in leftover.parent.iterdir()) == ["best.ckpt", "last.ckpt"]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_average_and_resume_work_on_a_gpu(tmp_path):
    def on_gpu(**options):
        fabric = Fabric(accelerator="cuda", devices=1, precision="bf16-mixed")
        return build(tmp_path, fabric=fabric, average=0.9, precision="bf16-mixed", **options)

    with pytest.raises(KeyboardInterrupt):
        fit(on_gpu(fatal_step=5))
    method = fit(on_gpu(), resume=True)
    assert {p.device.type for p in method.parameters()} == {"cpu"}
