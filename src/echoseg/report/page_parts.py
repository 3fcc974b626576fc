"""What the pages share: the file around their content, and words.

File names and DICOM tags are not to be trusted. Every text goes through `html.escape` or `data_island`, and the pages' own content
policy allows the one style sheet and the one script by their checksums, and pictures that are part of the file. Nothing else runs
or loads.
"""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files
from string import Template
from typing import Any

FLAG_WORDS = {"pass": "✓ Pass", "review": "! Review", "fail": "✕ Fail", "failed": "– No result"}
"""Quality flag as it is shown: a word and a sign, for those who do not see its colour."""
RESEARCH_USE = "<p><strong>For research use. Not a medical device.</strong> Not for diagnosis or treatment.</p>"


def page_of(name: str, **parts: str) -> str:
    """A self-contained page from `<name>.html`, `.css` and `.js` of this package and its parts, which are markup already."""
    style = _text("page_base.css") + _text(f"{name}.css")
    script = _text(f"{name}.js")
    policy = (
        f"default-src 'none'; img-src data:; style-src '{checksum(style)}'; script-src '{checksum(script)}'; base-uri 'none'; "
        "form-action 'none'"
    )
    return Template(_text(f"{name}.html")).substitute(parts, style=style, script=script, policy=policy)


def checksum(text: str) -> str:
    """Checksum of an inline style sheet or script, as a content policy wants it.

    >>> checksum("")
    'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='
    """
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def data_island(name: str, data: dict[str, Any]) -> str:
    """Data for the script of a page; no text in it can end the element."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return f'<script type="application/json" id="{name}">{text}</script>'


def _text(file: str) -> str:
    return files("echoseg.report").joinpath(file).read_text(encoding="utf-8")
