"""Supervised losses against closed forms, and what must never reach them."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from echoseg.batch import IGNORE
from echoseg.losses import cross_entropy, soft_dice, supervised_loss, targets


def logit(prob: torch.Tensor) -> torch.Tensor:
    return prob.log() - (1 - prob).log()


def random_logits(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def random_masks(*shape: int, labels: int = 2, ignored: float = 0.0) -> torch.Tensor:
    rng = np.random.default_rng(1)
    masks = rng.integers(0, labels, shape, dtype=np.uint8)
    masks[rng.random(shape) < ignored] = IGNORE
    return torch.from_numpy(masks)


def test_targets_of_one_channel_are_the_lv_alone():
    masks = torch.tensor([[[0, 1, 2, 3, IGNORE]]], dtype=torch.uint8)
    target, valid = targets(masks, 1)
    assert target.tolist() == [[[[0, 1, 0, 0, 0]]]]
    assert valid.tolist() == [[[[True, True, True, True, False]]]]


def test_targets_of_four_channels_are_one_hot_and_empty_where_ignored():
    masks = torch.tensor([[[0, 1, 2, 3, IGNORE]]], dtype=torch.uint8)
    target, _ = targets(masks, 4)
    assert torch.equal(target[0, :, 0, :4], torch.eye(4))
    assert float(target[..., 4].sum()) == 0


def test_binary_cross_entropy_is_minus_the_log_of_the_right_answer():
    prob = torch.tensor([[[[0.9, 0.2, 0.6]]]])
    masks = torch.tensor([[[1, 0, IGNORE]]], dtype=torch.uint8)
    expected = -(np.log(0.9) + np.log(0.8)) / 2
    assert float(cross_entropy(logit(prob), *targets(masks, 1))) == pytest.approx(expected, rel=1e-5)


def test_softmax_cross_entropy_is_torchs_own():
    logits, masks = random_logits(3, 4, 8, 8), random_masks(3, 8, 8, labels=4, ignored=0.2)
    own = torch.nn.functional.cross_entropy(logits, masks.long(), ignore_index=IGNORE)
    torch.testing.assert_close(cross_entropy(logits, *targets(masks, 4)), own)


def test_uniform_softmax_costs_the_log_of_the_number_of_labels():
    masks = random_masks(2, 6, 6, labels=4)
    assert float(cross_entropy(torch.zeros(2, 4, 6, 6), *targets(masks, 4))) == pytest.approx(np.log(4))


@given(st.integers(0, 10_000))
def test_dice_is_the_formula_per_frame(seed):
    rng = np.random.default_rng(seed)
    prob, mask = rng.uniform(0.02, 0.98, (3, 5, 5)), rng.integers(0, 2, (3, 5, 5))
    expected = np.mean([1 - (2 * (p * g).sum() + 1) / (p.sum() + g.sum() + 1) for p, g in zip(prob, mask, strict=True)])
    logits = logit(torch.from_numpy(prob)).float().unsqueeze(1)
    loss = soft_dice(logits, *targets(torch.from_numpy(mask.astype(np.uint8)), 1))
    assert float(loss) == pytest.approx(expected, abs=1e-5)


def test_dice_of_frames_is_their_mean_and_not_one_object():
    """A large ED must not drown a small ES."""
    logits, masks = random_logits(2, 1, 8, 8), torch.zeros(2, 8, 8, dtype=torch.uint8)
    masks[0], masks[1, :2, :2] = 1, 1
    apart = [soft_dice(logits[i : i + 1], *targets(masks[i : i + 1], 1)) for i in range(2)]
    torch.testing.assert_close(soft_dice(logits, *targets(masks, 1)), (apart[0] + apart[1]) / 2)


def test_a_perfect_answer_has_no_dice_loss_and_an_empty_frame_none_either():
    masks = torch.zeros(2, 8, 8, dtype=torch.uint8)
    masks[0, 2:6, 2:6] = 1
    logits = (masks.float().unsqueeze(1) - 0.5) * 200
    assert float(soft_dice(logits, *targets(masks, 1))) == pytest.approx(0, abs=1e-6)


def test_softmax_dice_leaves_the_background_out():
    logits, masks = random_logits(2, 4, 6, 6), random_masks(2, 6, 6, labels=4)
    prob = logits.softmax(1).numpy()
    onehot = np.stack([masks.numpy() == k for k in range(4)], 1)
    expected = [
        1 - (2 * (prob[n, k] * onehot[n, k]).sum() + 1) / (prob[n, k].sum() + onehot[n, k].sum() + 1)
        for n in range(2)
        for k in (1, 2, 3)
    ]
    assert float(soft_dice(logits, *targets(masks, 4))) == pytest.approx(np.mean(expected), abs=1e-5)


@pytest.mark.parametrize("channels", [1, 4])
def test_ignored_pixels_change_nothing(channels):
    masks = random_masks(2, 8, 8, labels=max(2, channels), ignored=0.3)
    one, other = random_logits(2, channels, 8, 8), random_logits(2, channels, 8, 8, seed=5)
    mixed = torch.where((masks == IGNORE).unsqueeze(1), other, one)
    for loss in (cross_entropy, soft_dice):
        assert torch.equal(loss(one, *targets(masks, channels)), loss(mixed, *targets(masks, channels)))


@pytest.mark.parametrize("loss", [cross_entropy, soft_dice])
@pytest.mark.parametrize("channels", [1, 4])
def test_nan_on_ignored_pixels_poisons_neither_loss_nor_gradient(loss, channels):
    """The gradient of `where` alone is 0 * NaN: logits must be replaced before the sigmoid."""
    masks = random_masks(2, 8, 8, labels=max(2, channels), ignored=0.3)
    ignored = (masks == IGNORE).unsqueeze(1).expand(-1, channels, -1, -1)
    clean, dirty = random_logits(2, channels, 8, 8), random_logits(2, channels, 8, 8)
    dirty[ignored] = torch.nan
    found = []
    for logits in (clean.requires_grad_(), dirty.requires_grad_()):
        value = loss(logits, *targets(masks, channels))
        value.backward()
        found.append((value, logits.grad))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.equal(found[0][1], found[1][1])
    assert float(found[0][1][ignored].abs().max()) == 0


@pytest.mark.parametrize("channels", [1, 4])
def test_frames_without_a_valid_pixel_do_not_count(channels):
    logits, masks = random_logits(3, channels, 8, 8), random_masks(3, 8, 8, labels=max(2, channels))
    masks[1] = IGNORE
    for loss in (cross_entropy, soft_dice):
        kept = loss(logits[[0, 2]], *targets(masks[[0, 2]], channels))
        torch.testing.assert_close(loss(logits, *targets(masks, channels)), kept)


@pytest.mark.parametrize("channels", [1, 4])
def test_garbage_on_unlabelled_frames_changes_nothing(channels):
    logits = random_logits(2, 5, channels, 8, 8)
    masks = random_masks(2, 5, 8, 8, labels=max(2, channels))
    labelled = torch.zeros(2, 5, dtype=torch.bool)
    labelled[:, 0] = labelled[0, 4] = True
    garbage = masks.clone()
    garbage[~labelled] = torch.randint(0, 256, garbage[~labelled].shape, dtype=torch.uint8)
    clean, dirty = supervised_loss(logits, masks, labelled), supervised_loss(logits, garbage, labelled)
    assert all(torch.equal(a, b) for a, b in zip(clean, dirty, strict=True))


def test_nan_on_unlabelled_frames_leaves_the_gradient_of_the_others():
    logits, masks = random_logits(1, 3, 1, 8, 8), random_masks(1, 3, 8, 8)
    logits[:, 1] = torch.nan
    logits.requires_grad_()
    sum(supervised_loss(logits, masks, torch.tensor([[True, False, True]]))).backward()
    assert bool(torch.isfinite(logits.grad).all())
    assert float(logits.grad[:, 1].abs().max()) == 0


def test_no_labelled_frame_is_zero_with_a_graph():
    logits = random_logits(1, 3, 1, 8, 8).requires_grad_()
    ce, dice = supervised_loss(logits, random_masks(1, 3, 8, 8), torch.zeros(1, 3, dtype=torch.bool))
    assert float(ce.detach()) == float(dice.detach()) == 0
    (ce + dice).backward()
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_half_precision_logits_are_summed_in_full():
    """16 384 pixels in bf16 would lose the Dice sums to rounding."""
    logits, masks = random_logits(1, 1, 1, 128, 128).bfloat16(), random_masks(1, 1, 128, 128)
    everything = torch.ones(1, 1, dtype=torch.bool)
    for half, full in zip(
        supervised_loss(logits, masks, everything), supervised_loss(logits.float(), masks, everything), strict=True
    ):
        assert torch.equal(half, full)
