"""NCM-local: which neighbours count, how much, and who is never seen."""

import math

import pytest
import torch

from echoseg.methods.ncm.local import LocalCorrelation, by_slot, frame_exists, window_bias

HEADS, RADIUS, CHANNELS = 2, 1, 8


@pytest.fixture
def local() -> LocalCorrelation:
    """With weights as training leaves them: nothing is zero."""
    torch.manual_seed(0)
    layer = LocalCorrelation(CHANNELS, HEADS, RADIUS)
    torch.nn.init.normal_(layer.out.weight, std=0.3)
    torch.nn.init.normal_(layer.bias, std=0.5)
    return layer


def clip(length: int = 4, height: int = 5, width: int = 6, seed: int = 0) -> torch.Tensor:
    return torch.randn(2, length, CHANNELS, height, width, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def by_hand(layer: LocalCorrelation, x: torch.Tensor) -> torch.Tensor:
    """One head, one pixel, one neighbour at a time."""
    out = x.clone()
    batch, length, channels, height, width = x.shape
    size = channels // layer.heads
    pixels = x.permute(0, 1, 3, 4, 2)
    q, k, v = (f(pixels) for f in (layer.to_q, layer.to_k, layer.to_v))
    for b in range(batch):
        for t in range(length):
            for row in range(height):
                for col in range(width):
                    mixed = torch.zeros(channels)
                    for head in range(layer.heads):
                        part = slice(head * size, (head + 1) * size)
                        scores, values = [], []
                        for n in (-1, 0, 1):
                            for dy in range(-RADIUS, RADIUS + 1):
                                for dx in range(-RADIUS, RADIUS + 1):
                                    place = t + n, row + dy, col + dx
                                    if all(
                                        0 <= i < size_ for i, size_ in zip(place, (length, height, width), strict=True)
                                    ):
                                        dot = q[b, t, row, col, part] @ k[(b, *place)][part] / math.sqrt(size)
                                        scores.append(dot + layer.bias[head, n + 1, dy + RADIUS, dx + RADIUS])
                                        values.append(v[(b, *place)][part])
                        mixed[part] = torch.stack(scores).softmax(0) @ torch.stack(values)
                    out[b, t, :, row, col] += layer.out(mixed)
    return out


def test_equals_a_loop_over_neighbours(local):
    x = clip(3, 4, 5)[:1]
    torch.testing.assert_close(local(x), by_hand(local, x), atol=1e-5, rtol=1e-5)


def test_weights_sum_to_one_and_are_exactly_zero_outside_window_and_clip(local):
    height, width = 5, 6
    weights = local.neighbour_weights(clip()).detach()
    torch.testing.assert_close(weights.sum((-2, -1)), torch.ones(2, 4, HEADS, height * width))
    place = torch.tensor([(row, col) for row in range(height) for col in range(width)])
    near = (place[:, None] - place[None]).abs().amax(-1) <= RADIUS
    for t in range(4):
        for slot, frame in enumerate((t - 1, t, t + 1)):
            found = weights[:, t, :, :, slot]
            valid = near if 0 <= frame < 4 else torch.zeros_like(near)
            assert float(found[..., ~valid].abs().sum()) == 0
            assert bool((found[..., valid] > 0).all())


def test_the_window_of_the_default_configuration_holds_147_neighbours():
    table = window_bias(torch.zeros(1, 3, 7, 7), 9, 9)
    centre = table[0, 40]
    assert int(torch.isfinite(centre).sum()) == 147
    # a corner has 4 x 4 of the 7 x 7 left
    assert int(torch.isfinite(table[0, 0]).sum()) == 3 * 16


def test_a_bias_belongs_to_the_offset_of_the_key_from_its_query():
    bias = torch.zeros(1, 3, 3, 3)
    bias[0, 2, 0, 1] = 5.0  # next frame, one row up
    table = window_bias(bias, 4, 5)
    query, key = 2 * 5 + 3, 1 * 5 + 3
    assert float(table[0, query, 2, key]) == 5
    assert int((table == 5).sum()) == 3 * 5  # every query but those of the first row


def test_output_is_input_while_the_output_projection_is_zero():
    layer = LocalCorrelation(CHANNELS, HEADS, RADIUS)
    x = clip()
    assert torch.equal(layer(x), x)


def test_in_a_static_clip_the_three_slots_share_equally():
    layer = LocalCorrelation(CHANNELS, HEADS, RADIUS)
    still = clip(1).expand(-1, 5, -1, -1, -1)
    share = layer.neighbour_weights(still).sum(-1).detach()
    torch.testing.assert_close(share[:, 1:-1], torch.full_like(share[:, 1:-1], 1 / 3))
    for end, slots in ((0, [0.0, 0.5, 0.5]), (-1, [0.5, 0.5, 0.0])):
        torch.testing.assert_close(share[:, end], torch.tensor(slots).expand_as(share[:, end]))


def test_moved_input_gives_moved_output_inside_the_border(local):
    x = clip(3, 9, 9)
    down, right = 2, 1
    moved = local(torch.roll(x, (down, right), (-2, -1)))
    expected = torch.roll(local(x), (down, right), (-2, -1))
    inner = slice(RADIUS + down, -RADIUS)
    torch.testing.assert_close(moved[..., inner, inner], expected[..., inner, inner], atol=1e-5, rtol=1e-5)
    assert float((moved - expected).abs().amax().detach()) > 1e-3


def test_a_frame_sees_the_one_before_and_the_next_and_no_other(local):
    x, other = clip(6), clip(6)
    other[:, 3] += 1.0
    changed = (local(x) - local(other)).abs().amax((0, 2, 3, 4)).detach()
    assert (changed > 1e-6).tolist() == [False, False, True, True, True, False]
    assert float(changed[[0, 1, 5]].abs().sum()) == 0


def test_a_pixel_outside_the_window_has_no_influence(local):
    x, other = clip(3, 7, 7), clip(3, 7, 7)
    other[:, :, :, 3, 3] += 5.0
    changed = (local(x) - local(other)).abs().amax((0, 1, 2)).detach() > 0
    assert changed.nonzero().tolist() == [[r, c] for r in (2, 3, 4) for c in (2, 3, 4)]


def test_slots_are_the_neighbouring_frames_and_zero_beyond_the_clip():
    x = torch.arange(1.0, 5).view(1, 4, 1, 1, 1)
    assert by_slot(x).flatten(1).view(4, 3).tolist() == [[0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 0]]
    assert torch.equal(frame_exists(4, x.device), by_slot(x).view(4, 3) > 0)


def test_a_clip_of_one_frame_looks_at_itself(local):
    share = local.neighbour_weights(clip(1)).sum(-1).detach()
    torch.testing.assert_close(share, torch.tensor([0.0, 1.0, 0.0]).expand_as(share))
