"""Cancels the Spark job of a gang that waits too long for task slots."""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
import time
from typing import TYPE_CHECKING

from sparkml_dist.cluster.progress import cancel_jobs, job_tag
from sparkml_dist.errors import ResourceError
from sparkml_dist.session import SessionInfo

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["GangWatch"]

_logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.5
_SLOTS_SECONDS = 5.0
# Time for Spark to start a stage that has slots, and for rank 0 to report that it runs.
_START_SECONDS = 10.0


class GangWatch:
    """Cancels the jobs of a ``with`` block that cannot start.

    Spark lets a barrier stage wait without a limit while its slots are busy, and for ten minutes
    when executors are lost after the slots were counted.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    info : SessionInfo
        Of `spark`.
    ranks : int
        Number of slots needed.
    begun : threading.Event or None
        Set once rank 0 runs; None where the driver cannot see this.
    seconds : float
        Time for the start, and for lost executors to be replaced.

    Attributes
    ----------
    problem : ResourceError or None
        Why the jobs were cancelled: ``slots_busy`` or ``too_few_slots``.
    """

    def __init__(
        self,
        spark: SparkSession,
        info: SessionInfo,
        ranks: int,
        begun: threading.Event | None,
        seconds: float,
    ) -> None:
        self.problem: ResourceError | None = None
        self._spark = spark
        self._ranks = ranks
        self._begun = begun
        self._seconds = seconds
        # Local slots never change; under Connect, counting them may take a job.
        self._counts = not info.is_connect and info.kind != "local" and info.slots is not None
        self._tag = f"sparkml_dist-{secrets.token_hex(8)}"
        self._ended = threading.Event()
        self._stack = contextlib.ExitStack()
        self._thread = threading.Thread(target=self._watch, name="sparkml_dist-watch", daemon=True)

    def __enter__(self) -> GangWatch:
        self._stack.enter_context(job_tag(self._spark, self._tag))
        if self._counts or self._begun is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._stack.close()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self) -> None:
        start = time.monotonic()
        asked = enough = start
        short: int | None = None
        while not self._ended.wait(_POLL_SECONDS):
            now = time.monotonic()
            if self._counts and now - asked > _SLOTS_SECONDS:
                slots = SessionInfo.of(self._spark).slots
                asked = time.monotonic()
                if slots is None or slots >= self._ranks:
                    short, enough = None, asked
                else:
                    if short is None:
                        self._warn(slots)
                    short = slots
            waits = self._begun is not None and not self._begun.is_set()
            if short is not None and now - enough > self._seconds:
                self.problem = self._short(short)
            elif waits and now - start > self._seconds + _START_SECONDS:
                self.problem = self._busy() if short is None else self._short(short)
            if self.problem is not None:
                cancel_jobs(self._spark, self._tag)
                return

    def _warn(self, slots: int) -> None:
        _logger.warning(
            "executors were lost: %d of the %d task slots of a gang are left; waiting up to %g s "
            "for others",
            slots,
            self._ranks,
            self._seconds,
        )

    def _busy(self) -> ResourceError:
        return ResourceError(
            "slots_busy",
            f"Spark did not start the {self._ranks} ranks of a gang within {self._seconds:g} s: "
            "other jobs hold its task slots.",
            "Let these jobs end, use fewer ranks, raise the slot timeout, or give Spark more "
            "executor cores.",
        )

    def _short(self, slots: int) -> ResourceError:
        return ResourceError(
            "too_few_slots",
            f"{self._ranks} ranks must run at the same time, but executors were lost, "
            f"{slots} task slots are left, and no more came within {self._seconds:g} s.",
            "Check in the cluster manager why executors were lost, use fewer ranks, or raise the "
            "slot timeout.",
        )
