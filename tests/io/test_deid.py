"""De-identified copies: planted names are nowhere after, and what is measured stays."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread, uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from tests.io.machine_screens import drawn, fan, machine_screen, speckle
from tests.io.sample_files import dicom, jpegs, noise, region, save_dicom
from tests.programs import program

from echoseg.cine import View
from echoseg.errors import InputError
from echoseg.io import read_cine
from echoseg.io.deid.copying import Deidentifier, what_it_is

PLANTED = (
    b"DOE",
    b"JANE",
    b"Doe",
    b"Jane",
    b"1234567",
    b"STELLA",
    b"19700131",
    b"Charit",
    b"20210312",
    b"ROOM7",
    b"9.8.7.6",
)


def item(**elements: object) -> Dataset:
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def examined(shape: tuple[int, ...], photometric: str = "MONOCHROME2", **elements: object) -> Dataset:
    """Header of a cine with a name wherever there is room for one."""
    header = dicom(
        shape,
        photometric,
        PatientName="Doe^Jane",
        PatientID="1234567",
        PatientBirthDate="19700131",
        PatientSex="F",
        OtherPatientIDs="STELLA-1",
        StudyDate="20210312",
        SeriesDate="20210312",
        AcquisitionDateTime="20210312101500",
        StudyTime="101500",
        AccessionNumber="1234567",
        ReferringPhysicianName="Doe^John",
        InstitutionName="Charite",
        StationName="ROOM7",
        StudyDescription="Echo of Jane Doe",
        SeriesDescription="A4C Jane",
        ImageComments="DOE JANE 4CH",
        StudyID="1234567",
        SeriesNumber=3,
        InstanceNumber=4,
        Manufacturer="Maker",
        ManufacturerModelName="One for Doe",
        ImageType=["ORIGINAL", "PRIMARY", "", "0001"],
        FrameIncrementPointer=0x00181063,
        StudyInstanceUID="9.8.7.6.1",
        SeriesInstanceUID="9.8.7.6.1.1",
        SOPInstanceUID="9.8.7.6.1.1.1",
        FrameOfReferenceUID="9.8.7.6.5",
        RWaveTimeVector=[10.0, 150.0],
        HeartRate=70,
        **elements,
    )
    header.ReferencedImageSequence = [
        item(ReferencedSOPClassUID=uid.UltrasoundMultiFrameImageStorage, ReferencedSOPInstanceUID="9.8.7.6.1.1.2")
    ]
    header.RequestAttributesSequence = [
        item(RequestedProcedureDescription="for Jane Doe", ScheduledProcedureStepID="1234567")
    ]
    header.OtherPatientIDsSequence = [item(PatientID="1234567", TypeOfPatientID="TEXT")]
    header.SequenceOfUltrasoundRegions = [
        region(shape[2], shape[1], PatientComments="Jane in a region", PhysicalDeltaX=0.03, PhysicalDeltaY=0.03)
    ]
    block = header.private_block(0x0011, "DOE DIAGNOSTICS", create=True)
    block.add_new(0x01, "LO", "Jane Doe")
    block.add_new(0x02, "SQ", [item(PatientName="Doe^Jane")])
    block.add_new(0x03, "OB", b"raw JANE bytes")
    header.add_new(0x60000010, "US", 8)
    header.add_new(0x60000022, "LO", "DOE JANE")
    return header


def planted(path: Path) -> list[bytes]:
    """Planted words in the bytes of a file; of three letters, which speckle spells by chance, in front of its pixels."""
    data = path.read_bytes()
    pixels = data.rindex(b"\xe0\x7f\x10\x00OB")
    return [word for word in PLANTED if word in (data if len(word) > 3 else data[:pixels])]


def with_names_in_the_file_itself(path: Path) -> Path:
    """Preamble, meta group and what follows the pixels hold names too."""
    dataset = dcmread(path)
    dataset.preamble = b"DOE JANE".ljust(128, b"\0")
    dataset.file_meta.SourceApplicationEntityTitle = "ROOM7"
    dataset.file_meta.PrivateInformationCreatorUID = "9.8.7.6"
    dataset.file_meta.PrivateInformation = b"JANE"
    dataset.add_new(0xFFFCFFFC, "OB", b"JANE")
    dataset.save_as(path)
    return path


@pytest.fixture(scope="module")
def screen() -> tuple[np.ndarray, np.ndarray]:
    return machine_screen()


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory, screen) -> Path:
    """A JPEG cine as a machine exports it, under a name that names."""
    rgb = np.stack([screen[0]] * 3, axis=-1)
    path = tmp_path_factory.mktemp("DOE_JANE") / "Doe_Jane.dcm"
    save_dicom(path, examined(rgb.shape, "YBR_FULL_422"), encapsulate(jpegs(rgb)), uid.JPEGBaseline8Bit)
    return with_names_in_the_file_itself(path)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory, original: Path) -> Path:
    return Deidentifier(tmp_path_factory.mktemp("out")).copy(original).path


def test_no_planted_name_is_left(original, copy):
    assert len(planted(original)) >= 9, "they were there"
    assert planted(copy) == []
    assert not any(word.decode().lower() in str(copy.relative_to(copy.parents[2])).lower() for word in PLANTED)
    assert dcmread(copy).preamble == bytes(128)


def test_the_picture_is_black_outside_the_sector_and_untouched_inside(original, copy, screen):
    before, after = read_cine(original).frames, read_cine(copy).frames
    inside = screen[1]
    kept = (after > 0).any(0)
    np.testing.assert_array_equal(after[:, kept], before[:, kept])
    assert (kept | (before[:, :].max(0) <= 12))[inside].mean() > 0.995
    assert not after[:, :24].any(), "name and clock"
    assert not after[:, :, :60].any(), "settings"
    assert not after[:, :, 370:].any(), "scales"
    assert not after[:, 270:].any(), "ECG"


def test_colour_is_blanked_with_the_gray(tmp_path):
    """A name in yellow, whose blue and red planes would show it still."""
    frames, _ = machine_screen()
    rgb = np.stack([frames, frames, frames], axis=-1)
    rgb[:, 5:18, 5:120, 2] = 0
    path = save_dicom(tmp_path / "a.dcm", examined(rgb.shape, "RGB"), rgb)
    stored = dcmread(Deidentifier(tmp_path / "out").copy(path).path).pixel_array
    assert not stored[:, :24].any()
    np.testing.assert_array_equal(stored[:, 100:200, 180:220], rgb[:, 100:200, 180:220])


def test_what_is_said_of_the_copy(copy):
    header = dcmread(copy)
    assert header.PatientIdentityRemoved == "YES"
    assert header.BurnedInAnnotation == "NO"
    assert header.DeidentificationMethod[0].startswith("PS3.15 Basic")
    assert [code.CodeValue for code in header.DeidentificationMethodCodeSequence] == ["113100", "113101"]
    assert header.LongitudinalTemporalInformationModified == "REMOVED"
    assert list(header.ImageType) == ["DERIVED", "PRIMARY", "", "0001"]
    assert header.StudyDate == header.StudyTime == header.PatientBirthDate == header.PatientSex == ""
    assert header.get("ManufacturerModelName") is None, "it holds a word of the patient's name"
    assert header.Manufacturer == "Maker"
    assert not any(tag.is_private or tag.group in (0x6000, 0xFFFC) for tag in list(header.keys()))
    assert header.file_meta.get("SourceApplicationEntityTitle") is None


def test_what_is_measured_stays(original, copy):
    before, after = read_cine(original).meta, read_cine(copy).meta
    assert (after.fps, after.spacing, after.r_waves_s) == (before.fps, before.spacing, before.r_waves_s)
    assert after.view is View.A4C, "the description went, the code came"
    assert after.region == before.region


def test_masks_are_the_same(original, copy):
    from echoseg.engine import Segmenter

    segmenter = Segmenter.load("a4c", threads=1)
    before, after = (segmenter(path).masks.to_array() for path in (original, copy))
    assert (before == after).mean() > 0.9999


def test_dciodvfy_finds_no_error(copy):
    found = subprocess.run(
        [program("dciodvfy", "dicom3tools"), str(copy)], capture_output=True, text=True, check=False
    ).stderr
    errors = [line for line in found.splitlines() if line.startswith("Error") and "Conditional" not in line]
    assert errors == []


def test_references_agree_within_a_call_and_with_nothing_else(tmp_path, screen):
    frames, _ = screen
    for number in (1, 2):
        header = examined(frames.shape)
        header.SOPInstanceUID = f"9.8.7.6.1.1.{number}"
        save_dicom(tmp_path / f"{number}.dcm", header, frames)
    call = Deidentifier(tmp_path / "out")
    first, second = (dcmread(call.copy(tmp_path / f"{number}.dcm").path) for number in (1, 2))
    assert first.StudyInstanceUID == second.StudyInstanceUID
    assert first.SeriesInstanceUID == second.SeriesInstanceUID
    assert first.PatientID == second.PatientID
    assert first.ReferencedImageSequence[0].ReferencedSOPInstanceUID == second.SOPInstanceUID
    assert first.ReferencedImageSequence[0].ReferencedSOPClassUID == uid.UltrasoundMultiFrameImageStorage
    assert first.file_meta.MediaStorageSOPInstanceUID == first.SOPInstanceUID != second.SOPInstanceUID
    again = dcmread(Deidentifier(tmp_path / "other").copy(tmp_path / "1.dcm").path)
    assert again.SOPInstanceUID != first.SOPInstanceUID
    assert again.PatientID != first.PatientID


@pytest.mark.parametrize(
    ("photometric", "bits", "black"),
    [
        ("MONOCHROME2", 8, 0),
        ("MONOCHROME1", 8, 255),
        ("MONOCHROME2", 12, 0),
        ("MONOCHROME1", 12, 4095),
        ("PALETTE COLOR", 8, 9),
    ],
)
def test_black_in_every_way_of_storing_it(tmp_path, screen, photometric, bits, black):
    frames = screen[0][:8]
    stored = frames.astype(np.uint16) << 4 if bits == 12 else frames
    if photometric == "MONOCHROME1":
        stored = (1 << bits) - 1 - stored
    header = examined(frames.shape, photometric, bits=bits)
    if photometric == "PALETTE COLOR":
        ramp = np.maximum(np.arange(256), 10)
        ramp[9] = 0
        for colour in ("Red", "Green", "Blue"):
            setattr(header, f"{colour}PaletteColorLookupTableDescriptor", [256, 0, 8])
            setattr(header, f"{colour}PaletteColorLookupTableData", ramp.astype(np.uint8).tobytes())
    path = save_dicom(tmp_path / "a.dcm", header, stored)
    copied = Deidentifier(tmp_path / "out").copy(path).path
    written = dcmread(copied).pixel_array
    assert (written[:, :20] == black).all()
    assert not read_cine(copied).frames[:, :20].any()
    np.testing.assert_array_equal(
        read_cine(copied).frames[:, 60:200, 190:210], read_cine(path).frames[:, 60:200, 190:210]
    )


@pytest.mark.parametrize(
    "syntax", [uid.ExplicitVRBigEndian, uid.DeflatedExplicitVRLittleEndian, uid.ImplicitVRLittleEndian]
)
def test_sixteen_bits_from_every_byte_order(tmp_path, screen, syntax):
    stored = (screen[0][:8].astype(np.uint16) << 8) + 3
    stored[:, 0] |= 7
    data = stored.astype(">u2") if syntax == uid.ExplicitVRBigEndian else stored
    path = save_dicom(tmp_path / "a.dcm", examined(stored.shape, bits=16), data.tobytes(), syntax)
    copied = Deidentifier(tmp_path / "out").copy(path).path
    written = dcmread(copied).pixel_array
    assert not written[:, :20].any()
    np.testing.assert_array_equal(written[:, 60:200, 190:210], stored[:, 60:200, 190:210])


def test_overlays_in_unused_bits_go(tmp_path, screen):
    """Twelve bits of tissue, and in the thirteenth a name as an old overlay."""
    stored = (screen[0][:8].astype(np.uint16) << 4) | 0x1000
    path = save_dicom(tmp_path / "a.dcm", examined(stored.shape, bits=12), stored)
    written = dcmread(Deidentifier(tmp_path / "out", keep_box=(0, 0, 300, 400)).copy(path).path).pixel_array
    assert written.max() < 0x1000


def test_marks_on_the_tissue_are_blanked(tmp_path):
    frames, _ = machine_screen()
    frames[:, 150:164, 195:197] = 255
    path = save_dicom(tmp_path / "a.dcm", examined(frames.shape), frames)
    after = read_cine(Deidentifier(tmp_path / "out").copy(path).path).frames
    assert not after[:, 150:164, 195:197].any()
    assert after[:, 100:140, 150:240].any()


def test_a_still_is_refused_with_the_cure(tmp_path, screen):
    frames = screen[0]
    path = save_dicom(tmp_path / "a.dcm", examined((1, *frames.shape[1:])), frames[:1])
    call = Deidentifier(tmp_path / "out")
    with pytest.raises(InputError, match=r"a\.dcm: a still .*--keep-box TOP,LEFT,BOTTOM,RIGHT"):
        call.copy(path)
    assert not (tmp_path / "out").exists()
    call.keep_box = (40, 80, 260, 320)
    copied = call.copy(path)
    after = read_cine(copied.path).frames
    np.testing.assert_array_equal(after[:, 40:260, 80:320], frames[:1, 40:260, 80:320])
    assert np.count_nonzero(after) == np.count_nonzero(after[:, 40:260, 80:320])
    assert copied.kept == pytest.approx(220 * 240 / frames[0].size)


def test_a_picture_that_moves_everywhere_is_refused(tmp_path):
    """A capture with so much noise that nothing stands still: the sector cannot be told from the screen."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (12, 120, 160), dtype=np.uint8)
    path = save_dicom(tmp_path / "a.dcm", examined(frames.shape), frames)
    with pytest.raises(InputError, match="--keep-box"):
        Deidentifier(tmp_path / "out").copy(path)


def test_a_box_outside_the_frames_is_refused(tmp_path, screen):
    path = save_dicom(tmp_path / "a.dcm", examined(screen[0].shape), screen[0])
    with pytest.raises(InputError, match=r"--keep-box 0,0,301,400 does not lie in frames of 300x400"):
        Deidentifier(tmp_path / "out", keep_box=(0, 0, 301, 400)).copy(path)


def test_nothing_half_written(tmp_path, screen):
    """The last frame is damaged: it is met when all others are written."""
    rgb = np.stack([screen[0]] * 3, axis=-1)
    codestreams = jpegs(rgb)
    codestreams[-1] = codestreams[-1][:200] + bytes(len(codestreams[-1]) - 200)
    path = save_dicom(
        tmp_path / "a.dcm", examined(rgb.shape, "YBR_FULL_422"), encapsulate(codestreams), uid.JPEGBaseline8Bit
    )
    with pytest.raises(InputError, match=r"a\.dcm"):
        Deidentifier(tmp_path / "out").copy(path)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [path]


def test_other_objects_are_named(tmp_path):
    header = dicom(noise().shape)
    header.SOPClassUID = uid.CTImageStorage
    header.Modality = "CT"
    assert what_it_is(save_dicom(tmp_path / "ct.dcm", header, noise())) == "CT Image object"
    header.SOPClassUID, header.Modality = uid.MultiFrameTrueColorSecondaryCaptureImageStorage, "US"
    assert what_it_is(save_dicom(tmp_path / "sc.dcm", header, noise())) is None


def test_a_name_that_shows_up_late_is_blanked_too(tmp_path):
    """The sector is found on the first second; a text that appears after it lies outside all the same."""
    inside = fan()
    frames = drawn(speckle(inside, 40), inside)
    frames[35:, 270:285, 20:120] = 255
    path = save_dicom(tmp_path / "a.dcm", examined(frames.shape), frames)
    after = read_cine(Deidentifier(tmp_path / "out").copy(path).path).frames
    assert not after[:, 265:].any()


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL_422", "YBR_FULL"])
@pytest.mark.parametrize("keep_rgb", [False, True])
def test_colour_of_a_jpeg_is_what_its_codestream_says(tmp_path, screen, photometric, keep_rgb):
    """Coded as RGB or as YCbCr, and called the one or the other: the copy shows the gray that the original shows."""
    frames = screen[0][:8]
    rgb = np.stack([frames, frames // 2 + 20, frames], axis=-1)
    codestreams = []
    for frame in rgb:
        buffer = io.BytesIO()
        Image.fromarray(frame).save(buffer, "JPEG", quality=90, keep_rgb=keep_rgb)
        codestreams.append(buffer.getvalue())
    path = save_dicom(
        tmp_path / "a.dcm", examined(rgb.shape, photometric), encapsulate(codestreams), uid.JPEGBaseline8Bit
    )
    copied = Deidentifier(tmp_path / "out", keep_box=(50, 100, 250, 300)).copy(path).path
    before, after = (read_cine(one).frames[:, 50:250, 100:300].astype(int) for one in (path, copied))
    assert np.abs(before - after).max() <= (1 if keep_rgb else 0)
    assert dcmread(copied).PhotometricInterpretation == ("RGB" if keep_rgb else "YBR_FULL")
