"""MetaImage, the format of the first CAMUS release."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.io.sample_files import noise, write_metaimage

from echoseg.cine import Spacing
from echoseg.errors import InputError
from echoseg.io import read_cine, read_masks, read_mhd

SPACING = Spacing(row_mm=0.308, col_mm=0.154)


@pytest.mark.parametrize(
    ("name", "data_file", "fields"),
    [
        ("a.mha", "LOCAL", {}),
        ("a.mhd", "a.raw", {}),
        ("a.mha", "LOCAL", {"CompressedData": True}),
        ("a.mhd", "a.zraw", {"CompressedData": True}),
        ("no_suffix", "voxels", {"HeaderSize": -1}),
        ("a.mhd", "a.raw", {"DimSize": "48 56 1 6", "NDims": 4, "ElementSpacing": "0.154 0.308 1 0.02"}),
    ],
)
def test_voxels_are_found_wherever_they_lie(tmp_path, name, data_file, fields):
    path = write_metaimage(tmp_path / name, noise(), data_file, **fields)
    array, spacing, fps = read_mhd(path)
    np.testing.assert_array_equal(array, noise())
    assert (spacing, fps) == (SPACING, 50.0 if "NDims" in fields else None)
    np.testing.assert_array_equal(read_cine(path).frames, noise())


def test_header_size_skips_bytes_of_the_voxel_file(tmp_path):
    path = write_metaimage(tmp_path / "a.mhd", noise(), "a.raw", HeaderSize=100)
    voxels = tmp_path / "a.raw"
    voxels.write_bytes(bytes(100) + voxels.read_bytes())
    np.testing.assert_array_equal(read_mhd(path)[0], noise())


def test_byte_order_is_honoured(tmp_path):
    deep = noise().astype(">i2")
    path = write_metaimage(tmp_path / "a.mha", deep, ElementType="MET_SHORT", ElementByteOrderMSB="True")
    np.testing.assert_array_equal(read_mhd(path)[0], noise())


def test_still_of_camus_is_one_frame(tmp_path):
    path = write_metaimage(tmp_path / "a.mhd", noise(1), "a.raw", DimSize="48 56 1")
    assert read_mhd(path)[0].shape == (1, 56, 48)
    flat = write_metaimage(
        tmp_path / "b.mhd", noise(1), "b.raw", DimSize="48 56", NDims=2, ElementSpacing="0.154 0.308"
    )
    assert read_mhd(flat)[1] == SPACING


def test_rgb_voxels_become_luma(tmp_path):
    rgb = np.repeat(noise(2)[..., None], 3, axis=-1)
    path = write_metaimage(tmp_path / "a.mha", rgb, ElementNumberOfChannels=3, DimSize="48 56 2")
    np.testing.assert_array_equal(read_mhd(path)[0], noise(2))


def test_label_files_are_read_as_masks(tmp_path):
    labels = (noise() % 4).astype(np.uint8)
    meta, masks = read_masks(write_metaimage(tmp_path / "a.mhd", labels, "a.raw"))
    np.testing.assert_array_equal(masks.to_array(), labels)
    assert meta.spacing == SPACING


@pytest.mark.parametrize("spacing", ["0 0.3 1", "-0.1 0.3 1", "nan 0.3 1", "inf 1 1"])
def test_unusable_spacing_is_none_with_a_warning(tmp_path, spacing):
    meta = read_cine(write_metaimage(tmp_path / "a.mha", noise(), ElementSpacing=spacing)).meta
    assert meta.spacing is None
    assert any("--spacing-mm" in warning for warning in meta.warnings)


@pytest.mark.parametrize("name", ["../a.raw", "/etc/passwd", "..\\a.raw", "C:\\a.raw", "", "sub/a.raw"])
def test_voxels_outside_the_folder_are_refused(tmp_path, name):
    (tmp_path / "a.mhd").write_text(
        f"NDims = 3\nDimSize = 48 56 6\nElementType = MET_UCHAR\nElementDataFile = {name}\n"
    )
    with pytest.raises(InputError, match="next to the header"):
        read_cine(tmp_path / "a.mhd")


@settings(max_examples=100, deadline=None)
@given(
    key=st.sampled_from(
        ["NDims", "DimSize", "ElementType", "ElementSpacing", "HeaderSize", "ElementNumberOfChannels", "CompressedData"]
    ),
    value=st.text(st.characters(codec="latin-1", exclude_characters="\n\r"), max_size=30)
    | st.lists(st.integers(-3, 10**12), max_size=5).map(lambda numbers: " ".join(map(str, numbers))),
)
def test_any_header_line_is_read_or_refused(tmp_path_factory, key, value):
    path = tmp_path_factory.mktemp("header") / "a.mha"
    lines = {"NDims": "3", "DimSize": "48 56 6", "ElementType": "MET_UCHAR"} | {key: value}
    text = "".join(f"{name} = {content}\n" for name, content in lines.items()) + "ElementDataFile = LOCAL\n"
    path.write_bytes(text.encode("latin-1") + noise().tobytes())
    try:
        cine = read_cine(path)
    except InputError as error:
        assert str(error).startswith(str(path))
    else:
        assert cine.frames.nbytes <= noise().nbytes
