"""Pieces of the generated tables."""

from __future__ import annotations

from typing import Any

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


def with_interval(found: Document, scale: float = 100.0, digits: int = 1) -> str:
    """A mean difference with its 95 % interval."""
    mean, low, high = (f"{scale * value:+.{digits}f}" for value in (found["mean"], *found["interval"]))
    return f"{mean} ({low} to {high})"
