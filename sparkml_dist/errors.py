"""The errors of this library: what is wrong, where, and what to do about it.

Every error carries a ``code`` (stable, for programs), a ``message`` (what and where) and a
``hint`` (what to do). Each class has the exit status of a job that ends with it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar

__all__ = [
    "ConfigurationError",
    "DataError",
    "ResourceError",
    "SparkMLDistError",
    "StorageError",
    "TrainingError",
    "UsageError",
    "nearest",
]


class SparkMLDistError(Exception):
    """Base of all errors that this library raises on purpose.

    Parameters
    ----------
    code : str
        Stable identifier in ``snake_case``, e.g. ``"column_not_found"``.
    message : str
        What is wrong and where, in one line.
    hint : str, default=""
        What to do about it, in one line.

    Attributes
    ----------
    exit_status : int
        Exit status of a job that ends with this error.
    """

    exit_status: ClassVar[int] = 1

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(code, message, hint)
        self.code = code
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        text = f"[{self.code}] {self.message}"
        return f"{text} Hint: {self.hint}" if self.hint else text

    def to_dict(self) -> dict[str, str]:
        """Return the error's entry in ``metrics.json``."""
        return {
            "type": type(self).__name__,
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
        }


class UsageError(SparkMLDistError):
    """The command line of a job is wrong (exit status 2)."""

    exit_status = 2


class ConfigurationError(SparkMLDistError):
    """A parameter, estimator, model builder or Spark setting is wrong (exit status 10)."""

    exit_status = 10


class DataError(SparkMLDistError):
    """The data cannot be used as requested (exit status 11)."""

    exit_status = 11


class ResourceError(SparkMLDistError):
    """Task slots, memory, GPUs or packages of workers are insufficient (exit status 12)."""

    exit_status = 12


class TrainingError(SparkMLDistError):
    """A learner or a rank failed during a fit (exit status 13)."""

    exit_status = 13


class StorageError(SparkMLDistError):
    """A file or folder is missing, damaged, occupied or not trusted (exit status 14)."""

    exit_status = 14


def nearest(name: str, candidates: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` for the candidate nearest to `name`, or ``""``.

    Parameters
    ----------
    name : str
        The requested name.
    candidates : iterable of str
        The existing names.

    Returns
    -------
    str
        A sentence that starts with a space, or an empty string when no name is near.
    """
    pool = list(candidates)
    found = difflib.get_close_matches(name, pool, n=1, cutoff=0.6)
    if not found:
        by_fold = {c.casefold(): c for c in pool}
        folded = difflib.get_close_matches(name.casefold(), list(by_fold), n=1, cutoff=0.6)
        found = [by_fold[f] for f in folded]
    return f" Did you mean {found[0]!r}?" if found else ""
