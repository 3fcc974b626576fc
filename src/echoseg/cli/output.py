"""What is written to the terminal, in plain text. Results go to stdout, everything else to stderr."""

from __future__ import annotations

import io
import json
import sys
import unicodedata
from collections.abc import Mapping

_UNPRINTABLE = ("Cc", "Cf", "Cs")  # control, format (bidirectional overrides) and half surrogates


def say(text: str) -> None:
    """A line of the result."""
    sys.stdout.write(text + "\n")


def complain(text: str) -> None:
    """A line about an error or a warning, on stderr."""
    sys.stderr.write(f"echoseg: {printable(text)}\n")
    sys.stderr.flush()


def write_json(document: Mapping[str, object]) -> None:
    """The result as one line for another program."""
    sys.stdout.write(json.dumps(document, allow_nan=False) + "\n")


def printable(text: str) -> str:
    r"""Text that does nothing to a terminal and can be encoded, whatever the names of files hold.

    >>> printable("a\x1b[2Jb.avi")
    'a\\x1b[2Jb.avi'
    """
    return "".join(
        c.encode("unicode_escape").decode("ascii") if unicodedata.category(c) in _UNPRINTABLE else c for c in text
    )


def tolerate_encodings() -> None:
    """Let a terminal that has no superscripts or umlauts show question marks, in place of a failure."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.encoding.lower() not in ("utf-8", "utf8"):
            stream.reconfigure(errors="replace")
