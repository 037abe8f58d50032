"""Collections of garbage in Spark's workers: short, and still collections."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Iterator

import pyarrow as pa
import pytest

from sparkml_dist.cluster.worker_gc import in_spark_worker

PROGRAM = """
import gc, sys, weakref
import sparkml_dist
from sparkml_dist.cluster import worker_gc

assert not gc.callbacks, "not outside of Spark's workers"
worker_gc.keep_collections_short()
worker_gc.keep_collections_short()
assert len(gc.callbacks) == 1

class Thing:
    pass

def cycle():
    thing = Thing()
    thing.own = thing
    return weakref.ref(thing)

before = cycle()
gc.collect(0), gc.collect(1)
assert gc.get_freeze_count() == 0, "by full collections only"
gc.collect()
frozen = gc.get_freeze_count()
assert before() is None and frozen > 1_000
after = cycle()
gc.collect()
assert after() is None, "what comes later is collected"
assert gc.get_freeze_count() == frozen, "nothing was imported"
import sklearn.ensemble
gc.collect()
assert gc.get_freeze_count() > frozen
"""


def test_what_stays_is_looked_at_once():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert not in_spark_worker()


@pytest.mark.modes
def test_workers_do_so(spark):
    def look(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        assert in_spark_worker()
        for batch in batches:
            frozen = pa.array([gc.get_freeze_count()] * batch.num_rows, pa.int64())
            yield pa.RecordBatch.from_arrays([frozen], ["frozen"])

    def frozen() -> list[int]:
        table = spark.range(0, 2, 1, 2).mapInArrow(look, "frozen long").toArrow()
        return table.column("frozen").to_pylist()

    # A worker freezes what it holds after its first task.
    assert any(max(frozen()) > 10_000 for _ in range(5))
