"""The list of methods: name -> module and class, imported when asked for."""

from __future__ import annotations

from typing import Any

from echoseg.methods.base import ExportGraph, Method, StepResult
from echoseg.methods.registry import build_in, config_in

METHODS = {
    "cps": ("echoseg.methods.cps", "CPS", "CPSConfig"),
    "css": ("echoseg.methods.css", "Css", "CssConfig"),
    "distilled": ("echoseg.methods.distilled", "Distilled", "DistilledConfig"),
    "echoforge": ("echoseg.methods.echoforge", "EchoForge", "EchoForgeConfig"),
    "framewise": ("echoseg.methods.framewise", "FrameWise", "FrameWiseConfig"),
    "meanteacher": ("echoseg.methods.meanteacher", "MeanTeacher", "MeanTeacherConfig"),
    "ncm": ("echoseg.methods.ncm", "NCM", "NCMConfig"),
    "pkecho": ("echoseg.methods.pkecho", "PKEcho", "PKEchoConfig"),
    "sscf": ("echoseg.methods.sscf", "SSCF", "SSCFConfig"),
}

__all__ = ["METHODS", "ExportGraph", "Method", "StepResult", "build_method", "config_class"]


def config_class(name: str) -> type[Any]:
    """Configuration dataclass of a method."""
    return config_in(METHODS, name)


def build_method(name: str, config: object) -> Method:
    """A method from its name and configuration, with fresh weights."""
    built: Method = build_in(METHODS, name, config)
    return built
