"""Gangs: n ranks that start together on Spark's executors, communicate, and end together.

A gang is one barrier stage. Each of its tasks starts a process for its rank, so that the rank's
environment, threads and native libraries are its own and Spark's Python worker stays clean. The
processes are forked from one that has imported the modules to preload; an executor keeps that
process for later gangs (`WARM_RANKS`).
"""

from __future__ import annotations

import json
import math
import os
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sparkml_dist.cluster.gang_errors import failure, job_failure
from sparkml_dist.cluster.gang_events import EventTail
from sparkml_dist.cluster.gang_spec import GangSpec
from sparkml_dist.cluster.gang_task import gang_task
from sparkml_dist.cluster.gang_watch import GangWatch
from sparkml_dist.cluster.progress import job_description
from sparkml_dist.cluster.rank_context import RankContext
from sparkml_dist.cluster.rank_memory import rank_memory_limit
from sparkml_dist.cluster.shipping import shipped
from sparkml_dist.cluster.slots import await_slots, held_slots
from sparkml_dist.cluster.workers import check_modules, check_workers
from sparkml_dist.errors import ConfigurationError, ResourceError
from sparkml_dist.persistence.filesystem import Folder, local_path
from sparkml_dist.session import SessionInfo, has_dynamic_allocation

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

__all__ = ["WARM_RANKS", "RankContext", "RankResult", "check_gang", "run_gang"]

#: Spark setting: seconds that an executor without ranks keeps their imports; 0 for not at all.
WARM_RANKS = "spark.sparkml_dist.warmRankSeconds"
_WARM_SECONDS = "60"


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
        The return value of its function, after a round trip through JSON.
    seconds : float
        From the start of its task to its end.
    peak_rss_mb : float
        Largest resident size of its process, in MiB.
    events : list of dict
        The events that it emitted; each has ``event`` (its name) and ``time`` (seconds since 1970).
    """

    rank: int
    host: str
    value: Any
    seconds: float
    peak_rss_mb: float
    events: list[dict[str, Any]] = field(repr=False)


def check_gang(
    spark: SparkSession,
    ranks: int,
    required: Sequence[str] = (),
    *,
    slot_timeout: float = 600.0,
) -> None:
    """Raise unless `ranks` ranks can start together; wait for executors that may still register.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    ranks : int
        Number of ranks.
    required : sequence of str
        Modules that workers must have.
    slot_timeout : float, default=600
        Seconds to wait for the executors.

    Raises
    ------
    ConfigurationError
        ``invalid_param``.
    ResourceError
        ``too_few_slots``, ``dynamic_allocation``, or that of a worker without needed packages.
    """
    info = _check_room(spark, ranks, slot_timeout)
    if info.kind == "local" and os.environ.get("PYSPARK_PYTHON", sys.executable) == sys.executable:
        check_modules(required)  # workers are of this interpreter: no job is needed
    check_workers(spark, ("psutil", *required))


def _check_room(spark: SparkSession, ranks: int, slot_timeout: float) -> SessionInfo:
    if not isinstance(ranks, int) or isinstance(ranks, bool) or ranks < 1:
        raise ConfigurationError("invalid_param", f"ranks must be a positive int. Got {ranks!r}.")
    if has_dynamic_allocation(spark):  # executors would not come while this waits
        raise ResourceError(
            "dynamic_allocation",
            "A gang needs all its executors at the same time, but "
            "spark.dynamicAllocation.enabled is true.",
            "Submit with --conf spark.dynamicAllocation.enabled=false and a fixed number of "
            "executors.",
        )
    return await_slots(spark, ranks, seconds=slot_timeout)


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
    silence_timeout: float | None = 300.0,
    stall_timeout: float | None = 600.0,
    slot_timeout: float = 600.0,
) -> list[RankResult]:
    """Run ``target(context, payload)`` in `ranks` processes at the same time.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
        Classic or Connect.
    ranks : int
        Number of ranks.
    target : callable
        Runs in each rank's process with its `RankContext`. Horovod's environment is set (Gloo over
        the interface that the executors use); `target` itself calls
        ``horovod.tensorflow.init()``. Its return value must be a JSON value.
    payload : Any
        Given to `target`. Travels with it as a cloudpickle, never through a file.
    description : str, default="gang"
        Shown in Spark's UI.
    log_folder : Folder, optional
        Gets ``rank-N.log`` and ``events.jsonl``, which grow while the gang runs.
    env : mapping of str to str, optional
        Added to the environment of every rank.
    on_event : callable, optional
        Called on the driver with each event that rank 0 emits: from a thread while the gang runs
        when the driver sees the `log_folder` (a shared disk or any URI), else when it has ended.
    preload : sequence of str
        Modules that a rank's process imports while Spark still assembles the gang.
    required : sequence of str
        Modules that the interpreter of each rank's worker must have.
    start_timeout : float, default=180
        Seconds from the start of a rank's process to the call of `target`.
    silence_timeout : float or None, default=300
        Seconds without a heartbeat after which a rank, or its task, counts as stopped; None for no
        limit. Heartbeats come from threads: a rank that waits or computes still sends them.
    stall_timeout : float or None, default=600
        Seconds without a `RankContext.advance` of any rank after which the gang is ended; None for
        no limit. Counted from the first advance.
    slot_timeout : float, default=600
        Seconds to wait for task slots: for executors that have not registered yet; for slots that
        other gangs of this application hold (first come, first served); or for slots that other
        Spark jobs hold, where the driver can read in the `log_folder` whether rank 0 has started
        (local modes, or a URI). Each wait is counted separately and logged.

    Returns
    -------
    list of RankResult
        In the order of the ranks.

    Raises
    ------
    ConfigurationError
        ``invalid_param``.
    ResourceError
        ``too_few_slots``, ``dynamic_allocation``, ``slots_busy``, ``worker_python`` or
        ``worker_packages``, all before any rank's function is called; ``rank_imports`` when a rank
        cannot import a module of `preload`; ``rank_memory`` when a rank takes more than
        `rank_memory_limited_to` allows.
    TrainingError
        ``rank_failed`` and related codes, with the rank that failed first, its host, how it ended,
        and the last lines of its log; ``gang_stalled``, with the rank that is behind. An error of
        this library that a rank raised is raised again with its own class and code.
    """
    if silence_timeout is not None and not silence_timeout > 0:
        raise ConfigurationError(
            "invalid_param",
            f"silence_timeout must be a number of seconds > 0, or None. Got {silence_timeout!r}.",
        )
    info = _check_room(spark, ranks, slot_timeout)
    spec = GangSpec(
        gang=secrets.token_hex(8),
        work=shipped((target, payload), target),
        modules=tuple(preload),
        required=("psutil", *required),
        environment=dict(env or {}),
        log_folder=log_folder,
        start_seconds=start_timeout,
        silence_seconds=silence_timeout,
        stall_seconds=stall_timeout,
        warm_seconds=_warm_seconds(spark),
        memory_limit=rank_memory_limit(),
    )
    with (
        held_slots(spark, info, ranks, name=description, seconds=slot_timeout),
        job_description(spark, description),
        EventTail(log_folder, spec.gang, on_event) as tail,
    ):
        watched = log_folder is not None and (
            info.shares_local_disk or local_path(log_folder.location) is None
        )
        watch = GangWatch(spark, info, ranks, tail.begun if watched else None, slot_timeout)
        outcomes = _collect(spark, ranks, spec, watch)
        tail.finish(outcomes[0]["events"])
    bad = [o for o in outcomes if o["status"] != "ok"]
    if bad:
        verdict: dict[str, Any] = next((o["verdict"] for o in bad if o.get("verdict")), {})
        # The failed rank's own task knows its host and the end of its log.
        own: dict[str, Any] = next((o for o in outcomes if o["rank"] == verdict.get("rank")), {})
        raise failure({"host": own.get("host", "?"), "tail": own.get("tail", []), **verdict})
    return [
        RankResult(o["rank"], o["host"], o["value"], o["seconds"], o["peak_rss_mb"], o["events"])
        for o in outcomes
    ]


def _warm_seconds(spark: SparkSession) -> float:
    text = spark.conf.get(WARM_RANKS, _WARM_SECONDS) or ""
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < math.inf:
        raise ConfigurationError(
            "invalid_param", f"{WARM_RANKS} must be a number of seconds >= 0. Got {text!r}."
        )
    return seconds


def _collect(
    spark: SparkSession, ranks: int, spec: GangSpec, watch: GangWatch
) -> list[dict[str, Any]]:
    def task(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return gang_task(spec, batches)

    frame = spark.range(0, ranks, 1, ranks).mapInArrow(task, "outcome string", barrier=True)
    try:
        with watch:
            rows = frame.collect()
    except Exception as error:
        raise watch.problem or job_failure(error, ranks) from error
    return sorted((json.loads(row["outcome"]) for row in rows), key=lambda o: int(o["rank"]))
