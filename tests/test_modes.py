"""The test bed itself: each mode is what its name says."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pyarrow as pa
import pytest

pytestmark = pytest.mark.modes


def _workers(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    rows = sum(batch.num_rows for batch in batches)
    yield pa.RecordBatch.from_pydict(
        {"rows": [rows], "python": [sys.executable], "parent": [os.getppid()]}
    )


@pytest.fixture
def workers(spark):
    frame = spark.range(1000).repartition(2)
    return frame.mapInArrow(_workers, "rows long, python string, parent long").collect()


def test_workers_run_this_interpreter(workers):
    assert {row.python for row in workers} == {sys.executable}
    assert sum(row.rows for row in workers) == 1000


def test_master(spark, mode):
    master = spark.conf.get("spark.master", "")
    assert master == ("local-cluster[2,1,1024]" if mode == "local-cluster" else "local[2]")


def test_connect_is_a_client(spark, mode):
    assert type(spark).__module__.startswith("pyspark.sql.connect") == (mode == "connect")


def test_arrow_batches(spark):
    assert spark.conf.get("spark.sql.execution.arrow.maxRecordsPerBatch") == "65536"
