"""The text of a `config.json`, read key by key: what is missing, unknown or of the wrong type is named."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from typing import Any, TypeVar

from echoseg.errors import ModelError

SCHEMA = 1
EF_TASK = "ejection_fraction"
"""Value of the key `task` of a network that regresses the ejection fraction; one that draws masks has no such key."""

T = TypeVar("T")


def is_ef_config(text: str) -> bool:
    """Whether a `config.json` is that of a network that regresses the ejection fraction."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError:
        return False
    return isinstance(document, dict) and document.get("task") == EF_TASK


class ConfigReader:
    """Takes typed values out of the JSON document of a model folder."""

    def __init__(self, text: str, known: Collection[str]) -> None:
        """Parse `text`; ModelError where it is no JSON object of this schema, or has a key that is not `known`."""
        self.document = _document(text)
        unknown = sorted(set(self.document) - set(known))
        if unknown:
            raise ModelError(f"unknown key {unknown[0]!r}; known are {', '.join(sorted(known))}")

    def get(self, path: str, convert: Callable[[object], T], *default: T) -> T:
        """Value at a dotted path, converted; a missing key without default is an error."""
        value: Any = self.document
        for key in path.split("."):
            if not isinstance(value, dict) or value.get(key) is None:
                if default:
                    return default[0]
                raise ModelError(f"key {path!r} is missing; export the model again")
            value = value[key]
        try:
            return convert(value)
        except (TypeError, ValueError) as error:
            raise ModelError(f"{path}={value!r}: {error}; export the model again") from error


def _document(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise ModelError(f"not JSON ({error}); export the model again") from error
    if not isinstance(document, dict):
        raise ModelError(f"a {type(document).__name__} instead of an object of keys; export the model again")
    schema = document.get("schema")
    if schema != SCHEMA:
        raise ModelError(f"schema {schema!r}, this version reads {SCHEMA}; export the model with this version")
    return document


def as_object(value: object) -> dict[str, Any]:
    """A JSON object, or TypeError."""
    if not isinstance(value, dict):
        raise TypeError("must be an object of keys")
    return value


def as_text(value: object) -> str:
    """A text that is not empty, or TypeError."""
    if not isinstance(value, str) or not value:
        raise TypeError("must be a text")
    return value


def as_range(value: object) -> tuple[float, float]:
    """A list of two numbers, or TypeError."""
    if not isinstance(value, list) or len(value) != 2:
        raise TypeError("must be a list of two numbers")
    return as_number(value[0]), as_number(value[1])


def as_texts(value: object) -> tuple[str, ...]:
    """A list of texts, or TypeError."""
    if not isinstance(value, list):
        raise TypeError("must be a list of texts")
    return tuple(as_text(item) for item in value)


def as_number(value: object) -> float:
    """A number, or TypeError; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError("must be a number")
    return float(value)


def as_integer(value: object) -> int:
    """A whole number, or TypeError; true and false are none."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("must be a whole number")
    return value
