"""Gangs: n ranks that start together on Spark's executors, talk to each other, and end together.

A gang is one barrier stage. Each of its tasks starts a fresh process for its rank, so that the
rank's environment, threads and native libraries are its own and Spark's Python worker stays clean.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sparkml_dist.cluster.gang_errors import failure, job_failure
from sparkml_dist.cluster.gang_logs import EventTail
from sparkml_dist.cluster.gang_task import GangSpec, gang_task
from sparkml_dist.cluster.progress import job_description
from sparkml_dist.cluster.rank_context import RankContext
from sparkml_dist.cluster.shipping import shipped
from sparkml_dist.errors import ConfigurationError, ResourceError
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.session import check_slots, check_workers

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

__all__ = ["RankContext", "RankResult", "check_gang", "run_gang"]


@dataclass(frozen=True)
class RankResult:
    """How a rank ended.

    Attributes
    ----------
    rank : int
        Its number.
    host : str
        Name of the host it ran on.
    value : Any
        What its function returned, as it came through JSON.
    seconds : float
        From the start of its task to its end.
    peak_rss_mb : float
        Largest resident size of its process, in MiB.
    events : list of dict
        What it emitted; each has ``event`` (its name) and ``time`` (seconds since 1970).
    """

    rank: int
    host: str
    value: Any
    seconds: float
    peak_rss_mb: float
    events: list[dict[str, Any]] = field(repr=False)


def check_gang(spark: SparkSession, ranks: int, required: Sequence[str] = ()) -> None:
    """Raise unless `ranks` ranks can start together; within seconds, never by waiting.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    ranks : int
        How many.
    required : sequence of str
        Modules that workers must have.

    Raises
    ------
    ConfigurationError
        ``invalid_ranks``.
    ResourceError
        ``too_few_slots``, ``dynamic_allocation``, or a worker without the needed packages.
    """
    if not isinstance(ranks, int) or isinstance(ranks, bool) or ranks < 1:
        raise ConfigurationError("invalid_ranks", f"ranks must be a positive int. Got {ranks!r}.")
    info = check_slots(spark, ranks)
    if info.dynamic_allocation:
        raise ResourceError(
            "dynamic_allocation",
            "A gang needs all its executors at the same time, but "
            "spark.dynamicAllocation.enabled is true.",
            "Submit with --conf spark.dynamicAllocation.enabled=false and a fixed number of "
            "executors.",
        )
    check_workers(spark, ("psutil", *required))


def run_gang(
    spark: SparkSession,
    ranks: int,
    target: Callable[[RankContext, Any], Any],
    payload: Any = None,
    *,
    description: str = "gang",
    log_folder: Folder | None = None,
    env: Mapping[str, str] | None = None,
    on_event: Callable[[dict[str, Any]], None] | None = None,
    preload: Sequence[str] = (),
    required: Sequence[str] = (),
    start_timeout: float = 180.0,
    silence_timeout: float = 300.0,
) -> list[RankResult]:
    """Run ``target(context, payload)`` in `ranks` processes at the same time.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
        Classic or Connect.
    ranks : int
        How many.
    target : callable
        Runs in each rank's process with its `RankContext`. It finds Horovod's environment set
        (Gloo over the interface that the executors use); ``horovod.tensorflow.init()`` is its own
        business. What it returns must be a JSON value.
    payload : Any
        Given to `target`. Travels with it as a cloudpickle, never through a file.
    description : str, default="gang"
        For Spark's UI.
    log_folder : Folder, optional
        Gets ``rank-N.log`` and ``events.jsonl``, growing while the gang runs when it lies on a
        local disk.
    env : mapping of str to str, optional
        Added to the environment of every rank.
    on_event : callable, optional
        Called on the driver with each event that rank 0 emits: from a thread while the gang runs
        when the driver sees the `log_folder` on a local disk, else when it has ended.
    preload : sequence of str
        Modules that a rank's process imports while Spark still assembles the gang.
    required : sequence of str
        Modules that workers must have.
    start_timeout : float, default=180
        Seconds that a rank's process may take until it calls `target`.
    silence_timeout : float, default=300
        Seconds without a heartbeat after which a rank is taken for stuck. Heartbeats come from a
        thread: a rank that waits or computes is not silent.

    Returns
    -------
    list of RankResult
        In the order of the ranks.

    Raises
    ------
    ConfigurationError
        ``invalid_ranks``.
    ResourceError
        ``too_few_slots``, ``dynamic_allocation``, or a worker without the needed packages: all
        before the gang starts.
    TrainingError
        ``rank_failed`` and its kin, naming the rank that failed first, its host, how it ended, and
        the last lines of its log. An error of the toolkit that a rank raised is raised again as
        what it was.
    """
    check_gang(spark, ranks, required)
    spec = GangSpec(
        gang=secrets.token_hex(8),
        work=shipped((target, payload), target),
        modules=tuple(preload),
        environment=dict(env or {}),
        log_folder=log_folder,
        start_seconds=start_timeout,
        silence_seconds=silence_timeout,
    )
    with job_description(spark, description), EventTail(log_folder, spec.gang, on_event) as tail:
        outcomes = _collect(spark, ranks, spec)
        tail.finish(outcomes[0]["events"])
    bad = [o for o in outcomes if o["status"] != "ok"]
    if bad:
        verdict: dict[str, Any] = next((o["verdict"] for o in bad if o.get("verdict")), {})
        hosts = {o["rank"]: o["host"] for o in outcomes}
        raise failure({"host": hosts.get(verdict.get("rank", -1), "?"), **verdict})
    return [
        RankResult(o["rank"], o["host"], o["value"], o["seconds"], o["peak_rss_mb"], o["events"])
        for o in outcomes
    ]


def _collect(spark: SparkSession, ranks: int, spec: GangSpec) -> list[dict[str, Any]]:
    import json

    def task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return gang_task(spec, batches)

    frame = spark.range(0, ranks, 1, ranks).mapInArrow(task, "outcome string", barrier=True)
    try:
        rows = frame.collect()
    except Exception as error:
        raise job_failure(error, ranks) from error
    return sorted((json.loads(row["outcome"]) for row in rows), key=lambda o: int(o["rank"]))
