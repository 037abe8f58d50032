"""A standalone cluster whose second worker comes late, and one that allocates dynamically."""

from __future__ import annotations

import threading

import pytest

from tests.standalone import StandaloneCluster

ON = "tests.cluster.test_late_workers"


def late(spark, seconds):
    """Run a gang of two ranks; return its ranks or its error, and what was logged."""
    import logging

    from sparkml_dist.cluster.gang import run_gang
    from sparkml_dist.errors import SparkMLDistError

    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logging.getLogger("sparkml_dist.cluster.slots").addHandler(handler)
    try:
        found = run_gang(spark, 2, _rank, slot_timeout=seconds)
        return {"ranks": [r.value for r in found], "log": lines}
    except SparkMLDistError as error:
        return {"code": error.code, "message": error.message, "hint": error.hint, "log": lines}


def _rank(context, payload):
    return context.rank


@pytest.mark.long
def test_a_gang_waits_for_a_worker_that_comes_late(tmp_path):
    with StandaloneCluster(tmp_path, workers=1, cores=1) as cluster:
        missing = cluster.run(f"{ON}:late", {"seconds": 8})
        assert missing["code"] == "too_few_slots"
        assert "2 ranks must run at the same time" in missing["message"]
        assert missing["message"].endswith("and 1 at the end.")
        assert "raise the slot timeout" in missing["hint"]
        timer = threading.Timer(15, cluster.add_worker)
        timer.start()
        try:
            found = cluster.run(f"{ON}:late", {"seconds": 120})
        finally:
            timer.join()
        assert found["ranks"] == [0, 1]
        (told,) = found["log"]
        assert told.startswith("waiting up to 120 s for executors: 2 ranks must run")


@pytest.mark.long
def test_a_gang_refuses_dynamic_allocation_at_once(tmp_path):
    settings = {
        "spark.dynamicAllocation.enabled": "true",
        "spark.dynamicAllocation.shuffleTracking.enabled": "true",
    }
    with StandaloneCluster(tmp_path, workers=1, cores=2) as cluster:
        found = cluster.run(f"{ON}:late", {"seconds": 120}, conf=settings)
    assert found["code"] == "dynamic_allocation"
    assert found["log"] == []  # nothing was waited for
    assert "spark.dynamicAllocation.enabled=false" in found["hint"]
