"""Returns the SparkSession, and facts about the Spark it runs on."""

from __future__ import annotations

import functools
import logging
import os
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sparkml_dist.errors import ResourceError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = [
    "SessionInfo",
    "check_slots",
    "get_session",
    "has_dynamic_allocation",
    "is_connect",
    "keep_spark_quiet",
    "max_slots",
    "planned_bytes",
    "print_to_stderr",
    "trusted_in_session",
]

#: Setting with the types that a session trusts, separated by commas.
TRUSTED_TYPES = "spark.sparkml_dist.trustedTypes"

_logger = logging.getLogger(__name__)

_LOCAL = re.compile(r"^local(?:\[\s*(\*|\d+)\s*(?:,\s*\d+\s*)?\])?$")
_LOCAL_CLUSTER = re.compile(r"^local-cluster\[\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*\]$")
_KINDS = {"spark": "standalone", "yarn": "yarn", "k8s": "k8s", "local-cluster": "local-cluster"}


def get_session(app_name: str = "sparkml_dist") -> SparkSession:
    """Return the active SparkSession, or build one from the environment.

    Only the application's name is set: master, memory and all other settings come from
    ``spark-submit``, its properties file, or Spark's own defaults.

    Parameters
    ----------
    app_name : str, default="sparkml_dist"
        Name of the application when a session is built.

    Returns
    -------
    pyspark.sql.SparkSession
        Classic or Connect.

    Notes
    -----
    Without ``PYSPARK_PYTHON`` and ``spark.pyspark.python``, PySpark starts workers with the first
    ``python3`` on the path, which is the wrong one in a virtual environment that is not activated.
    Here the driver's interpreter is the default;
    `sparkml_dist.cluster.workers.check_workers` checks that it fits.

    In a notebook, a warning says once which settings make small data on one machine quick; they
    are not set.
    """
    from pyspark.sql import SparkSession

    session = SparkSession.getActiveSession()
    if session is None:
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        session = SparkSession.builder.appName(app_name).getOrCreate()
    if "ipykernel" in sys.modules and (advice := _advice(session)):
        _advise(advice)
    return session


@functools.cache
def _advise(advice: str) -> None:
    """Log a line once."""
    _logger.warning("%s", advice)


def _advice(spark: SparkSession) -> str:
    """Return what would make small data quick on one machine; empty where it is set already."""
    if _kind(_conf(spark, "spark.master"), is_connect(spark)) != "local":
        return ""
    wanted = {}
    if _conf(spark, "spark.sql.shuffle.partitions") == "200":
        wanted["spark.sql.shuffle.partitions"] = 8
    if _conf(spark, "spark.sql.execution.arrow.pyspark.enabled") == "false":
        wanted["spark.sql.execution.arrow.pyspark.enabled"] = True
    if not wanted:
        return ""
    calls = " and ".join(f"spark.conf.set({name!r}, {value})" for name, value in wanted.items())
    return f"On one machine, small data is quicker with {calls}; nothing was set here."


def trusted_in_session() -> tuple[str, ...]:
    """Return the types that the active session trusts in learners, besides the allow-list.

    They are set with ``spark.conf.set("spark.sparkml_dist.trustedTypes", "my_module.Learner,…")``,
    for loads without a ``trusted`` argument, such as ``PipelineModel.load``.
    """
    from pyspark.sql import SparkSession

    active = SparkSession.getActiveSession()
    found = active.conf.get(TRUSTED_TYPES, "") if active is not None else ""
    return tuple(name for part in (found or "").split(",") if (name := part.strip()))


def is_connect(spark: SparkSession) -> bool:
    """Tell whether `spark` is a Spark Connect session, without a JVM beside the driver."""
    return type(spark).__module__.startswith("pyspark.sql.connect")


def planned_bytes(df: DataFrame) -> int | None:
    """Return Spark's own estimate of a table's bytes: a hint, never a bound.

    Exact for cached tables and files, rough for tables computed from them. No job runs.

    Parameters
    ----------
    df : pyspark.sql.DataFrame

    Returns
    -------
    int or None
        None under Connect, which does not report it.
    """
    if is_connect(df.sparkSession):
        return None
    plan = df._jdf.queryExecution().optimizedPlan()
    return int(str(plan.stats().sizeInBytes()))


def has_dynamic_allocation(spark: SparkSession) -> bool:
    """Tell whether Spark adds and removes executors dynamically."""
    return _conf(spark, "spark.dynamicAllocation.enabled") == "true"


@dataclass(frozen=True)
class SessionInfo:
    """Facts about the Spark that a SparkSession runs on.

    Attributes
    ----------
    kind : str
        ``"local"``, ``"local-cluster"``, ``"standalone"``, ``"yarn"``, ``"k8s"``, ``"connect"``
        (a remote server whose master is not known) or ``"other"``.
    is_connect : bool
        Whether the session is a Spark Connect client.
    master : str
        The master URL; empty when the server does not report it.
    slots : int or None
        Number of tasks that can run at the same time now; None when unknown.
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
        """Return the facts about `spark` without a job (under Connect: at most one tiny job)."""
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
        """Whether workers share the driver's local disk."""
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
    # The scheduler's own count, against which barrier stages are checked: it includes the cores and
    # GPUs of all live executors, which no setting shows.
    try:
        context = spark.sparkContext._jsc.sc()
        profile = context.resourceProfileManager().defaultResourceProfile()
        return int(context.maxNumConcurrentTasks(profile))
    except Exception:  # an internal of Spark: its absence must not stop a job
        _logger.debug("the scheduler does not report its slots", exc_info=True)
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
    # By default, spark.range has as many partitions as there are cores.
    from pyspark.sql import functions as F

    partitions = spark.range(1 << 16).select(F.spark_partition_id().alias("p")).distinct().count()
    return max(1, partitions // task_cpus)


def _slots_of_executors(spark: SparkSession, task_cpus: int) -> int | None:
    """Return the slots of the requested executors; None when their number is not set."""
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


def max_slots(spark: SparkSession) -> int | None:
    """Return the number of tasks that can ever run at the same time; None when unknown.

    The cluster manager starts executors when it has room, but no more than were requested.
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


def check_slots(
    spark: SparkSession, needed: int, *, what: str = "ranks", info: SessionInfo | None = None
) -> SessionInfo:
    """Raise unless `needed` tasks can run at the same time.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
        The session to ask.
    needed : int
        Number of tasks that must run at once.
    what : str, default="ranks"
        Name of the tasks, for the message.
    info : SessionInfo, optional
        Facts about `spark` that were found just now.

    Returns
    -------
    SessionInfo
        Facts about the session.

    Raises
    ------
    ResourceError
        ``too_few_slots`` when there are fewer slots than needed.
    """
    info = info or SessionInfo.of(spark)
    if info.slots is not None and needed > info.slots:
        raise ResourceError(
            "too_few_slots",
            f"{needed} {what} must run at the same time, but {info.master or 'this Spark'} has "
            f"{info.slots} task slots (spark.task.cpus={info.task_cpus}).",
            f"Use at most {info.slots} {what}, or give Spark more executor cores."
            if info.slots
            else "Check in the cluster manager why the application has no executors.",
        )
    return info


def keep_spark_quiet() -> None:
    """Have Spark log warnings and errors only, where the user has not said what it shall log.

    For jobs that ``spark-submit`` runs, before their session is started. ``spark.log.level``, a
    ``log4j2.properties`` in Spark's folder of settings and ``log4j2.configurationFile`` stand.
    """
    if "PYSPARK_GATEWAY_PORT" not in os.environ:
        return
    settings = os.environ.get("SPARK_CONF_DIR") or f"{os.environ.get('SPARK_HOME', '')}/conf"
    if os.path.exists(f"{settings}/log4j2.properties"):
        return
    system, level = _gateway().jvm.java.lang.System, "spark.log.level"
    if not (system.getProperty(level) or system.getProperty("log4j2.configurationFile")):
        system.setProperty(level, "WARN")


def _gateway() -> Any:
    """Return the connection to the JVM that started this process."""
    from pyspark import SparkContext
    from pyspark.java_gateway import launch_gateway

    return SparkContext._gateway or launch_gateway()


def print_to_stderr(line: str) -> None:
    """Write a line to the standard error stream that the user sees.

    ``spark-submit`` redirects both output streams of Python to Java's standard output; its caller
    sees Java's own standard error.
    """
    sys.stdout.flush()
    if "PYSPARK_GATEWAY_PORT" in os.environ:
        try:
            _gateway().jvm.java.lang.System.err.println(line)
            return
        except Exception:  # the JVM may have ended
            _logger.debug("Java did not accept a line for stderr", exc_info=True)
    print(line, file=sys.stderr, flush=True)  # noqa: T201
