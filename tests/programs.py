"""Programs of Debian packages that some tests run: found, or the test skips and says which package it wants.

With ECHOSEG_TESTS_NEED_PROGRAMS set, as in CI, a missing program is a failure.
"""

from __future__ import annotations

import os
import shutil

import pytest


def program(name: str, package: str) -> str:
    """Path of a program, also of one in `sbin` that a user's PATH lacks."""
    found = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin")))
    if found is None:
        reason = f"{name} is not installed; run scripts/debian-packages, or install Debian's package {package}"
        if os.environ.get("ECHOSEG_TESTS_NEED_PROGRAMS"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found
