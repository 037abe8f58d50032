"""What a job will need soon is prepared while it waits for something else.

A small job spends most of its time with first times: Spark's Java side starts, a Python worker
imports its packages, expressions are compiled. These functions overlap them, or leave them out.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from sparkml_dist.session import is_connect, planned_bytes

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import SparkSession

__all__ = ["PICTURES", "import_ahead", "interpret_small", "plan_wide", "start_worker"]

_logger = logging.getLogger(__name__)

#: What pictures are drawn with.
PICTURES = ("matplotlib.backends.backend_agg", "matplotlib.figure")
#: Bytes of a table up to which compiling expressions takes longer than it saves.
_SMALL = 4 << 20
_INTERPRETED = {
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}
# Setting of the rows in a batch of a cached table, and values in a batch that take a few megabytes.
_CACHED_ROWS = "spark.sql.inMemoryColumnarStorage.batchSize"
_CACHED_VALUES = 1 << 20


def import_ahead(modules: Sequence[str]) -> None:
    """Import modules in the background; whoever needs one earlier waits for it as ever."""
    _in_background("imports", partial(_import_all, modules))


def start_worker(spark: SparkSession, modules: Sequence[str]) -> None:
    """Let a Python worker start and import modules in the background, by a Spark job of one task.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
    modules : sequence of str
        What later tasks import. Errors are left to these.
    """

    def start() -> None:
        rows = spark.range(0, 1, 1, 1).mapInArrow(partial(_on_worker, tuple(modules)), "id long")
        rows.collect()

    _in_background("worker", start)


def interpret_small(spark: SparkSession, uri: str) -> None:
    """Let Spark interpret expressions where the table is so small that compiling takes longer.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
        A job's own session.
    uri : str
        The table.
    """
    if is_connect(spark):
        return
    try:
        size = planned_bytes(spark.read.text(uri))
    except Exception:  # whoever reads the table says what is wrong with it
        _logger.debug("the size of %s is not known", uri, exc_info=True)
        return
    if size is not None and size <= _SMALL:
        for key, value in _INTERPRETED.items():
            spark.conf.set(key, value)


def plan_wide(spark: SparkSession, columns: int) -> None:
    """Let Spark interpret expressions of thousands of columns, and cache them in small batches.

    Compiling an expression of thousands of columns takes time and the driver's memory, both with
    the square of their number. A cached column takes room for a whole batch from the start.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
        A job's own session.
    columns : int
        Number of features.
    """
    settings = {_CACHED_ROWS: str(max(64, _CACHED_VALUES // columns))}
    if not is_connect(spark):  # a static setting of the server
        settings |= _INTERPRETED
    for key, value in settings.items():
        spark.conf.set(key, value)


def _on_worker(modules: Sequence[str], batches: Iterator[pa.RecordBatch]) -> Any:
    _import_all(modules)
    yield from batches


def _import_all(modules: Sequence[str]) -> None:
    for name in modules:
        import_module(name)


def _in_background(name: str, work: Callable[[], None]) -> None:
    def run() -> None:
        try:
            work()
        except Exception:  # it was only ahead of time
            _logger.debug("nothing was prepared (%s)", name, exc_info=True)

    threading.Thread(target=run, name=f"sparkml_dist-ahead-{name}", daemon=True).start()
