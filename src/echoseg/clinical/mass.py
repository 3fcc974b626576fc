"""Mass of the left ventricle from one apical view, at end-diastole: the wall is a shell of revolution.

    mass = 1.05 g/mL * (V_epicardium - V_endocardium)

Both volumes come from the same view, by discs or by area-length, V = 8 A^2 / (3 pi L). The guideline's own area-length formula
(Lang et al. 2015: 1.05 (5/6 A1 (a + d + t) - 5/6 A2 (a + d))) takes its areas from a parasternal short axis, which an apical view does
not have. The mass here is therefore another quantity of the same name: what it says of the wall's lateral parts it has seen in
one plane only, and the epicardium is the border that ultrasound shows worst.
"""

from __future__ import annotations

from collections.abc import Iterator

from echoseg.cine import Spacing, UInt8
from echoseg.clinical.axis import Vector
from echoseg.clinical.discs import area_length, simpson_single_plane
from echoseg.clinical.measures import Measured
from echoseg.clinical.per_beat import Number
from echoseg.clinical.wall import Border, find_wall
from echoseg.errors import GeometryError

MYOCARDIUM_G_PER_ML = 1.05
SHELL_OF_DISCS = "apical_shell_discs"
SHELL_AREA_LENGTH = "apical_shell_area_length"


def mass_numbers(mask: UInt8, spacing: Spacing, towards_base: Vector | None, frame: int) -> Iterator[Number]:
    """Mass in g by both formulas; nothing where the myocardium does not line the cavity or is cut off by the image's edge.

    Args:
        mask: label mask (H, W) of end-diastole.
        spacing: known pixel size.
        towards_base: vector (y, x) that points roughly to the base.
        frame: number of the mask's frame.
    """
    try:
        wall = find_wall(mask, spacing, towards_base)
        if wall.epicardium is None or wall.epicardium.figure.outline.touches_edge:
            return
        inner, outer = _volumes_ml(wall.endocardium, spacing), _volumes_ml(wall.epicardium, spacing)
    except GeometryError:
        return
    for key, method, low, high in zip(
        ("lv_mass", "lv_mass_area_length"), (SHELL_OF_DISCS, SHELL_AREA_LENGTH), inner, outer, strict=True
    ):
        if high > low:
            yield key, Measured(MYOCARDIUM_G_PER_ML * (high - low), "g", method, (frame,))


def _volumes_ml(border: Border, spacing: Spacing) -> tuple[float, float]:
    """Volume within a border by discs and by area-length."""
    discs = border.discs
    area_mm2 = border.area_px * spacing.row_mm * spacing.col_mm
    return simpson_single_plane(discs), area_length(area_mm2, discs.length_mm)
