"""From the name of a method to its classes; a module is imported when its method is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from echoseg.errors import UsageError

Entries = Mapping[str, tuple[str, str, str]]
"""Name -> module, class of the method, class of its configuration."""


def config_in(entries: Entries, name: str) -> type[Any]:
    """Configuration dataclass of a method."""
    module, _, config = _entry(entries, name)
    found: type[Any] = getattr(module, config)
    return found


def build_in(entries: Entries, name: str, config: object) -> Any:  # noqa: ANN401
    """A method from its name and configuration, with fresh weights."""
    module, method, _ = _entry(entries, name)
    return getattr(module, method)(config)


def _entry(entries: Entries, name: str) -> tuple[Any, str, str]:
    if name not in entries:
        raise UsageError(f"method {name!r} is not known; choose one of {', '.join(entries)}")
    module, method, config = entries[name]
    return importlib.import_module(module), method, config
