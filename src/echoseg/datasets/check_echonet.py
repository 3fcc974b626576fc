"""What can be wrong with an EchoNet-Dynamic folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from echoseg.cine import CineMeta, Float64
from echoseg.datasets.echonet import (
    FILE_LIST,
    N_TRACING_ROWS,
    TRACINGS,
    EchoNetDataset,
    VideoRow,
    usable_tracings,
)
from echoseg.datasets.findings import FindingList, Progress
from echoseg.datasets.tracings import crosses_itself, tracing_mask, tracing_outline, tracing_volume_px3

LARGEST_EF_GAP = 15.0  # EF points between the tracings and the table, beyond which one of them is likely wrong
_FRAME = (112, 112)


def check_echonet(dataset: EchoNetDataset, found: FindingList, deep: bool, progress: Progress) -> None:
    """Tables, then every video and its tracings."""
    if found.attempt(dataset.root, lambda: dataset.tables) is None:
        return
    tables, present = dataset.tables, dataset.videos()
    by_stem: dict[str, list[VideoRow]] = {}
    unlabelled: list[str] = []
    for row in tables.videos:
        by_stem.setdefault(row.stem, []).append(row)
    for done, (stem, rows) in enumerate(by_stem.items()):
        _check_row(found, rows)
        meta = _check_video(found, present[stem], rows[0], deep) if stem in present else None
        if stem not in present:
            found.add("error", f"Videos/{stem}.avi", "missing", "copy it; the case is left out until then")
        if rows[0].split == "train" and tables.unlabelled(rows[0]):
            unlabelled.append(stem)
        else:
            _check_tracings(found, rows[0], tables.tracings.get(stem, {}), meta)
        progress(done + 1, len(by_stem))
    for stem, lines in tables.unreadable.items():
        what = f"{len(lines)} lines without numbers, the first is line {lines[0]} ({stem or 'no name'})"
        found.add("error", TRACINGS, what, "correct or remove them")
    _check_names(found, set(by_stem), set(tables.tracings), set(present))
    if unlabelled:
        what = f"{len(unlabelled)} training videos without tracings, EF and volumes, for example {min(unlabelled)}"
        found.add("info", FILE_LIST, what, "they are used as unlabelled ones")
    found.duplicates(present.values())
    found.add(
        "info", ".", "EchoNet-Dynamic has no pixel spacing", "volumes are in px3 and distances in pixels; EF needs none"
    )


def _check_row(found: FindingList, rows: list[VideoRow]) -> None:
    row, where = rows[0], f"{FILE_LIST}: {rows[0].stem}"
    if len({row.split for row in rows}) > 1:
        found.add(
            "error", where, "listed in two splits", "a leak; the case is left out until all but one line are gone"
        )
    elif len(rows) > 1:
        found.add("warning", where, f"listed {len(rows)} times", "remove all lines but one; the first one counts")
    if row.split is None:
        found.add("error", where, "no split", "write TRAIN, VAL or TEST; the case is left out until then")
    if row.fps is not None and row.fps <= 0:
        found.add("warning", where, f"frame rate {row.fps:g}", "correct it; the video's own is used until then")
    found.ejection(where, row.ef_percent, row.edv_ml, row.esv_ml)


def _check_video(found: FindingList, path: Path, row: VideoRow, deep: bool) -> CineMeta | None:
    meta = found.header(path)
    if meta is None:
        return None
    n_frames = found.decodes(path) if deep else meta.n_frames
    if row.n_frames is not None and n_frames is not None and n_frames != row.n_frames:
        what = f"{n_frames} frames, {FILE_LIST} says {row.n_frames}"
        found.add("warning", path, what, "is it cut short? copy it again")
    return meta


def _check_tracings(found: FindingList, row: VideoRow, tracings: dict[int, Float64], meta: CineMeta | None) -> None:
    where = f"{TRACINGS}: {row.stem}"
    usable = usable_tracings(row, tracings)
    for frame, tracing in sorted(tracings.items()):
        if len(tracing) != N_TRACING_ROWS:
            what = f"frame {frame} has {len(tracing)} rows instead of {N_TRACING_ROWS}"
            found.add("warning", where, what, "look at it; it is used if it encloses an area")
        n_frames = row.n_frames or (meta.n_frames if meta else None)
        if frame < 0 or (n_frames is not None and frame >= n_frames):
            found.add("error", where, f"frame {frame} of a {n_frames}-frame video", "correct the frame number")
        elif frame not in usable:
            found.add("error", where, f"the tracing of frame {frame} encloses nothing", "trace it again, or remove it")
    if len(usable) < 2:
        found.add("error", where, f"{len(usable)} usable tracings", "ED and ES need one each; the case is left out")
        return
    areas = {frame: _check_tracing(found, where, frame, usable[frame], meta) for frame in usable}
    _check_ejection(
        found, where, row, usable[max(areas, key=areas.__getitem__)], usable[min(areas, key=areas.__getitem__)]
    )


def _check_tracing(found: FindingList, where: str, frame: int, tracing: Float64, meta: CineMeta | None) -> int:
    shape = meta.shape if meta else _FRAME
    outline = tracing_outline(tracing)
    if crosses_itself(outline):
        found.add("warning", where, f"the outline of frame {frame} crosses itself", "look at it")
    if outline.min() < 0 or bool(np.any(outline.max(axis=0) > np.subtract(shape, 1))):
        found.add("warning", where, f"the outline of frame {frame} leaves the frame", "it is cut off there; look at it")
    return found.lv_area_px(where, tracing_mask(tracing, shape), f"tracing of frame {frame}")


def _check_ejection(found: FindingList, where: str, row: VideoRow, ed: Float64, es: Float64) -> None:
    edv, esv = tracing_volume_px3(ed), tracing_volume_px3(es)
    if edv <= esv:
        found.add("warning", where, "the larger outline has the smaller volume", "look at the long axes")
        return
    ef_percent = 100 * (1 - esv / edv)
    if row.ef_percent is not None and abs(ef_percent - row.ef_percent) > LARGEST_EF_GAP:
        what = f"EF {ef_percent:.1f} % by the tracings, {row.ef_percent:.1f} % in {FILE_LIST}"
        found.add("warning", where, what, "look at both tracings; one is on the wrong frame or wrongly drawn")


def _check_names(found: FindingList, listed: set[str], traced: set[str], present: set[str]) -> None:
    for names, what, cure in (
        (traced - listed, f"traced, but not in {FILE_LIST}", "not used; add them to the list or remove them"),
        (present - listed, f"videos that are not in {FILE_LIST}", "not used; add them to the list or remove them"),
    ):
        if names:
            found.add("warning", ".", f"{len(names)} {what}, for example {min(names)}", cure)
