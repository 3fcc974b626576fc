"""What every check of a data folder does the same way: collect findings, read without crashing, look at masks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from echoseg import io
from echoseg.cine import CineMeta, Spacing, Structure, UInt8
from echoseg.datasets.base import Finding, Severity
from echoseg.errors import EchosegError

Progress = Callable[[int, int], None]
T = TypeVar("T")

COPY_AGAIN = "copy it again from the data set"
SMALLEST_LV_SHARE = 0.01  # of the frame; the smallest expert LV in 898 CAMUS stills covers 2.7 %
LARGEST_EF_GAP = 25.0  # EF points; masks of one view miss the biplane EF of CAMUS by 5.6 +- 6.6 points
_UNREADABLE = (EchosegError, OSError, ValueError, EOFError)


class FindingList:
    """Findings in the order in which they were made, with paths relative to the data folder."""

    def __init__(self, root: Path) -> None:
        """No findings about the folder `root` yet."""
        self.root = root
        self._findings: list[Finding] = []

    def add(self, severity: Severity, where: Path | str, what: str, cure: str) -> None:
        """Note a finding."""
        self._findings.append(Finding(severity, self.relative(where), what, cure))

    def relative(self, where: Path | str) -> str:
        """A path as seen from the data folder."""
        inside = isinstance(where, Path) and where.is_relative_to(self.root)
        return Path(where).relative_to(self.root).as_posix() if inside else str(where)

    def attempt(self, path: Path, read: Callable[[], T]) -> T | None:
        """The result of `read`; where it fails, the failure becomes an error finding and the result None."""
        try:
            return read()
        except _UNREADABLE as error:
            text = str(error).removeprefix(f"{path}: ").replace(f"{path}/", "").replace(f"{self.root}/", "")
            what, _, cure = text.rpartition("; ") if isinstance(error, EchosegError) else (text, "", COPY_AGAIN)
            self.add("error", path, what or text, cure if what else COPY_AGAIN)
            return None

    def header(self, path: Path) -> CineMeta | None:
        """What a file says about itself, without its pixels."""

        def read() -> CineMeta:
            with io.open_cine(path) as stream:
                return stream.meta

        return self.attempt(path, read)

    def decodes(self, path: Path) -> int | None:
        """Number of frames after decoding all; a cine that is one flat gray throughout is a finding."""

        def count() -> tuple[int, bool]:
            with io.open_cine(path) as stream:
                flat = [bool(frame.min() == frame.max()) for frame in stream]
            return len(flat), all(flat)

        result = self.attempt(path, count)
        if result is not None and result[1]:
            self.add("error", path, "every pixel has the same value", COPY_AGAIN)
        return None if result is None else result[0]

    def labels(self, path: Path) -> UInt8 | None:
        """Masks of a file, uint8 (T, H, W)."""
        return self.attempt(path, lambda: io.read_masks(path)[1].to_array())

    def lv_area_px(self, where: Path | str, mask: UInt8, what: str = "mask") -> int:
        """Area of the LV; an LV that is empty, tiny or cut by the border is a finding."""
        lv = mask == Structure.LV
        area = int(np.count_nonzero(lv))
        if area == 0:
            self.add("error", where, f"{what} without an LV", "label the LV with 1, or leave the case out")
        elif area < SMALLEST_LV_SHARE * lv.size:
            self.add(
                "warning", where, f"{what} of only {area} LV pixels", "look at it; a slip of the hand looks like this"
            )
        if area and (lv[[0, -1]].any() or lv[:, [0, -1]].any()):
            self.add("warning", where, f"{what} touches the border of the frame", "its volume is too small; look at it")
        return area

    def ejection(self, where: str, ef_percent: float | None, edv_ml: float | None, esv_ml: float | None) -> None:
        """EF outside 0..100, volumes that are none, and an EF that its own volumes contradict."""
        if ef_percent is not None and not 0 < ef_percent < 100:
            self.add("error", where, f"EF of {ef_percent:g} %", "correct the table")
        if edv_ml is None or esv_ml is None:
            return
        if not edv_ml > esv_ml > 0:
            self.add(
                "error", where, f"EDV {edv_ml:g} and ESV {esv_ml:g} mL", "EDV is the larger one; correct the table"
            )
        elif ef_percent is not None and abs(ef_percent - 100 * (1 - esv_ml / edv_ml)) > 2:
            by_volumes = 100 * (1 - esv_ml / edv_ml)
            self.add(
                "warning", where, f"EF {ef_percent:.1f} %, but {by_volumes:.1f} % by its volumes", "see which is right"
            )

    def ed_and_es(
        self, where: str, masks: tuple[UInt8, UInt8], spacing: Spacing | None, ef_percent: float | None
    ) -> None:
        """An LV that does not shrink from ED to ES, or whose EF is far from the one in the table."""
        ed, es = (mask == Structure.LV for mask in masks)
        n_ed, n_es = int(np.count_nonzero(ed)), int(np.count_nonzero(es))
        if not n_ed or not n_es:
            return
        if n_ed <= n_es:
            what = f"LV of {n_ed} px at ED and of {n_es} px at ES"
            self.add("warning", where, what, "ED is the larger one; are they swapped?")
            return
        by_masks = 100 * (1 - relative_volume(es, spacing) / relative_volume(ed, spacing))
        if ef_percent is not None and abs(by_masks - ef_percent) > LARGEST_EF_GAP:
            what = f"EF of about {by_masks:.0f} % by the masks, {ef_percent:.0f} % in the table"
            self.add("warning", where, what, "look at the masks and the table; one of them is likely wrong")

    def duplicates(self, paths: Iterable[Path]) -> None:
        """Files with equal content under different names."""
        by_size: dict[int, list[Path]] = {}
        for path in (path for path in paths if path.is_file()):
            by_size.setdefault(path.stat().st_size, []).append(path)
        by_content: dict[bytes, list[Path]] = {}
        for path in (path for same in by_size.values() if len(same) > 1 for path in same):
            content = self.attempt(path, path.read_bytes)
            if content is not None:
                by_content.setdefault(hashlib.sha256(content).digest(), []).append(path)
        for first, *others in (same for same in by_content.values() if len(same) > 1):
            names = ", ".join(self.relative(path) for path in others)
            self.add("warning", first, f"same content as {names}", "the same cine in two splits is a leak; remove one")

    def spacings(self, spacings: Iterable[Spacing | None]) -> None:
        """One line about the pixel sizes of the whole folder."""
        every = list(spacings)
        known = [spacing for spacing in every if spacing is not None]
        if len(known) < len(every):
            what = f"{len(every) - len(known)} of {len(every)} cases without pixel spacing"
            self.add("warning", ".", what, "volumes of these are in px3, not mL, unless you give --spacing-mm")
        oblong = [spacing for spacing in known if not spacing.square]
        if oblong:
            low, high = min(s.row_mm / s.col_mm for s in oblong), max(s.row_mm / s.col_mm for s in oblong)
            what = f"{len(oblong)} of {len(known)} cases have oblong pixels (row/column size {low:.3f} to {high:.3f})"
            self.add("info", ".", what, "nothing to do: lengths and volumes use both sizes")

    def result(self) -> tuple[Finding, ...]:
        """All findings, errors first, otherwise in the order in which they were made."""
        order: tuple[Severity, ...] = ("error", "warning", "info")
        return tuple(sorted(self._findings, key=lambda finding: order.index(finding.severity)))


def relative_volume(lv: NDArray[np.bool_], spacing: Spacing | None) -> float:
    """Area squared over length, proportional to the volume by area and length; for a rough EF only."""
    points = np.argwhere(lv) * ((spacing.row_mm, spacing.col_mm) if spacing else (1.0, 1.0))
    if len(points) < 3:
        return float(len(points))
    _, axes = np.linalg.eigh(np.cov(points.T))
    return len(points) ** 2 / max(float(np.ptp(points @ axes[:, 1])), 1.0)


def no_progress(done: int, total: int) -> None:
    """Tell nobody."""
