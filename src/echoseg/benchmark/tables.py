"""The summary of a suite as a page of Markdown and as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

Document = Mapping[str, Any]

COLUMNS = (
    ("dice_ed", "Dice ED", 100, 1),
    ("dice_es", "Dice ES", 100, 1),
    ("dice_all", "all frames", 100, 1),
    ("dice_clear", "clear", 100, 1),
    ("dice_dropout", "dropout", 100, 1),
    ("hd95", "HD95", 1, 2),
    ("assd", "ASSD", 1, 2),
    ("jitter", "jitter", 1, 3),
)
"""Metric, its heading, factor, digits."""
GAINS = (
    ("dice_edes", "Dice ED and ES", 100, 1),
    ("dice_all", "all frames", 100, 1),
    ("dice_dropout", "dropout", 100, 1),
    ("hd95", "HD95", 1, 2),
    ("jitter", "jitter", 1, 3),
    ("ef_error", "EF error", 1, 1),
)


def markdown_page(document: Document) -> str:
    """The whole page: what was run, results, gains over the controls, what is missing."""
    done, wanted = len(document["cells"]), len(document["cells"]) + len(document["missing"])
    data = document["data"]
    sha256 = f" ({data['sha256'][:12]})" if data["sha256"] else f" ({data['fingerprint'][:12]})"
    parts = [
        f"# Benchmark `{document['suite']}`",
        f"{data['set'] or data['layout']}{sha256}, {document['steps']} steps, {done} of {wanted} cells. "
        + "; ".join(f"{m['processor']}, torch {m['torch']}, GPU: {m['gpu']}" for m in document["machines"]),
        results_table(document),
        RESULTS_NOTE.format(unit=distance_unit(document)),
        "## Against the control",
        gains_table(document),
        GAINS_NOTE,
    ]
    if document["missing"]:
        parts.append("Not finished: " + ", ".join(document["missing"]) + ".")
    return "\n\n".join(parts) + "\n"


RESULTS_NOTE = (
    "LV on the test cines: Dice in percent, distances in {unit} over the frames that have a mask, jitter = roughness of the area over time; "
    "means over cases after averaging the seeds (lowest to highest seed). Empty: frames without any mask, in the worst seed. EF of the predicted minus EF of "
    "the true masks at ED and ES, points; where a network regresses it, minus that of the data's table. GMAC and milliseconds (processor time, one "
    "thread unless said otherwise) are those of one frame."
)
GAINS_NOTE = (
    "Variant minus control, paired by case after averaging the seeds that both have: mean (bootstrap 95 % interval over cases); p of the Wilcoxon signed-rank "
    "test / of the Wilcoxon rank-sum test, which published tables use and which ignores the pairing. The intervals hold the spread between "
    "cines, not that between seeds, which stands apart. Higher is better for Dice, lower for the rest."
)


def distance_unit(document: Document) -> str:
    """Unit of the distances of all variants."""
    units = {found["unit"] for found in document["variants"].values()} - {None}
    return " and ".join(sorted(units)) or "pixels"


def results_table(document: Document) -> str:
    """A row for each variant."""
    header = [
        "variant", "seeds", *(heading for _, heading, _, _ in COLUMNS), "empty", "EF MAE", "EF bias", "EF r", "M parameters", "GMAC", "ms",
    ]  # fmt: skip
    return markdown(header, [_result_row(name, found) for name, found in document["variants"].items()])


def gains_table(document: Document) -> str:
    """A row for each variant that has a control."""
    rows = []
    for name, found in document["variants"].items():
        against = found.get("against")
        if against is None or not against["metrics"]:
            continue
        cells = [gain(against["metrics"].get(metric), scale, digits) for metric, _, scale, digits in GAINS]
        rows.append([name, against["control"], seed_by_seed(against["metrics"].get("dice_all")), *cells])
    header = ["variant", "control", "all frames, seed by seed", *(heading for _, heading, _, _ in GAINS)]
    return markdown(header, rows)


def _result_row(name: str, found: Mapping[str, Any]) -> list[str]:
    metrics, ef, cost = found["metrics"], found["ef"], found["cost"]
    values = [over_seeds(metrics.get(metric), scale, digits) for metric, _, scale, digits in COLUMNS]
    ejection = ["", "", ""]
    if ef is not None:
        ejection = [number(ef["mae"], ".1f"), number(ef["bias"], "+.1f"), number(ef["r"], ".2f")]
    return [
        name, str(len(found["seeds"])), *values, str(max(found["empty"])), *ejection, f"{cost['parameters'] / 1e6:.2f}", f"{cost['gmac']:.2f}",
        number(cost["cpu_ms"], ".1f"),
    ]  # fmt: skip


def over_seeds(found: Mapping[str, Any] | None, scale: float, digits: int) -> str:
    """Mean, and the range over seeds where there are several."""
    if found is None:
        return ""
    mean = f"{scale * found['mean']:.{digits}f}"
    low, high = (scale * edge(found["seeds"]) for edge in (min, max))
    return mean if len(found["seeds"]) == 1 else f"{mean} ({low:.{digits}f} to {high:.{digits}f})"


def gain(found: Mapping[str, Any] | None, scale: float, digits: int) -> str:
    """A paired difference with its interval and both p."""
    if found is None:
        return ""
    low, high = (scale * edge for edge in found["interval"])
    p = f"p {found['wilcoxon_signed_rank_p']:.2g} / {found['wilcoxon_rank_sum_p']:.2g}"
    return f"{scale * found['difference']:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f}), {p}"


def seed_by_seed(found: Mapping[str, Any] | None) -> str:
    """Differences of Dice in percent, one for each seed."""
    return "" if found is None else ", ".join(f"{100 * value:+.1f}" for value in found["seeds"])


def number(value: float | None, form: str) -> str:
    """A number, or nothing where it is undefined."""
    return "" if value is None else format(value, form)


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def csv_text(document: Document) -> str:
    """A line for each variant and metric: mean, interval, and the comparison with its control."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["variant", "method", "labelled", "seeds", "metric", "mean", "low", "high", "control", "difference", "difference_low",
         "difference_high", "wilcoxon_signed_rank_p", "wilcoxon_rank_sum_p"]
    )  # fmt: skip
    for name, found in document["variants"].items():
        against = found.get("against") or {"control": "", "metrics": {}}
        for metric, value in found["metrics"].items():
            paired = against["metrics"].get(metric)
            compared = ["", "", "", "", "", ""]
            if paired is not None:
                compared = [
                    against["control"],
                    *(
                        f"{v:.6g}"
                        for v in (
                            paired["difference"], *paired["interval"], paired["wilcoxon_signed_rank_p"],
                            paired["wilcoxon_rank_sum_p"],
                        )
                    ),
                ]  # fmt: skip
            head = [name, found["method"], found["labelled"], len(found["seeds"]), metric]
            writer.writerow([*head, *(f"{v:.6g}" for v in (value["mean"], *value["interval"])), *compared])
    return text.getvalue()
