"""Independent tasks: outcomes in order, failures beside results, threads capped."""

from __future__ import annotations

import os

import numpy as np
import pytest

from sparkml_dist.cluster.memory import PeakMemory
from sparkml_dist.cluster.tasks import run_tasks
from sparkml_dist.errors import DataError, TrainingError


def work(index):
    if index == 3:
        raise DataError("bad_shard", "shard 3 is odd", "leave it out")
    if index == 4:
        return {"x": 1 / (index - 4)}
    from threadpoolctl import threadpool_info

    np.ones((64, 64)) @ np.ones((64, 64))
    return {"twice": index * 2, "threads": max(t["num_threads"] for t in threadpool_info())}


@pytest.mark.modes
def test_outcomes(spark):
    outcomes = run_tasks(spark, [5, 3, 0, 4], work, description="try")
    assert [o.index for o in outcomes] == [5, 3, 0, 4]
    assert outcomes[0].result == {"twice": 10, "threads": 1}
    assert isinstance(outcomes[1].error, DataError)
    assert (outcomes[1].error.code, outcomes[1].error.hint) == ("bad_shard", "leave it out")
    assert isinstance(outcomes[3].error, TrainingError)
    assert "ZeroDivisionError" in outcomes[3].error.message
    assert "1 / (index - 4)" in outcomes[3].error.trace
    assert all(o.peak_rss >= o.base_rss > 0 for o in outcomes)
    assert run_tasks(spark, [], work, description="nothing") == []


def test_an_input_output_error_ends_as_a_failure_when_no_try_is_left(spark):
    def broken(index):
        raise OSError("disk on fire")

    outcome = run_tasks(spark, [0], broken, description="io")[0]
    assert "disk on fire" in outcome.error.message


@pytest.mark.modes
def test_a_passing_failure_is_tried_again(spark, mode, tmp_path):
    if mode != "local-cluster":
        pytest.skip("a local master tries a task once")

    def flaky(index):
        marker = tmp_path / "tried"
        if not marker.exists():
            marker.touch()
            raise OSError("once")
        return {"pid": os.getpid()}

    outcome = run_tasks(spark, [0], flaky, description="flaky")[0]
    assert outcome.error is None
    assert outcome.result["pid"] > 0


def test_peak_memory_is_of_the_block_alone():
    np.ones(30 << 20, np.uint8).sum()
    with PeakMemory() as small:
        np.ones(1 << 20, np.uint8).sum()
    with PeakMemory() as large:
        np.ones(80 << 20, np.uint8).sum()
    assert large.peak - large.base > 60 << 20
    assert small.peak - small.base < 30 << 20
