"""Folders of images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.io.sample_files import beating_disc, noise, write_images

from echoseg.errors import InputError
from echoseg.io import open_cine, read_cine
from echoseg.io.gray import luma
from echoseg.io.images import natural_key


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".PNG"])
def test_images_come_in_natural_order(tmp_path, suffix):
    frames = noise(12)
    folder = write_images(tmp_path / "cine", frames, suffix)
    (folder / "Thumbs.db").write_bytes(b"junk")
    (folder / f".hidden{suffix}").write_bytes(b"junk")
    cine = read_cine(folder, fps=50)
    np.testing.assert_array_equal(cine.frames, frames)
    assert (cine.fps, cine.spacing, cine.meta.warnings) == (50, None, ())


def test_missing_frame_rate_is_said(tmp_path):
    assert "--fps" in open_cine(write_images(tmp_path / "cine", noise())).meta.warnings[0]
    assert open_cine(write_images(tmp_path / "still", noise(1))).meta.warnings == ()


def test_jpegs_are_close(tmp_path):
    cine = read_cine(write_images(tmp_path / "cine", beating_disc(), ".jpg"))
    assert np.abs(cine.frames.astype(int) - beating_disc()).max() <= 12


def test_one_image_is_a_cine_of_one_frame(tmp_path):
    Image.fromarray(noise()[0]).save(tmp_path / "still.bmp")
    (tmp_path / "still.bmp").rename(tmp_path / "whatever.dat")
    np.testing.assert_array_equal(read_cine(tmp_path / "whatever.dat").frames, noise(1))


def test_colour_becomes_luma(tmp_path):
    rgb = np.stack([noise()[0], noise()[1], noise()[2]], axis=-1)
    Image.fromarray(rgb).save(tmp_path / "rgb.png")
    np.testing.assert_array_equal(read_cine(tmp_path / "rgb.png").frames[0], luma(rgb))
    exact = rgb @ np.array([0.299, 0.587, 0.114])
    assert np.abs(luma(rgb) - exact).max() < 0.51
    Image.fromarray(rgb).convert("RGBA").save(tmp_path / "rgba.png")
    np.testing.assert_array_equal(read_cine(tmp_path / "rgba.png").frames[0], luma(rgb))


def test_palette_and_bilevel_images(tmp_path):
    image = Image.fromarray(noise()[0] // 16 * 16)
    image.convert("P").save(tmp_path / "palette.png")
    np.testing.assert_array_equal(read_cine(tmp_path / "palette.png").frames[0], np.asarray(image))
    Image.fromarray(noise()[0] > 99).save(tmp_path / "bits.png")
    np.testing.assert_array_equal(read_cine(tmp_path / "bits.png").frames[0], (noise()[0] > 99) * 255)


def test_deep_images_are_scaled_over_all_frames(tmp_path):
    folder = tmp_path / "deep"
    folder.mkdir()
    deep = noise().astype(np.uint16) * 100
    for number, frame in enumerate(deep):
        Image.fromarray(frame).save(folder / f"{number}.png")
    cine = read_cine(folder)
    np.testing.assert_array_equal(cine.frames, noise())
    assert any("0..25500 were scaled" in warning for warning in cine.meta.warnings)


def test_mixed_sizes_name_the_image(tmp_path):
    folder = write_images(tmp_path / "cine", noise())
    Image.fromarray(noise()[0, :, :-1]).save(folder / "frame4.png")
    with pytest.raises(InputError, match=r"frame4\.png has 56x47 pixels, frame0\.png 56x48"):
        open_cine(folder)


@given(st.lists(st.integers(0, 10**6), unique=True, max_size=20))
def test_natural_order_is_the_order_of_numbers(numbers):
    names = [f"frame{number}.png" for number in sorted(numbers)]
    assert sorted(reversed(names), key=natural_key) == names


@given(st.lists(st.text(max_size=12), max_size=10))
def test_natural_key_compares_any_names(names):
    assert len(sorted(names, key=natural_key)) == len(names)
