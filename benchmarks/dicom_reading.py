"""How long does a gray frame of a DICOM cine take? This reader beside pydicom's own pixels, for the encodings that machines write.

A simulated heart is put on a screen of 600 x 800 pixels with text around it and coded in each way. The two readers take turns over
each file, so that what else happens on the machine falls on both; times are process CPU time per frame, medians over the rounds. The
other way is what most programs do: `pydicom.iter_pixels` to RGB, then ITU-R 601 luma by Pillow. Differences of the gray values are
counted over all frames. Writes `benchmarks/results/dicom_reading.json`.

    python benchmarks/dicom_reading.py [--rounds 9] [--frames 40] [--out FILE]
"""

from __future__ import annotations

import argparse
import io
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pydicom
from PIL import Image, ImageDraw, features
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import iter_pixels

from echoseg.io import open_cine
from echoseg.simulator import simulate

RESULT = Path(__file__).parent / "results" / "dicom_reading.json"
SHAPE = (600, 800)
SECTOR = (slice(None), slice(60, 560), slice(120, 680))
QUALITIES = (85, 95)


def screen(n_frames: int) -> np.ndarray:
    """A simulated cine among text, RGB uint8 (T, H, W, 3)."""
    heart = simulate(3, preset="standard", layout="camus", duration_s=n_frames / 50 + 0.05, fps=50.0)
    frames = np.zeros((n_frames, *SHAPE, 3), np.uint8)
    for number, frame in enumerate(frames):
        image = Image.new("RGB", SHAPE[::-1])
        image.paste(Image.fromarray(heart.frames[number % len(heart.frames)]).resize((560, 500)), (120, 60))
        draw = ImageDraw.Draw(image)
        draw.text((10, 10), "DOE^JANE 1234567", fill=(255, 220, 80), font_size=18)
        for line in range(8):
            draw.text((10, 80 + 24 * line), f"setting {line}", fill=(200, 200, 220), font_size=14)
        frame[:] = np.asarray(image)
    return frames


def header(frames: np.ndarray, photometric: str, syntax: str) -> Dataset:
    """Multi-frame ultrasound without its pixels."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = uid.UltrasoundMultiFrameImageStorage, "1.2.3"
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = frames.shape[:3]
    dataset.SamplesPerPixel = 3 if frames.ndim == 4 else 1
    if frames.ndim == 4:
        dataset.PlanarConfiguration = 0
    dataset.PhotometricInterpretation = photometric
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    dataset.FrameTime = 20
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


def write_jpeg(path: Path, frames: np.ndarray, quality: int) -> None:
    """JPEG baseline, colour at half size as Pillow's default is."""
    codestreams = []
    for frame in frames:
        buffer = io.BytesIO()
        Image.fromarray(frame).save(buffer, "JPEG", quality=quality)
        codestreams.append(buffer.getvalue())
    dataset = header(frames, "YBR_FULL_422" if frames.ndim == 4 else "MONOCHROME2", uid.JPEGBaseline8Bit)
    dataset.PixelData = encapsulate(codestreams)
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path, enforce_file_format=True)


def write_raw(path: Path, frames: np.ndarray, syntax: str = uid.ExplicitVRLittleEndian) -> None:
    """RGB or gray, coded without loss where `syntax` says so."""
    dataset = header(frames, "RGB" if frames.ndim == 4 else "MONOCHROME2", uid.ExplicitVRLittleEndian)
    dataset.PixelData = frames.tobytes()
    if syntax != uid.ExplicitVRLittleEndian:
        dataset.compress(syntax, frames, generate_instance_uid=False)
    dataset.save_as(path, enforce_file_format=True)


def write_all(folder: Path, frames: np.ndarray) -> dict[str, Path]:
    """A file for each encoding."""
    gray = np.ascontiguousarray(frames[..., 0])
    ways: dict[str, Callable[[Path], None]] = {
        **{
            f"JPEG baseline, {what}, quality {quality}": partial(write_jpeg, frames=pixels, quality=quality)
            for quality in QUALITIES
            for what, pixels in (("colour", frames), ("gray", gray))
        },
        "RGB, not coded": lambda path: write_raw(path, frames),
        "gray, not coded": lambda path: write_raw(path, gray),
        "RLE, colour": lambda path: write_raw(path, frames, uid.RLELossless),
        "JPEG-LS, gray": lambda path: write_raw(path, gray, uid.JPEGLSLossless),
        "JPEG 2000 lossless, gray": lambda path: write_raw(path, gray, uid.JPEG2000Lossless),
    }
    files = {}
    for number, (name, write) in enumerate(ways.items()):
        files[name] = folder / f"{number}.dcm"
        write(files[name])
    return files


def ours(path: Path) -> Iterator[np.ndarray]:
    """Gray frames by this reader."""
    with open_cine(path) as cine:
        yield from cine


def theirs(path: Path) -> Iterator[np.ndarray]:
    """Gray frames through RGB by pydicom and Pillow."""
    for frame in iter_pixels(path):
        yield frame if frame.ndim == 2 else np.asarray(Image.fromarray(frame).convert("L"))


def seconds(read: Callable[[Path], Iterator[np.ndarray]], path: Path, n_frames: int) -> float:
    """CPU time of a frame, opening the file included."""
    started = time.process_time()
    count = sum(1 for _ in read(path))
    if count != n_frames:
        raise SystemExit(f"{path}: {count} frames were read where {n_frames} were written")
    return (time.process_time() - started) / n_frames


def differences(path: Path) -> dict[str, float]:
    """Gray levels between both readers' frames, over the whole screen and away from its coloured text."""
    both = [np.abs(a.astype(int) - b.astype(int)) for a, b in zip(ours(path), theirs(path), strict=True)]
    apart = np.stack(both)
    return {
        "share_within_one": round(float((apart <= 1).mean()), 5),
        "largest": int(apart.max()),
        "largest_in_sector": int(apart[SECTOR].max()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        files = write_all(Path(folder), screen(options.frames))
        times: dict[str, dict[str, list[float]]] = {name: {"echoseg": [], "pydicom": []} for name in files}
        for _ in range(options.rounds):
            for name, path in files.items():
                times[name]["echoseg"].append(seconds(ours, path, options.frames))
                times[name]["pydicom"].append(seconds(theirs, path, options.frames))
        for name, path in files.items():
            mine, other = (statistics.median(times[name][who]) * 1000 for who in ("echoseg", "pydicom"))
            rows[name] = {
                "ms_per_frame": round(mine, 3),
                "fastest_ms_per_frame": round(min(times[name]["echoseg"]) * 1000, 3),
                "pydicom_ms_per_frame": round(other, 3),
                "times_faster": round(other / mine, 2),
                "kB_per_frame": round(path.stat().st_size / options.frames / 1000, 1),
                "gray_levels_apart": differences(path),
            }
            print(f"{name:36} {mine:7.2f} ms, pydicom {other:7.2f} ms")
    document = {
        "frames": options.frames,
        "rounds": options.rounds,
        "height": SHAPE[0],
        "width": SHAPE[1],
        "versions": {
            "pydicom": pydicom.__version__,
            "Pillow": Image.__version__,
            "libjpeg-turbo": features.version("libjpeg_turbo"),
        },
        "machine": platform.processor() or platform.machine(),
        "encodings": rows,
    }
    options.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
