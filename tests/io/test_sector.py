"""The ultrasound sector: found where it is there, and no answer where it is in doubt."""

from __future__ import annotations

import io

import numpy as np
import pydicom.examples
import pytest
from PIL import Image
from scipy.ndimage import binary_dilation, gaussian_filter
from tests.io.machine_screens import SHAPE, drawn, fan, machine_screen, speckle

from echoseg.engine.preprocess import without_graphics
from echoseg.io import read_cine
from echoseg.io.sector import SAMPLE_FRAMES, find_sector, marks_inside


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


@pytest.fixture(scope="module")
def screen() -> tuple[np.ndarray, np.ndarray]:
    return machine_screen()


@pytest.mark.parametrize("shape", [(112, 112), (240, 320), (600, 800)])
@pytest.mark.parametrize("ground", [0, 25])
def test_the_fan_is_found_among_what_is_drawn(shape, ground):
    inside = fan(shape)
    frames = drawn(speckle(inside, 8, ground=ground), inside, ground=ground)
    found = find_sector(frames)
    assert found is not None
    assert found.has_graphics
    assert overlap(found.mask, inside) > 0.95
    assert (inside & ~found.visible).sum() < 0.005 * inside.sum(), "no more than corners"
    assert (frames[:, ~found.visible].max(0) > ground + 40).any()
    beyond = found.visible & ~binary_dilation(inside, iterations=4)
    assert (frames.max(0) > ground + 60)[beyond].mean() < 0.02, "text in what may be seen"


@pytest.mark.parametrize("quality", [60, 90])
def test_jpeg_does_not_hide_it(screen, quality):
    frames, inside = screen
    decoded = []
    for frame in frames:
        buffer = io.BytesIO()
        Image.fromarray(frame).save(buffer, "JPEG", quality=quality)
        decoded.append(np.asarray(Image.open(buffer)))
    found = find_sector(np.stack(decoded))
    assert found is not None
    assert overlap(found.mask, inside) > (0.95 if quality == 90 else 0.9)


def test_noise_of_a_capture_card_is_no_motion_of_tissue(screen):
    """Every pixel flickers by up to twelve gray levels."""
    frames, inside = screen
    rng = np.random.default_rng(0)
    noisy = np.clip(frames.astype(int) + rng.integers(-12, 13, frames.shape), 0, 255).astype(np.uint8)
    found = find_sector(noisy)
    assert found is not None
    assert overlap(found.mask, inside) > 0.95


def test_an_ecg_across_the_lower_end_of_the_fan(screen):
    frames, inside = screen
    crossed = frames.copy()
    for number, frame in enumerate(crossed):
        frame[235:237, : 30 * (number + 1)] = 255
    found = find_sector(crossed)
    assert found is not None
    assert overlap(found.mask, inside) > 0.93


def test_a_dark_side_is_seen_though_it_is_not_found():
    """The right third of the fan is black: the hull ends before it, the fan goes on."""
    inside = fan()
    frames = speckle(inside)
    frames[:, :, 260:] = 0
    found = find_sector(drawn(frames, inside))
    assert found is not None
    assert not found.mask[180, 280]
    assert found.fan[180, 280]
    assert found.visible[180, 280]


def test_simulated_cines_against_the_simulators_own_sector():
    from echoseg.simulator import simulate

    cine = simulate(7, preset="standard", duration_s=0.5)
    found = find_sector(cine.frames)
    assert found is not None
    assert overlap(found.mask, cine.inside_sector) > 0.93
    assert not (cine.labels > 0)[:, ~found.visible].any()


@pytest.mark.parametrize(
    ("seed", "layout", "cut_off"), [(1001, "echonet", True), (1000, "echonet", False), (1003, "camus", False)]
)
def test_the_quality_flag_sees_a_ventricle_that_the_sector_cuts_off(seed, layout, cut_off):
    """Exact masks of simulated hearts, of which one reaches the simulator's own sector edge."""
    from echoseg.cine import Spacing
    from echoseg.clinical.frames import measure_frames
    from echoseg.simulator import simulate

    cine = simulate(seed, preset="standard", layout=layout, duration_s=0.2)
    found = find_sector(cine.frames)
    assert found is not None
    lv = (cine.labels == 1).astype(np.uint8)
    touching = [
        measure_frames(lv, Spacing(1.0, 1.0), sector=sector).touches_edge.mean()
        for sector in (cine.inside_sector, found.fan)
    ]
    assert (touching[0] > 0.5) == cut_off
    assert (touching[1] > 0.5) == cut_off


def test_real_apical_cine():
    frames = read_cine(pydicom.examples.get_path("ybr_color")).frames
    found = find_sector(frames)
    assert found is not None
    assert found.has_graphics
    assert found.mask[32:195, 160:180].all()
    assert not found.mask[:, :80].any(), "the text on the left"
    assert not found.visible[:25, :60].any()
    assert not found.visible[222:].any(), "the menu"
    assert not marks_inside(frames, found.visible).any()


def test_a_region_of_the_header_cuts_what_is_found(screen):
    frames, inside = screen
    box = (30, 60, 255, 340)
    found = find_sector(frames, box)
    assert found is not None
    assert not found.mask[:30].any()
    assert overlap(found.mask, inside) > 0.95


@pytest.mark.parametrize("box", [(0, 0, 100, 100), (-5, -5, 400, 500), (299, 399, 300, 400)])
def test_a_region_that_is_about_something_else_is_not_believed(screen, box):
    frames, _ = screen
    free, cut = find_sector(frames), find_sector(frames, box)
    assert free is not None
    assert cut is not None
    np.testing.assert_array_equal(free.mask, cut.mask)


def test_no_answer_where_it_is_in_doubt(screen):
    frames, _ = screen
    assert find_sector(frames[:3]) is None, "too few frames"
    assert find_sector(frames[[0] * 8]) is None, "a still"
    assert find_sector([]) is None
    assert find_sector(np.zeros((8, 60, 60), np.uint8)) is None
    two = np.concatenate([frames[:8, :, 60:340], frames[4:12, :, 60:340]], axis=2)
    assert find_sector(two) is None, "two pictures side by side"
    cross = np.zeros(SHAPE, bool)
    cross[40:70, 20:380] = cross[70:280, 60:90] = True
    assert find_sector(speckle(cross)) is None, "a patch whose hull is mostly empty"


def test_cropped_cines_have_nothing_around_the_sector():
    """As EchoNet-Dynamic publishes them: black beyond the fan; and frames that are ultrasound from edge to edge."""
    inside = fan((112, 112), top=0.0, bottom=1.05, angle=0.75)
    found = find_sector(speckle(inside))
    assert found is not None
    assert not found.has_graphics
    full = find_sector(speckle(np.ones((112, 112), bool)))
    assert full is None or (full.mask.all() and not full.has_graphics)


def test_only_a_second_is_looked_at(screen):
    frames, _ = screen

    def endless():
        while True:
            yield from frames

    iterator = endless()
    assert find_sector(iterator) is not None
    np.testing.assert_array_equal(next(iterator), frames[SAMPLE_FRAMES % len(frames)])


def test_marks_on_the_tissue_are_found_and_speckle_is_not(screen):
    frames, inside = screen
    assert not marks_inside(frames, inside).any()
    marked = frames.copy()
    marked[:, 150:164, 195:197] = 255
    marked[:, 156:158, 188:204] = 255
    found = marks_inside(marked, inside)
    assert found[150:164, 195:197].all()
    assert found.sum() < 1500, "a box around the cross"
    assert found[150:164, 190:202].all(), "so that the letter cannot be read from its hole"
    assert not marks_inside(marked[:4], inside).any(), "too few frames to tell"


def test_bright_tissue_that_stays_bright_is_no_mark(screen):
    frames, inside = screen
    bright = frames.copy()
    blob = gaussian_filter((np.hypot(*(np.indices(SHAPE) - np.array([200, 200])[:, None, None])) < 14).astype(float), 3)
    bright = np.maximum(bright, (255 * blob).astype(np.uint8))
    assert not marks_inside(bright, inside).any()


def test_the_network_sees_the_sector_only(screen):
    frames, inside = screen
    seen = np.stack(list(without_graphics(iter(frames))))
    assert len(seen) == len(frames)
    np.testing.assert_array_equal(seen[:, inside & (seen.max(0) > 0)], frames[:, inside & (seen.max(0) > 0)])
    assert not seen[:, :22].any(), "the name"
    assert not seen[:, 288:].any(), "the ECG"
    assert (seen[:, inside] == frames[:, inside]).mean() > 0.999


def test_cines_without_graphics_go_through_untouched():
    inside = fan((112, 112))
    frames = speckle(inside, 40)
    for given, seen in zip(frames, without_graphics(iter(frames)), strict=True):
        assert seen.base is given.base


def test_frames_of_different_sizes_go_through_to_where_the_error_is_made():
    frames = [np.zeros((8, 8), np.uint8), np.zeros((9, 8), np.uint8)]
    assert [frame.shape for frame in without_graphics(frames)] == [(8, 8), (9, 8)]


def test_masks_do_not_change_with_what_is_drawn_around(screen):
    """The shipped model on a cine with and without graphics: what it sees is the same, and so are the masks."""
    from echoseg.cine import Cine, CineMeta
    from echoseg.engine import Segmenter

    frames, inside = screen
    bare = speckle(inside)
    segmenter = Segmenter.load("a4c", threads=1)
    masks = []
    for some in (frames, bare):
        meta = CineMeta("made", *inside.shape, len(some), fps=50.0)
        masks.append(segmenter(Cine(meta, some)).masks.to_array())
    assert (masks[0] == masks[1]).mean() > 0.9999
