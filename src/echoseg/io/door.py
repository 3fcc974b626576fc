"""The one place where what a library throws at a broken file becomes an `InputError` with the file's name and a cure."""

from __future__ import annotations

import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from echoseg.errors import InputError

# What the standard library and NumPy raise on damaged bytes. Readers add the types of their own library; TypeError and
# AttributeError are not here, so that a mistake in this package is not blamed on the file.
# OSError holds gzip.BadGzipFile and PIL.UnidentifiedImageError, RuntimeError holds RecursionError and NotImplementedError,
# Pillow reports broken PNG chunks as SyntaxError.
DAMAGE: tuple[type[Exception], ...] = (
    OSError,
    EOFError,
    ValueError,
    LookupError,
    ArithmeticError,
    RuntimeError,
    SyntaxError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
)
_ADDRESS = re.compile(r" object at 0x[0-9a-f]+")
CURE = "the file is damaged or not what its header says; copy it again or export it in another format"


@contextmanager
def reading(source: Path | str, what: str = "", extra: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Translate errors raised while `source` is read.

    Args:
        source: the file, first word of the message.
        what: which part is read, for example `frame 12`.
        extra: exception types of the reader's own library.

    Raises:
        InputError: in place of every other error.
    """
    where = f"{source}: {what} cannot be read" if what else f"{source}: cannot be read"
    try:
        yield
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"{source}: no such file or folder; check the path") from error
    except PermissionError as error:
        raise InputError(f"{source}: no permission to read it; change its mode or copy it") from error
    except MemoryError as error:
        raise InputError(f"{where}: it needs more memory than there is; cut the cine into shorter pieces") from error
    except (*DAMAGE, *extra) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        detail = _ADDRESS.sub("", " ".join(reason.split()))[:200]
        raise InputError(f"{where} ({detail}); {CURE}") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the warnings of parsing libraries from the user; what matters is said in `CineMeta.warnings`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
