import av
import numpy as np
import pytest

from echoseg.cine import CineMeta, Spacing, Structure
from echoseg.errors import InputError
from echoseg.report.overlay import overlay_frames, write_overlay
from echoseg.report.paint import PALETTE, Painter, outline, picture_size, video_size


def where(picture, structure):
    return (picture == PALETTE[structure]).all(-1)


@pytest.mark.parametrize(
    ("shape", "size"), [((112, 112), (336, 336)), ((600, 800), (600, 800)), ((200, 150), (600, 450))]
)
def test_small_cines_are_enlarged_by_a_whole_factor(shape, size):
    assert video_size(CineMeta("a", *shape, 1)) == size


def test_pixels_that_are_not_square_are_shown_true():
    meta = CineMeta("a", 400, 400, 1, spacing=Spacing(0.4, 0.8))
    assert video_size(meta) == (400, 800)
    assert picture_size(meta, (100, 100), 300) == (150, 300)


@pytest.mark.parametrize("size", [(112, 112), (336, 336), (200, 175), (80, 90)])
def test_contours_lie_on_the_boundary(make, size):
    mask = make.beating(1, (112, 112), 18, walls=True)[0]
    picture = Painter((112, 112), size).paint(np.full((112, 112), 50, np.uint8), mask)
    down, across = 112 / size[0], 112 / size[1]
    line = where(picture, Structure.LV)
    assert line.any()
    lv = np.argwhere(mask == 1)
    rows, cols = np.argwhere(line).T
    centres = np.stack([(rows + 0.5) * down - 0.5, (cols + 0.5) * across - 0.5], 1)
    near = np.clip(np.rint(centres), 0, 111).astype(int)
    patch = np.stack(
        [
            mask[np.clip(near[:, 0] + i, 0, 111), np.clip(near[:, 1] + j, 0, 111)] == 1
            for i in (-2, -1, 0, 1, 2)
            for j in (-2, -1, 0, 1, 2)
        ]
    )
    assert (patch.any(0) & ~patch.all(0)).all(), "every point of the line has both sides within two native pixels"
    for axis, scale in ((0, down), (1, across)):
        assert centres[:, axis].min() == pytest.approx(lv[:, axis].min() - 0.5, abs=max(1.5, 1.5 * scale))
        assert centres[:, axis].max() == pytest.approx(lv[:, axis].max() + 0.5, abs=max(1.5, 1.5 * scale))


def test_structures_at_the_edge_and_thin_ones_are_drawn():
    mask = np.zeros((20, 30), np.uint8)
    mask[:5, :5] = 1
    mask[10, 5:25] = 2
    mask[15:, 20:] = 3
    picture = Painter((20, 30), (60, 90)).paint(np.zeros((20, 30), np.uint8), mask)
    for structure in (Structure.LV, Structure.MYOCARDIUM, Structure.LA):
        assert where(picture, structure).sum() > 20


def test_empty_masks_leave_the_frame_as_it_is():
    frame = np.arange(600, dtype=np.uint8).reshape(20, 30)
    picture = Painter((20, 30), (20, 30)).paint(frame, np.zeros((20, 30), np.uint8))
    np.testing.assert_array_equal(picture, np.repeat(frame[..., None], 3, 2))


def test_outline_is_two_pixels_wide():
    inside = np.zeros((6, 8), bool)
    inside[:, 4:] = True
    np.testing.assert_array_equal(outline(inside).any(0), [0, 0, 0, 1, 1, 0, 0, 0])


def test_colours_differ_for_every_eye():
    """Luminance alone tells the ventricle from the rest; red-green blindness keeps blue against yellow."""
    colours = np.array([PALETTE[s] for s in PALETTE], float)
    luminance = colours @ [0.299, 0.587, 0.114]
    assert luminance[0] - luminance[1:].max() > 30
    assert luminance.min() > 120


@pytest.mark.parametrize("options", [{}, {"fps": None, "spacing": None}, {"n_frames": 1}, {"empty": range(40)}])
def test_video_has_every_frame_and_plays(make, tmp_path, options):
    cine, segmentation, indices = make.case(**options)
    write_overlay(tmp_path / "o.mp4", cine, segmentation, indices)
    with av.open(str(tmp_path / "o.mp4")) as video:
        stream = video.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert float(stream.average_rate) == pytest.approx(25.0)
        pictures = [frame.to_ndarray(format="rgb24") for frame in video.decode(stream)]
    assert len(pictures) == len(cine)
    assert pictures[0].shape == (400, 336, 3)
    if "empty" not in options:
        red, green, blue = (pictures[0][:336, :, c].astype(int) for c in range(3))
        assert np.count_nonzero((red - blue > 60) & (green - blue > 60)) > 100, "the yellow line survives the encoder"


def test_cursor_moves_and_instants_are_marked(make):
    cine, segmentation, indices = make.case()
    pictures = list(overlay_frames(cine, segmentation, indices))
    cursors = [np.flatnonzero((p[360:] == 255).all((0, 2))).mean() for p in pictures]
    assert np.all(np.diff(cursors) > 0)
    badge = [int((p[336:356, -25:] > 200).sum()) for p in pictures]
    marked = {f for b in indices.beats for f in (b.ed_frame, b.es_frame, b.next_ed_frame)}
    assert {i for i, n in enumerate(badge) if n > 300} == marked


def test_frames_and_masks_must_agree(make):
    cine, segmentation, indices = make.case(n_frames=4)
    with pytest.raises(InputError, match="3 frames for 4 masks; give the cine that was segmented"):
        list(overlay_frames(cine.frames[:3], segmentation, indices))
