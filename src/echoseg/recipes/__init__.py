"""A run is a function: the list of recipes, and what turns one into a run folder."""

from __future__ import annotations

import importlib

from echoseg.errors import UsageError
from echoseg.recipes.base import DataConfig, ModelInfo, RunConfig

RECIPES = {
    "a4c-frame": "echoseg.recipes.shipped:a4c_frame",
    "a4c-sim": "echoseg.recipes.shipped:a4c_sim",
    "camus-echoforge": "echoseg.recipes.echoforge:camus_echoforge",
    "cps-lite": "echoseg.recipes.baselines:cps_lite",
    "demo-echoforge": "echoseg.recipes.demo:demo_echoforge",
    "demo-framewise": "echoseg.recipes.demo:demo_framewise",
    "echonet-echoforge": "echoseg.recipes.echoforge:echonet_echoforge",
    "echoforge-lite": "echoseg.recipes.echoforge:echoforge_lite",
    "framewise": "echoseg.recipes.framewise:framewise",
    "meanteacher-lite": "echoseg.recipes.baselines:meanteacher_lite",
}

__all__ = ["RECIPES", "DataConfig", "ModelInfo", "RunConfig", "recipe"]


def recipe(name: str) -> RunConfig:
    """The configuration of a named recipe."""
    if name not in RECIPES:
        raise UsageError(f"recipe {name!r} is not known; choose one of {', '.join(RECIPES)}")
    module, _, function = RECIPES[name].partition(":")
    built: RunConfig = getattr(importlib.import_module(module), function)()
    return built
