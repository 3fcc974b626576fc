"""Small valid files of every format, made by the tests themselves."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmwrite, uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate

from echoseg.cine import Cine, CineMeta, Instant, Spacing, View
from echoseg.io import write_nifti, write_npz_cine, write_video

UInt8 = NDArray[np.uint8]
SHAPE = (56, 48)
N_FRAMES = 6
NATIVE_SYNTAXES = (
    uid.ImplicitVRLittleEndian,
    uid.ExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.DeflatedExplicitVRLittleEndian,
)


def beating_disc(n_frames: int = N_FRAMES, shape: tuple[int, int] = SHAPE) -> UInt8:
    """A dark disc that beats on a smooth bright ground, uint8 (T, H, W)."""
    rows, cols = np.indices(shape)
    distance = np.hypot(rows - shape[0] / 2, cols - shape[1] / 2)
    ground = 120 + 60 * rows / shape[0] + 40 * cols / shape[1]
    radius = 12 + 4 * np.cos(2 * np.pi * np.arange(n_frames) / n_frames)
    inside = 1 / (1 + np.exp(distance[None] - radius[:, None, None]))
    return np.rint(ground * (1 - 0.8 * inside)).astype(np.uint8)


def noise(n_frames: int = N_FRAMES, shape: tuple[int, int] = SHAPE) -> UInt8:
    """Frames that only a lossless format gives back."""
    return np.random.default_rng(5).integers(0, 256, (n_frames, *shape), dtype=np.uint8)


def full_cine(frames: UInt8 | None = None) -> Cine:
    """A cine with everything that can be known about one."""
    frames = noise() if frames is None else frames
    mask = (frames[0] > 99).astype(np.uint8)
    meta = CineMeta(
        source="made",
        height=frames.shape[1],
        width=frames.shape[2],
        n_frames=len(frames),
        fps=47.5,
        spacing=Spacing(0.308, 0.154),
        view=View.A4C,
        r_waves_s=(0.05, 0.9),
    )
    return Cine(meta, frames, {1: mask, 4: mask * 3}, {Instant.ED: 1, Instant.ES: 4})


# MetaImage ------------------------------------------------------------------------------------------------------------


def write_metaimage(path: Path, frames: UInt8, data_file: str = "LOCAL", **fields: object) -> Path:
    """MetaImage of uint8 frames; `fields` replace or add header lines, compressed where CompressedData = True."""
    data = frames.tobytes()
    header = {
        "ObjectType": "Image",
        "NDims": 3,
        "BinaryData": True,
        "BinaryDataByteOrderMSB": False,
        "CompressedData": False,
        "ElementSpacing": "0.154 0.308 1",
        "DimSize": f"{frames.shape[2]} {frames.shape[1]} {frames.shape[0]}",
        "ElementType": "MET_UCHAR",
    } | fields
    if header["CompressedData"] is True:
        data = zlib.compress(data)
        header["CompressedDataSize"] = len(data)
    text = "".join(f"{key} = {value}\n" for key, value in header.items()) + f"ElementDataFile = {data_file}\n"
    if data_file == "LOCAL":
        path.write_bytes(text.encode() + data)
    else:
        path.write_text(text)
        path.with_name(data_file).write_bytes(data)
    return path


# Images ---------------------------------------------------------------------------------------------------------------


def write_images(folder: Path, frames: UInt8, suffix: str = ".png") -> Path:
    """Images frame0, frame1, ... frame10 without leading zeros."""
    folder.mkdir(parents=True)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f"frame{number}{suffix}")
    return folder


# DICOM ----------------------------------------------------------------------------------------------------------------


def dicom(shape: tuple[int, ...], photometric: str = "MONOCHROME2", *, bits: int = 8, **elements: object) -> Dataset:
    """Ultrasound multi-frame header for pixels of shape (T, H, W) or (T, H, W, 3)."""
    dataset = Dataset()
    dataset.SOPClassUID = uid.UltrasoundMultiFrameImageStorage
    dataset.SOPInstanceUID = "1.2.3.4"
    dataset.Modality = "US"
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = shape[:3]
    dataset.SamplesPerPixel = 3 if len(shape) == 4 else 1
    if len(shape) == 4:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = photometric
    dataset.BitsAllocated = 8 if bits <= 8 else 16
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = bits, bits - 1, 0
    dataset.FrameTime = 20
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def save_dicom(
    path: Path, dataset: Dataset, pixels: bytes | NDArray[np.generic], syntax: uid.UID = uid.ExplicitVRLittleEndian
) -> Path:
    """Write a header and its pixel data."""
    data = pixels if isinstance(pixels, bytes) else pixels.tobytes()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    coded = syntax not in NATIVE_SYNTAXES
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OB" if dataset.BitsAllocated <= 8 or coded else "OW"
    dataset["PixelData"].is_undefined_length = coded
    if not coded or syntax in uid.AllTransferSyntaxes:
        dcmwrite(path, dataset, enforce_file_format=True)
    else:
        dataset.preamble = bytes(128)
        dcmwrite(path, dataset, implicit_vr=False, little_endian=True, force_encoding=True)
    return path


def region(width: int, height: int, **elements: object) -> Dataset:
    """Calibrated 2D tissue region that fills an image."""
    item = Dataset()
    item.RegionSpatialFormat, item.RegionDataType, item.RegionFlags = 1, 1, 2
    item.RegionLocationMinX0, item.RegionLocationMinY0 = 0, 0
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = width - 1, height - 1
    item.PhysicalUnitsXDirection, item.PhysicalUnitsYDirection = 3, 3
    item.PhysicalDeltaX, item.PhysicalDeltaY = 0.0154, 0.0308
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return item


def jpegs(frames: UInt8) -> list[bytes]:
    """JPEG codestreams of gray (T, H, W) or RGB (T, H, W, 3) frames."""
    codestreams = []
    for frame in frames:
        buffer = io.BytesIO()
        Image.fromarray(frame).save(buffer, "JPEG", quality=90)
        codestreams.append(buffer.getvalue())
    return codestreams


def _dicom_raw(path: Path) -> Path:
    return save_dicom(path, dicom(noise().shape), noise())


def _dicom_deflated(path: Path) -> Path:
    return save_dicom(path, dicom(noise().shape), noise(), uid.DeflatedExplicitVRLittleEndian)


def _dicom_jpeg(path: Path) -> Path:
    frames = beating_disc()
    return save_dicom(path, dicom(frames.shape), encapsulate(jpegs(frames)), uid.JPEGBaseline8Bit)


def _dicom_rle(path: Path) -> Path:
    dataset = dicom(noise().shape)
    save_dicom(path, dataset, noise())
    dataset.compress(uid.RLELossless, generate_instance_uid=False)
    dataset.save_as(path, enforce_file_format=True)
    return path


def _video(codec: str) -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        write_video(path, beating_disc(), 50, SHAPE, codec)  # type: ignore[arg-type]
        return path

    return write


def _gif(path: Path) -> Path:
    first, *rest = (Image.fromarray(frame) for frame in beating_disc())
    first.save(path, save_all=True, append_images=rest, duration=20)
    return path


def _nifti(path: Path) -> Path:
    write_nifti(path, noise(), N_FRAMES, SHAPE, Spacing(0.308, 0.154), 47.5)
    return path


def _npz(path: Path) -> Path:
    write_npz_cine(path, full_cine())
    return path


def _png(path: Path) -> Path:
    Image.fromarray(noise()[0]).save(path)
    return path


def _jpg(path: Path) -> Path:
    path.write_bytes(jpegs(beating_disc())[0])
    return path


# File name -> function that writes a valid file of that kind.
SAMPLES: dict[str, Callable[[Path], Path]] = {
    "mjpeg.avi": _video("mjpeg"),
    "ffv1.avi": _video("ffv1"),
    "h264.mp4": _video("h264"),
    "ffv1.mkv": _video("ffv1"),
    "anim.gif": _gif,
    "plain.nii": _nifti,
    "packed.nii.gz": _nifti,
    "cine.npz": _npz,
    "local.mha": lambda path: write_metaimage(path, noise()),
    "zipped.mha": lambda path: write_metaimage(path, noise(), CompressedData=True),
    "raw.dcm": _dicom_raw,
    "deflated.dcm": _dicom_deflated,
    "jpeg.dcm": _dicom_jpeg,
    "rle.dcm": _dicom_rle,
    "still.png": _png,
    "still.jpg": _jpg,
}


def write_samples(folder: Path) -> dict[str, Path]:
    """One valid file of every kind."""
    folder.mkdir(parents=True, exist_ok=True)
    return {name: write(folder / name) for name, write in SAMPLES.items()}
