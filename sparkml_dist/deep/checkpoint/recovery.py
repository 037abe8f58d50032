"""Launches a gang anew when it has lost a rank; the one place where a training is repeated.

Spark itself does not run a barrier stage again that yields results, so that there is never a second
gang beside the one that is launched here.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from sparkml_dist.cluster.slots import await_slots
from sparkml_dist.deep.checkpoint.store import CheckpointStore
from sparkml_dist.deep.params.checkpoint_settings import CheckpointSettings
from sparkml_dist.errors import ResourceError, SparkMLDistError, TrainingError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Restart", "is_retryable", "run_with_restarts"]

_logger = logging.getLogger(__name__)

T = TypeVar("T")

# The rank, its host or the way to it has gone. What its own code raises would come again.
_GONE = {"rank_died", "rank_lost", "rank_silent", "rank_not_started", "gang_stalled"}
# What operations between ranks raise when another one has gone and nobody says why.
_CONNECTION = (
    "HorovodInternalError",
    "Horovod has been shut down",
    "gloo/transport",
    "[gloo]",
    "shared memory with another rank",
)


@dataclass(frozen=True)
class Restart:
    """Why a gang was launched anew.

    Attributes
    ----------
    code, message : str
        Of the error that ended the launch before.
    rank : int or str
        The rank that failed first; ``"?"`` where Spark lost its task.
    host : str
    seconds : float
        That launch's time, all of it.
    """

    code: str
    message: str
    rank: int | str
    host: str
    seconds: float


def is_retryable(error: SparkMLDistError) -> bool:
    """Tell whether a gang that ended with this error might do better when launched anew."""
    if not isinstance(error, TrainingError):
        return False
    if error.code in _GONE:
        return True
    first = error.message.partition("\n")[0]
    return error.code == "rank_failed" and any(sign in first for sign in _CONNECTION)


def run_with_restarts(
    spark: SparkSession,
    ranks: int,
    launch: Callable[[int], T],
    store: CheckpointStore,
    settings: CheckpointSettings,
    on_event: Callable[[dict[str, Any]], None] | None = None,
    *,
    slot_timeout: float = 600.0,
) -> tuple[T, list[Restart]]:
    """Run a gang, and again from its last checkpoint when it has lost a rank.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    ranks : int
        Slots that a launch needs.
    launch : callable
        ``launch(number)`` runs the gang; numbers grow from launch to launch, also over runs that
        share a folder.
    store : CheckpointStore
    settings : CheckpointSettings
        ``max_restarts`` says how often.
    on_event : callable, optional
        Called with a ``restart`` event before each new launch.
    slot_timeout : float, default=600
        Seconds to wait for the slots of an executor that has gone.

    Returns
    -------
    result
        Of the launch that ended well.
    restarts : list of Restart
        One for each launch before it.

    Raises
    ------
    SparkMLDistError
        Of the last launch; one that would come again is raised at once.
    """
    number = store.last_launch()
    restarts: list[Restart] = []
    while True:
        number += 1
        begun = time.monotonic()
        try:
            return launch(number), restarts
        except SparkMLDistError as error:
            if not is_retryable(error):
                raise _with_checkpoint(error, store) from error
            if len(restarts) >= settings.max_restarts:
                raise _after_all(error, len(restarts), store) from error
            lost = Restart(
                error.code,
                error.message.partition("\n")[0],
                getattr(error, "rank", "?"),
                getattr(error, "host", "?"),
                time.monotonic() - begun,
            )
            restarts.append(lost)
        _logger.warning(
            "%s The gang is launched anew (%d of at most %d times), %s.",
            lost.message,
            len(restarts),
            settings.max_restarts,
            _from(store),
        )
        if on_event is not None:
            on_event({"event": "restart", "number": len(restarts), "reason": lost.message})
        _wait_for_slots(spark, ranks, slot_timeout)


def _from(store: CheckpointStore) -> str:
    ids = store.ids()
    return f"from the checkpoint of step {ids[0].step:,}" if ids else "from the beginning"


def _wait_for_slots(spark: SparkSession, ranks: int, seconds: float) -> None:
    """Wait until an executor that was lost is there again; raise when it does not come."""
    try:
        await_slots(spark, ranks, seconds=seconds)
    except ResourceError as error:
        raise ResourceError(
            error.code,
            f"{error.message} An executor was lost, and none has come in its place.",
            "Resume with fewer ranks (numRanks, resume=True), or when it is back.",
        ) from error


def _with_checkpoint(error: SparkMLDistError, store: CheckpointStore) -> SparkMLDistError:
    """Say where the last good checkpoint is, when weights went bad after it."""
    if error.code == "diverged" and (ids := store.ids()):
        error = _said_otherwise(
            error,
            error.message,
            f"{error.hint} The last good checkpoint, of step {ids[0].step:,}, stays in "
            f"{store.folder.child(str(ids[0])).location!r}.",
        )
    return error


def _after_all(error: SparkMLDistError, restarts: int, store: CheckpointStore) -> SparkMLDistError:
    hint = f"{error.hint} Run it again with resume to go on {_from(store)}.".strip()
    if not restarts:
        return _said_otherwise(error, error.message, hint)
    head, line, tail = error.message.partition("\n")
    times = "once" if restarts == 1 else f"{restarts} times"
    return _said_otherwise(
        error, f"{head} The gang had been launched anew {times} (maxRestarts).{line}{tail}", hint
    )


def _said_otherwise(error: SparkMLDistError, message: str, hint: str) -> SparkMLDistError:
    again = type(error)(error.code, message, hint)
    for name in ("rank", "host", "log_tail"):
        if hasattr(error, name):
            setattr(again, name, getattr(error, name))
    return again
