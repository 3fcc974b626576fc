"""New names for patients, objects and days, the same for the same old one within a call, and told to nobody."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

_DAYS = (30, 3650)
_STANDARD = "1.2.840.10008."  # UIDs of the standard itself name no object


@dataclass
class Pseudonyms:
    """Replacements that are drawn at random when they are first asked for.

    Nothing of the old values can be computed from them, and a second instance draws others.

    Attributes:
        shift_dates: whether dates are moved, by another number of days for each patient, in place of being removed.
    """

    shift_dates: bool = False
    _uids: dict[str, str] = field(default_factory=dict)
    _patients: dict[str, str] = field(default_factory=dict)
    _days: dict[str, int] = field(default_factory=dict)

    def uid(self, old: str) -> str:
        """UID in place of another one; one of the standard stays."""
        from pydicom.uid import generate_uid

        if old.startswith(_STANDARD):
            return old
        if old not in self._uids:
            self._uids[old] = generate_uid(prefix=None)
        return self._uids[old]

    def patient(self, key: str) -> str:
        """Name and ID in place of a patient's."""
        while key not in self._patients:
            drawn = f"P{secrets.randbelow(10**8):08d}"
            if drawn not in self._patients.values():
                self._patients[key] = drawn
        return self._patients[key]

    def date(self, key: str, old: str) -> str:
        """Day, YYYYMMDD, in place of one of a patient's; empty where dates are removed or that is no date."""
        if not self.shift_dates:
            return ""
        low, high = _DAYS
        days = self._days.setdefault(key, low + secrets.randbelow(high - low))
        try:
            moved = datetime.strptime(old, "%Y%m%d") - timedelta(days=days)
        except (ValueError, OverflowError):
            return ""
        return moved.strftime("%Y%m%d")
