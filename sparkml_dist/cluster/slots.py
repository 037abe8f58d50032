"""Accounts for the task slots that the gangs of one driver hold or wait for.

Spark lets a barrier stage that has too few free slots wait silently and without a limit. The gangs
of one application are all started from one driver process (under Connect: mostly), so that the
driver can count the slots itself.
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
from sparkml_dist.session import SessionInfo, check_slots, max_slots

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["await_slots", "held_slots"]

_logger = logging.getLogger(__name__)
_POLL_SECONDS = 1.0


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
    """Hold the slots of a gang while the block runs; first wait for them, in order of arrival.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    info : SessionInfo
        Of `spark`. With an unknown number of slots nothing is counted.
    ranks : int
        Number of slots; at most those that Spark has.
    name : str
        Name of the gang, for messages.
    seconds : float
        Time to wait for other gangs of this application.

    Raises
    ------
    ResourceError
        ``slots_busy``, with the gangs that hold the slots.
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
            "Let these gangs end, use fewer ranks, raise the slot timeout, or give Spark more "
            "executor cores.",
        )


def _application(spark: SparkSession) -> str:
    return spark.conf.get("spark.app.id", None) or str(id(spark))


def await_slots(spark: SparkSession, ranks: int, *, seconds: float) -> SessionInfo:
    """Wait until executors have registered slots for `ranks` ranks; return the session's facts.

    On a cluster the executors of an application come after its session: in seconds, or in minutes
    where the cluster manager queues them. That it waits is written to the log.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    ranks : int
        Number of ranks.
    seconds : float
        Time to wait.

    Returns
    -------
    SessionInfo
        With enough slots, or with an unknown number.

    Raises
    ------
    ResourceError
        ``too_few_slots``: at once where Spark can never have as many, else after `seconds`.
    """
    begun = time.monotonic()
    logged = False
    at_first: int | None = None
    while True:
        info = SessionInfo.of(spark)
        try:
            return check_slots(spark, ranks, info=info)
        except ResourceError as error:
            most = max_slots(spark)
            if most is not None and ranks > most:
                raise
            at_first = info.slots if at_first is None else at_first
            if time.monotonic() - begun + _POLL_SECONDS > seconds:
                promised = "" if most is None else f" of the {most} that the settings ask for"
                raise ResourceError(
                    error.code,
                    f"{error.message} Waited {seconds:g} s for executors: there were {at_first} "
                    f"slots at first, and {info.slots}{promised} at the end.",
                    f"{error.hint} Where executors take longer to come, raise the slot timeout.",
                ) from None
            if not logged:
                _logger.warning("waiting up to %g s for executors: %s", seconds, error.message)
                logged = True
        time.sleep(_POLL_SECONDS)
