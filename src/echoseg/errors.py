"""Every error that a user can meet, with the exit code that the command line turns it into.

A message names the offender first (`a.avi: ...`) and ends with the cure.
"""

from __future__ import annotations


class EchosegError(Exception):
    """Base of all errors that are answered with a message instead of a traceback."""

    exit_code = 1


class OutputError(EchosegError):
    """A result cannot be written: the disk is full, the folder is read-only."""


class UsageError(EchosegError):
    """The call makes no sense as it stands: unknown name, contradictory options."""

    exit_code = 2


class InputError(EchosegError):
    """A file, folder or array that enters is broken, unreadable or not what was asked for."""

    exit_code = 3


class GeometryError(InputError):
    """A mask from which no ventricle can be measured: empty, a single pixel, degenerate."""


class ModelError(EchosegError):
    """A model folder or checkpoint is missing, corrupt or of another version."""

    exit_code = 4


class PartialFailureError(EchosegError):
    """Some cases failed; the results of all others are written."""

    exit_code = 5
