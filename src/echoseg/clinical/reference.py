"""What healthy adults measure, from the guideline on chamber quantification of the ASE and the EACVI.

Lang et al., J Am Soc Echocardiogr 2015;28:1-39, tables 2, 4 and 6. The ranges are mean -+ 2 SD of healthy adults and hold for the
guideline's own methods: volumes and EF by biplane discs, mass from a parasternal short axis. They stand beside a number for
orientation. Nothing is concluded from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from echoseg.clinical.measures import Measured, ReferenceRange

if TYPE_CHECKING:
    from echoseg.clinical.study import BiplaneNumber

SOURCE = "ASE/EACVI 2015"
_BIPLANE = f"{SOURCE}, biplane method of discs"
_SHORT_AXIS = f"{SOURCE}, 2D methods with a parasternal short axis"


def _by_sex(
    women: tuple[float, float], men: tuple[float, float], unit: str, source: str = _BIPLANE
) -> tuple[ReferenceRange, ...]:
    return ReferenceRange(*women, unit, "women", source), ReferenceRange(*men, unit, "men", source)


RANGES: Mapping[str, tuple[ReferenceRange, ...]] = MappingProxyType(
    {
        "edv": _by_sex((46, 106), (62, 150), "mL"),
        "esv": _by_sex((14, 42), (21, 61), "mL"),
        "ef": _by_sex((54, 74), (52, 72), "%"),
        "edv_index": _by_sex((29, 61), (34, 74), "mL/m2"),
        "esv_index": _by_sex((8, 24), (11, 31), "mL/m2"),
        "la_volume_max_index": (ReferenceRange(16, 34, "mL/m2", "adults", _BIPLANE),),
        "lv_mass": _by_sex((66, 150), (96, 200), "g", _SHORT_AXIS),
        "lv_mass_index": _by_sex((44, 88), (50, 102), "g/m2", _SHORT_AXIS),
    }
)


def ranges_for(
    numbers: Mapping[str, Measured] | Mapping[str, BiplaneNumber],
) -> Mapping[str, tuple[ReferenceRange, ...]]:
    """Ranges of those numbers that have one in their unit.

    Example:
        >>> found = ranges_for({"ef": Measured(60.0, "%", "simpson_biplane", (0,)), "edv": Measured(9.0, "px3", "simpson", (0,))})
        >>> [(key, [(one.who, one.low, one.high) for one in ranges]) for key, ranges in found.items()]
        [('ef', [('women', 54, 74), ('men', 52, 72)])]
    """
    return {key: RANGES[key] for key, number in numbers.items() if key in RANGES and RANGES[key][0].unit == number.unit}
