"""Files that hospitals, scripts and broken disks produce: none of them is a cine, each must be answered with one sentence.

`make_malformed` makes files that must be refused; `make_bit_flipped` files that may still be readable.
"""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image
from pydicom import dcmwrite, uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from tests.io.sample_files import (
    N_FRAMES,
    beating_disc,
    dicom,
    jpegs,
    noise,
    save_dicom,
    write_images,
    write_metaimage,
    write_samples,
)

_TRUNCATIONS = (0.0, 0.02, 0.35, 0.8, 0.95)


def make_malformed(folder: Path) -> list[Path]:
    """Write files and folders that every reader must refuse.

    Args:
        folder: where to; is made.

    Returns:
        Their paths, more than sixty.
    """
    folder.mkdir(parents=True, exist_ok=True)
    samples = write_samples(folder / "whole")
    paths = []
    for name, whole in samples.items():
        data = whole.read_bytes()
        for fraction in _TRUNCATIONS:
            path = folder / f"cut{round(100 * fraction):02d}_{name}"
            path.write_bytes(data[: int(len(data) * fraction)])
            paths.append(path)
    for make in (_text_files, _nifti_headers, _metaimages, _archives, _dicoms, _videos, _image_folders):
        paths += make(folder, samples)
    return paths


def make_bit_flipped(folder: Path, seed: int = 0, copies: int = 4) -> list[Path]:
    """Write copies of valid files with a few wrong bits, half of them within the header."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    paths = []
    for name, whole in write_samples(folder / "whole").items():
        for copy in range(copies):
            data = np.frombuffer(whole.read_bytes(), np.uint8).copy()
            end = min(len(data), 400) if copy % 2 else len(data)
            for position in rng.integers(0, end, 1 + 3 * copy):
                data[position] ^= 1 << int(rng.integers(8))
            path = folder / f"flip{copy}_{name}"
            path.write_bytes(data.tobytes())
            paths.append(path)
    return paths


def _write(folder: Path, files: dict[str, bytes]) -> list[Path]:
    paths = []
    for name, data in files.items():
        path = folder / name
        path.write_bytes(data)
        paths.append(path)
    return paths


def _text_files(folder: Path, samples: dict[str, Path]) -> list[Path]:
    """Things that are not a cine, under the names of things that are."""
    text = b"FileName,EF,Split\nabc,55.1,TRAIN\n" * 30
    names = ("text.avi", "text.mp4", "text.dcm", "text.nii", "text.nii.gz", "text.npz", "text.mhd", "text.png")
    gzipped_text = gzip.compress(text, mtime=0)
    return _write(
        folder,
        {name: text for name in names}
        | {
            "zeros.dcm": bytes(5000),
            "noise.avi": noise().tobytes(),
            "document.dcm": b"%PDF-1.7\n" + bytes(500),
            "text_packed.nii.gz": gzipped_text,
            "array.npz": b"\x93NUMPY\x01\0" + bytes(200),
            "sound.wav": b"RIFF" + struct.pack("<I", 36) + b"WAVEfmt " + bytes(28),
        },
    )


def _nifti_headers(folder: Path, samples: dict[str, Path]) -> list[Path]:
    """Valid NIfTI files with one field of the header overwritten."""
    whole = samples["plain.nii"].read_bytes()

    def patched(position: int, layout: str, *values: float) -> bytes:
        data = bytearray(whole)
        struct.pack_into(layout, data, position, *values)
        return bytes(data)

    files = {
        "size.nii": patched(40, "<4h", 3, 32767, 32767, 32767),
        "size_zero.nii": patched(40, "<4h", 3, 0, 56, 6),
        "size_negative.nii": patched(40, "<4h", 3, -48, 56, 6),
        "dims_zero.nii": patched(40, "<h", 0),
        "dims_nine.nii": patched(40, "<h", 9),
        "volume.nii": patched(40, "<5h", 4, 24, 28, 4, 6),
        "line.nii": patched(40, "<2h", 1, 48),
        "datatype.nii": patched(70, "<h", 32),  # complex
        "datatype_unknown.nii": patched(70, "<h", 4711),
        "offset.nii": patched(108, "<f", 1e9),
        "offset_nan.nii": patched(108, "<f", float("nan")),
        "pair.nii": patched(344, "4s", b"ni1\0"),
        "packed_size.nii.gz": gzip.compress(patched(40, "<4h", 3, 32767, 32767, 32767), mtime=0),
        "packed_crc.nii.gz": _wrong_checksum(samples["packed.nii.gz"].read_bytes()),
    }
    floats = noise().astype("<f4")
    floats[2, 3, 4] = np.nan
    for name, value in (("nan.nii", np.nan), ("infinite.nii", np.inf)):
        floats[2, 3, 4] = value
        header = bytearray(patched(70, "<2h", 16, 32)[:352])
        files[name] = bytes(header) + floats.tobytes()
    big = bytearray(540 + 4)
    struct.pack_into("<i4s4s", big, 0, 540, b"n+2\0", b"\r\n\x1a\n")
    struct.pack_into("<h", big, 12, 2)
    struct.pack_into("<8q", big, 16, 3, 2**31, 2**31, 10**9, 1, 1, 1, 1)
    struct.pack_into("<q", big, 168, 544)
    files["absurd.nii"] = bytes(big)
    files["absurd_packed.nii.gz"] = gzip.compress(bytes(big), mtime=0)
    bomb = bytearray(whole[:352])
    struct.pack_into("<4h", bomb, 40, 3, 1000, 1000, 600)
    files["bomb.nii.gz"] = gzip.compress(bytes(bomb), mtime=0) + gzip.compress(bytes(1 << 20), mtime=0) * 573
    return _write(folder, files)


def _wrong_checksum(packed: bytes) -> bytes:
    return packed[:-8] + bytes([packed[-8] ^ 0xFF]) + packed[-7:]


def _metaimages(folder: Path, samples: dict[str, Path]) -> list[Path]:
    frames = noise()
    wrong: dict[str, dict[str, object]] = {
        "meta_size.mha": {"DimSize": "2147483648 2147483648 1000000000"},
        "meta_zero.mha": {"DimSize": "0 56 6"},
        "meta_words.mha": {"DimSize": "wide high long"},
        "meta_five.mha": {"DimSize": "2 2 2 2 2"},
        "meta_volume.mha": {"DimSize": "24 28 4 6"},
        "meta_type.mha": {"ElementType": "MET_STRING"},
        "meta_deep.mha": {"ElementType": "MET_DOUBLE"},
        "meta_channels.mha": {"ElementNumberOfChannels": "many"},
        "meta_compressed.mha": {"CompressedData": "True"},
        "meta_bomb.mha": {"DimSize": "8000 8000 1000", "CompressedData": True},
    }
    paths = [write_metaimage(folder / name, frames, **fields) for name, fields in wrong.items()]
    targets = {"meta_missing.mhd": "nowhere.raw", "meta_outside.mhd": "../outside.raw", "meta_list.mhd": "LIST"}
    for name, target in targets.items():
        text = f"NDims = 3\nDimSize = 48 56 6\nElementType = MET_UCHAR\nElementDataFile = {target}\n"
        paths += _write(folder, {name: text.encode()})
    short = write_metaimage(folder / "meta_short.mhd", frames, "meta_short.raw")
    (folder / "meta_short.raw").write_bytes(frames.tobytes()[:-1])
    return [*paths, short]


def _npz(**arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def _zip(name: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return buffer.getvalue()


def _npy_header(shape: str, descr: str = "'|u1'") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(text) + 1) + text + b"\n"


def _archives(folder: Path, samples: dict[str, Path]) -> list[Path]:
    objects = np.array([{"a": 1}, None], dtype=object)
    nan = noise().astype(np.float32)
    nan[0, 0, 0] = np.nan
    return _write(
        folder,
        {
            "objects.npz": _npz(frames=objects),
            "nothing.npz": _npz(),
            "other_names.npz": _npz(a=noise(), b=noise()),
            "one_axis.npz": _npz(frames=np.arange(9, dtype=np.uint8)),
            "four_axes.npz": _npz(frames=noise()[None]),
            "no_frames.npz": _npz(frames=noise()[:0]),
            "words.npz": _npz(frames=np.array([["a", "b"]])),
            "complex.npz": _npz(frames=noise().astype(np.complex64)),
            "columns.npz": _npz(frames=np.asfortranarray(noise())),
            "nan.npz": _npz(frames=nan),
            "masks_nan.npz": _npz(masks=nan),
            "document.npz": _zip("word/document.xml", b"<xml/>"),
            "absurd.npz": _zip("frames.npy", _npy_header("(1000000000, 2147483648, 2147483648)") + bytes(9)),
            "short.npz": _zip("frames.npy", _npy_header("(6, 56, 48)") + bytes(99)),
            "code.npz": _zip("frames.npy", _npy_header("().__class__")),
            "version.npz": _zip("frames.npy", b"\x93NUMPY\x09\x09" + bytes(99)),
            "bomb.npz": _zip("frames.npy", _npy_header("(300, 1000, 1000)") + bytes(300_000_000)),
        },
    )


def _dicoms(folder: Path, samples: dict[str, Path]) -> list[Path]:
    frames, paths = noise(), []

    def save(name: str, pixels: bytes, syntax: str = uid.ExplicitVRLittleEndian, **elements: object) -> None:
        header = dicom(frames.shape, **elements)  # type: ignore[arg-type]
        paths.append(save_dicom(folder / name, header, pixels, uid.UID(syntax)))

    raw, coded = frames.tobytes(), jpegs(beating_disc())
    save("frames_absurd.dcm", raw, NumberOfFrames=10**9)
    save("frames_zero.dcm", raw, NumberOfFrames=0)
    save("frames_negative.dcm", raw, NumberOfFrames=-3)
    save("rows_zero.dcm", raw, Rows=0)
    save("rows_absurd.dcm", raw, Rows=65535, Columns=65535)
    save("bits_absurd.dcm", raw, BitsStored=4000)
    save("photometric.dcm", raw, PhotometricInterpretation="PURPLE")
    save("palette_missing.dcm", raw, PhotometricInterpretation="PALETTE COLOR")
    save("jpeg_xl.dcm", encapsulate(coded), "1.2.840.10008.1.2.4.110")
    save("mpeg4.dcm", encapsulate(coded), uid.MPEG4HP41)
    save("private_syntax.dcm", encapsulate(coded), "1.2.3.4.5.6")
    save("jpeg_fewer.dcm", encapsulate(coded[:-1]), uid.JPEGBaseline8Bit)
    save("jpeg_more_frames.dcm", encapsulate(coded), uid.JPEGBaseline8Bit, NumberOfFrames=10**9)
    save("jpeg_other_size.dcm", encapsulate(coded), uid.JPEGBaseline8Bit, Rows=57)
    save("jpeg_half.dcm", encapsulate([*coded[:-1], coded[-1][: len(coded[-1]) // 2]]), uid.JPEGBaseline8Bit)
    save("jpeg_text.dcm", encapsulate([b"not a picture!"] * N_FRAMES), uid.JPEGBaseline8Bit)
    save("jpeg_absurd.dcm", encapsulate([_absurd_jpeg()] * N_FRAMES), uid.JPEGBaseline8Bit)
    save("jls_absurd.dcm", encapsulate([_absurd_jpeg(0xF7)] * N_FRAMES), uid.JPEGLSLossless)
    save("j2k_text.dcm", encapsulate([b"not a picture!"] * N_FRAMES), uid.JPEG2000Lossless)
    save("rle_text.dcm", encapsulate([b"not a picture!"] * N_FRAMES), uid.RLELossless)
    save("no_fragments.dcm", encapsulate(coded)[:8] + b"no fragments here!", uid.RLELossless)
    return [*paths, *_dicom_objects(folder), *_dicom_streams(folder, samples)]


def _absurd_jpeg(marker: int = 0xC0) -> bytes:
    """Codestream that declares 65500 x 65500 pixels."""
    data = bytearray(jpegs(beating_disc())[0])
    position = data.index(b"\xff\xc0")
    data[position + 1] = marker
    struct.pack_into(">2H", data, position + 5, 65500, 65500)
    return bytes(data)


def _dicom_objects(folder: Path) -> list[Path]:
    """Valid DICOM that is no image."""
    classes = {
        "report.dcm": uid.ComprehensiveSRStorage,
        "wrapped_pdf.dcm": uid.EncapsulatedPDFStorage,
        "index.dcm": uid.MediaStorageDirectoryStorage,
    }
    paths = []
    for name, sop_class in classes.items():
        dataset = Dataset()
        dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, "1.2.3"
        if sop_class == uid.EncapsulatedPDFStorage:
            dataset.EncapsulatedDocument = b"%PDF-1.7"
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
        dataset.file_meta.MediaStorageSOPClassUID = sop_class
        dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
        path = folder / name
        dcmwrite(path, dataset, enforce_file_format=True)
        paths.append(path)
    return paths


def _dicom_streams(folder: Path, samples: dict[str, Path]) -> list[Path]:
    """Damage below the level of elements."""
    raw, deflated = samples["raw.dcm"].read_bytes(), samples["deflated.dcm"].read_bytes()
    meta_end = 144 + int.from_bytes(deflated[140:144], "little")
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(400)) + packer.flush()
    return _write(
        folder,
        {
            "preamble_only.dcm": raw[:132],
            "meta_only.dcm": raw[:meta_end],
            "meta_zeros.dcm": raw[:132] + bytes(400),
            "deflated_noise.dcm": deflated[:meta_end] + noise().tobytes(),
            "deflated_bomb.dcm": deflated[:meta_end] + bomb,
            "pixel_length.dcm": _patched_pixel_length(raw),
        },
    )


def _patched_pixel_length(raw: bytes) -> bytes:
    data = bytearray(raw)
    struct.pack_into("<I", data, data.index(b"\xe0\x7f\x10\x00OB") + 8, 0xFFFFFFF0)
    return bytes(data)


def _videos(folder: Path, samples: dict[str, Path]) -> list[Path]:
    avi, mp4 = samples["mjpeg.avi"].read_bytes(), samples["h264.mp4"].read_bytes()
    frames = [position for position in range(len(avi)) if avi.startswith(b"00dc", position)]
    hollow = bytearray(avi)
    for position in frames[:N_FRAMES]:
        length = int.from_bytes(avi[position + 4 : position + 8], "little")
        hollow[position + 8 : position + 8 + length] = bytes(length)
    absurd = bytearray(samples["ffv1.avi"].read_bytes())
    start = absurd.index(b"strf") + 8
    struct.pack_into("<2i", absurd, start + 4, 2**31 - 1, 2**31 - 1)
    sof = avi.index(b"\xff\xc0")
    huge = bytearray(avi)
    struct.pack_into(">2H", huge, sof + 5, 65500, 65500)
    return _write(
        folder,
        {
            "hollow.avi": bytes(hollow),
            "absurd.avi": bytes(absurd),
            "huge_picture.avi": bytes(huge),
            "no_frames.avi": avi[: frames[0]],
            "header_only.mp4": mp4[:32],
            "no_index.mp4": mp4.replace(b"moov", b"none"),
            "no_codec.mp4": mp4.replace(b"avc1", b"zzzz").replace(b"avcC", b"zzzC"),
            "ebml_only.mkv": samples["ffv1.mkv"].read_bytes()[:40],
        },
    )


def _image_folders(folder: Path, samples: dict[str, Path]) -> list[Path]:
    frames = noise()
    mixed = write_images(folder / "mixed", frames)
    Image.fromarray(frames[0, :-1]).save(mixed / "frame3.png")
    cut = write_images(folder / "cut", frames)
    (cut / "frame4.png").write_bytes((cut / "frame4.png").read_bytes()[:900])
    texts = write_images(folder / "texts", frames)
    (texts / "frame2.png").write_text("not a picture")
    (folder / "empty").mkdir()
    (folder / "no_images").mkdir()
    (folder / "no_images" / "notes.txt").write_text("nothing here")
    png = bytearray(samples["still.png"].read_bytes())
    struct.pack_into(">2I", png, 16, 60000, 60000)
    struct.pack_into(">I", png, 29, zlib.crc32(png[12:29]))
    return [mixed, cut, texts, folder / "empty", folder / "no_images", *_write(folder, {"absurd.png": bytes(png)})]
