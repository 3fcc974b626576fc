"""Cines with exact masks and exact volumes on every frame, made without any data.

Names are loaded when they are first used, so that importing this package does not load scipy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from echoseg.simulator.presets import PRESETS, Preset, get_preset
    from echoseg.simulator.render import simulate
    from echoseg.simulator.simulated import SimulatedCine
    from echoseg.simulator.writers import ClipOptions, write_camus, write_echonet

__all__ = [
    "PRESETS",
    "ClipOptions",
    "Preset",
    "SimulatedCine",
    "get_preset",
    "simulate",
    "write_camus",
    "write_echonet",
]

_HOME = {
    "PRESETS": "presets",
    "ClipOptions": "writers",
    "Preset": "presets",
    "SimulatedCine": "simulated",
    "get_preset": "presets",
    "simulate": "render",
    "write_camus": "writers",
    "write_echonet": "writers",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
