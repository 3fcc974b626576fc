"""CPR and FlameRise: what the equations promise."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from echoseg.errors import UsageError
from echoseg.losses import confident_bce
from echoseg.methods.echoforge.cpr import FlameRise, Reforge, channel_attention

RISE = FlameRise(burn_in=5, full=30, weight=1.0, strict=0.95, lenient=0.75)


@pytest.fixture
def maps() -> tuple[torch.Tensor, torch.Tensor]:
    rng = torch.Generator().manual_seed(0)
    return torch.randn(2, 12, 5, 6, generator=rng), torch.randn(2, 12, 5, 6, generator=rng)


@pytest.fixture
def reforge() -> Reforge:
    torch.manual_seed(0)
    return Reforge(12)


def rows(x: torch.Tensor) -> torch.Tensor:
    return x.flatten(2).transpose(1, 2)


def test_attention_rows_sum_to_one(maps):
    attention = channel_attention(rows(maps[0]), rows(maps[1]))
    assert attention.shape == (2, 12, 12)
    torch.testing.assert_close(attention.sum(-1), torch.ones(2, 12))


def test_attention_is_softmax_of_the_instance_norm(maps):
    scores = rows(maps[0]).transpose(1, 2) @ rows(maps[1])
    expected = F.instance_norm(scores.unsqueeze(1), eps=1e-5).squeeze(1).softmax(-1)
    torch.testing.assert_close(channel_attention(rows(maps[0]), rows(maps[1])), expected)


def test_rebuilt_pixels_lie_within_their_values(maps, reforge):
    rebuilt = reforge.rebuild(*maps)
    values = reforge.to_v(rows(maps[1]))
    assert bool((rebuilt <= values.max(-1, keepdim=True).values + 1e-6).all())
    assert bool((rebuilt >= values.min(-1, keepdim=True).values - 1e-6).all())


def test_scaling_the_labelled_features_leaves_the_attention(maps):
    one = channel_attention(rows(maps[0]), rows(maps[1]))
    three = channel_attention(3 * rows(maps[0]), rows(maps[1]))
    torch.testing.assert_close(one, three, atol=1e-5, rtol=1e-5)


def test_joint_permutation_of_pixels_permutes_the_output(maps, reforge):
    order = torch.randperm(30)
    permuted = [x.flatten(2)[..., order].reshape(x.shape) for x in maps]
    torch.testing.assert_close(reforge.rebuild(*permuted), reforge.rebuild(*maps)[:, order], atol=1e-5, rtol=1e-5)


def test_reforged_equals_plain_at_the_start(maps, reforge):
    labelled, unlabelled = maps
    out = reforge(labelled.unsqueeze(1), torch.ones(2, 1), unlabelled)
    assert torch.equal(out, unlabelled)


def test_references_are_averaged_by_weight(maps, reforge):
    torch.nn.init.normal_(reforge.out.weight)
    labelled, unlabelled = maps
    both = torch.stack([labelled, unlabelled.flip(-1)], 1)
    weights = torch.tensor([[0.25, 0.75]]).expand(2, 2)
    mixed = reforge(both, weights, unlabelled) - unlabelled
    apart = [reforge(both[:, i : i + 1], torch.ones(2, 1), unlabelled) - unlabelled for i in range(2)]
    torch.testing.assert_close(mixed, 0.25 * apart[0] + 0.75 * apart[1], atol=1e-5, rtol=1e-5)


def test_flamerise_closed_form():
    assert RISE.loss_weight(0) == RISE.loss_weight(5) == 0
    assert RISE.loss_weight(30) == RISE.loss_weight(49) == 1
    middle = FlameRise(burn_in=10, full=30, weight=0.8, strict=0.9, lenient=0.7)
    assert middle.loss_weight(20) == pytest.approx(0.4)
    assert middle.threshold(10) == pytest.approx(0.9)
    assert middle.threshold(20) == pytest.approx(0.8)
    assert middle.threshold(30) == pytest.approx(0.7)


@given(st.integers(0, 60), st.integers(0, 60))
def test_flamerise_is_monotone(a, b):
    early, late = min(a, b), max(a, b)
    assert RISE.loss_weight(early) <= RISE.loss_weight(late)
    assert RISE.threshold(early) >= RISE.threshold(late)


@pytest.mark.parametrize("wrong", [{"burn_in": 9, "full": 9}, {"strict": 0.6, "lenient": 0.8}, {"lenient": 0.3}])
def test_flamerise_refuses_nonsense(wrong):
    with pytest.raises(UsageError):
        FlameRise(**{"burn_in": 5, "full": 30, **wrong})


def test_no_confident_pixel_no_loss():
    loss, used = confident_bce(torch.randn(2, 4, 4), torch.full((2, 4, 4), 0.6), 0.9)
    assert float(loss) == 0 and float(used) == 0


@given(st.floats(0.5, 1.0), st.floats(0.5, 1.0))
def test_raising_the_threshold_never_adds_pixels(a, b):
    teacher = torch.rand(200, generator=torch.Generator().manual_seed(3))
    used = [float(confident_bce(torch.zeros(200), teacher, t)[1]) for t in (min(a, b), max(a, b))]
    assert used[1] <= used[0]


def test_confident_bce_is_the_mean_over_confident_pixels():
    logits, teacher = torch.tensor([2.0, -1.0, 0.5]), torch.tensor([0.99, 0.97, 0.6])
    loss, used = confident_bce(logits, teacher, 0.95)
    expected = (F.softplus(-logits[0]) + F.softplus(-logits[1])) / 2
    torch.testing.assert_close(loss, expected)
    assert float(used) == pytest.approx(2 / 3)
