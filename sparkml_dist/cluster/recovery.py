"""Launches a gang again after the loss of a rank; no other code repeats a training.

Spark does not retry a barrier stage that yields results, so that no second gang can run beside the
one launched here.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from sparkml_dist.cluster.slots import await_slots
from sparkml_dist.cluster.sums.frames import RANK_GONE
from sparkml_dist.errors import ResourceError, SparkMLDistError, TrainingError
from sparkml_dist.persistence.checkpoints import CheckpointStore

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["Restart", "is_retryable", "run_with_restarts"]

_logger = logging.getLogger(__name__)

T = TypeVar("T")

# The rank, its host or the network failed. Errors of the rank's own code would occur again.
_LOST_CODES = {"rank_died", "rank_lost", "rank_silent", "rank_not_started", "gang_stalled"}
# Errors of collective operations after the loss of another rank, without a reported cause.
_CONNECTION = (
    "HorovodInternalError",
    "Horovod has been shut down",
    "gloo/transport",
    "[gloo]",
    "shared memory with another rank",
    "src/collective/",  # of XGBoost
    RANK_GONE,
)


@dataclass(frozen=True)
class Restart:
    """Why a gang was launched again.

    Attributes
    ----------
    code, message : str
        Of the error that ended the previous launch.
    rank : int or str
        The rank that failed first; ``"?"`` where Spark lost its task.
    host : str
    seconds : float
        Duration of the previous launch.
    """

    code: str
    message: str
    rank: int | str
    host: str
    seconds: float


def is_retryable(error: SparkMLDistError) -> bool:
    """Tell whether launching a gang again may help after this error."""
    if not isinstance(error, TrainingError):
        return False
    if error.code in _LOST_CODES:
        return True
    first = error.message.partition("\n")[0]
    return error.code == "rank_failed" and any(sign in first for sign in _CONNECTION)


def run_with_restarts(
    spark: SparkSession,
    ranks: int,
    launch: Callable[[int], T],
    store: CheckpointStore,
    max_restarts: int,
    on_event: Callable[[dict[str, Any]], None] | None = None,
    *,
    slot_timeout: float = 600.0,
    unit: str = "step",
) -> tuple[T, list[Restart]]:
    """Run a gang; after the loss of a rank, run it again from its last checkpoint.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    ranks : int
        Number of slots that a launch needs.
    launch : callable
        ``launch(number)`` runs the gang. Numbers increase from launch to launch, also between runs
        that share a folder.
    store : CheckpointStore
    max_restarts : int
        Most restarts.
    on_event : callable, optional
        Called with a ``restart`` event before each restart.
    slot_timeout : float, default=600
        Seconds to wait for the slots of a lost executor.
    unit : str, default="step"
        What checkpoints are numbered by, for messages.

    Returns
    -------
    result
        Of the successful launch.
    restarts : list of Restart
        One for each failed launch.

    Raises
    ------
    SparkMLDistError
        Of the last launch; an error that would occur again is raised at once.
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
                raise _with_checkpoint(error, store, unit) from error
            if len(restarts) >= max_restarts:
                raise _out_of_restarts(error, len(restarts), store, unit) from error
            lost = Restart(
                error.code,
                error.message.partition("\n")[0],
                getattr(error, "rank", "?"),
                getattr(error, "host", "?"),
                time.monotonic() - begun,
            )
            restarts.append(lost)
        _logger.warning(
            "%s The gang is launched again (restart %d of at most %d), %s.",
            lost.message,
            len(restarts),
            max_restarts,
            _from(store, unit),
        )
        if on_event is not None:
            on_event({"event": "restart", "number": len(restarts), "reason": lost.message})
        _wait_for_slots(spark, ranks, slot_timeout)


def _from(store: CheckpointStore, unit: str) -> str:
    ids = store.ids()
    return f"from the checkpoint of {unit} {ids[0].step:,}" if ids else "from the beginning"


def _wait_for_slots(spark: SparkSession, ranks: int, seconds: float) -> None:
    """Wait until a lost executor is replaced; raise when it is not."""
    try:
        await_slots(spark, ranks, seconds=seconds)
    except ResourceError as error:
        raise ResourceError(
            error.code,
            f"{error.message} An executor was lost and was not replaced.",
            "Resume with fewer ranks (numRanks, resume=True), or when the executor is back.",
        ) from error


def _with_checkpoint(
    error: SparkMLDistError, store: CheckpointStore, unit: str
) -> SparkMLDistError:
    """Add the location of the last good checkpoint to the error of a loss that is not finite."""
    if error.code == "diverged" and (ids := store.ids()):
        error = _with_text(
            error,
            error.message,
            f"{error.hint} The last good checkpoint, of {unit} {ids[0].step:,}, is kept in "
            f"{store.folder.child(str(ids[0])).location!r}.",
        )
    return error


def _out_of_restarts(
    error: SparkMLDistError, restarts: int, store: CheckpointStore, unit: str
) -> SparkMLDistError:
    hint = f"{error.hint} Run it again with resume to continue {_from(store, unit)}.".strip()
    if not restarts:
        return _with_text(error, error.message, hint)
    head, line, tail = error.message.partition("\n")
    times = "once" if restarts == 1 else f"{restarts} times"
    return _with_text(
        error, f"{head} The gang was launched again {times} (maxRestarts).{line}{tail}", hint
    )


def _with_text(error: SparkMLDistError, message: str, hint: str) -> SparkMLDistError:
    again = type(error)(error.code, message, hint)
    for name in ("rank", "host", "log_tail"):
        if hasattr(error, name):
            setattr(again, name, getattr(error, name))
    return again
