"""Cines with exact masks and exact volumes on every frame, made without any data.

Names are loaded when they are first used, so that importing this package does not load scipy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from echoseg.lazy import lazy_names

if TYPE_CHECKING:
    from echoseg.simulator.animation.clip import AnimatedClip, ClipMotion, animate
    from echoseg.simulator.animation.dataset import StillsCase, animate_cine, write_animated
    from echoseg.simulator.presets import PRESETS, Preset, get_preset, through_the_apex
    from echoseg.simulator.render import simulate
    from echoseg.simulator.sets import SETS, BenchmarkSet, write_set
    from echoseg.simulator.simulated import SimulatedCine
    from echoseg.simulator.writers import ClipOptions, write_camus, write_echonet

__all__ = [
    "PRESETS",
    "SETS",
    "AnimatedClip",
    "BenchmarkSet",
    "ClipMotion",
    "ClipOptions",
    "Preset",
    "SimulatedCine",
    "StillsCase",
    "animate",
    "animate_cine",
    "get_preset",
    "simulate",
    "through_the_apex",
    "write_animated",
    "write_camus",
    "write_echonet",
    "write_set",
]

_HOME = {
    "PRESETS": "presets",
    "SETS": "sets",
    "AnimatedClip": "animation.clip",
    "BenchmarkSet": "sets",
    "ClipOptions": "writers",
    "ClipMotion": "animation.clip",
    "Preset": "presets",
    "SimulatedCine": "simulated",
    "StillsCase": "animation.dataset",
    "animate": "animation.clip",
    "animate_cine": "animation.dataset",
    "get_preset": "presets",
    "simulate": "render",
    "through_the_apex": "presets",
    "write_animated": "animation.dataset",
    "write_camus": "writers",
    "write_echonet": "writers",
    "write_set": "sets",
}

__getattr__ = lazy_names(__name__, _HOME)
