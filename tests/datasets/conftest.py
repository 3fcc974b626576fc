"""Small data folders in every layout, written without the code under test."""

from __future__ import annotations

import csv
from pathlib import Path

import av
import nibabel as nib
import numpy as np
import pytest

SHAPE = (40, 30)  # rows, columns: unequal, so that a transposed array cannot pass
ZOOM_X, ZOOM_Y = 0.308, 0.154  # columns, rows


def image(index, shape=SHAPE):
    """A frame that tells its number (corner) and its orientation (brighter downwards)."""
    frame = np.broadcast_to(np.linspace(50, 200, shape[0]).astype(np.uint8)[:, None], shape).copy()
    frame[0, 0] = 10 * index
    return frame


def labels(radius, shape=SHAPE, centre=(18, 14)):
    """LV disc of a radius with a ring of myocardium above an atrium."""
    row, col = np.indices(shape)
    distance = np.hypot(row - centre[0], col - centre[1])
    mask = np.zeros(shape, np.uint8)
    mask[distance <= radius + 3] = 2
    mask[(distance <= radius + 3) & (row > centre[0] + radius)] = 3
    mask[distance <= radius] = 1
    return mask


def write_nifti(path, array, zooms=(ZOOM_X, ZOOM_Y)):
    """Store (H, W) or (T, H, W) as CAMUS does: [x, y] or [x, y, t]."""
    stored = nib.Nifti1Image(np.ascontiguousarray(array.T), np.diag([-1.0, -1.0, 1.0, 1.0]))
    stored.header.set_zooms(zooms + (1.0,) * (array.ndim - 2))
    stored.header.set_xyzt_units("mm")
    nib.save(stored, path)


def write_mhd(path, array, zooms=(ZOOM_X, ZOOM_Y)):
    """Store (H, W) or (T, H, W) as header and raw bytes."""
    sizes = " ".join(str(size) for size in array.shape[::-1])
    spacing = " ".join(str(zoom) for zoom in zooms + (1.0,) * (array.ndim - 2))
    path.with_suffix(".raw").write_bytes(np.ascontiguousarray(array).tobytes())
    path.write_text(
        f"ObjectType = Image\nNDims = {array.ndim}\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
        f"ElementSpacing = {spacing}\nDimSize = {sizes}\nElementType = MET_UCHAR\n"
        f"ElementDataFile = {path.with_suffix('.raw').name}\n"
    )


class CamusFolder:
    """Writes patients in the layout of CAMUS."""

    def __init__(self, root):
        self.root = root

    def patient(self, number, *, container="database_nifti", views=("4CH",), info=None, sequence=None, **options):
        """Two stills, ED larger; with `sequence` = (ED, ES), 1-based, also a half sequence of max(ED, ES) frames."""
        name = f"patient{number:04d}"
        folder = self.root / container / name
        folder.mkdir(parents=True, exist_ok=True)
        mhd = options.get("mhd", False)
        write, end = (write_mhd, ".mhd") if mhd else (write_nifti, ".nii.gz")
        for view in views:
            stem = folder / f"{name}_{view}"
            zooms = options.get("zooms", (ZOOM_X, ZOOM_Y))
            for instant, index, radius in (("ED", 1, 9), ("ES", 2, 5)):
                write(stem.with_name(f"{stem.name}_{instant}{end}"), self._signed(index, number, view), zooms)
                if options.get("masks", True):
                    write(stem.with_name(f"{stem.name}_{instant}_gt{end}"), labels(radius), zooms)
            ed, es = sequence or (1, 18)
            text = info if info is not None else f"ED: {ed}\nES: {es}\nImageQuality: Good\nEF: 60\nFrameRate: 48.4\n"
            if text:
                (folder / f"Info_{view}.cfg").write_text(text)
            if sequence:
                n_frames = max(sequence)
                stem = f"{name}_{view}_{'sequence' if mhd else 'half_sequence'}"
                write(folder / f"{stem}{end}", np.stack([self._signed(i, number, view) for i in range(n_frames)]))
                radii = np.interp(np.arange(n_frames), sorted((ed - 1, es - 1)), (9, 5) if ed < es else (5, 9))
                write(folder / f"{stem}_gt{end}", np.stack([labels(radius) for radius in radii]))
        return folder

    @staticmethod
    def _signed(index, number, view):
        """A frame with the patient and the view in a pixel, so that no two files of a folder are equal."""
        frame = image(index)
        frame[0, 1] = 2 * number + (view == "2CH")
        return frame

    def splits(self, **members):
        """Write split files, for example training=("patient0001",)."""
        folder = self.root / "database_split"
        folder.mkdir(exist_ok=True)
        for name, patients in members.items():
            (folder / f"subgroup_{name}.txt").write_text("".join(f"{patient}\n" for patient in patients))


def tracing(half_width, *, top=20.0, bottom=90.0, centre=56.0, n_chords=20):
    """Rows x1, y1, x2, y2 of an ellipse: long axis, then chords from apex to base."""
    middle, half_length = (top + bottom) / 2, (bottom - top) / 2
    rows = [(centre, top, centre, bottom)]
    for y in top + (np.arange(n_chords) + 0.5) * (bottom - top) / n_chords:
        half = half_width * np.sqrt(1 - ((y - middle) / half_length) ** 2)
        rows.append((centre - half, y, centre + half, y))
    return [tuple(float(value) for value in row) for row in rows]


class EchoNetFolder:
    """Writes videos and both tables in the layout of EchoNet-Dynamic."""

    def __init__(self, root):
        self.root = root
        self.rows, self.lines = [], []
        (root / "Videos").mkdir(parents=True)

    def video(self, stem, tracings, *, split="TRAIN", n_frames=6, **options):
        """A video whose frame i is a flat gray of 20 + 30 i with one dark corner, and its lines in both tables.

        Args:
            stem: name without `.avi`.
            tracings: (frame, rows) in the order in which they are listed.
            split: as the table words it.
            n_frames: number of frames in the video.
            options: `list_name`, `trace_name`, `ef`, `edv`, `esv`, `fps`, `claimed_frames`, `write`, `salt`.
        """
        if options.get("write", True):
            self._avi(stem, n_frames, options.get("salt", len(self.rows)))
        self.rows.append(
            (
                options.get("list_name", stem),
                options.get("ef", 50),
                options.get("esv", 50),
                options.get("edv", 100),
                112,
                112,
                options.get("fps", 50),
                options.get("claimed_frames", n_frames),
                split,
            )
        )
        for frame, rows in tracings:
            self.lines += [(options.get("trace_name", f"{stem}.avi"), *row, frame) for row in rows]
        return self

    def _avi(self, stem, n_frames, salt):
        with av.open(str(self.root / "Videos" / f"{stem}.avi"), "w") as container:
            stream = container.add_stream("mjpeg", rate=25)
            stream.width = stream.height = 112
            stream.pix_fmt = "yuvj420p"
            for i in range(n_frames):
                gray = np.full((112, 112), 20 + 30 * i, np.uint8)
                gray[:16, : 16 + 8 * (salt % 10)] = 0
                for packet in stream.encode(av.VideoFrame.from_ndarray(np.stack([gray] * 3, -1), format="rgb24")):
                    container.mux(packet)
            for packet in stream.encode():
                container.mux(packet)

    def write(self):
        """Write both tables."""
        heads = ("FileName,EF,ESV,EDV,FrameHeight,FrameWidth,FPS,NumberOfFrames,Split", "FileName,X1,Y1,X2,Y2,Frame")
        for name, head, rows in zip(
            ("FileList.csv", "VolumeTracings.csv"), heads, (self.rows, self.lines), strict=True
        ):
            with (self.root / name).open("w", newline="") as file:
                csv.writer(file).writerows([head.split(","), *rows])
        return self.root


@pytest.fixture
def camus(tmp_path: Path) -> CamusFolder:
    root = tmp_path / "camus"
    root.mkdir()
    return CamusFolder(root)


@pytest.fixture
def echonet(tmp_path: Path) -> EchoNetFolder:
    return EchoNetFolder(tmp_path / "echonet")


@pytest.fixture
def make():
    """The builders of single files, for tests that need one of their own."""

    class Make:
        image = staticmethod(image)
        labels = staticmethod(labels)
        nifti = staticmethod(write_nifti)
        mhd = staticmethod(write_mhd)
        tracing = staticmethod(tracing)

    return Make
