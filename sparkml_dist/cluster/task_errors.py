"""Recovers the library's own error from Spark's exception for a failed task."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import sparkml_dist.errors as errors
from sparkml_dist.errors import SparkMLDistError

__all__ = ["error_of_task", "errors_of_tasks"]

_OURS = re.compile(r"sparkml_dist\.errors\.(\w+): \[(\w+)\] ([^\n]*)")


def error_of_task(text: str) -> SparkMLDistError | None:
    """Return the library's error that a worker raised, rebuilt from the text of its traceback.

    Parameters
    ----------
    text : str
        Message of Spark's exception; alike under Classic and Connect.

    Returns
    -------
    SparkMLDistError or None
    """
    found = _OURS.search(text)
    if found is None:
        return None
    name, code, rest = found.groups()
    kind = getattr(errors, name, SparkMLDistError)
    if not (isinstance(kind, type) and issubclass(kind, SparkMLDistError)):
        kind = SparkMLDistError
    message, _, hint = rest.partition(" Hint: ")
    return kind(code, message.strip(), hint.strip())


@contextmanager
def errors_of_tasks() -> Iterator[None]:
    """Raise the library's errors of tasks as themselves, with Spark's exception as the cause."""
    try:
        yield
    except SparkMLDistError:
        raise
    except Exception as error:
        own = error_of_task(str(error))
        if own is None:
            raise
        raise own from error
