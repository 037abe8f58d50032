"""Several gangs at a time, and gangs for which there is no room."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sparkml_dist.cluster import gang_watch
from sparkml_dist.cluster.gang import run_gang
from sparkml_dist.cluster.slots import await_slots
from sparkml_dist.errors import ResourceError
from sparkml_dist.persistence.filesystem import Folder

SECONDS = 60


def _meets(context, place):
    """End only when the rank of the other gang is there too."""
    folder, own, other = place
    Path(folder, own).touch()
    deadline = time.monotonic() + SECONDS
    while not Path(folder, other).exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return own


def _until(context, path):
    deadline = time.monotonic() + SECONDS
    while not Path(path).exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return context.rank


def test_two_gangs_side_by_side_from_threads(spark, tmp_path):
    with ThreadPoolExecutor(2) as pool:
        places = [(str(tmp_path), "a", "b"), (str(tmp_path), "b", "a")]
        running = [pool.submit(run_gang, spark, 1, _meets, place) for place in places]
        assert [r.result()[0].value for r in running] == ["a", "b"]


@pytest.mark.modes("local-cluster")
def test_a_gang_that_does_not_fit_beside_another(spark, tmp_path, caplog):
    caplog.set_level(logging.WARNING, logger="sparkml_dist")
    go = tmp_path / "go"
    with ThreadPoolExecutor(2) as pool:
        try:
            first = pool.submit(run_gang, spark, 1, _until, str(go), description="first gang")
            _until_running(tmp_path, spark)
            begun = time.monotonic()
            with pytest.raises(ResourceError) as caught:
                run_gang(spark, 2, _until, str(go), description="second", slot_timeout=0.5)
            assert time.monotonic() - begun < 5
            assert caught.value.code == "slots_busy"
            assert "'second' needs 2 task slots" in caught.value.message
            assert "1 of 2 are held by other gangs: 'first gang' (1)" in caught.value.message
            waits = pool.submit(run_gang, spark, 2, _until, str(go), description="patient")
            deadline = time.monotonic() + SECONDS
            while "patient waits up to 600 s for 2 of 2" not in caplog.text:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        finally:
            go.touch()
        assert [r.value for r in first.result()] == [0]
        assert [r.value for r in waits.result()] == [0, 1]


def _until_running(folder, spark):
    from sparkml_dist.cluster.slots import _ledgers

    deadline = time.monotonic() + SECONDS
    while not any(ledger.held for ledger in _ledgers.values()):
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.long
def test_a_gang_for_which_other_jobs_leave_no_slot(spark, tmp_path, monkeypatch):
    monkeypatch.setattr(gang_watch, "_START_SECONDS", 1.0)  # no rank will start: the time is spent
    go, busy = tmp_path / "go", tmp_path / "busy"

    def hold(batches):
        busy.touch()
        while not go.exists():
            time.sleep(0.05)
        yield from batches

    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(spark.range(0, 1, 1, 1).mapInArrow(hold, "id long").count)
        try:
            deadline = time.monotonic() + SECONDS
            while not busy.exists():
                assert time.monotonic() < deadline
                time.sleep(0.05)
            with pytest.raises(ResourceError) as caught:
                run_gang(
                    spark, 2, _until, str(go), log_folder=Folder.at(tmp_path), slot_timeout=1.5
                )
            assert caught.value.code == "slots_busy"
            assert "other jobs hold its task slots" in caught.value.message
        finally:
            go.touch()
        assert job.result() == 1
    # The cancelled gang has left nothing behind.
    assert [r.value for r in run_gang(spark, 2, _until, str(go))] == [0, 1]


def test_waiting_for_slots_has_an_end(spark):
    assert await_slots(spark, 2, seconds=0).slots == 2
    with pytest.raises(ResourceError, match="too_few_slots"):
        await_slots(spark, 3, seconds=1.5)
