"""Files that are written whole or not at all: a temporary name in the same folder, then a rename."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from echoseg.errors import OutputError


@contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Path to write to in place of `path`, moved there when the block ends well and removed when it does not.

    The temporary name keeps the suffixes of `path` and starts with a dot, so that a half-written file is never picked up by
    a listing of results. Missing parent folders are made.

    Args:
        path: where the file shall be.

    Yields:
        Path of a file that does not exist yet, in the folder of `path`.

    Raises:
        OutputError: the file cannot be written there (disk full, no permission, a folder of that name).
    """
    final = Path(path)
    temporary = final.with_name(f".{secrets.token_hex(4)}.{final.name}")
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, final)  # noqa: PTH105 - Path.replace would hide that this is the atomic call
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(f"{final}: cannot be written ({reason}); free space or choose another folder") from error
    finally:
        with suppress(OSError):  # it was moved, or its folder is not there
            temporary.unlink()


def atomic_write_bytes(path: Path | str, data: bytes) -> None:
    """Write `data` to `path`, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def atomic_write_text(path: Path | str, text: str) -> None:
    """Write `text` to `path` as UTF-8 with Unix line ends, whole or not at all."""
    atomic_write_bytes(path, text.encode("utf-8"))
