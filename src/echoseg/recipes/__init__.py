"""A run is a function: the list of recipes, and what turns one into a run folder."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from echoseg.errors import UsageError
from echoseg.recipes.base import DataConfig, ModelInfo, RunConfig
from echoseg.recipes.ef_base import EfRunConfig

RECIPES = {
    "a4c": "echoseg.recipes.shipped:a4c",
    "a4c-final": "echoseg.recipes.shipped:a4c_final",
    "a4c-fine": "echoseg.recipes.shipped:a4c_fine",
    "a4c-sim": "echoseg.recipes.shipped:a4c_sim",
    "a4c-small": "echoseg.recipes.shipped:a4c_small",
    "a4c-small-fine": "echoseg.recipes.shipped:a4c_small_fine",
    "adapt": "echoseg.recipes.shipped:adapt",
    "camus-css": "echoseg.recipes.css:camus_css",
    "camus-echoforge": "echoseg.recipes.echoforge:camus_echoforge",
    "camus-ncm": "echoseg.recipes.ncm:camus_ncm",
    "camus-pkecho": "echoseg.recipes.pkecho:camus_pkecho",
    "camus-sscf": "echoseg.recipes.sscf:camus_sscf",
    "cps-lite": "echoseg.recipes.baselines:cps_lite",
    "css-lite": "echoseg.recipes.css:css_lite",
    "demo-echoforge": "echoseg.recipes.demo:demo_echoforge",
    "demo-framewise": "echoseg.recipes.demo:demo_framewise",
    "echoforge-lite": "echoseg.recipes.echoforge:echoforge_lite",
    "echonet-css": "echoseg.recipes.css:echonet_css",
    "echonet-css-eighth": "echoseg.recipes.css:echonet_css_eighth",
    "echonet-css-half": "echoseg.recipes.css:echonet_css_half",
    "echonet-css-quarter": "echoseg.recipes.css:echonet_css_quarter",
    "echonet-echoforge": "echoseg.recipes.echoforge:echonet_echoforge",
    "echonet-ncm": "echoseg.recipes.ncm:echonet_ncm",
    "echonet-pkecho": "echoseg.recipes.pkecho:echonet_pkecho",
    "echonet-sscf": "echoseg.recipes.sscf:echonet_sscf",
    "framewise": "echoseg.recipes.framewise:framewise",
    "meanteacher-lite": "echoseg.recipes.baselines:meanteacher_lite",
    "ncm-lite": "echoseg.recipes.ncm:ncm_lite",
    "pkecho-lite": "echoseg.recipes.pkecho:pkecho_lite",
    "sscf-lite": "echoseg.recipes.sscf:sscf_lite",
}

EF_RECIPES = {
    "css-ef-e": "echoseg.recipes.css_ef:css_ef_e",
    "css-ef-e-lite": "echoseg.recipes.css_ef:css_ef_e_lite",
    "css-ef-m": "echoseg.recipes.css_ef:css_ef_m",
    "css-ef-m-lite": "echoseg.recipes.css_ef:css_ef_m_lite",
}
"""Those of networks that regress the ejection fraction."""

__all__ = ["EF_RECIPES", "RECIPES", "DataConfig", "EfRunConfig", "ModelInfo", "RunConfig", "ef_recipe", "recipe"]


def recipe(name: str) -> RunConfig:
    """The configuration of a named recipe."""
    built: RunConfig = _call(name, RECIPES)
    return built


def ef_recipe(name: str) -> EfRunConfig:
    """The configuration of a named recipe of a network that regresses the ejection fraction."""
    built: EfRunConfig = _call(name, EF_RECIPES)
    return built


def _call(name: str, recipes: Mapping[str, str]) -> Any:  # noqa: ANN401
    if name not in recipes:
        raise UsageError(f"recipe {name!r} is not known; choose one of {', '.join(RECIPES | EF_RECIPES)}")
    module, _, function = recipes[name].partition(":")
    return getattr(importlib.import_module(module), function)()
