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


TABLES = {
    "a4c_validation": ("src/echoseg/models/a4c/card.md", a4c_validation),
    "echoforge_vs_framewise_250": ("docs/methods/echoforge.md", echoforge_vs_framewise),
    "echoforge_vs_framewise_500": ("docs/methods/echoforge.md", echoforge_vs_framewise),
}


def filled(name: str) -> tuple[Path, str, str]:
    """Page of a table, its text as it is and as it should be."""
    place, build = TABLES[name]
    page = ROOT / place
    document = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
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
