"""Tables of the docs, generated from the JSON in `benchmarks/results/`; nothing in them is typed.

python benchmarks/tables.py            write the tables
python benchmarks/tables.py --check    exit 1 where a page differs from its JSON
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"

Document = dict[str, Any]


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def over_seeds(values: list[float], scale: float = 1.0, digits: int = 1) -> str:
    """Mean, and the range over seeds where there are several."""
    scaled = [scale * v for v in values]
    mean = f"{sum(scaled) / len(scaled):.{digits}f}"
    return mean if len(scaled) == 1 else f"{mean} ({min(scaled):.{digits}f} to {max(scaled):.{digits}f})"


def echoforge_vs_framewise(document: Document) -> str:
    """Variants by row; means over seeds with their range, and the paired gain over the baseline."""
    rows = []
    for name, found in document["variants"].items():
        gain = found.get("gain_over_framewise")
        text = "baseline"
        if gain is not None:
            low, high = gain["interval"]
            text = f"{100 * gain['dice_all']:+.1f} ({100 * low:+.1f} to {100 * high:+.1f}), p {gain['wilcoxon_p']:.2g}"
        rows.append(
            [
                name, str(found["seeds"]), over_seeds(found["dice_edes"], 100), over_seeds(found["dice_all"], 100), text,
                over_seeds(found["hd95_px"]), over_seeds(found["ef_mae"]), over_seeds(found["area_roughness"], 1, 3),
            ]
        )  # fmt: skip
    header = [
        "variant",
        "seeds",
        "Dice ED/ES",
        "Dice all frames",
        "gain, all frames",
        "HD95 px",
        "EF MAE",
        "area roughness",
    ]
    caption = (
        f"Simulated `{document['preset']}` cines, {document['cines']['TRAIN']} labelled for training, "
        f"{document['cines']['TEST']} for testing, {document['steps']} steps of two clips each. Mean (range) over seeds; the gain is "
        "paired by test cine after averaging the seeds, with its bootstrap 95 % interval and Wilcoxon's signed-rank p: it holds the "
        "spread between cines, not that between seeds."
    )
    return f"{markdown(header, rows)}\n\n{caption}"


def a4c_validation(document: Document) -> str:
    """The main numbers of the evaluation, and the cost."""
    rows = [row for row in document["validation"]["table"] if row[0] != "LV Dice, ten frames ED..ES"]
    rows.append(["CPU time a frame, one core", f"{document['ms_per_frame_one_core']:.1f} ms"])
    table = markdown(["50 CAMUS validation patients, native size", "mean (95 % interval by patient)"], rows)
    real = document["real_cine"]
    ef = "no EF" if real["ef_percent"] is None else f"EF {real['ef_percent']:.0f} %"
    return (
        f"{table}\n\nOn pydicom's four-chamber cine of another machine, which has no expert masks: {real['frames']} frames, "
        f"{real['empty_frames']} without a ventricle, {ef}, quality {real['quality']}."
    )


def with_interval(found: Document, scale: float = 100.0) -> str:
    """A mean difference with its 95 % interval."""
    low, high = found["interval"]
    return f"{scale * found['mean']:+.1f} ({scale * low:+.1f} to {scale * high:+.1f})"


def simulator_time(document: Document) -> str:
    """Dice of both networks by seed, and the paired gain of the temporal one."""
    rows = []
    for row in document["seeds"]:
        cells = [f"{100 * row[kind]['dice'][group]:.1f}" for group in ("all", "clear", "dropout") for kind in KINDS]
        rows.append([str(row["seed"]), *cells, with_interval(row["gain_all"]), with_interval(row["gain_dropout"])])
    header = [
        "seed", "all frames, frame-wise", "temporal", "clear, frame-wise", "temporal", "dropout, frame-wise", "temporal",
        "gain, all frames", "gain, dropout frames",
    ]  # fmt: skip
    caption = (
        f"LV Dice on the 100 test cines of `{document['set']}` ({document['sha256'][:12]}), {document['steps']} steps of {document['batch']} "
        f"clips of {document['clip']} frames, {document['stride']} frames apart. Gains are paired by cine, with bootstrap 95 % intervals."
    )
    return f"{markdown(header, rows)}\n\n{caption}"


KINDS = ("framewise", "temporal")


def simulator_ef(document: Document) -> str:
    """EF against the true masks, and what the networks make of small and large cavities."""
    rows = []
    for kind in KINDS:
        for split in ("train", "test"):
            cells = [row[kind][split] for row in document["seeds"]]

            def cell(name: str, digits: int = 1, cells: list[Document] = cells) -> str:
                return over_seeds([c[name] for c in cells if c[name] is not None], 1, digits)

            biases = [cell(name) for name in ("ef_bias", "ef_bias_clear", "ef_bias_dropout", "ef_mae")]
            areas = [cell(name, 2) for name in ("area_ratio_ed", "area_ratio_es", "slope")]
            rows.append([kind.replace("framewise", "frame-wise"), split, *biases, *areas])
    header = [
        "network", "cines", "EF bias", "ED and ES clear", "one in dropout", "EF MAE", "area at ED", "area at ES", "slope",
    ]  # fmt: skip
    caption = (
        f"`{document['set']}`, {document['steps']} steps, {len(document['seeds'])} seed(s): mean (range). EF of the predicted masks minus EF of the true "
        "masks of the same two frames, points; median of found over true area; slope of the square root of the found area over that of the true one."
    )
    return f"{markdown(header, rows)}\n\n{caption}"


def simulator_speed(document: Document) -> str:
    """Frames per second of one core in both layouts."""
    rows = []
    for name, found in document["layouts"].items():
        height, width = found["last_shape"]
        range_ = f"{found['frames_per_second']:.0f} ({found['slowest']:.0f} to {found['fastest']:.0f})"
        rows.append([name, f"{width} x {height}", range_, f"{found['ms_per_frame']:.1f}"])
    header = ["layout", "pixels of the last cine", "frames per second and core", "ms a frame"]
    caption = f"Median (range) of {document['repeats']} runs over four patients, preset `standard`, masks and visibility included, files not."
    return f"{markdown(header, rows)}\n\n{caption}"


def simulator_realism(document: Document) -> str:
    """Median and range of every statistic, real and simulated."""
    columns = document["columns"]

    def cell(values: list[float]) -> str:
        low, middle, high = (f"{v:.2f}" if abs(values[1]) < 5 else f"{v:.0f}" for v in values)
        return f"{middle} ({low} to {high})"

    rows = [[name, *(cell(found[name]) for found in columns.values())] for name in columns["CAMUS"]]
    steady = document["frame_correlation"]
    real, ours = (", ".join(f"{v:.2f}" for v in steady[key]) for key in ("real cine", "standard"))
    caption = (
        f"Median (5th to 95th percentile). Correlation of frames 1, 3 and 6 frames apart at {steady['fps']:.0f} frames per second: "
        f"{real} in the real cine, {ours} in twelve `standard` cines (median)."
    )
    return f"{markdown(['ED stills', *columns], rows)}\n\n{caption}"


TABLES = {
    "a4c_validation": ("src/echoseg/models/a4c/card.md", "a4c_validation", a4c_validation),
    "echoforge_vs_framewise_250": ("docs/methods/echoforge.md", "echoforge_vs_framewise_250", echoforge_vs_framewise),
    "simulator_ef_mid": ("docs/simulator.md", "simulator_time_simecho-v1-mid", simulator_ef),
    "simulator_realism": ("docs/simulator.md", "simulator_realism", simulator_realism),
    "simulator_speed": ("docs/simulator.md", "simulator_speed", simulator_speed),
    "simulator_time": ("docs/simulator.md", "simulator_time_simecho-v1-mid", simulator_time),
    "echoforge_vs_framewise_500": ("docs/methods/echoforge.md", "echoforge_vs_framewise_500", echoforge_vs_framewise),
}


def filled(name: str) -> tuple[Path, str, str]:
    """Page of a table, its text as it is and as it should be."""
    place, source, build = TABLES[name]
    page = ROOT / place
    document = json.loads((RESULTS / f"{source}.json").read_text(encoding="utf-8"))
    before = page.read_text(encoding="utf-8")
    block = f"<!-- table:{name} -->\n{build(document)}\n<!-- end -->"
    pattern = rf"<!-- table:{name} -->.*?<!-- end -->"
    if not re.search(pattern, before, flags=re.S):
        raise SystemExit(f"{place}: holds no <!-- table:{name} --> ... <!-- end -->")
    return page, before, re.sub(pattern, lambda _: block, before, flags=re.S)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    stale = []
    for name in TABLES:
        page, before, after = filled(name)
        if before != after and check:
            stale.append(
                f"{page.relative_to(ROOT)}: table {name} differs from its JSON; run python benchmarks/tables.py"
            )
        elif before != after:
            page.write_text(after, encoding="utf-8")
    if stale:
        sys.exit("\n".join(stale))


if __name__ == "__main__":
    main()
