"""Jobs that are only checked: they end where they would start Spark."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

__all__ = ["NEEDS_SPARK", "Checking", "SparkNeeded", "checking", "now_checking"]

#: What `run_job` returns for a job that passed its checks and would start Spark now.
NEEDS_SPARK = -1


class SparkNeeded(BaseException):
    """A job that is only checked asks for its session."""


@dataclass(frozen=True)
class Checking:
    """How jobs are checked.

    Attributes
    ----------
    only_options : bool
        Whether to end after the options are parsed, since this machine does not see the folders.
    """

    only_options: bool


_now: list[Checking] = []


@contextmanager
def checking(*, only_options: bool = False) -> Iterator[None]:
    """Within the block, `run_job` checks a job without Spark, for the command ``sparkml-dist``.

    Parameters
    ----------
    only_options : bool, default=False
        Whether to check only the options themselves.
    """
    _now.append(Checking(only_options))
    try:
        yield
    finally:
        _now.pop()


def now_checking() -> Checking | None:
    """Return how jobs are checked; None where they run."""
    return _now[-1] if _now else None
