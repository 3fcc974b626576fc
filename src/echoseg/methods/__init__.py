"""The list of methods: name -> module and class, imported when asked for."""

from __future__ import annotations

import importlib
from typing import Any

from echoseg.errors import UsageError
from echoseg.methods.base import ExportGraph, Method, StepResult

METHODS = {
    "cps": ("echoseg.methods.cps", "CPS", "CPSConfig"),
    "css": ("echoseg.methods.css", "Css", "CssConfig"),
    "echoforge": ("echoseg.methods.echoforge", "EchoForge", "EchoForgeConfig"),
    "framewise": ("echoseg.methods.framewise", "FrameWise", "FrameWiseConfig"),
    "meanteacher": ("echoseg.methods.meanteacher", "MeanTeacher", "MeanTeacherConfig"),
    "ncm": ("echoseg.methods.ncm", "NCM", "NCMConfig"),
    "pkecho": ("echoseg.methods.pkecho", "PKEcho", "PKEchoConfig"),
    "sscf": ("echoseg.methods.sscf", "SSCF", "SSCFConfig"),
}

__all__ = ["METHODS", "ExportGraph", "Method", "StepResult", "build_method", "config_class"]


def _entry(name: str) -> tuple[Any, str, str]:
    if name not in METHODS:
        raise UsageError(f"method {name!r} is not known; choose one of {', '.join(METHODS)}")
    module, method, config = METHODS[name]
    return importlib.import_module(module), method, config


def config_class(name: str) -> type[Any]:
    """Configuration dataclass of a method."""
    module, _, config = _entry(name)
    found: type[Any] = getattr(module, config)
    return found


def build_method(name: str, config: object) -> Method:
    """A method from its name and configuration, with fresh weights."""
    module, method, _ = _entry(name)
    built: Method = getattr(module, method)(config)
    return built
