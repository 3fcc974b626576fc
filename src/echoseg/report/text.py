"""Numbers and names as a reader wants them."""

from __future__ import annotations

import math

UNIT_LABELS = {"mL": "mL", "px3": "px³", "mm2": "mm²", "px2": "px²"}
METHOD_LABELS = {
    "simpson_single_plane": "single-plane method of discs (Simpson), 20 discs",
    "simpson_biplane": "biplane method of discs (Simpson), 20 discs",
    "area_length": "single-plane area-length method",
}
THIN_SPACE = "\u202f"  # does not break a number over two lines
NOT_KNOWN = "–"


def volume_text(value: float) -> str:
    """A volume without its unit: whole numbers, thousands apart, one decimal where it is small.

    >>> volume_text(118.4), volume_text(7.26), volume_text(float("nan"))
    ('118', '7.3', '–')
    """
    if not math.isfinite(value):
        return NOT_KNOWN
    if 0 < abs(value) < 10 and value != round(value):
        return f"{value:.1f}"
    return f"{value:,.0f}".replace(",", THIN_SPACE)


def method_text(method: str) -> str:
    """What a method of volumes is called in a report."""
    return METHOD_LABELS.get(method, method.replace("_", " "))
