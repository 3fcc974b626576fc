"""NIfTI against nibabel, and the conventions of CAMUS."""

from __future__ import annotations

import gzip
import itertools
import struct
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.io.sample_files import N_FRAMES, SHAPE, noise

from echoseg.cine import Spacing
from echoseg.errors import InputError
from echoseg.io import open_cine, read_cine, read_masks, read_nifti, write_nifti

SPACING = Spacing(row_mm=0.308, col_mm=0.154)


def save(path: Path, array: np.ndarray, zooms: tuple[float, ...], units: str | None = "mm", version: int = 1) -> Path:
    kind = nibabel.Nifti1Image if version == 1 else nibabel.Nifti2Image
    image = kind(array, np.eye(4))
    image.header.set_zooms(zooms)
    if units:
        image.header.set_xyzt_units(units, "sec")
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_round_trip_is_exact(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    write_nifti(path, iter(noise()), N_FRAMES, SHAPE, SPACING, 47.5)
    cine = read_cine(path)
    np.testing.assert_array_equal(cine.frames, noise())
    assert (cine.spacing, cine.fps, cine.meta.warnings) == (SPACING, 47.5, ())
    array, spacing, fps = read_nifti(path)
    np.testing.assert_array_equal(array, noise())
    assert (spacing, fps) == (SPACING, 47.5)


def test_nibabel_reads_what_is_written_as_x_y_t(tmp_path):
    write_nifti(tmp_path / "a.nii.gz", noise(), N_FRAMES, SHAPE, SPACING)
    image = nibabel.load(tmp_path / "a.nii.gz")
    assert image.shape == (SHAPE[1], SHAPE[0], N_FRAMES)
    np.testing.assert_array_equal(np.asarray(image.dataobj), noise().transpose(2, 1, 0))
    np.testing.assert_allclose(image.header.get_zooms()[:2], (0.154, 0.308))
    np.testing.assert_allclose(image.affine, np.diag([-0.154, -0.308, 1, 1]), atol=1e-6)


def test_one_frame_is_written_flat_unless_told_otherwise(tmp_path):
    write_nifti(tmp_path / "flat.nii", noise(1), 1, SHAPE, SPACING)
    write_nifti(tmp_path / "deep.nii", noise(1), 1, SHAPE, SPACING, squeeze=False)
    assert nibabel.load(tmp_path / "flat.nii").shape == (SHAPE[1], SHAPE[0])
    assert nibabel.load(tmp_path / "deep.nii").shape == (SHAPE[1], SHAPE[0], 1)
    for name in ("flat.nii", "deep.nii"):
        np.testing.assert_array_equal(read_cine(tmp_path / name).frames, noise(1))


def test_equal_input_gives_equal_bytes(tmp_path):
    for name in ("a.nii.gz", "b.nii.gz"):
        write_nifti(tmp_path / name, noise(), N_FRAMES, SHAPE, None)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


@pytest.mark.parametrize(("n_frames", "shape"), [(N_FRAMES - 1, SHAPE), (N_FRAMES + 1, SHAPE), (N_FRAMES, (8, 8))])
def test_frames_that_do_not_fit_the_header_leave_no_file(tmp_path, n_frames, shape):
    with pytest.raises(InputError, match="announced"):
        write_nifti(tmp_path / "a.nii.gz", noise(), n_frames, shape, None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("n_frames", "version"), [(32767, 1), (32768, 2), (40000, 2)])
def test_more_frames_than_nifti_1_can_count_become_nifti_2(tmp_path, n_frames, version):
    """A live session of ten minutes has as many; its masks must not be lost at the end."""
    path, shape = tmp_path / "a.nii.gz", (3, 2)
    frames = (np.full(shape, number % 4, np.uint8) + np.eye(*shape, dtype=np.uint8) for number in itertools.count())
    write_nifti(path, itertools.islice(frames, n_frames), n_frames, shape, SPACING, 47.5)
    image = nibabel.load(path)
    assert type(image) is (nibabel.Nifti1Image if version == 1 else nibabel.Nifti2Image)
    assert (image.shape, image.get_data_dtype()) == ((2, 3, n_frames), np.uint8)
    assert image.header.get_zooms() == pytest.approx((0.154, 0.308, 1.0))
    assert image.header.get_xyzt_units()[0] == "mm"
    assert [int(image.header[code]) for code in ("qform_code", "sform_code")] == [0, 2]
    np.testing.assert_allclose(image.affine, np.diag([-0.154, -0.308, 1, 1]), atol=1e-6)
    stored = np.asarray(image.dataobj)
    expected = np.arange(n_frames) % 4
    np.testing.assert_array_equal(stored[0, 0], expected + 1)
    np.testing.assert_array_equal(stored[1, 0], expected)
    array, spacing, fps = read_nifti(path)
    np.testing.assert_array_equal(array, stored.transpose(2, 1, 0))
    assert (spacing, fps) == (SPACING, 47.5)


def test_nifti_2_without_spacing_or_frame_rate(tmp_path):
    write_nifti(tmp_path / "a.nii", itertools.repeat(np.zeros((1, 1), np.uint8), 32768), 32768, (1, 1), None)
    meta, masks = read_masks(tmp_path / "a.nii")
    assert (meta.n_frames, meta.spacing, meta.fps, len(masks)) == (32768, None, None, 32768)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64", ">i2", ">f4"])
def test_every_number_type_reads_as_nibabel_does(tmp_path, dtype, version):
    array = noise().transpose(2, 1, 0).astype(dtype)
    path = save(tmp_path / "a.nii.gz", array, (0.154, 0.308, 1.0), version=version)
    cine = read_cine(path)
    np.testing.assert_array_equal(cine.frames, noise())
    assert cine.spacing == SPACING
    assert cine.meta.warnings == ("the file does not say its frame rate; give it with --fps",)


def test_deep_values_are_scaled_and_it_is_said(tmp_path):
    deep = noise().astype(np.int16) * 8 - 1000
    cine = read_cine(save(tmp_path / "a.nii", deep.transpose(2, 1, 0), (1, 1, 1)))
    np.testing.assert_array_equal(cine.frames, noise())
    assert any("-1000..1040 were scaled to 0..255" in warning for warning in cine.meta.warnings)


def test_fractions_of_white_are_scaled(tmp_path):
    fractions = (noise() / 255).astype(np.float32)
    cine = read_cine(save(tmp_path / "a.nii", fractions.transpose(2, 1, 0), (1, 1, 1)))
    np.testing.assert_array_equal(cine.frames, noise())


def test_slope_and_intercept_are_applied(tmp_path):
    path = save(tmp_path / "a.nii", noise().transpose(2, 1, 0) // 4, (1, 1, 1))
    data = bytearray(path.read_bytes())
    struct.pack_into("<2f", data, 112, 2.0, 3.0)
    path.write_bytes(data)
    np.testing.assert_array_equal(read_cine(path).frames, noise() // 4 * 2 + 3)


def test_rgb_voxels_become_luma(tmp_path):
    rgb = np.zeros((5, 4, 2), np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
    rgb["R"], rgb["G"], rgb["B"] = 200, 100, 50
    cine = read_cine(save(tmp_path / "a.nii", rgb, (1, 1, 1)))
    assert cine.frames.shape == (2, 4, 5)
    assert set(np.unique(cine.frames)) == {round(0.299 * 200 + 0.587 * 100 + 0.114 * 50)}


@pytest.mark.parametrize(
    ("shape", "zooms", "fps"),
    [((48, 56, 1, 6), (1, 1, 1, 0.02), 50.0), ((48, 56, 6), (1, 1, 1), None), ((48, 56, 1, 6), (1, 1, 1, 1), None)],
)
def test_time_step_is_believed_only_on_a_time_axis(tmp_path, shape, zooms, fps):
    array = noise().transpose(2, 1, 0).reshape(shape)
    cine = read_cine(save(tmp_path / "a.nii", array, zooms))
    assert cine.frames.shape == (6, 56, 48)
    assert cine.fps == fps or cine.fps == pytest.approx(fps)


def test_spacing_is_in_millimetres_whatever_the_unit(tmp_path):
    array = noise().transpose(2, 1, 0)
    assert read_cine(save(tmp_path / "a.nii", array, (154.0, 308.0, 1), "micron")).spacing == SPACING
    assert read_cine(save(tmp_path / "b.nii", array, (0.154, 0.308, 1), None)).spacing == SPACING


def test_ones_without_unit_are_no_spacing(tmp_path):
    """Libraries write 1 where nothing is known; a volume in mL must not come from that."""
    array = noise().transpose(2, 1, 0)
    assert read_cine(save(tmp_path / "a.nii", array, (1, 1, 1), None)).spacing is None
    assert read_cine(save(tmp_path / "b.nii", array, (1, 1, 1), "mm")).spacing == Spacing(1, 1)


@pytest.mark.parametrize("zoom", [0.0, -0.3, float("nan"), float("inf")])
def test_unusable_spacing_is_none_with_a_warning(tmp_path, zoom):
    write_nifti(tmp_path / "a.nii", noise(), N_FRAMES, SHAPE, SPACING, 50)
    data = bytearray((tmp_path / "a.nii").read_bytes())
    struct.pack_into("<f", data, 80, zoom)
    (tmp_path / "a.nii").write_bytes(data)
    meta = open_cine(tmp_path / "a.nii").meta
    assert meta.spacing is None
    assert "--spacing-mm" in meta.warnings[0]
    given_one = open_cine(tmp_path / "a.nii", spacing=SPACING).meta
    assert (given_one.spacing, given_one.warnings) == (SPACING, ())


def test_masks_are_read_with_their_labels(tmp_path):
    labels = (noise() % 4).astype(np.uint8)
    write_nifti(tmp_path / "a.nii.gz", labels, N_FRAMES, SHAPE, SPACING)
    meta, masks = read_masks(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(masks.to_array(), labels)
    assert (meta.spacing, meta.n_frames) == (SPACING, N_FRAMES)
    path = save(tmp_path / "float.nii", labels.transpose(2, 1, 0).astype(np.float32), (1, 1, 1))
    np.testing.assert_array_equal(read_masks(path)[1].to_array(), labels)


@pytest.mark.parametrize("value", [0.5, 4.0, 255.0, -1.0, 300.0, float("nan")])
def test_values_that_are_no_labels_are_refused(tmp_path, value):
    labels = np.zeros((6, *SHAPE), np.float32)
    labels[3, 5, 5] = value
    path = save(tmp_path / "a.nii", labels.transpose(2, 1, 0), (1, 1, 1))
    with pytest.raises(InputError, match=r"a\.nii: frame 3.*label|frame 3: label"):
        read_masks(path)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_header_is_read_or_refused(tmp_path_factory, data):
    """Whatever the 348 bytes say, the answer is frames of the right size or an InputError."""
    folder = tmp_path_factory.mktemp("header")
    write_nifti(folder / "a.nii", noise(), N_FRAMES, SHAPE, SPACING)
    content = bytearray((folder / "a.nii").read_bytes())
    for position, value in data.draw(st.lists(st.tuples(st.integers(0, 351), st.integers(0, 255)), max_size=8)):
        content[position] = value
    packed = data.draw(st.booleans())
    (folder / "a.nii").write_bytes(gzip.compress(content, 1) if packed else content)
    try:
        cine = read_cine(folder / "a.nii")
    except InputError as error:
        assert str(error).startswith(str(folder))
        assert ";" in str(error)
    else:
        assert cine.frames.nbytes <= len(content)
