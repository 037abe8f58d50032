"""Checks that the Python of Spark's workers fits the driver's: interpreter, packages, memory."""

from __future__ import annotations

import importlib.util
import json
import platform
import re
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from sparkml_dist.errors import ResourceError
from sparkml_dist.session import SessionInfo

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

__all__ = ["check_modules", "check_workers", "worker_failure"]

_REQUIRED_MODULES = ("sparkml_dist", "numpy", "pyarrow", "sklearn", "skops", "threadpoolctl")
_INTERPRETER = "Set PYSPARK_PYTHON or spark.pyspark.python to the same environment's interpreter."
_PACKAGES = (
    "Install the toolkit there, ship it with --archives (sparkml-dist pack), or point "
    "spark.pyspark.python at an environment that has it."
)
# Packages of an extra of the library's, in whose hint it is named.
_EXTRAS = dict.fromkeys(("xgboost", "lightgbm", "catboost"), "boost")
_EXTRAS |= dict.fromkeys(("tensorflow", "keras"), "deep")
_reports: dict[int, tuple[Any, frozenset[str], dict[str, Any]]] = {}


def check_workers(
    spark: SparkSession, modules: Sequence[str] = (), *, memory: int | None = None
) -> None:
    """Raise unless Spark's Python workers fit the driver: interpreter, packages, memory.

    Runs one task, once per session and set of modules; later calls cost nothing.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
        The session whose workers are checked.
    modules : sequence of str
        Modules that a worker must be able to import, beside the library's own.
    memory : int, optional
        Bytes that each concurrent task will need.

    Raises
    ------
    ResourceError
        ``worker_python``, ``worker_packages`` or ``worker_memory``, with the worker's host.
    """
    wanted = frozenset({*_REQUIRED_MODULES, *modules})
    session, known, report = _reports.get(id(spark), (None, frozenset(), {}))
    if session is not spark or not wanted <= known:
        wanted |= known if session is spark else frozenset()
        report = _probe(spark, sorted(wanted))
    _refuse_unfit(report)
    _reports[id(spark)] = (spark, wanted, report)
    if memory is None:
        return
    info = SessionInfo.of(spark)
    together = memory * (info.slots or 1) if info.shares_local_disk else memory
    if together > report["memory"]:
        raise ResourceError(
            "worker_memory",
            f"Tasks that run together need {together / 2**20:,.0f} MiB of Python memory, but "
            f"{_where(report)} has {report['memory'] / 2**20:,.0f} MiB.",
            "Lower memory_per_task (more, smaller shards) or run fewer tasks at once.",
        )


def check_modules(modules: Sequence[str]) -> None:
    """Raise unless this process's interpreter has `modules`; for the tasks of a gang.

    Raises
    ------
    ResourceError
        ``worker_packages``, naming the host and the interpreter.
    """
    _refuse_unfit(
        {
            "host": platform.node(),
            "executable": sys.executable,
            "python": f"{sys.version_info.major}.{sys.version_info.minor}",
            "missing": [m for m in modules if importlib.util.find_spec(m) is None],
        }
    )


def worker_failure(text: str) -> ResourceError | None:
    """Return the error for a job that failed because of its workers' Python, or None.

    Parameters
    ----------
    text : str
        Message of Spark's exception.
    """
    found = re.search(r"PYTHON_VERSION_MISMATCH\]?[^\n]*|ModuleNotFoundError[^\n]*", text)
    if found is None:
        return None
    if "PYTHON_VERSION_MISMATCH" in found.group(0):
        return ResourceError(
            "worker_python",
            f"Workers run another Python than the driver: {found.group(0)}",
            _INTERPRETER,
        )
    return ResourceError(
        "worker_packages",
        f"A worker's Python lacks a package: {found.group(0)}.",
        "Install the toolkit's environment on every worker, or ship it with --archives "
        "(sparkml-dist pack).",
    )


def _where(report: dict[str, Any]) -> str:
    return f"a worker on {report['host']} ({report['executable']}, Python {report['python']})"


def _packages(missing: Sequence[str]) -> str:
    """Return the hint for missing packages, with the extras or the command that bring them."""
    extras = sorted({_EXTRAS[name] for name in missing if name in _EXTRAS})
    steps = [f"pip install 'sparkml_dist[{','.join(extras)}]'"] if extras else []
    if "horovod" in missing:
        steps.append("sparkml-dist build-horovod")
    if not steps:
        return _PACKAGES
    return f"Run for that interpreter: {' && '.join(steps)}. {_PACKAGES}"


def _refuse_unfit(report: dict[str, Any]) -> None:
    driver = f"{sys.version_info.major}.{sys.version_info.minor}"
    if report["python"] != driver:
        raise ResourceError(
            "worker_python",
            f"The driver has Python {driver} ({sys.executable}), but {_where(report)} has another.",
            _INTERPRETER,
        )
    if report["missing"]:
        raise ResourceError(
            "worker_packages",
            f"{_where(report)[0].upper()}{_where(report)[1:]} cannot import: "
            f"{', '.join(report['missing'])}.",
            _packages(report["missing"]),
        )


def _probe(spark: SparkSession, modules: list[str]) -> dict[str, Any]:
    # Nested, with its own imports, so that it is pickled by value: a worker that lacks this
    # library must still be able to run it and report so.
    def look(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        import importlib.util
        import json
        import os
        import platform
        import sys

        import pyarrow

        for _ in batches:
            pass
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
            try:
                with open(limit) as file:
                    memory = min(memory, int(file.read()))
            except (OSError, ValueError):
                continue
        report = {
            "host": platform.node(),
            "executable": sys.executable,
            "python": f"{sys.version_info.major}.{sys.version_info.minor}",
            "missing": [m for m in modules if importlib.util.find_spec(m) is None],
            "memory": memory,
        }
        yield pyarrow.RecordBatch.from_pydict({"report": [json.dumps(report)]})

    try:
        rows = spark.range(0, 1, 1, 1).mapInArrow(look, "report string").collect()
    except Exception as error:
        text = str(error)
        if (known := worker_failure(text)) is not None:
            raise known from error
        raise ResourceError(
            "worker_not_started",
            f"A task that only inspects its Python worker failed: {text.splitlines()[0][:300]}",
            "See the executor's log; check PYSPARK_PYTHON and spark.pyspark.python.",
        ) from error
    result: dict[str, Any] = json.loads(rows[0]["report"])
    return result
