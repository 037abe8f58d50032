"""Jobs of a gang that are not going to run are cancelled, and only those."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import replace

import pytest

from sparkml_dist.cluster import gang_watch
from sparkml_dist.cluster.gang_watch import GangWatch
from sparkml_dist.session import SessionInfo

CLUSTER = SessionInfo("standalone", False, "spark://host:7077", 4, 1)


@pytest.fixture
def bed(monkeypatch):
    """A cluster whose slots the test sets, and the tags of cancelled jobs."""
    now, cancelled = {"slots": 4}, []
    for name, seconds in (("_POLL_SECONDS", 0.01), ("_SLOTS_SECONDS", 0.02)):
        monkeypatch.setattr(gang_watch, name, seconds)
    monkeypatch.setattr(gang_watch, "job_tag", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(gang_watch, "cancel_jobs", lambda _, tag: cancelled.append(tag))
    monkeypatch.setattr(
        gang_watch.SessionInfo, "of", lambda _: replace(CLUSTER, slots=now["slots"])
    )
    return now, cancelled


def until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_lost_slots_that_do_not_come_back(bed, caplog):
    now, cancelled = bed
    with GangWatch(None, CLUSTER, 4, None, 1.0) as watch:
        now["slots"] = 2
        until(lambda: caplog.records)
        assert not cancelled
        until(lambda: cancelled)
    (told,) = (record.getMessage() for record in caplog.records)
    assert told.startswith("executors were lost: 2 of the 4 task slots of a gang are left; waiting")
    assert watch.problem.code == "too_few_slots"
    assert "4 ranks" in watch.problem.message
    assert "2 task slots are left" in watch.problem.message


def test_lost_slots_that_do_come_back(bed):
    now, cancelled = bed
    with GangWatch(None, CLUSTER, 4, None, 1.0) as watch:
        for _ in range(5):
            now["slots"] = 2
            time.sleep(0.3)
            now["slots"] = 4
            time.sleep(0.1)
    assert watch.problem is None
    assert not cancelled


def test_a_gang_that_does_not_begin(bed, monkeypatch):
    _, cancelled = bed
    monkeypatch.setattr(gang_watch, "_START_SECONDS", 0.2)
    with GangWatch(None, CLUSTER, 4, threading.Event(), 0.1) as watch:
        until(lambda: cancelled)
    assert watch.problem.code == "slots_busy"


def test_a_gang_that_waits_for_nobody_has_the_time_that_starting_takes(bed):
    _, cancelled = bed
    begun = threading.Event()
    with GangWatch(None, CLUSTER, 4, begun, 0.0) as watch:
        time.sleep(0.3)
        begun.set()
        time.sleep(0.1)
    assert watch.problem is None
    assert not cancelled


def test_a_gang_that_has_begun_may_take_its_time(bed):
    _, cancelled = bed
    begun = threading.Event()
    begun.set()
    with GangWatch(None, CLUSTER, 4, begun, 0.05) as watch:
        time.sleep(0.3)
    assert watch.problem is None
    assert not cancelled
