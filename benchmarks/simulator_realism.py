"""Simulated frames beside real ones: gray values, contrast, speckle and geometry, and a picture of both.

Real stills come from a folder in the layout of CAMUS, which is not part of this repository; what is kept is their statistics. The
figure of the docs shows the frames of the four-chamber cine in pydicom's wheel beside simulated ones; `--sheet FILE` makes a larger
one with the stills of the folder, for your own eyes. Frame-to-frame correlation is measured on the cine, as stills have none.

    python benchmarks/simulator_realism.py --camus DIR [--sheet sheet.png]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pydicom.data
from PIL import Image
from scipy import ndimage

from echoseg.cine import Instant, Structure
from echoseg.datasets import open_dataset
from echoseg.io import read_cine
from echoseg.simulator import get_preset, simulate

ROOT = Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "simulator_realism.json"
FIGURE = ROOT / "docs" / "simulator.png"
REAL_CINE = "examples_ybr_color.dcm"
REAL_SECTOR = np.s_[18:208, 56:252]
"""Rows and columns of its sector; what lies around it is the scanner's menu."""
PIXEL_MM = 0.308
SIMULATED = (("standard", "gray"), ("mid", "gray"), ("standard", "contrast"), ("standard", "soft"))
SEEDS = range(1000, 1040)
_HIGH_PASS_MM = 2.5


@dataclass(frozen=True)
class Still:
    """A frame with its labels on square pixels of `PIXEL_MM`."""

    gray: np.ndarray
    labels: np.ndarray


def resampled(gray: np.ndarray, labels: np.ndarray, row_mm: float, col_mm: float) -> Still:
    """The frame on square pixels; rows are averaged, labels picked."""
    height, width = (round(n * mm / PIXEL_MM) for n, mm in zip(gray.shape, (row_mm, col_mm), strict=True))
    image = Image.fromarray(gray).resize((width, height), Image.Resampling.BOX)
    return Still(
        np.asarray(image, float), np.asarray(Image.fromarray(labels).resize((width, height), Image.Resampling.NEAREST))
    )


def real_stills(root: Path) -> Iterator[Still]:
    """Every ninth end-diastolic A4C still of a folder in the layout of CAMUS."""
    dataset = open_dataset(root)
    for case in dataset.cases("train")[::9]:
        cine = dataset.load(case, "edes")
        frame = cine.instants[Instant.ED]
        yield resampled(cine.frames[frame], cine.masks[frame], cine.spacing.row_mm, cine.spacing.col_mm)


def simulated_stills(preset: str, style: str) -> Iterator[Still]:
    """One frame each of many patients, without burned-in marks."""
    chosen = replace(get_preset(preset), styles=(style,), p_marks=0.0, p_mirrored=0.0)
    for seed in SEEDS:
        cine = simulate(seed, preset=chosen, layout="camus", duration_s=0.02)
        yield resampled(cine.frames[0], cine.labels[0], cine.spacing.row_mm, cine.spacing.col_mm)


def autocorrelation_mm(texture: np.ndarray, mask: np.ndarray, axis: int) -> float:
    """Full width at half maximum of the autocorrelation of a texture within a mask."""
    inside, last = np.where(mask, texture, 0.0), 1.0
    power = (inside**2)[mask].mean()
    for lag in range(1, 30):
        head, tail = np.s_[lag:], np.s_[:-lag]
        here, there = (
            ((head, slice(None)), (tail, slice(None))) if axis == 0 else ((slice(None), head), (slice(None), tail))
        )
        both = mask[here] & mask[there]
        value = (inside[here] * inside[there])[both].mean() / power if both.any() else 0.0
        if value < 0.5:
            return 2 * PIXEL_MM * (lag - 1 + (last - 0.5) / (last - value))
        last = value
    return float("nan")


def statistics(still: Still) -> dict[str, float]:
    """What the table shows of one frame."""
    gray, labels = still.gray, still.labels
    opened = ndimage.binary_fill_holes(ndimage.binary_opening(gray > 2, iterations=2))
    parts, count = ndimage.label(opened)
    sector = parts == 1 + np.argmax(ndimage.sum(opened, parts, range(1, count + 1)))
    cavity, wall = labels == Structure.LV, labels == Structure.MYOCARDIUM
    rows = np.flatnonzero(sector.any(1))
    lv_rows, lv_cols = np.nonzero(cavity)
    texture = gray - ndimage.gaussian_filter(gray, _HIGH_PASS_MM / PIXEL_MM)
    core = ndimage.binary_erosion(cavity, iterations=3)
    depth = np.ptp(rows)
    found = {f"gray percentile {p}": float(np.percentile(gray[sector], p)) for p in (5, 25, 50, 75, 95)}
    return found | {
        "sector mean": gray[sector].mean(),
        "cavity mean": gray[cavity].mean(),
        "wall mean": gray[wall].mean(),
        "around mean": gray[sector & (labels == 0)].mean(),
        "contrast (wall - cavity) / (wall + cavity)": (gray[wall].mean() - gray[cavity].mean())
        / (gray[wall].mean() + gray[cavity].mean()),
        "speckle SD in the cavity": texture[core].std(),
        "speckle along the beam, mm": autocorrelation_mm(texture, core, 0),
        "speckle across the beam, mm": autocorrelation_mm(texture, core, 1),
        "apex, part of the depth": (lv_rows.min() - rows[0]) / depth,
        "mitral plane, part of the depth": (lv_rows.max() - rows[0]) / depth,
        "LV length, mm": np.ptp(lv_rows) * PIXEL_MM,
        "LV width, mm": np.ptp(lv_cols) * PIXEL_MM,
        "LV area, part of the sector": cavity.sum() / sector.sum(),
    }


def distribution(stills: Iterator[Still]) -> dict[str, list[float]]:
    """5th, 50th and 95th percentile of every statistic."""
    rows = [statistics(still) for still in stills]
    return {name: [float(v) for v in np.nanpercentile([row[name] for row in rows], [5, 50, 95])] for name in rows[0]}


def frame_correlation(frames: np.ndarray, lags: tuple[int, ...] = (1, 3, 6)) -> list[float]:
    """Mean correlation of frames some frames apart, within the pixels that are ever lit."""
    lit = frames.max(0) > 2
    flat = frames[:, lit].astype(float)
    return [float(np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(flat, flat[lag:], strict=False)])) for lag in lags]


def tile(gray: np.ndarray, row_mm: float, col_mm: float, side: int = 260) -> np.ndarray:
    """A frame at its true proportions on a black square."""
    height, width = gray.shape[0] * row_mm, gray.shape[1] * col_mm
    scale = side / max(height, width)
    image = Image.fromarray(gray).resize(
        (max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.BILINEAR
    )
    page = Image.new("L", (side, round(0.92 * side)))
    page.paste(image, ((side - image.width) // 2, 0))
    return np.asarray(page)


def simulated_row(first: int, count: int, preset: str, style: str) -> np.ndarray:
    """Frames of `count` simulated patients side by side."""
    chosen = replace(get_preset(preset), styles=(style,))
    cines = [simulate(seed, preset=chosen, layout="camus", duration_s=0.02) for seed in range(first, first + count)]
    return np.concatenate([tile(c.frames[0], c.spacing.row_mm, c.spacing.col_mm) for c in cines], axis=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--camus", type=Path, required=True)
    parser.add_argument("--sheet", type=Path)
    arguments = parser.parse_args()
    columns = {"CAMUS": distribution(real_stills(arguments.camus))}
    columns |= {f"{preset}, {style}": distribution(simulated_stills(preset, style)) for preset, style in SIMULATED}
    real = read_cine(pydicom.data.get_testdata_file(REAL_CINE))
    simulated = [simulate(seed, preset="standard", fps=real.fps or 30.0, duration_s=0.8).frames for seed in range(12)]
    correlation = {
        "real cine": frame_correlation(real.frames),
        "standard": np.median([frame_correlation(frames) for frames in simulated], axis=0).tolist(),
    }
    document = {"columns": columns, "frame_correlation": {"fps": real.fps, "lags": [1, 3, 6], **correlation}}
    RESULT.write_text(json.dumps(document, indent=1) + "\n")
    shown = [real.frames[i][REAL_SECTOR] for i in (0, 8, 16, 24)]
    rows = [np.concatenate([tile(frame, 1.0, 1.0) for frame in shown], axis=1)]
    rows += [
        simulated_row(first, 4, "standard", style) for first, style in ((500, "gray"), (520, "soft"), (540, "contrast"))
    ]
    Image.fromarray(np.concatenate(rows)).save(FIGURE, optimize=True)
    if arguments.sheet:
        stills = list(real_stills(arguments.camus))[:24]
        cells = [tile(still.gray.astype(np.uint8), 1.0, 1.0) for still in stills]
        sheet = [np.concatenate(cells[i : i + 6], axis=1) for i in (0, 6, 12, 18)]
        sheet += [simulated_row(600 + 10 * i, 6, preset, style) for i, (preset, style) in enumerate(SIMULATED)]
        Image.fromarray(np.concatenate(sheet)).save(arguments.sheet)


if __name__ == "__main__":
    main()
