"""Errors of a worker as text that is sent to the driver."""

from __future__ import annotations

import traceback

from sparkml_dist import errors
from sparkml_dist.errors import SparkMLDistError

__all__ = ["failure_error", "failure_record"]

_TRACE_LINES = 12


def failure_record(error: Exception, *, last: bool) -> list[str]:
    """Return an exception as strings, or raise it again so that Spark retries the task.

    Parameters
    ----------
    error : Exception
        I/O and memory errors may be transient: they are raised again unless `last`.
    last : bool
        Whether this is the task's last attempt.

    Returns
    -------
    list of str
        Class name, code, message, hint and the last lines of the trace.
    """
    if isinstance(error, SparkMLDistError):
        return [type(error).__name__, error.code, error.message, error.hint, ""]
    if isinstance(error, OSError | MemoryError) and not last:
        raise error
    lines = "".join(traceback.format_exception(error)).splitlines()[-_TRACE_LINES:]
    message = f"{type(error).__name__}: {error}"
    return ["TrainingError", "task_failed", message, "", "\n".join(lines)]


def failure_error(record: list[str], where: str = "") -> SparkMLDistError:
    """Return the error that a record of `failure_record` describes.

    Parameters
    ----------
    record : list of str
    where : str, optional
        Prefix of the message.
    """
    name, code, message, hint, trace = record
    error: SparkMLDistError = getattr(errors, name)(code, where + message, hint)
    error.trace = trace  # type: ignore[attr-defined]
    return error
