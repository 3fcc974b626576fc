"""NPZ cines: the exchange format of notebooks, with masks and instants beside the frames.

Keys: `frames` (T, H, W) or (H, W), `fps`, `spacing_mm` (row, col) or one number, `masks` (N, H, W), `mask_frames` (N) frame
numbers of the masks (all frames when missing), `instants` (ED, ES) with -1 for unknown, `view`, `aspect`, `r_waves_s`. Only
`frames` is needed for a cine and only `masks` for masks. Nothing is ever unpickled.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, BinaryIO, cast

import numpy as np
from numpy.lib import format as npy

from echoseg.cine import Cine, CineMeta, Instant, MaskStack, Spacing, View
from echoseg.errors import InputError
from echoseg.io import limits
from echoseg.io.atomic import atomic_path
from echoseg.io.door import quiet
from echoseg.io.gray import Numeric, plausible_fps
from echoseg.io.stream import CineStream, Labels
from echoseg.io.volume import RawVolume, VolumeMeta, as_labels

_SMALL_BYTES = 1 << 24
_INSTANTS = (Instant.ED, Instant.ES)


@dataclass(frozen=True)
class _Member:
    """Header of one array of the archive."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    n_bytes: int


class _Archive:
    """Arrays of an NPZ file, read without trusting what it says about their size."""

    def __init__(self, path: Path) -> None:
        self.path, self.source = path, str(path)
        with zipfile.ZipFile(path) as archive:
            self._infos = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}

    def __contains__(self, key: str) -> bool:
        return key in self._infos

    def summary(self) -> str:
        """Names of the first arrays, for messages."""
        names = sorted(self._infos)
        return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "") if names else "nothing"

    def member(self, key: str) -> _Member:
        """Shape and type of an array, checked against the archive's directory."""
        info = self._infos[key]
        with zipfile.ZipFile(self.path) as archive, archive.open(info) as file:
            shape, fortran, dtype = _read_npy_header(file)
            header_bytes = file.tell()
        if dtype.hasobject:
            raise InputError(
                f"{self.source}: array {key!r} holds Python objects, which are never loaded; save it as numbers"
            )
        if fortran and sum(size > 1 for size in shape) > 1:
            raise InputError(f"{self.source}: array {key!r} is in column order; save numpy.ascontiguousarray of it")
        n_bytes = dtype.itemsize
        for size in shape:
            n_bytes *= size
        limits.check_stored(self.source, n_bytes, info.file_size - header_bytes)
        if info.compress_type != zipfile.ZIP_STORED:
            limits.check_deflated(self.source, n_bytes, info.compress_size)
        return _Member(key, shape, dtype, n_bytes)

    def open(self, key: str) -> BinaryIO:
        """Byte stream at the first number of an array."""
        with zipfile.ZipFile(self.path) as archive:  # the member keeps its own handle on the file
            file = archive.open(self._infos[key])
        _read_npy_header(file)
        return cast(BinaryIO, file)

    def small(self, key: str) -> Numeric | None:
        """A little array whole, None if it is not there."""
        if key not in self:
            return None
        member = self.member(key)
        if member.n_bytes > _SMALL_BYTES:
            raise InputError(
                f"{self.source}: array {key!r} of shape {member.shape} is too large for what it is; remove it"
            )
        with self.open(key) as file:
            data = file.read(member.n_bytes)
        return np.frombuffer(data, member.dtype).reshape(member.shape)

    def number(self, key: str) -> float | None:
        """A number, None if it is not there."""
        value = self.small(key)
        if value is None or value.dtype.kind not in "iuf" or value.size != 1:
            return None
        return float(value.astype(np.float64).item())

    def volume(self, key: str) -> RawVolume:
        """An array (T, H, W) or (H, W) as frames."""
        if key not in self:
            raise InputError(f"{self.source}: no array {key!r} (it holds {self.summary()}); save it as {key}=")
        member = self.member(key)
        shape = member.shape if len(member.shape) == 3 else (1, *member.shape)
        if len(shape) != 3:
            raise InputError(f"{self.source}: array {key!r} of shape {member.shape}; need (T, H, W), rows first")
        n_frames, height, width = shape
        return RawVolume(
            source=self.source,
            dtype=member.dtype,
            n_frames=n_frames,
            height=height,
            width=width,
            open_voxels=partial(self.open, key),
            compressed_bytes=self._infos[key].compress_size,
        )


def _read_npy_header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    version = npy.read_magic(file)
    readers: dict[tuple[int, int], Callable[..., tuple[tuple[int, ...], bool, np.dtype[np.generic]]]] = {
        (1, 0): npy.read_array_header_1_0,
        (2, 0): npy.read_array_header_2_0,
    }
    if version not in readers:
        raise ValueError(f"npy version {version}")
    with quiet():
        return readers[version](file)


def _describe(archive: _Archive) -> VolumeMeta:
    warnings: tuple[str, ...] = ()
    spacing_mm, view = archive.small("spacing_mm"), archive.small("view")
    spacing = None
    if spacing_mm is not None and spacing_mm.dtype.kind in "iuf" and spacing_mm.size in (1, 2):
        row_mm, col_mm = np.broadcast_to(spacing_mm.astype(np.float64).ravel(), 2).tolist()
        if 0 < row_mm < np.inf and 0 < col_mm < np.inf:
            spacing = Spacing(row_mm, col_mm)
        else:
            warnings = (f"pixel spacing {row_mm:g} x {col_mm:g} mm is not usable; give it with --spacing-mm",)
    aspect = archive.number("aspect")
    r_waves_s = archive.small("r_waves_s")
    names = {item.value: item for item in View}
    return VolumeMeta(
        fps=plausible_fps(archive.number("fps")),
        spacing=spacing,
        aspect=aspect if aspect is not None and 0 < aspect < np.inf else None,
        view=names.get(str(view.item()), View.UNKNOWN) if view is not None and view.size == 1 else View.UNKNOWN,
        r_waves_s=tuple(r_waves_s.astype(np.float64).ravel().tolist()) if r_waves_s is not None else (),
        warnings=warnings,
    )


def _read_labels(archive: _Archive) -> Labels:
    masks = {}
    if "masks" in archive:
        volume = archive.volume("masks")
        numbers = _mask_frames(archive, volume.n_frames)
        for number, frame in zip(numbers, volume.frames(), strict=True):
            masks[number] = as_labels(frame, f"{archive.source}: mask of frame {number}")
    instants = archive.small("instants")
    if instants is None or instants.dtype.kind not in "iu" or instants.size != len(_INSTANTS):
        return Labels(masks)
    frames = (int(frame) for frame in instants.ravel().astype(np.int64))
    return Labels(masks, {instant: frame for instant, frame in zip(_INSTANTS, frames, strict=True) if frame >= 0})


def _mask_frames(archive: _Archive, n_masks: int) -> list[int]:
    numbers = archive.small("mask_frames")
    if numbers is None:
        return list(range(n_masks))
    if numbers.dtype.kind not in "iu" or numbers.shape != (n_masks,) or len(set(numbers.tolist())) != n_masks:
        raise InputError(f"{archive.source}: mask_frames must be {n_masks} different frame numbers, one per mask")
    return [int(number) for number in numbers.astype(np.int64)]


def open_npz(path: Path) -> CineStream:
    """Frames of an NPZ file as a stream of gray, with its masks and instants."""
    archive = _Archive(path)
    return archive.volume("frames").stream(_describe(archive), partial(_read_labels, archive))


def read_npz_masks(path: Path) -> tuple[CineMeta, MaskStack]:
    """Masks of an NPZ file that has one for every frame."""
    archive = _Archive(path)
    volume = archive.volume("masks")
    numbers = _mask_frames(archive, volume.n_frames)
    n_frames = archive.volume("frames").n_frames if "frames" in archive else volume.n_frames
    if numbers != list(range(n_frames)):
        raise InputError(f"{path}: masks of {len(numbers)} of its {n_frames} frames; save one mask for every frame")
    return volume.describe(_describe(archive)), volume.labels()


def write_npz_cine(path: Path | str, cine: Cine) -> None:
    """Write a cine with its masks and instants; `read_cine` gives it back, bit for bit."""
    meta, arrays = cine.meta, {"frames": cine.frames, "view": np.array(cine.view.value)}
    optional = {"fps": meta.fps, "aspect": meta.aspect, "r_waves_s": meta.r_waves_s or None}
    if meta.spacing is not None:
        optional["spacing_mm"] = (meta.spacing.row_mm, meta.spacing.col_mm)
    arrays |= {key: np.asarray(value, np.float64) for key, value in optional.items() if value is not None}
    if cine.masks:
        arrays["masks"] = np.stack(list(cine.masks.values()))
        arrays["mask_frames"] = np.array(list(cine.masks), np.int64)
    if cine.instants:
        arrays["instants"] = np.array([cine.instants.get(instant, -1) for instant in _INSTANTS], np.int64)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
