"""Cines with exact masks and exact volumes on every frame, made without any data.

Names are loaded when they are first used, so that importing this package does not load scipy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from echoseg.lazy import lazy_names

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

__getattr__ = lazy_names(__name__, _HOME)
