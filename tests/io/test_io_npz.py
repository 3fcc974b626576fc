"""NPZ cines with masks, instants and everything that a cine knows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.io.sample_files import N_FRAMES, SHAPE, full_cine, noise

from echoseg.cine import Cine, CineMeta, Instant, Spacing, View
from echoseg.errors import InputError
from echoseg.io import open_cine, read_cine, read_masks, write_npz_cine


def test_round_trip_keeps_everything(tmp_path):
    cine = full_cine()
    write_npz_cine(tmp_path / "a.npz", cine)
    back = read_cine(tmp_path / "a.npz")
    assert back.meta == replace(cine.meta, source=str(tmp_path / "a.npz"))
    np.testing.assert_array_equal(back.frames, cine.frames)
    assert dict(back.instants) == {Instant.ED: 1, Instant.ES: 4}
    assert list(back.masks) == [1, 4]
    for frame, mask in cine.masks.items():
        np.testing.assert_array_equal(back.masks[frame], mask)


def test_bare_cine_comes_back_bare(tmp_path):
    cine = Cine(CineMeta("x", *SHAPE, N_FRAMES, aspect=2.0), noise())
    write_npz_cine(tmp_path / "a.npz", cine)
    back = read_cine(tmp_path / "a.npz")
    assert (back.fps, back.spacing, back.meta.aspect, back.view) == (None, None, 2.0, View.UNKNOWN)
    assert not back.masks
    assert not back.instants


def test_equal_cines_give_equal_bytes(tmp_path):
    for name in ("a.npz", "b.npz"):
        write_npz_cine(tmp_path / name, full_cine())
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_uncompressed_archive_and_single_frame(tmp_path):
    np.savez(tmp_path / "a.npz", frames=noise()[0], fps=30, spacing_mm=0.2)
    cine = read_cine(tmp_path / "a.npz")
    np.testing.assert_array_equal(cine.frames, noise(1))
    assert (cine.fps, cine.spacing) == (30.0, Spacing(0.2, 0.2))


def test_masks_and_instants_are_there_before_a_frame_is_decoded(tmp_path):
    write_npz_cine(tmp_path / "a.npz", full_cine())
    stream = open_cine(tmp_path / "a.npz", fps=60)
    assert list(stream.masks) == [1, 4]
    assert stream.instants[Instant.ES] == 4


def test_one_unknown_instant_is_left_out(tmp_path):
    np.savez(tmp_path / "a.npz", frames=noise(), instants=np.array([2, -1]))
    assert dict(read_cine(tmp_path / "a.npz").instants) == {Instant.ED: 2}


def test_boolean_masks_of_every_frame(tmp_path):
    np.savez(tmp_path / "a.npz", masks=noise() > 100, spacing_mm=(0.3, 0.4))
    meta, masks = read_masks(tmp_path / "a.npz")
    np.testing.assert_array_equal(masks.to_array(), (noise() > 100).astype(np.uint8))
    assert meta.spacing == Spacing(0.3, 0.4)


def test_masks_of_some_frames_are_no_mask_stack(tmp_path):
    write_npz_cine(tmp_path / "a.npz", full_cine())
    with pytest.raises(InputError, match="2 of its 6 frames"):
        read_masks(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"mask_frames": np.array([1, 1, 2, 3, 4, 5])}, "different frame numbers"),
        ({"mask_frames": np.arange(5)}, "different frame numbers"),
        ({"mask_frames": np.array([0, 1, 2, 3, 4, 99])}, "frame 99"),
        ({"masks": np.full((6, *SHAPE), 9)}, "label 9"),
        ({"masks": np.zeros((6, 8, 8), np.uint8)}, "resample"),
        ({"instants": np.array([0, 77])}, "frame 77"),
    ],
)
def test_contradictions_are_refused(tmp_path, arrays, said):
    np.savez(tmp_path / "a.npz", **({"frames": noise(), "masks": np.zeros((6, *SHAPE), np.uint8)} | arrays))
    with pytest.raises(InputError, match=said):
        read_cine(tmp_path / "a.npz")


@pytest.mark.parametrize("spacing", [0.0, -1.0, np.nan, np.inf])
def test_unusable_spacing_is_none_with_a_warning(tmp_path, spacing):
    np.savez(tmp_path / "a.npz", frames=noise(), fps=50, spacing_mm=spacing)
    meta = read_cine(tmp_path / "a.npz").meta
    assert meta.spacing is None
    assert "--spacing-mm" in meta.warnings[0]


def test_optional_values_of_the_wrong_kind_are_ignored(tmp_path):
    np.savez(tmp_path / "a.npz", frames=noise(), fps="fast", spacing_mm="small", view=3, aspect=-1, instants="none")
    cine = read_cine(tmp_path / "a.npz")
    assert (cine.fps, cine.spacing, cine.view, cine.meta.aspect) == (None, None, View.UNKNOWN, None)
