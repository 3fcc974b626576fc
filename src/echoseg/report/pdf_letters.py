"""Letters in a PDF file: those that every reader has, another font where a name needs it, and spelling where there is none."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

CODING = "windows-1252"
# Letters of many scripts in one file; looked for only when a name needs them.
_FONTS = (
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
    "/usr/share/fonts/dejavu-sans-fonts/DejaVuSans.ttf",
    "/usr/share/fonts/TTF/DejaVuSans.ttf",
    "/System/Library/Fonts/Supplemental/Arial Unicode.ttf",
    "C:/Windows/Fonts/arial.ttf",
)
_WIDE = "wide"
_UNSEEN = ("Cc", "Cf", "Cs")
_LOOKALIKES = str.maketrans({"−": "–", "\u202f": "\u00a0", "✓": "", "✕": "x"})


class Letters:
    """Chooses the font of each text."""

    def __init__(self, pdf: Any) -> None:  # noqa: ANN401 - fpdf2 is not there for the type checker
        """Letters of a document of fpdf2."""
        self._pdf = pdf
        self._has_wide: bool | None = None

    def set(self, text: str, size: float, *, bold: bool = False) -> str:
        """Set the font of a text, and give the text as that font can show it."""
        text = plain(text)
        if is_coded(text) or not self._wide():
            self._pdf.set_font("helvetica", "B" if bold else "", size)
            return spelt(text)
        self._pdf.set_font(_WIDE, "", size)
        known = self._pdf.fonts[_WIDE].cmap
        return "".join(sign if ord(sign) in known else spelt(sign) for sign in text)

    def width(self, text: str, size: float, *, bold: bool = False) -> float:
        """Width of a text in mm; its font is set."""
        return float(self._pdf.get_string_width(self.set(text, size, bold=bold)))

    def _wide(self) -> bool:
        """Whether the system has a font with more letters."""
        if self._has_wide is None:
            path = next((Path(one) for one in _FONTS if Path(one).is_file()), None)
            self._has_wide = path is not None
            if path is not None:
                self._pdf.add_font(_WIDE, "", str(path))
        return self._has_wide


def plain(text: str) -> str:
    """A text without signs that are not seen, and with those that every reader has in place of their likes."""
    return "".join(sign for sign in text.translate(_LOOKALIKES) if unicodedata.category(sign) not in _UNSEEN)


def is_coded(text: str) -> bool:
    """Whether the letters that every PDF reader has are enough."""
    try:
        text.encode(CODING)
    except UnicodeEncodeError:
        return False
    return True


def spelt(text: str) -> str:
    """A text in letters that every PDF reader has: accents dropped, and else the number of the letter.

    >>> spelt("Łódź 心")
    '<U+0141>ódz <U+5FC3>'
    """
    found = []
    for sign in text:
        if is_coded(sign):
            found.append(sign)
            continue
        bare = "".join(part for part in unicodedata.normalize("NFKD", sign) if is_coded(part))
        found.append(bare or f"<U+{ord(sign):04X}>")
    return "".join(found)
