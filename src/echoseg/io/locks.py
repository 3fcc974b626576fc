"""Claims on files that end with the process that made them, however it ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: nothing is claimed; processes divide the work by --shard
    fcntl = None  # type: ignore[assignment]

CLAIMS = fcntl is not None
"""Whether this system has claims; where not, every one is granted."""


@contextmanager
def claimed(path: Path, *, wait: bool = False) -> Iterator[bool]:
    """Claim a file, made if need be.

    Args:
        path: the file; it stays empty and is never removed.
        wait: until whoever has it is done, in place of giving up at once.

    Yields:
        Whether the claim is ours; another process has it if not.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR)
    try:
        yield _lock(descriptor, wait=wait)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, *, wait: bool) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
