"""Independent tasks: each does one piece of work, commits it, and returns metadata only."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from sparkml_dist.cluster.failures import failure_error, failure_record
from sparkml_dist.cluster.memory import PeakMemory
from sparkml_dist.cluster.progress import job_description, progress
from sparkml_dist.cluster.threads import limit_threads
from sparkml_dist.errors import SparkMLDistError
from sparkml_dist.session import SessionInfo

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["TaskOutcome", "is_last_attempt", "run_tasks", "task_attempts"]

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TaskOutcome:
    """The outcome of one task.

    Attributes
    ----------
    index : int
        Its index, one of those requested.
    result : dict
        Return value of the task; empty when it failed.
    error : SparkMLDistError or None
        Why it failed. An error that is not the library's own becomes a `TrainingError` whose
        message holds the exception and whose ``trace`` attribute holds the last lines of its trace.
    seconds : float
        Wall time in the worker.
    base_rss, peak_rss : int
        Resident bytes of the worker before the task and at its peak.
    """

    index: int
    result: dict[str, Any]
    error: SparkMLDistError | None
    seconds: float
    base_rss: int
    peak_rss: int


def run_tasks(
    spark: SparkSession,
    indices: Sequence[int],
    work: Callable[[int], dict[str, Any]],
    *,
    description: str,
    count: Callable[[], int] | None = None,
) -> list[TaskOutcome]:
    """Run ``work(index)`` for each index in a Spark task of its own.

    Spark retries a failure that may be transient (an input/output or memory error, a lost
    executor); any other is final and is reported beside the results of the other tasks.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    indices : sequence of int
        One task for each.
    work : callable
        Runs in the worker's Python with BLAS and OpenMP capped at the task's cores. Must be
        idempotent and commit its results; its return value must be small and JSON.
    description : str
        Shown in the Spark UI and before the progress bar.
    count : callable, optional
        Returns the number of committed tasks, for the progress bar.

    Returns
    -------
    list of TaskOutcome
        In the order of `indices`.
    """
    if not indices:
        return []
    info = SessionInfo.of(spark)
    attempts = task_attempts(spark, info)
    cores = info.task_cpus
    todo = list(indices)

    def task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        last = is_last_attempt(attempts)
        for batch in batches:
            for position in batch.column(0).to_pylist():
                outcome = _run(work, todo[position], cores, last)
                yield pa.RecordBatch.from_pydict({"outcome": [json.dumps(outcome)]})

    tasks = spark.range(0, len(todo), 1, len(todo))
    watched = count or (lambda: 0)
    bar = len(todo) if count else 0
    with (
        job_description(spark, f"sparkml_dist: {description}"),
        progress(bar, description, watched),
    ):
        rows = tasks.mapInArrow(task, "outcome string").collect()
    outcomes = {o.index: o for o in (_outcome(json.loads(r["outcome"])) for r in rows)}
    return [outcomes[i] for i in todo]


def task_attempts(spark: SparkSession, info: SessionInfo) -> int:
    """Return how often Spark tries a task."""
    if info.kind == "local":
        found = re.search(r",\s*(\d+)\s*\]", info.master)
        return int(found.group(1)) if found else 1
    return int(spark.conf.get("spark.task.maxFailures", None) or 4)


def is_last_attempt(attempts: int) -> bool:
    """Tell a task whether Spark, which tries it `attempts` times, is not going to try it again."""
    from pyspark import TaskContext

    context = TaskContext.get()
    return context is None or context.attemptNumber() + 1 >= attempts


def _run(
    work: Callable[[int], dict[str, Any]], index: int, cores: int, last: bool
) -> dict[str, Any]:
    start = time.perf_counter()
    result: dict[str, Any] = {}
    failure: list[str] | None = None
    with PeakMemory() as memory:
        try:
            with limit_threads(cores):
                result = work(index)
        except Exception as error:  # noqa: BLE001 - a learner may raise anything
            failure = failure_record(error, last=last)
    return {
        "index": index,
        "result": result,
        "error": failure,
        "seconds": time.perf_counter() - start,
        "base_rss": memory.base,
        "peak_rss": memory.peak,
    }


def _outcome(value: dict[str, Any]) -> TaskOutcome:
    error = failure_error(value["error"]) if value["error"] else None
    return TaskOutcome(
        value["index"],
        value["result"],
        error,
        value["seconds"],
        value["base_rss"],
        value["peak_rss"],
    )
