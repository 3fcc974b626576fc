"""Every photometric interpretation and every encoding that an installed encoder can write."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path

import numpy as np
import pydicom.data
import pydicom.examples
import pytest
from PIL import Image
from pydicom import dcmread, uid
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames
from pydicom.pixels import convert_color_space, pixel_array
from pydicom.pixels.decoders.base import get_decoder
from scipy.ndimage import binary_erosion
from tests.io.machine_screens import machine_screen
from tests.io.sample_files import N_FRAMES, SHAPE, beating_disc, dicom, jpegs, noise, save_dicom

from echoseg.cine import Spacing
from echoseg.errors import InputError
from echoseg.io import dicom_pixels, open_cine, read_cine
from echoseg.io.dicom_jpeg import picture_size
from echoseg.io.gray import expand_limited_range, luma

COLOUR = np.stack([noise(), noise()[::-1], 255 - noise()], axis=-1)
NATIVE = [
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.DeflatedExplicitVRLittleEndian,
]
ALWAYS_READ = (*NATIVE, uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.RLELossless)


def frames_of(path: Path) -> np.ndarray:
    return read_cine(path).frames


@pytest.mark.parametrize("syntax", NATIVE)
def test_raw_gray_in_every_byte_order(tmp_path, syntax):
    np.testing.assert_array_equal(frames_of(save_dicom(tmp_path / "a", dicom(noise().shape), noise(), syntax)), noise())


@pytest.mark.parametrize("syntax", NATIVE)
@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
def test_raw_colour_in_every_byte_order(tmp_path, syntax, photometric):
    expected = luma(COLOUR) if photometric == "RGB" else COLOUR[..., 0]
    path = save_dicom(tmp_path / "a", dicom(COLOUR.shape, photometric), COLOUR, syntax)
    np.testing.assert_array_equal(frames_of(path), expected)


def test_colour_by_plane(tmp_path):
    header = dicom(COLOUR.shape, "RGB", PlanarConfiguration=1)
    path = save_dicom(tmp_path / "a", header, np.ascontiguousarray(COLOUR.transpose(0, 3, 1, 2)))
    np.testing.assert_array_equal(frames_of(path), luma(COLOUR))


def test_raw_ybr_full_422_shares_colour_between_two_pixels(tmp_path):
    packed = np.full((N_FRAMES, SHAPE[0], SHAPE[1] // 2, 4), 128, np.uint8)
    packed[..., :2] = noise().reshape(N_FRAMES, SHAPE[0], -1, 2)
    path = save_dicom(tmp_path / "a", dicom((*noise().shape, 3), "YBR_FULL_422"), packed)
    np.testing.assert_array_equal(frames_of(path), noise())


def test_limited_range_ybr_is_expanded(tmp_path):
    path = save_dicom(tmp_path / "a", dicom(COLOUR.shape, "YBR_PARTIAL_422"), COLOUR)
    np.testing.assert_array_equal(frames_of(path), expand_limited_range(COLOUR[..., 0]))


def test_monochrome1_is_inverted(tmp_path):
    path = save_dicom(tmp_path / "a", dicom(noise().shape, "MONOCHROME1"), noise())
    np.testing.assert_array_equal(frames_of(path), 255 - noise())


@pytest.mark.parametrize("inverted", [False, True])
def test_twelve_bits_without_window_are_scaled_by_their_bits(tmp_path, inverted):
    deep = (noise().astype(np.uint16) << 4) + 7
    header = dicom(noise().shape, "MONOCHROME1" if inverted else "MONOCHROME2", bits=12)
    cine = read_cine(save_dicom(tmp_path / "a", header, deep))
    expected = np.rint(deep * (255 / 4095)).astype(np.uint8)
    np.testing.assert_array_equal(cine.frames, 255 - expected if inverted else expected)
    assert any("12-bit pixels were reduced to 8 by all values" in warning for warning in cine.meta.warnings)


def test_window_and_rescale_of_the_file_are_applied(tmp_path):
    deep = np.tile(np.arange(0, 48 * 40, 40, dtype=np.uint16), (1, *SHAPE[:1], 1))
    header = dicom(deep.shape, bits=16, WindowCenter=1000.5, WindowWidth=1001, RescaleSlope=2, RescaleIntercept=-500)
    cine = read_cine(save_dicom(tmp_path / "a", header, deep))
    expected = np.clip(np.rint((deep * 2.0 - 500 - 500) / 1000 * 255), 0, 255)
    np.testing.assert_array_equal(cine.frames, expected)
    assert any("window 500..1500" in warning for warning in cine.meta.warnings)


def test_signed_pixels(tmp_path):
    signed = noise().astype(np.int16) - 128
    header = dicom(noise().shape, bits=16, PixelRepresentation=1, WindowCenter=0, WindowWidth=256)
    np.testing.assert_array_equal(frames_of(save_dicom(tmp_path / "a", header, signed)), noise())


@pytest.mark.parametrize("deep", [False, True])
def test_palette_is_looked_up(tmp_path, deep):
    header = dicom(noise().shape, "PALETTE COLOR")
    ramp = np.arange(256)
    tables = {"Red": 255 - ramp, "Green": ramp // 2, "Blue": ramp}
    for name, table in tables.items():
        setattr(header, f"{name}PaletteColorLookupTableDescriptor", [256, 0, 16 if deep else 8])
        data = (table * 256 + 5).astype("<u2") if deep else table.astype(np.uint8)
        setattr(header, f"{name}PaletteColorLookupTableData", data.tobytes())
    path = save_dicom(tmp_path / "a", header, noise())
    np.testing.assert_array_equal(
        frames_of(path), luma(np.stack(list(tables.values()), axis=-1).astype(np.uint8))[noise()]
    )


@pytest.mark.parametrize(
    ("syntax", "frames", "photometric"),
    [
        (uid.RLELossless, noise(), "MONOCHROME2"),
        (uid.RLELossless, COLOUR, "RGB"),
        (uid.RLELossless, COLOUR, "YBR_FULL"),
        (uid.JPEG2000Lossless, noise(), "MONOCHROME2"),
        (uid.JPEG2000Lossless, COLOUR, "RGB"),
        (uid.JPEGLSLossless, noise(), "MONOCHROME2"),
        (uid.JPEGLSLossless, COLOUR, "RGB"),
        (uid.JPEGLSLossless, COLOUR, "YBR_FULL"),
    ],
)
def test_lossless_encodings_are_exact(tmp_path, syntax, frames, photometric):
    path = save_dicom(tmp_path / "a", dicom(frames.shape, photometric), frames)
    dataset = dcmread(path)
    dataset.compress(syntax, generate_instance_uid=False)
    dataset.save_as(path)
    expected = frames if frames.ndim == 3 else luma(frames) if photometric == "RGB" else frames[..., 0]
    np.testing.assert_array_equal(frames_of(path), expected)


@pytest.mark.parametrize("syntax", [uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit])
@pytest.mark.parametrize("photometric", ["MONOCHROME2", "MONOCHROME1", "YBR_FULL_422", "YBR_FULL"])
def test_jpeg_luma_is_what_a_full_decode_gives(tmp_path, syntax, photometric):
    gray = beating_disc()
    frames = np.stack([gray, gray // 2, 255 - gray], axis=-1) if photometric.startswith("YBR") else gray
    path = save_dicom(tmp_path / "a", dicom(frames.shape, photometric), encapsulate(jpegs(frames)), syntax)
    decoded = pixel_array(path, raw=True)
    reference = decoded[..., 0] if decoded.ndim == 4 else decoded
    np.testing.assert_array_equal(frames_of(path), 255 - reference if photometric == "MONOCHROME1" else reference)


def test_jpeg_of_rgb_without_colour_transform_is_not_taken_for_ybr():
    path = Path(pydicom.data.get_testdata_file("SC_jpeg_no_color_transform.dcm"))
    np.testing.assert_array_equal(frames_of(path)[0], luma(pixel_array(path, raw=True)))


@pytest.mark.parametrize("has_offset_table", [False, True])
def test_fragmented_frames(tmp_path, has_offset_table):
    codestreams = jpegs(beating_disc())
    data = encapsulate(codestreams, fragments_per_frame=3, has_bot=has_offset_table)
    whole = save_dicom(tmp_path / "whole", dicom(beating_disc().shape), encapsulate(codestreams), uid.JPEGBaseline8Bit)
    path = save_dicom(tmp_path / "a", dicom(beating_disc().shape), data, uid.JPEGBaseline8Bit)
    np.testing.assert_array_equal(frames_of(path), frames_of(whole))


def test_extended_offset_table(tmp_path):
    data, offsets, lengths = encapsulate_extended(jpegs(beating_disc()))
    header = dicom(beating_disc().shape, ExtendedOffsetTable=offsets, ExtendedOffsetTableLengths=lengths)
    path = save_dicom(tmp_path / "a", header, data, uid.JPEGBaseline8Bit)
    assert len(frames_of(path)) == N_FRAMES


def test_file_without_preamble_or_meta_group(tmp_path):
    path = save_dicom(tmp_path / "a", dicom(noise().shape), noise(), uid.ImplicitVRLittleEndian)
    data = path.read_bytes()
    meta_end = 144 + int.from_bytes(data[140:144], "little")
    (tmp_path / "no_preamble").write_bytes(data[132:])
    (tmp_path / "bare").write_bytes(data[meta_end:])
    for name in ("no_preamble", "bare"):
        np.testing.assert_array_equal(frames_of(tmp_path / name), noise())


def test_single_frame_without_a_number_of_frames(tmp_path):
    header = dicom(noise(1).shape)
    del header.NumberOfFrames, header.FrameTime
    cine = read_cine(save_dicom(tmp_path / "a", header, noise(1)))
    np.testing.assert_array_equal(cine.frames, noise(1))
    assert cine.fps is None
    assert not any("--fps" in warning for warning in cine.meta.warnings)


def test_real_apical_cine_is_its_y_plane():
    path = Path(pydicom.examples.get_path("ybr_color"))
    cine = read_cine(path)
    assert cine.frames.shape == (30, 240, 320)
    assert cine.fps == pytest.approx(30, abs=1e-3)
    np.testing.assert_array_equal(cine.frames, pixel_array(path, raw=True)[..., 0])
    reference = luma(convert_color_space(pixel_array(path, raw=True), "YBR_FULL", "RGB"))
    assert np.abs(cine.frames.astype(int) - reference).mean() < 1


@pytest.mark.parametrize("quality", [50, 75, 95])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_jpeg_of_gray_tissue_is_within_a_gray_level_of_its_rgb(tmp_path, quality, subsampling):
    """Against a full decode to RGB, for a gray picture with text in yellow."""
    frames, inside = machine_screen(2)
    rgb = np.stack([frames, frames, np.where(frames > 250, 0, frames).astype(np.uint8)], axis=-1)
    codestreams = []
    for frame in rgb:
        buffer = io.BytesIO()
        Image.fromarray(frame).save(buffer, "JPEG", quality=quality, subsampling=subsampling)
        codestreams.append(buffer.getvalue())
    header = dicom(rgb.shape, "YBR_FULL_422")
    path = save_dicom(tmp_path / "a", header, encapsulate(codestreams), uid.JPEGBaseline8Bit)
    reference = luma(np.stack([np.asarray(Image.open(io.BytesIO(code)).convert("RGB")) for code in codestreams]))
    difference = np.abs(frames_of(path).astype(int) - reference)
    far = binary_erosion(inside, iterations=16)  # where no yellow bleeds in
    assert difference[:, far].max() <= 1


@pytest.mark.parametrize("planar", [0, 1])
def test_ultrasound_of_pydicom_in_big_endian_by_plane(planar, tmp_path):
    path = Path(pydicom.data.get_testdata_file("ExplVR_BigEnd.dcm"))
    dataset = dcmread(path)
    assert (dataset.Modality, dataset.PlanarConfiguration) == ("US", 1)
    np.testing.assert_array_equal(frames_of(path)[0], luma(dataset.pixel_array))
    header = dicom((1, *dataset.pixel_array.shape), "RGB", PlanarConfiguration=planar)
    pixels = dataset.pixel_array if planar == 0 else np.ascontiguousarray(dataset.pixel_array.transpose(2, 0, 1))
    again = save_dicom(tmp_path / "a", header, pixels)
    np.testing.assert_array_equal(frames_of(again), frames_of(path))


@pytest.mark.parametrize("name", ["rgb_color", "palette_color", "jpeg2k"])
def test_ultrasound_stills_of_pydicom_against_their_rgb(name):
    path = Path(pydicom.examples.get_path(name))
    dataset = dcmread(path)
    if name == "palette_color":
        rgb = pydicom.pixels.apply_color_lut(dataset.pixel_array, dataset)
        rgb = (rgb >> 8).astype(np.uint8) if rgb.dtype != np.uint8 else rgb
    else:
        rgb = dataset.pixel_array
    np.testing.assert_array_equal(frames_of(path)[0], luma(rgb))


def test_frames_are_decoded_one_at_a_time(tmp_path):
    """Two hundred raw frames of 200 x 200: a pass holds a few of them, not eight megabytes."""
    frames = noise(200, (200, 200))
    path = save_dicom(tmp_path / "a", dicom(frames.shape), frames)
    stream = open_cine(path)
    next(iter(stream))
    tracemalloc.start()
    try:
        count = sum(1 for _ in stream)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 200
    assert most < 1e6


def test_broken_frame_names_file_and_frame(tmp_path):
    codestreams = jpegs(beating_disc())
    codestreams[3] = codestreams[3][: len(codestreams[3]) // 2] + b"\0" * (len(codestreams[3]) // 2)
    path = save_dicom(tmp_path / "a.dcm", dicom(beating_disc().shape), encapsulate(codestreams), uid.JPEGBaseline8Bit)
    with pytest.raises(InputError, match=r"a\.dcm: frame 3 "):
        read_cine(path)


@pytest.mark.parametrize("syntax", [syntax for syntax in uid.AllTransferSyntaxes if syntax not in ALWAYS_READ])
def test_the_extra_is_advised_exactly_where_it_brings_a_decoder(tmp_path, monkeypatch, syntax):
    """Told from pydicom's own list of plugins."""
    for package in ("gdcm", "openjpeg"):
        pytest.importorskip(package)
    try:
        helps = not {"gdcm", "pylibjpeg"}.isdisjoint(get_decoder(syntax).available_plugins)
    except NotImplementedError:
        helps = False

    def none(syntax):
        raise NotImplementedError

    monkeypatch.setattr(dicom_pixels, "get_decoder", none)
    path = save_dicom(tmp_path / "a", dicom(beating_disc().shape), encapsulate(jpegs(beating_disc())), syntax)
    with pytest.raises(InputError, match="no decoder for its transfer syntax") as caught:
        read_cine(path)
    assert ("install echoseg[dicom]" in str(caught.value)) == helps
    assert ("convert it to another one" in str(caught.value)) == (not helps)


@pytest.mark.parametrize(
    "name",
    [
        "JPEG2000.dcm",
        "JPEGLSNearLossless_08.dcm",
        "SC_rgb_jpeg_gdcm.dcm",
        "examples_ybr_color.dcm",
        "examples_jpeg2k.dcm",
    ],
)
def test_codestreams_tell_their_size(name):
    dataset = dcmread(pydicom.data.get_testdata_file(name))
    codestream = next(generate_frames(dataset.PixelData, number_of_frames=int(dataset.get("NumberOfFrames", 1))))
    assert picture_size(codestream) == (dataset.Rows, dataset.Columns)
    for length in range(0, len(codestream), 7):
        assert picture_size(codestream[:length]) in (None, (dataset.Rows, dataset.Columns))
        if length > 300:
            break


def test_every_file_in_pydicoms_wheel_is_read_or_refused():
    """Sixteen kinds of writers, from CT to radiotherapy: the reader answers each."""
    folder = Path(pydicom.data.__file__).parent / "test_files"
    read, refused = [], []
    for path in sorted(folder.glob("*.dcm")):
        try:
            read.append((path.name, read_cine(path).spacing))
        except InputError as error:
            assert str(error).startswith(str(path))
            refused.append(path.name)
    assert len(read) >= 45
    assert ("CT_small.dcm", Spacing(0.661468, 0.661468)) in read
    assert {"rtplan.dcm", "test-SR.dcm", "reportsi.dcm", "MR_truncated.dcm"} <= set(refused)
