"""Fits as events: who wants to record them registers a listener, and `fit` tells it.

Only outermost fits are told: what an estimator fits inside its own fit is a part of it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

from sparkml_dist.dataset.partitioned import PartitionedDataset

__all__ = [
    "Fit",
    "FitListener",
    "add_fit_listener",
    "inside_fit",
    "listening",
    "note_shards",
    "observed_fit",
    "remove_fit_listener",
]

_logger = logging.getLogger(__name__)


@dataclass
class Fit:
    """A fit that runs or has ended.

    Attributes
    ----------
    estimator : Estimator
        With the Params of this fit.
    dataset : DataFrame or PartitionedDataset
    shards : PartitionedDataset or None
        The shards that the fit learns from, once they are there.
    model : Model or None
        Once the fit has ended.
    notes : dict
        For listeners, by a key of their own.
    """

    estimator: Any
    dataset: Any
    shards: PartitionedDataset | None = None
    model: Any = None
    notes: dict[Any, Any] = field(default_factory=dict)


class FitListener(Protocol):
    """What is told about fits, in the thread that calls `fit`.

    An error that it raises is logged as a warning, and the fit goes on.
    """

    def began(self, fit: Fit) -> None:
        """Note that a fit begins."""

    def ended(self, fit: Fit) -> None:
        """Note that a fit has a model."""

    def failed(self, fit: Fit, error: BaseException) -> None:
        """Note that a fit raised an error."""


_listeners: list[FitListener] = []
_current: ContextVar[Fit | None] = ContextVar("sparkml_dist_fit", default=None)


def add_fit_listener(listener: FitListener) -> None:
    """Tell a listener about all fits of this process from now on."""
    if listener not in _listeners:
        _listeners.append(listener)


def remove_fit_listener(listener: FitListener) -> None:
    """Tell a listener nothing any more; no error if it is unknown."""
    if listener in _listeners:
        _listeners.remove(listener)


def listening() -> bool:
    """Tell whether a fit that begins here and now is an event for anyone."""
    return bool(_listeners) and _current.get() is None


@contextmanager
def observed_fit(estimator: Any, dataset: Any) -> Iterator[Fit]:
    """Tell the listeners about the fit in the block, which sets the `model` of what is yielded."""
    fit = Fit(estimator, dataset)
    told = [(listener, _told(listener.began, fit)) for listener in _listeners]
    mark = _current.set(fit)
    try:
        try:
            yield fit
        finally:
            _current.reset(mark)
    except BaseException as error:
        for listener, good in told:
            if good:
                _told(listener.failed, fit, error)
        raise
    for listener, good in told:
        if good:
            _told(listener.ended, fit)


@contextmanager
def inside_fit(estimator: Any) -> Iterator[None]:
    """Let fits of the block count as parts of another fit, which runs in another thread."""
    mark = _current.set(_current.get() or Fit(estimator, None))
    try:
        yield
    finally:
        _current.reset(mark)


def note_shards(data: PartitionedDataset) -> None:
    """Note the shards of the fit that runs in this thread, if it is observed."""
    fit = _current.get()
    if fit is not None and fit.shards is None:
        fit.shards = data


def _told(method: Any, *arguments: Any) -> bool:
    try:
        method(*arguments)
    except Exception as error:
        _logger.warning("a fit was not recorded: %s", error)
        _logger.debug("the listener's error", exc_info=True)
        return False
    return True
