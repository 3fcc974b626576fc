"""Multi-scale deformable attention: closed forms and a naive loop."""

import math

import pytest
import torch
from torch import nn

from echoseg.methods.ncm.deformable import CrossScale, DeformableAttention, own_places, sample_scales

SIZES = [(8, 6), (4, 3), (2, 2)]
AREAS = [h * w for h, w in SIZES]
CHANNELS, HEADS, POINTS = 8, 2, 3


def attention(seed: int = 0, **changes: int) -> DeformableAttention:
    torch.manual_seed(seed)
    options = {"channels": CHANNELS, "heads": HEADS, "levels": 3, "points": POINTS} | changes
    return DeformableAttention(**options)


def transparent(layer: DeformableAttention) -> DeformableAttention:
    """Zero offsets, equal weights, no projection."""
    with torch.no_grad():
        layer.sampling_offsets.bias.zero_()
        for projection in (layer.value_proj, layer.output_proj):
            projection.weight.copy_(torch.eye(CHANNELS))
    return layer


def pixels(seed: int = 0, batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, sum(AREAS), CHANNELS, generator=torch.Generator().manual_seed(seed))


def bilinear(image: torch.Tensor, x: float, y: float) -> torch.Tensor:
    """Value at a place given in pixels, pixel centres at whole numbers; zero outside."""
    left, top = math.floor(x), math.floor(y)
    total = torch.zeros(image.shape[0])
    for row, col in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
        if 0 <= row < image.shape[1] and 0 <= col < image.shape[2]:
            total += (1 - abs(x - col)) * (1 - abs(y - row)) * image[:, row, col]
    return total


@torch.no_grad()
def by_hand(layer: DeformableAttention, query: torch.Tensor, place: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """One query, one head, one point at a time."""
    size = CHANNELS // HEADS
    projected = layer.value_proj(values)
    offsets = layer.sampling_offsets(query).view(*query.shape[:2], HEADS, 3, POINTS, 2)
    weights = layer.attention_weights(query).view(*query.shape[:2], HEADS, 3 * POINTS).softmax(-1)
    starts = [0, AREAS[0], AREAS[0] + AREAS[1]]
    out = torch.zeros_like(query)
    for n in range(query.shape[0]):
        for q in range(query.shape[1]):
            for head in range(HEADS):
                part = slice(head * size, (head + 1) * size)
                for level, (height, width) in enumerate(SIZES):
                    image = projected[n, starts[level] : starts[level] + height * width, part].T.reshape(
                        size, height, width
                    )
                    for point in range(POINTS):
                        dx, dy = offsets[n, q, head, level, point].tolist()
                        x = float(place[q, 0]) * width + dx - 0.5
                        y = float(place[q, 1]) * height + dy - 0.5
                        weight = weights[n, q, head, level * POINTS + point]
                        out[n, q, part] += weight * bilinear(image, x, y)
    return layer.output_proj(out)


def test_equals_a_loop_over_queries_heads_scales_and_points():
    """Offsets of several pixels, so that some points leave the image."""
    layer = attention()
    with torch.no_grad():
        layer.sampling_offsets.weight.normal_(0, 0.5)
        layer.attention_weights.weight.normal_()
    query, values, place = pixels(1), pixels(2), own_places(SIZES, torch.device("cpu"))
    torch.testing.assert_close(
        layer(query, place, values, SIZES), by_hand(layer, query, place, values), atol=1e-4, rtol=1e-4
    )


def test_without_offsets_and_with_equal_weights_it_is_the_mean_of_the_scales_at_the_pixel():
    """Planes over the image, one for each scale: bilinear interpolation is exact on them inside the border."""
    place = own_places(SIZES, torch.device("cpu"))
    level = torch.cat([torch.full((area,), float(i)) for i, area in enumerate(AREAS)])
    plane = (1 + level) * place[:, 0] - 2 * level * place[:, 1] + level
    values = plane[None, :, None].expand(1, -1, CHANNELS).contiguous()
    found = transparent(attention())(pixels(batch=1), place, values, SIZES)
    expected = 2 * place[:, 0] - 2 * place[:, 1] + 1  # the mean over level 0, 1, 2
    inside = ((place > 0.25) & (place < 0.75)).all(-1)  # half a pixel of the coarsest map away from the border
    assert int(inside.sum()) >= 8
    torch.testing.assert_close(found[0, inside], expected[inside, None].expand(-1, CHANNELS))


def test_a_pixel_sampled_at_its_own_place_of_its_own_scale_is_itself():
    values, place = pixels(3), own_places(SIZES, torch.device("cpu"))
    heads = values.view(2, -1, HEADS, CHANNELS // HEADS)
    places = place.view(1, -1, 1, 1, 1, 2).expand(2, -1, HEADS, 3, 1, 2)
    own = torch.cat([torch.full((area,), i) for i, area in enumerate(AREAS)])
    weights = nn.functional.one_hot(own, 3).float().view(1, -1, 1, 3, 1).expand(2, -1, HEADS, 3, 1)
    torch.testing.assert_close(sample_scales(heads, SIZES, places, weights), values, atol=1e-5, rtol=1e-5)


def test_places_follow_the_order_of_the_flattened_maps():
    place = own_places([(2, 3)], torch.device("cpu"))
    expected = [[1 / 6, 0.25], [0.5, 0.25], [5 / 6, 0.25], [1 / 6, 0.75], [0.5, 0.75], [5 / 6, 0.75]]
    torch.testing.assert_close(place, torch.tensor(expected))


def test_at_first_heads_look_around_on_rings_whatever_the_query():
    layer = attention(heads=8, channels=16, points=4)
    found = layer.sampling_offsets(torch.randn(1, 1, 16)).detach().view(8, 3, 4, 2)
    torch.testing.assert_close(found[0, 0], torch.tensor([[1.0, 0], [2, 0], [3, 0], [4, 0]]))
    torch.testing.assert_close(found[1, 2], torch.tensor([[1.0, 1], [2, 2], [3, 3], [4, 4]]))
    torch.testing.assert_close(found[6, 1], torch.tensor([[0.0, -1], [0, -2], [0, -3], [0, -4]]), atol=1e-6, rtol=0)
    assert float(layer.attention_weights(torch.randn(1, 1, 16)).detach().abs().sum()) == 0


def test_points_outside_the_image_give_nothing():
    layer = transparent(attention())
    with torch.no_grad():
        layer.sampling_offsets.bias.fill_(100.0)
    found = layer(pixels(), own_places(SIZES, torch.device("cpu")), pixels(1), SIZES)
    assert float(found.detach().abs().sum()) == 0


def test_where_to_look_is_learned():
    layer = attention()
    layer(pixels(), own_places(SIZES, torch.device("cpu")), pixels(1), SIZES).square().sum().backward()
    for parameter in layer.parameters():
        assert bool(torch.isfinite(parameter.grad).all())
        assert float(parameter.grad.abs().sum()) > 0


def test_scales_come_back_in_their_shapes_and_have_seen_each_other():
    torch.manual_seed(0)
    cross = CrossScale(CHANNELS, 16, HEADS, 3, POINTS, 2)
    maps = [torch.randn(2, CHANNELS, h, w) for h, w in SIZES]
    out = cross(maps)
    assert [x.shape for x in out] == [x.shape for x in maps]
    changed = [*maps[:2], maps[2] + 1.0 * torch.randn_like(maps[2])]
    for before, after in zip(out, cross(changed), strict=True):
        assert float((before - after).abs().amax().detach()) > 1e-4


def test_frames_of_a_batch_do_not_see_each_other():
    torch.manual_seed(0)
    cross = CrossScale(CHANNELS, 16, HEADS, 3, POINTS, 1)
    maps = [torch.randn(3, CHANNELS, h, w) for h, w in SIZES]
    together = cross(maps)
    for n in range(3):
        for one, every in zip(cross([x[n : n + 1] for x in maps]), together, strict=True):
            torch.testing.assert_close(one[0], every[n], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_places_are_computed_in_full_precision(kind):
    """In 8 bits of mantissa neighbouring pixels of a map of 64 have one place."""
    layer, place = attention(), own_places(SIZES, torch.device("cpu"))
    expected = layer(pixels(), place, pixels(1), SIZES)
    with torch.autocast("cpu", dtype=kind):
        found = layer(pixels(), place, pixels(1), SIZES)
    torch.testing.assert_close(found.float(), expected, atol=0.03, rtol=0.03)
