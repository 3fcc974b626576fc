import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from echoseg.engine import Geometry
from echoseg.errors import InputError

SHAPES = [(112, 112), (600, 800), (800, 600), (64, 300), (1, 50), (128, 128), (7, 5)]


@pytest.mark.parametrize("shape", SHAPES)
def test_letterbox_keeps_the_aspect_and_fills_one_side(shape):
    g = Geometry.fit(shape, 128)
    assert max(g.content) == 128
    ratio = g.content[0] / g.content[1] / (shape[0] / shape[1])
    assert ratio == pytest.approx(1, abs=1 / min(g.content)) or min(g.content) == 1
    out = g.apply(np.full(shape, 200, np.uint8))
    assert out.shape == (128, 128)
    assert np.count_nonzero(out) == g.content[0] * g.content[1]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("mode", ["letterbox", "stretch"])
def test_a_plane_comes_back_as_it_was(shape, mode):
    """Bilinear maps reproduce linear functions: the geometry back is exactly the inverse of the geometry there."""
    g = Geometry.fit(shape, (96, 128), mode)
    rows, cols = (np.arange(n) + 0.5 for n in g.content)
    plane = np.zeros((2, *g.size), np.float32)
    plane[0][g.content_box] = rows[:, None] / g.content[0]
    plane[1][g.content_box] = cols[None] / g.content[1]
    native = g.restore(plane)
    # at the border the map is constant beyond the last pixel centre
    row = np.clip((np.arange(shape[0]) + 0.5) / shape[0], 0.5 / g.content[0], 1 - 0.5 / g.content[0])
    col = np.clip((np.arange(shape[1]) + 0.5) / shape[1], 0.5 / g.content[1], 1 - 0.5 / g.content[1])
    np.testing.assert_allclose(native[0], np.broadcast_to(row[:, None], shape), atol=1e-5)
    np.testing.assert_allclose(native[1], np.broadcast_to(col[None], shape), atol=1e-5)


@given(
    shape=st.tuples(st.integers(2, 90), st.integers(2, 90)),
    size=st.tuples(st.integers(8, 60), st.integers(8, 60)),
    mode=st.sampled_from(["letterbox", "stretch"]),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_a_box_is_the_same_part_of_the_whole(shape, size, mode, seed):
    g = Geometry.fit(shape, size, mode)
    rng = np.random.default_rng(seed)
    maps = rng.random((2, *size), dtype=np.float32)
    whole = g.restore(maps)
    assert whole.shape == (2, *shape)
    assert whole.min() >= maps[:, *g.content_box].min() - 1e-6
    assert whole.max() <= maps[:, *g.content_box].max() + 1e-6
    inside = np.zeros(size, bool)
    inside[tuple(rng.integers(0, size, (3, 2)).T)] = True
    box = g.native_box(inside)
    touched = g.restore(inside[None].astype(np.float32))[0] > 0
    if box is None:
        assert not touched.any()
        return
    np.testing.assert_allclose(g.restore(maps, box), whole[:, *box], atol=1e-6)
    touched[box] = False
    assert not touched.any()


def test_shrinking_averages_instead_of_picking():
    stripes = np.zeros((512, 512), np.uint8)
    stripes[::2] = 200
    inner = Geometry.fit((512, 512), 128).apply(stripes)[2:-2]
    assert set(np.unique(inner)) == {100}


def test_no_resampling_at_the_networks_size():
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (128, 128), dtype=np.uint8)
    np.testing.assert_array_equal(Geometry.fit((128, 128), 128).apply(frame), frame)


def test_masks_keep_their_labels_and_land_on_their_pixels():
    mask = np.zeros((300, 200), np.uint8)
    mask[30:120, 40:100] = 1
    mask[150:240, 60:160] = 3
    g = Geometry.fit(mask.shape, 128)
    placed = g.apply_mask(mask, outside=7)
    assert set(np.unique(placed)) == {0, 1, 3, 7}
    assert np.count_nonzero(placed == 7) == 128 * 128 - g.content[0] * g.content[1]
    for label in (1, 3):
        back = g.restore((placed == label)[None].astype(np.float32))[0] > 0.5
        overlap = 2 * np.count_nonzero(back & (mask == label)) / (back.sum() + (mask == label).sum())
        assert overlap > 0.97


@pytest.mark.parametrize("frame", [np.zeros((10, 12), np.uint8), np.zeros((12, 10), np.float32)])
def test_another_size_or_type_is_refused(frame):
    with pytest.raises(InputError, match="one size"):
        Geometry.fit((12, 10), 32).apply(frame)
