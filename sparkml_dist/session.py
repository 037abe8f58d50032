"""One way to get a SparkSession, and what kind of Spark it runs on."""

from __future__ import annotations

import logging
import os
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sparkml_dist.errors import ResourceError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = [
    "SessionInfo",
    "check_slots",
    "get_session",
    "has_dynamic_allocation",
    "is_connect",
    "most_slots",
    "planned_bytes",
    "tell_stderr",
    "trusted_in_session",
]

#: Setting with the types that a session trusts, separated by commas.
TRUSTED_TYPES = "spark.sparkml_dist.trustedTypes"

_logger = logging.getLogger(__name__)

_LOCAL = re.compile(r"^local(?:\[\s*(\*|\d+)\s*(?:,\s*\d+\s*)?\])?$")
_LOCAL_CLUSTER = re.compile(r"^local-cluster\[\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*\]$")
_KINDS = {"spark": "standalone", "yarn": "yarn", "k8s": "k8s", "local-cluster": "local-cluster"}


def get_session(app_name: str = "sparkml_dist") -> SparkSession:
    """Return the active SparkSession, or build one from the environment it is called in.

    Nothing but the application's name is set: master, memory and everything else come from
    ``spark-submit``, its properties file, or Spark's own defaults.

    Parameters
    ----------
    app_name : str, default="sparkml_dist"
        Name of the application when a session has to be built.

    Returns
    -------
    pyspark.sql.SparkSession
        Classic or Connect.

    Notes
    -----
    Where neither ``PYSPARK_PYTHON`` nor ``spark.pyspark.python`` says which interpreter the
    workers start, PySpark would take the first ``python3`` on the path, which in a virtual
    environment that is not activated is another one. The driver's own is offered instead;
    `sparkml_dist.cluster.workers.check_workers` tells whether it fits.
    """
    from pyspark.sql import SparkSession

    active = SparkSession.getActiveSession()
    if active is not None:
        return active
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    return SparkSession.builder.appName(app_name).getOrCreate()


def trusted_in_session() -> tuple[str, ...]:
    """Return the types that the active session trusts in learners beside the allow-list.

    ``spark.conf.set("spark.sparkml_dist.trustedTypes", "my_module.Learner,…")`` names them, for
    loads that have no place for ``trusted``, such as ``PipelineModel.load``.
    """
    from pyspark.sql import SparkSession

    active = SparkSession.getActiveSession()
    found = active.conf.get(TRUSTED_TYPES, "") if active is not None else ""
    return tuple(name for part in (found or "").split(",") if (name := part.strip()))


def is_connect(spark: SparkSession) -> bool:
    """Tell whether `spark` is a Spark Connect session (no JVM beside the driver's Python)."""
    return type(spark).__module__.startswith("pyspark.sql.connect")


def planned_bytes(df: DataFrame) -> int | None:
    """Return Spark's own estimate of a table's bytes: a hint for plans, never a bound.

    Exact for cached tables and files, and vague for what is computed from them. Nothing runs.

    Parameters
    ----------
    df : pyspark.sql.DataFrame

    Returns
    -------
    int or None
        None over Connect, which does not tell.
    """
    if is_connect(df.sparkSession):
        return None
    plan = df._jdf.queryExecution().optimizedPlan()
    return int(str(plan.stats().sizeInBytes()))


def has_dynamic_allocation(spark: SparkSession) -> bool:
    """Tell whether executors come and go."""
    return _conf(spark, "spark.dynamicAllocation.enabled") == "true"


@dataclass(frozen=True)
class SessionInfo:
    """What a SparkSession runs on.

    Attributes
    ----------
    kind : str
        ``"local"``, ``"local-cluster"``, ``"standalone"``, ``"yarn"``, ``"k8s"``, ``"connect"``
        (a remote server whose master is not known) or ``"other"``.
    is_connect : bool
        Whether the session is a Spark Connect client.
    master : str
        The master URL; empty when the server does not tell.
    slots : int or None
        Tasks that can run at the same time now; None when it cannot be known.
    task_cpus : int
        Cores a task owns (``spark.task.cpus``).
    """

    kind: str
    is_connect: bool
    master: str
    slots: int | None
    task_cpus: int

    @classmethod
    def of(cls, spark: SparkSession) -> SessionInfo:
        """Look at `spark` without running a job (under Connect: one tiny job at most)."""
        connect = is_connect(spark)
        master = _conf(spark, "spark.master")
        task_cpus = int(_conf(spark, "spark.task.cpus") or 1)
        return cls(
            kind=_kind(master, connect),
            is_connect=connect,
            master=master,
            slots=_slots_connect(spark, master, task_cpus) if connect else _slots_classic(spark),
            task_cpus=task_cpus,
        )

    @property
    def shares_local_disk(self) -> bool:
        """Whether workers see the driver's local disk."""
        return self.kind in ("local", "local-cluster")


def _conf(spark: SparkSession, key: str) -> str:
    return spark.conf.get(key, None) or ""


def _kind(master: str, connect: bool) -> str:
    if _LOCAL.match(master):
        return "local"
    if not master:
        return "connect" if connect else "other"
    return _KINDS.get(re.split(r"[:\[]", master)[0], "other")


def _slots_classic(spark: SparkSession) -> int | None:
    # The scheduler's own count, which barrier stages are checked against: it knows the cores and
    # GPUs of each executor that is alive, which no configuration value tells.
    try:
        context = spark.sparkContext._jsc.sc()
        profile = context.resourceProfileManager().defaultResourceProfile()
        return int(context.maxNumConcurrentTasks(profile))
    except Exception:  # an internal of Spark: its absence must not stop a job
        _logger.debug("the scheduler does not tell its slots", exc_info=True)
        return None


def _slots_connect(spark: SparkSession, master: str, task_cpus: int) -> int | None:
    if found := _LOCAL.match(master):
        cores = found.group(1) or "1"
        if cores.isdigit():
            return int(cores) // task_cpus
    if found := _LOCAL_CLUSTER.match(master):
        return int(found.group(1)) * (int(found.group(2)) // task_cpus)
    if (slots := _slots_of_executors(spark, task_cpus)) is not None:
        return slots
    if _conf(spark, "spark.default.parallelism"):
        return None
    # spark.range takes as many partitions as there are cores, unless told otherwise.
    from pyspark.sql import functions as F

    partitions = spark.range(1 << 16).select(F.spark_partition_id().alias("p")).distinct().count()
    return max(1, partitions // task_cpus)


def _slots_of_executors(spark: SparkSession, task_cpus: int) -> int | None:
    """Return the slots of the executors that were asked for; None where their number is open."""
    instances, cores = (
        _conf(spark, "spark.executor.instances"),
        _conf(spark, "spark.executor.cores"),
    )
    if not (instances and cores):
        return None
    per_instance = int(cores) // task_cpus
    if task_gpus := float(_conf(spark, "spark.task.resource.gpu.amount") or 0):
        gpus = float(_conf(spark, "spark.executor.resource.gpu.amount") or 0)
        per_instance = min(per_instance, int(gpus / task_gpus))
    return int(instances) * per_instance


def most_slots(spark: SparkSession) -> int | None:
    """Return the tasks that can ever run at the same time; None where the settings do not tell.

    Executors come when the cluster manager has room for them, but no more of them than were asked
    for.
    """
    master, task_cpus = _conf(spark, "spark.master"), int(_conf(spark, "spark.task.cpus") or 1)
    kind = _kind(master, is_connect(spark))
    if kind == "local":
        return SessionInfo.of(spark).slots
    if found := _LOCAL_CLUSTER.match(master):
        return int(found.group(1)) * (int(found.group(2)) // task_cpus)
    if kind == "standalone" and (cores := _conf(spark, "spark.cores.max")):
        return int(cores) // task_cpus
    if kind in ("yarn", "k8s"):
        return _slots_of_executors(spark, task_cpus)
    return None


def check_slots(spark: SparkSession, needed: int, *, what: str = "ranks") -> SessionInfo:
    """Raise unless `needed` tasks can run at the same time.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
        The session to ask.
    needed : int
        Tasks that must run at once.
    what : str, default="ranks"
        What the tasks are, for the message.

    Returns
    -------
    SessionInfo
        What was found out about the session.

    Raises
    ------
    ResourceError
        ``too_few_slots`` when there are fewer slots than asked for.
    """
    info = SessionInfo.of(spark)
    if info.slots is not None and needed > info.slots:
        raise ResourceError(
            "too_few_slots",
            f"{needed} {what} must run at the same time, but {info.master or 'this Spark'} has "
            f"{info.slots} task slots (spark.task.cpus={info.task_cpus}).",
            f"Ask for at most {info.slots} {what}, or give Spark more executor cores."
            if info.slots
            else "See in the cluster manager why the application has no executors.",
        )
    return info


def tell_stderr(line: str) -> None:
    """Write a line to the standard error stream of the process that a person started.

    ``spark-submit`` starts Python with both its streams sent to Java's standard output; Java's
    own standard error is the one that the caller of ``spark-submit`` sees.
    """
    sys.stdout.flush()
    if "PYSPARK_GATEWAY_PORT" in os.environ:
        try:
            from pyspark import SparkContext
            from pyspark.java_gateway import launch_gateway

            gateway = SparkContext._gateway or launch_gateway()
            gateway.jvm.java.lang.System.err.println(line)
            return
        except Exception:  # Java may be what has gone
            _logger.debug("Java does not take lines for stderr", exc_info=True)
    print(line, file=sys.stderr, flush=True)  # noqa: T201
