"""The encoders that gdcm has, for every photometric interpretation; JPEG with twelve bits; and what nobody reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom.data
import pytest
from pydicom import dcmread, uid
from pydicom.encaps import encapsulate, generate_frames
from tests.io.sample_files import N_FRAMES, beating_disc, dicom, jpegs, save_dicom

from echoseg.cli import main
from echoseg.errors import InputError
from echoseg.io import dicom_pixels, read_cine
from echoseg.io.dicom import DicomCine
from echoseg.io.dicom_jpeg import says_its_colours
from echoseg.io.gray import luma


def frames_of(path: Path) -> np.ndarray:
    return read_cine(path).frames


def coded_by_gdcm(raw: Path, name: str, path: Path) -> Path:
    """The file in another transfer syntax, by the encoders that gdcm has."""
    gdcm = pytest.importorskip("gdcm")
    reader = gdcm.ImageReader()
    reader.SetFileName(str(raw))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, name)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return path


DEEP = (beating_disc().astype(np.uint16) << 4) + 3
STORED = {
    "MONOCHROME2": (beating_disc(), {}),
    "MONOCHROME1": (beating_disc(), {}),
    "RGB": (np.stack([beating_disc(), beating_disc() // 2 + 40, 255 - beating_disc()], axis=-1), {}),
    "RGB by plane": (
        np.stack([beating_disc(), beating_disc() // 2 + 40, 255 - beating_disc()], axis=-1),
        {"PlanarConfiguration": 1},
    ),
    "YBR_FULL": (np.stack([beating_disc(), beating_disc() // 2 + 40, 255 - beating_disc()], axis=-1), {}),
    "MONOCHROME2 of 12 bits": (DEEP, {"bits": 12}),
    "MONOCHROME2 of 16 bits": (beating_disc().astype(np.uint16) << 8, {"bits": 16}),
    "MONOCHROME2 of 8 bits in 16": (beating_disc().astype(np.uint16), {"BitsAllocated": 16}),
}
CODERS = {  # name at gdcm -> transfer syntax, largest difference in gray levels
    "JPEGBaselineProcess1": (uid.JPEGBaseline8Bit, 1),
    "JPEGExtendedProcess2_4": (uid.JPEGExtended12Bit, 1),
    "JPEGLosslessProcess14": (uid.JPEGLossless, 0),
    "JPEGLosslessProcess14_1": (uid.JPEGLosslessSV1, 0),
    "JPEGLSLossless": (uid.JPEGLSLossless, 0),
    "JPEGLSNearLossless": (uid.JPEGLSNearLossless, 2),
    "JPEG2000Lossless": (uid.JPEG2000Lossless, 0),
    "JPEG2000": (uid.JPEG2000, 1),
    "RLELossless": (uid.RLELossless, 0),
}


PAIRS = [
    (coder, stored)
    for coder in CODERS
    for stored, (frames, _) in STORED.items()
    if coder != "JPEGBaselineProcess1" or frames.dtype == np.uint8
    if (coder, stored) != ("JPEGExtendedProcess2_4", "MONOCHROME2 of 16 bits")
]


@pytest.mark.parametrize(("coder", "stored"), PAIRS)
def test_every_encoder_with_every_photometric_interpretation(tmp_path, coder, stored):
    """Against the same pixels, not coded."""
    frames, elements = STORED[stored]
    syntax, most = CODERS[coder]
    header = dicom(frames.shape, stored.split(" ")[0], **elements)
    planes = np.ascontiguousarray(frames.transpose(0, 3, 1, 2)) if "PlanarConfiguration" in elements else frames
    raw = save_dicom(tmp_path / "raw", header, planes)
    path = coded_by_gdcm(raw, coder, tmp_path / "a")
    assert dcmread(path).file_meta.TransferSyntaxUID == syntax
    assert np.abs(frames_of(path).astype(int) - frames_of(raw)).max() <= most


def test_jpeg_of_rgb_that_is_sampled_unequally_is_taken_for_ybr(tmp_path):
    """Gdcm writes YCbCr, halves its colour and goes on calling it RGB, without a marker that tells."""
    frames, _ = STORED["RGB"]
    raw = save_dicom(tmp_path / "raw", dicom(frames.shape, "RGB"), frames)
    path = coded_by_gdcm(raw, "JPEGBaselineProcess1", tmp_path / "a")
    dataset = dcmread(path)
    assert dataset.PhotometricInterpretation == "RGB"
    codestream = next(generate_frames(dataset.PixelData, number_of_frames=N_FRAMES))
    assert b"JFIF" not in codestream
    assert b"Adobe" not in codestream
    assert says_its_colours(codestream)
    assert np.abs(frames_of(path).astype(int) - luma(frames)).max() <= 1


def test_twelve_bit_jpeg_of_a_scanner():
    """Values as dcmtk's dcmdjpeg gives them: 0 to 264 of 4095, the mean 14.36999."""
    pytest.importorskip("gdcm")
    path = Path(pydicom.data.get_testdata_file("JPGExtended.dcm"))
    cine = read_cine(path)
    assert cine.frames.shape == (1, 1024, 256)
    values, _ = next(DicomCine.open(path).samples())
    assert (int(values.max()), float(values.mean())) == (264, pytest.approx(14.36999, abs=1e-5))


def test_twelve_bit_jpeg_without_gdcm(monkeypatch):
    monkeypatch.setattr(dicom_pixels, "find_spec", lambda name: None)
    path = Path(pydicom.data.get_testdata_file("JPGExtended.dcm"))
    with pytest.raises(InputError, match=r"JPEG Extended.*\(1\.2\.840\.10008\.1\.2\.4\.51\) with 12 bits") as caught:
        read_cine(path)
    assert "install echoseg[dicom]" in str(caught.value)


@pytest.mark.parametrize(
    ("syntax", "name"),
    [
        ("1.2.840.10008.1.2.4.112", "JPEG XL"),
        ("1.2.840.10008.1.2.4.110", "JPEG XL Lossless"),
        ("1.2.3.4.5", "1.2.3.4.5"),
    ],
)
def test_what_no_decoder_reads_is_refused_by_name(tmp_path, capsys, syntax, name):
    path = save_dicom(
        tmp_path / "xl.dcm", dicom(beating_disc().shape), encapsulate(jpegs(beating_disc())), uid.UID(syntax)
    )
    assert main(["segment", str(path), "-o", str(tmp_path / "out")]) == 3
    said = capsys.readouterr().err
    assert "xl.dcm: no decoder for its transfer syntax" in said
    assert name in said
    assert "convert it to another one" in said
