"""Folders of images in natural order, or one image, as a cine."""

from __future__ import annotations

import re
from collections.abc import Generator
from pathlib import Path

import numpy as np
from PIL import Image

from echoseg.cine import CineMeta, UInt8
from echoseg.errors import InputError
from echoseg.io import limits
from echoseg.io.door import quiet, reading
from echoseg.io.gray import NO_FPS, GrayScale, Numeric, luma
from echoseg.io.stream import CineStream

DAMAGE = (Image.DecompressionBombError,)
_FORMATS = ("PNG", "JPEG", "BMP")
_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp"})


def natural_key(name: str) -> tuple[tuple[int, int | str], ...]:
    """Sort key by which `frame2` comes before `frame10`."""
    parts = re.split(r"(\d+)", name.lower())
    return tuple((0, int(part)) if part.isdecimal() else (1, part) for part in parts if part)


def open_images(path: Path) -> CineStream:
    """An image, or the images of a folder in natural order, as a stream of gray."""
    files = _list(path)
    source = str(path)
    first = _size(files[0])
    for file in files[1:]:
        if (size := _size(file)) != first:
            raise InputError(
                f"{source}: {file.name} has {size[0]}x{size[1]} pixels, {files[0].name} {first[0]}x{first[1]}; "
                "frames of one cine have one size, put each cine into a folder of its own"
            )
    scale = GrayScale() if _pixels(files[0]).dtype == np.uint8 else GrayScale.fit(source, map(_pixels, files))
    meta = CineMeta(
        source=source,
        height=first[0],
        width=first[1],
        n_frames=len(files),
        warnings=scale.warning() + ((NO_FPS,) if len(files) > 1 else ()),
    )

    def decode() -> Generator[UInt8, None, None]:
        return (scale.apply(_pixels(file)) for file in files)

    return CineStream(meta, decode, damage=DAMAGE)


def _list(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = [file for file in path.iterdir() if file.suffix.lower() in _SUFFIXES and not file.name.startswith(".")]
    if not files:
        raise InputError(f"{path}: the folder holds no PNG, JPEG or BMP images; give the file of one cine")
    return sorted(files, key=lambda file: (natural_key(file.name), file.name))


def _size(file: Path) -> tuple[int, int]:
    """(H, W) from the header, checked against the size of the file."""
    with reading(file, extra=DAMAGE), quiet(), Image.open(file, formats=_FORMATS) as image:
        width, height = image.size
        limits.check_coded_frame(str(file), height, width, file.stat().st_size)
        return height, width


def _pixels(file: Path) -> Numeric:
    """Gray pixels (H, W): uint8, or the numbers of a deep image."""
    with reading(file, extra=DAMAGE), quiet(), Image.open(file, formats=_FORMATS) as image:
        if image.mode in ("L", "1"):
            return np.asarray(image.convert("L"))
        if image.mode.startswith(("I", "F")):
            return np.asarray(image)
        return luma(np.asarray(image.convert("RGB")))
