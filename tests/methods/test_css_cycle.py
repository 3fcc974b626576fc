"""CSS's cyclical loss against closed forms and against a plain loop over the paper's equations."""

import math

import numpy as np
import pytest
import torch

from echoseg.errors import UsageError
from echoseg.methods.css import CssConfig, Cycle
from echoseg.methods.css.cycle import cycle_logits, cycle_loss, match_weights, phases, similarity

CODE, PAPER = Cycle(), Cycle(candidates="paper")
LITE = CssConfig.lite().cycle
WIDTH = 16


def embeddings(seed: int = 0, scale: float = 0.3, frames: int = 40, width: int = WIDTH) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(scale * rng.standard_normal((frames, width))).float()


def periodic(period: int, seed: int = 0, frames: int = 40) -> torch.Tensor:
    """A random cycle of embeddings, standard deviation 30, played again and again."""
    return embeddings(seed, 30.0, period, 64)[torch.arange(frames) % period]


def by_hand(z: np.ndarray, start: int, cycle: Cycle) -> float:
    """Equations 1-7 as loops over numbers, double precision."""
    s, c, p, q = cycle.phase, cycle.shift, cycle.template, cycle.search

    def gamma(one, two):
        return -sum(float(((a - b) ** 2).sum()) for a, b in zip(one, two, strict=True)) / (z.shape[1] * s)

    weights = [math.exp(cycle.temperature * gamma(z[start : start + s], z[j : j + s])) for j in range(p, p + q)]
    alpha = [w / sum(weights) for w in weights]
    expected = [sum(a * z[p + i + c + k] for i, a in enumerate(alpha)) for k in range(s)]
    first = c if cycle.candidates == "code" else 0
    logits = [cycle.temperature * gamma(expected, z[t : t + s]) for t in range(first, p - s + 1)]
    return -logits[start + c - first] + math.log(sum(math.exp(x) for x in logits))


def test_a_clip_of_the_papers_regions_is_forty_frames_with_eleven_starts():
    assert (CODE.length, CODE.starts) == (40, 11)
    assert len(cycle_logits(embeddings(), 0, CODE)) == 11
    assert len(cycle_logits(embeddings(), 0, PAPER)) == 13
    assert len(match_weights(embeddings(), 0, CODE)) == 21


def test_the_lite_clip_spans_the_papers_time():
    assert (LITE.length, LITE.starts) == (21, 6)
    assert (LITE.length - 1) * 0.12 == pytest.approx(2.4)
    assert (CODE.length - 1) * 0.06 == pytest.approx(2.4, abs=0.1)


def test_phases_are_runs_of_consecutive_embeddings():
    z = embeddings(frames=6)
    found = phases(z, 3)
    assert found.shape == (4, 3, WIDTH)
    assert torch.equal(found[2], z[2:5])


def test_similarity_is_minus_the_mean_squared_difference():
    one, two = torch.zeros(1, 3, 4), torch.full((1, 3, 4), 2.0)
    assert similarity(one, two).tolist() == [-4.0]


@pytest.mark.parametrize("cycle", [CODE, PAPER, LITE], ids=["code", "paper", "lite"])
@pytest.mark.parametrize("seed", range(4))
def test_the_loss_is_that_of_a_plain_loop(cycle, seed):
    z = embeddings(seed, frames=cycle.length)
    for start in range(cycle.starts):
        expected = by_hand(z.double().numpy(), start, cycle)
        assert float(cycle_loss(z, start, cycle)) == pytest.approx(expected, rel=2e-5)


@pytest.mark.parametrize(("cycle", "value"), [(CODE, 2.3979), (PAPER, 2.5649), (LITE, math.log(6))])
def test_equal_embeddings_leave_every_candidate_equal(cycle, value):
    z = torch.full((cycle.length, WIDTH), 0.7)
    losses = [float(cycle_loss(z, start, cycle)) for start in range(cycle.starts)]
    assert losses == pytest.approx([value] * cycle.starts, abs=5e-5)


@pytest.mark.parametrize("period", range(11, 26))
def test_a_cycle_of_eleven_to_twenty_five_frames_is_found(period):
    z = periodic(period, seed=period)
    assert max(float(cycle_loss(z, start, CODE)) for start in range(11)) < 1e-3


def test_a_cycle_of_eight_frames_is_ambiguous_for_the_outer_starts():
    """Two candidates of the template region are the same phase: exactly log 2."""
    z = periodic(8)
    losses = [float(cycle_loss(z, start, CODE)) for start in range(11)]
    for start, loss in enumerate(losses):
        assert loss == pytest.approx(math.log(2) if start in {0, 1, 2, 8, 9, 10} else 0.0, abs=1e-6)


def test_a_cycle_of_twenty_six_frames_leaves_late_starts_without_a_match():
    losses = [float(cycle_loss(periodic(26), start, CODE)) for start in range(11)]
    assert max(losses[:10]) < 1e-3
    assert losses[10] > 1


@pytest.mark.parametrize("period", range(6, 14))
def test_the_lite_loss_finds_cycles_of_the_same_heart_rates(period):
    """6 to 13 frames 0.12 s apart: 38 to 83 beats a minute; the paper's clip finds 40 to 91."""
    z = periodic(period, seed=period, frames=LITE.length)
    assert max(float(cycle_loss(z, start, LITE)) for start in range(LITE.starts)) < 1e-3


@pytest.mark.parametrize("cycle", [CODE, PAPER], ids=["code", "paper"])
def test_shift_and_rotation_of_the_embeddings_change_nothing(cycle):
    z, other = embeddings().double(), torch.linalg.qr(embeddings(1, 1.0, WIDTH).double())[0]
    offset = embeddings(2, 1.0, 1).double()
    for start in (0, 4, 10):
        plain = cycle_logits(z, start, cycle)
        torch.testing.assert_close(cycle_logits(z + offset, start, cycle), plain, atol=1e-7, rtol=1e-7)
        torch.testing.assert_close(cycle_logits(z @ other, start, cycle), plain, atol=1e-7, rtol=1e-7)


def test_shrinking_embeddings_end_at_log_eleven():
    z = embeddings(scale=1.0)
    assert float(cycle_loss(0.01 * z, 5, CODE)) == pytest.approx(2.398, abs=1e-3)
    assert abs(float(cycle_loss(z, 5, CODE)) - math.log(11)) > 0.01


@pytest.mark.parametrize("start", range(11))
def test_match_weights_sum_to_one(start):
    weights = match_weights(embeddings(), start, CODE)
    assert float(weights.sum()) == pytest.approx(1, abs=1e-6)
    assert float(weights.min()) >= 0


@pytest.mark.parametrize(("start", "untouched"), [(4, [0, 1]), (1, [0]), (0, [])])
def test_the_gradient_reaches_every_frame_but_those_before_the_candidates(start, untouched):
    """The last four frames are the buffer: they are used, too."""
    z = embeddings().requires_grad_()
    cycle_loss(z, start, CODE).backward()
    silent = torch.nonzero(z.grad.abs().sum(1) == 0).flatten().tolist()
    assert silent == untouched


def test_with_the_papers_candidates_no_frame_is_left_out():
    z = embeddings().requires_grad_()
    cycle_loss(z, 4, PAPER).backward()
    assert bool((z.grad.abs().sum(1) > 0).all())


def test_half_precision_embeddings_are_compared_in_fp32():
    """Sums over 196 positions reach values whose squares overflow in fp16."""
    z = 400 * embeddings(scale=1.0)
    half = z.half()
    assert float(cycle_loss(half, 3, CODE)) == float(cycle_loss(half.float(), 3, CODE))
    assert math.isfinite(float(cycle_loss(half, 3, CODE)))


@pytest.mark.parametrize(("frames", "start"), [(39, 0), (40, 11), (40, -1)])
def test_a_clip_or_a_start_that_does_not_fit_is_refused(frames, start):
    with pytest.raises(ValueError, match="need 40 frames and a start below 11"):
        cycle_loss(embeddings(frames=frames), start, CODE)


@pytest.mark.parametrize("wrong", [{"template": 4}, {"search": 0}, {"phase": 0}, {"temperature": 0.0}])
def test_configuration_names_what_is_wrong(wrong):
    with pytest.raises(UsageError, match=f"cycle.{next(iter(wrong))}"):
        Cycle(**wrong)
