"""Who holds Spark's task slots: gangs side by side, and those that have to wait for room.

Spark itself lets a barrier stage that does not fit beside the running ones wait without a word and
without an end. The gangs of one application are all started from one driver process (under Connect:
mostly), so that it can count for itself.
"""

from __future__ import annotations

import collections
import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sparkml_dist.errors import ResourceError
from sparkml_dist.session import SessionInfo, check_slots

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["await_slots", "held_slots", "registered_slots"]

_logger = logging.getLogger(__name__)
_POLL_SECONDS = 1.0
# How long a fresh application's executors may take to come; Spark's own default for its first job
# (spark.scheduler.maxRegisteredResourcesWaitingTime).
_REGISTER_SECONDS = 30.0


@dataclass(eq=False)
class _Ledger:
    """The gangs of one Spark application that run or wait."""

    running: dict[object, tuple[str, int]] = field(default_factory=dict)
    waiting: collections.deque[object] = field(default_factory=collections.deque)
    changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def held(self) -> int:
        return sum(ranks for _, ranks in self.running.values())

    def __str__(self) -> str:
        return ", ".join(f"{name!r} ({ranks})" for name, ranks in self.running.values())


_ledgers: dict[str, _Ledger] = {}
_lock = threading.Lock()


@contextlib.contextmanager
def held_slots(
    spark: SparkSession, info: SessionInfo, ranks: int, *, name: str, seconds: float
) -> Iterator[None]:
    """Hold the slots of a gang while the block runs; wait for them first, in order of arrival.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    info : SessionInfo
        Of `spark`. Where it does not know the slots, nothing is counted.
    ranks : int
        How many slots; not more than there are.
    name : str
        Of the gang, for messages.
    seconds : float
        How long to wait for other gangs of this application.

    Raises
    ------
    ResourceError
        ``slots_busy``, naming the gangs that hold them.
    """
    if info.slots is None:
        yield
        return
    with _lock:
        ledger = _ledgers.setdefault(_application(spark), _Ledger())
    ticket = object()
    with ledger.changed:
        ledger.waiting.append(ticket)
        try:
            _wait(ledger, ticket, ranks, info.slots, name, seconds)
        finally:
            ledger.waiting.remove(ticket)
            ledger.changed.notify_all()
        ledger.running[ticket] = (name, ranks)
    try:
        yield
    finally:
        with ledger.changed:
            del ledger.running[ticket]
            ledger.changed.notify_all()


def _wait(
    ledger: _Ledger, ticket: object, ranks: int, slots: int, name: str, seconds: float
) -> None:
    def fits() -> bool:
        return ledger.waiting[0] is ticket and ledger.held + ranks <= slots

    if fits():
        return
    _logger.warning(
        "%s waits up to %g s for %d of %d task slots, held by: %s",
        name,
        seconds,
        ranks,
        slots,
        ledger,
    )
    if not ledger.changed.wait_for(fits, timeout=seconds):
        raise ResourceError(
            "slots_busy",
            f"{name!r} needs {ranks} task slots at the same time, but {ledger.held} of {slots} "
            f"are held by other gangs: {ledger} (waited {seconds:g} s).",
            "Let those end, use fewer ranks, raise the slot timeout, or give Spark more executor "
            "cores.",
        )


def _application(spark: SparkSession) -> str:
    return spark.conf.get("spark.app.id", None) or str(id(spark))


def registered_slots(spark: SparkSession, ranks: int) -> SessionInfo:
    """Raise unless `ranks` ranks have slots; only a fresh application's executors are waited for.

    On a cluster the executors of an application come some seconds after its session.

    Raises
    ------
    ResourceError
        ``too_few_slots``: at once, or 30 s after the start of the application.
    """
    try:
        return check_slots(spark, ranks)
    except ResourceError:
        left = _REGISTER_SECONDS - _age(spark)
        if SessionInfo.of(spark).kind == "local" or left <= 0:
            raise
        return await_slots(spark, ranks, seconds=left)


def _age(spark: SparkSession) -> float:
    """Return the seconds since the start of the Spark application; infinite when unknown."""
    started = spark.conf.get("spark.app.startTime", None)
    return time.time() - float(started) / 1000 if started else float("inf")


def await_slots(spark: SparkSession, ranks: int, *, seconds: float) -> SessionInfo:
    """Wait until Spark has slots for `ranks` ranks, as it may after an executor was lost.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    ranks : int
        How many.
    seconds : float
        How long; the cluster manager usually puts a new executor up within this time.

    Returns
    -------
    SessionInfo
        With enough slots, or with an unknown number.

    Raises
    ------
    ResourceError
        ``too_few_slots`` when the time is over.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            return check_slots(spark, ranks)
        except ResourceError:
            if time.monotonic() + _POLL_SECONDS > deadline:
                raise
        time.sleep(_POLL_SECONDS)
