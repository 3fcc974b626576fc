"""Tables of the docs, generated from the JSON in `benchmarks/results/`; nothing in them is typed.

python benchmarks/tables.py            write the tables
python benchmarks/tables.py --check    exit 1 where a page differs from its JSON
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
from collections.abc import Callable
from functools import partial
from itertools import chain
from pathlib import Path

from model_tables import (
    adapt,
    label_halving,
    model_options,
    model_validation,
    simulated_share,
    small_networks,
    temporal_on_stills,
)
from table_text import Document, markdown, over_seeds, with_interval
from unlabelled_tables import after_learning, unlabelled_gradients, unlabelled_weights

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"


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


def measured(
    name: str, page: str, build: Callable[[Document], str]
) -> dict[str, tuple[str, str, Callable[[Document], str]]]:
    """A table whose measurement takes hours: none before its JSON is there."""
    return {name: (page, name, build)} if (RESULTS / f"{name}.json").is_file() else {}


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
    for kind in (kind for kind in KINDS if kind in document["seeds"][0]):
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


def simulator_unlabelled(document: Document) -> str:
    """Control and mean teacher with 20 labelled cines."""
    names = {"control": "supervised", "meanteacher": "mean teacher"}
    rows = []
    for cell, found in document["cells"].items():
        kind, name = cell.split()
        dice = [over_seeds(found["dice"][group], 100) for group in ("ED", "ES", "all", "clear", "dropout")]
        rows.append([name, names[kind], str(found["seeds"]), *dice, over_seeds(found["ef_bias"])])
    gain = document["gain"]
    header = ["set", "training", "seeds", "ED", "ES", "all frames", "clear", "dropout", "EF bias"]
    caption = (
        f"LV Dice on 100 test cines, {document['labelled']} labelled training cines, {document['steps']} steps, mean (range) over "
        f"seeds. Gain of the mean teacher, paired by cine after averaging the seeds: all frames {with_interval(gain['all'])}, clear "
        f"{with_interval(gain['clear'])}, dropout {with_interval(gain['dropout'])}; Wilcoxon p {gain['all']['wilcoxon_p']:.2g} for all frames. The "
        "intervals hold the spread between cines, not that between seeds."
    )
    return f"{markdown(header, rows)}\n\n{caption}"


def simulation_to_real(document: Document) -> str:
    """What a model that has seen simulation alone does on real stills."""
    rows = []
    for name, found in document["models"].items():
        dice, area = found["dice"], found["area_error"]
        cells = [
            f"{100 * dice[k]['mean']:.1f} ({100 * dice[k]['interval'][0]:.1f} to {100 * dice[k]['interval'][1]:.1f})"
            for k in ("all", "ED", "ES")
        ]
        ef = found["ef"]
        rows.append([name, *cells, f"{100 * area:.0f} %", f"{ef['bias']:+.1f}, MAE {ef['mae']:.1f}, r {ef['r']:.2f}"])
    header = ["trained on", "LV Dice", "ED", "ES", "mean area error", "EF bias"]
    return f"{markdown(header, rows)}\n\n50 CAMUS validation patients, A4C stills, native size; 95 % intervals by patient. {document['note']}"


def biplane(document: Document) -> str:
    """Biplane and single-plane volumes of simulated patients from true masks."""
    rows = []
    for setting, methods in document["settings"].items():
        for name, found in methods.items():
            edv, ef = found["edv_percent"], found["ef_points"]
            cells = [f"{one['bias']:+.1f} ± {one['sd']:.1f}, at most {one['largest']:.1f}" for one in (edv, ef)]
            rows.append([setting, name, *cells, f"{found['within_goal']} of {document['patients']}"])
    goal = document["goal"]
    header = [
        "views",
        "method",
        "EDV error, %",
        "EF error, points",
        f"EF within {goal['ef_points']:g} point and EDV within {goal['edv_percent']:g} %",
    ]
    caption = (
        f"{document['patients']} patients; bias ± SD and the largest error. The first four are presets as `simulate --format camus` makes them. In the last, the planes miss the "
        "apex as in hospitals, by up to 14 % of the long axis: that, and not the measurement, is what biases EDV there."
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
    workers = document["workers"]
    if workers["speed_up"]:
        median, least, most = (f(workers["speed_up"]) for f in (statistics.median, min, max))
        caption += f" {workers['n']} processes are {median:.2f} ({least:.2f} to {most:.2f}) times as fast as one, their start included."
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


def step_time(document: Document) -> str:
    """A training step of every lite recipe beside the sum of its parts."""
    peak = document["matrix_gmac_per_s"]
    rows = []
    for name, found in document["recipes"].items():
        low, high = found["range_ms"]
        parts = [f"{found['parts_ms'][part]:.0f}" for part in ("data", "forward", "backward", "optimiser", "average")]
        share = f"{found['gmac_per_s']:.0f} ({100 * found['gmac_per_s'] / peak[found['precision']]:.0f} %)"
        step = f"{found['step_ms']:.0f} ({low:.0f} to {high:.0f})"
        rows.append(
            [f"`{name}`", found["precision"], step, *parts, f"{found['ratio']:.2f}", f"{found['gmac']:.1f}", share]
        )
    header = [
        "recipe", "precision", "step", "data", "forward", "backward", "optimiser", "teacher", "step / parts", "GMAC", "GMAC/s",
    ]  # fmt: skip
    best = " and ".join(f"{value:.0f} in {name}" for name, value in peak.items())
    caption = (
        f"Milliseconds of processor time, medians (range) of {document['rounds']} rounds, one thread of {document['processor']}, torch "
        f"{document['torch'].partition('+')[0]}. In brackets the share of what a matrix product of 1024 x 1024 reaches on that core: {best} GMAC/s."
    )
    return f"{markdown(header, rows)}\n\n{caption}"


def suite_tables(document: Document, methods: tuple[str, ...] = ()) -> str:
    """A suite of `echoseg benchmark`: results and gains over the controls, of all its variants or of some methods and their controls."""
    from echoseg.benchmark.tables import GAINS_NOTE, RESULTS_NOTE, distance_unit, gains_table, results_table

    chosen = {name: v for name, v in document["variants"].items() if not methods or v["method"] in methods}
    part = {**document, "variants": chosen}
    data, seeds = document["data"], ", ".join(map(str, document["seeds"]))
    ran = (
        f"`{data['set'] or data['layout']}` ({(data['sha256'] or data['fingerprint'])[:12]}), {document['steps']} steps, seeds {seeds}; "
        + "; ".join(f"{m['processor']}, GPU: {m['gpu']}" for m in document["machines"])
        + "."
    )
    parts = [results_table(part), f"{ran} {RESULTS_NOTE.format(unit=distance_unit(part))}"]
    if any("against" in v for v in chosen.values()):
        parts += [gains_table(part), GAINS_NOTE]
    return "\n\n".join(parts)


LITE_PAGES = {
    "baselines": ("meanteacher", "cps"),
    "css": ("css",),
    "echoforge": ("echoforge",),
    "framewise": ("framewise",),
    "ncm": ("ncm",),
    "pkecho": ("pkecho",),
    "sscf": ("sscf",),
}
"""Page of docs/methods -> the methods of the lite suite that it shows."""


def lite_tables() -> dict[str, tuple[str, str, Callable[[Document], str]]]:
    """Tables of the lite suite: none before its `benchmark.json` lies in the results as `lite.json`."""
    if not (RESULTS / "lite.json").is_file():
        return {}
    pages = {
        f"lite_{page}": (f"docs/methods/{page}.md", "lite", partial(suite_tables, methods=methods))
        for page, methods in LITE_PAGES.items()
    }
    return {"lite": ("docs/benchmarks.md", "lite", suite_tables), **pages}


ABLATIONS = ("echoforge", "sscf")
"""Methods whose parts were taken away one by one; each has a page of its name in docs/methods."""


def ablation_tables() -> dict[str, tuple[str, str, Callable[[Document], str]]]:
    """Tables of the ablations: none before `benchmark.json` of the suite lies in the results as `ablations.json`."""
    if not (RESULTS / "ablations.json").is_file():
        return {}
    return {
        f"ablations_{method}": (f"docs/methods/{method}.md", "ablations", partial(suite_tables, methods=(method,)))
        for method in ABLATIONS
    }


SHIPPED = tuple(sorted(folder.name for folder in (ROOT / "src" / "echoseg" / "models").iterdir() if folder.is_dir()))
"""Models that come with the package."""

TABLES: dict[str, tuple[str, str, Callable[[Document], str]]] = {
    **measured("model_options_a4c", "docs/models.md", model_options),
    **measured("model_options_a4c-small", "docs/models.md", model_options),
    **measured("label_halving", "docs/models.md", label_halving),
    **measured("temporal_on_stills", "docs/models.md", temporal_on_stills),
    **measured("simulated_share", "docs/models.md", simulated_share),
    **measured("adapt", "docs/models.md", adapt),
    **measured("small_networks", "docs/models.md", small_networks),
    **measured("after_learning", "docs/benchmarks.md", after_learning),
    **measured("unlabelled_weights", "docs/benchmarks.md", unlabelled_weights),
    "biplane": ("docs/measurements.md", "biplane", biplane),
    **{
        f"{name}_validation": (f"src/echoseg/models/{name}/card.md", f"{name}_validation", model_validation)
        for name in SHIPPED
    },
    "echoforge_vs_framewise_250": ("docs/methods/echoforge.md", "echoforge_vs_framewise_250", echoforge_vs_framewise),
    "simulation_to_real": ("docs/simulator.md", "simulation_to_real", simulation_to_real),
    "simulator_ef_mid": ("docs/simulator.md", "simulator_time_simecho-v1-mid", simulator_ef),
    "simulator_ef_standard": ("docs/simulator.md", "simulator_time_simecho-v1-standard", simulator_ef),
    "simulator_realism": ("docs/simulator.md", "simulator_realism", simulator_realism),
    "simulator_speed": ("docs/simulator.md", "simulator_speed", simulator_speed),
    "simulator_time": ("docs/simulator.md", "simulator_time_simecho-v1-mid", simulator_time),
    "unlabelled_gradients": ("docs/benchmarks.md", "unlabelled_gradients", unlabelled_gradients),
    "echoforge_vs_framewise_500": ("docs/methods/echoforge.md", "echoforge_vs_framewise_500", echoforge_vs_framewise),
    "step_time": ("docs/benchmarks.md", "step_time", step_time),
    "step_time_amx": ("docs/benchmarks.md", "step_time_amx", step_time),
    "simulator_unlabelled": ("docs/simulator.md", "simulator_unlabelled", simulator_unlabelled),
    **lite_tables(),
    **ablation_tables(),
}


def lite_figure() -> tuple[Path, str, str]:
    """The figure of the lite suite as it is and as it should be."""
    from echoseg.benchmark.figure import figure_svg

    place = ROOT / "docs" / "lite.svg"
    document = json.loads((RESULTS / "lite.json").read_text(encoding="utf-8"))
    return place, place.read_text(encoding="utf-8") if place.is_file() else "", figure_svg(document)


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
    tables = ((name, filled(name)) for name in TABLES)  # one after the other: a page may hold several
    for name, (page, before, after) in chain(tables, [("lite.svg", lite_figure())]):
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
