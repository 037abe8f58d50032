"""Executors that come late are waited for, from the question on; those that never come are not."""

from __future__ import annotations

import time

import pytest

from sparkml_dist.cluster import slots
from sparkml_dist.cluster.slots import await_slots
from sparkml_dist.errors import ResourceError
from sparkml_dist.session import SessionInfo, max_slots


class Cluster:
    """Stands for a session: its settings, and slots that grow with each look."""

    def __init__(self, settings, *counts):
        # Started long ago: its executors stood in the queue of the cluster manager.
        self.settings = {"spark.app.startTime": "1000", **settings}
        self.counts = list(counts)
        self.looks = 0
        self.conf = self

    def get(self, key, default=None):
        return self.settings.get(key, default)


@pytest.fixture
def cluster(monkeypatch):
    def of(spark):
        spark.looks += 1
        count = spark.counts.pop(0) if len(spark.counts) > 1 else spark.counts[0]
        master = spark.settings["spark.master"]
        kind = {"s": "standalone", "y": "yarn", "k": "k8s", "l": "local"}[master[0]]
        return SessionInfo(kind, False, master, count, 1)

    monkeypatch.setattr(SessionInfo, "of", of)
    monkeypatch.setattr(slots, "_POLL_SECONDS", 0.02)
    return Cluster


@pytest.mark.parametrize("master", ["yarn", "k8s://host", "spark://host:7077"])
def test_executors_are_waited_for_from_the_question_on(cluster, caplog, master):
    spark = cluster({"spark.master": master}, 0, 0, 2, 4)
    assert await_slots(spark, 4, seconds=60).slots == 4
    (told,) = (record.getMessage() for record in caplog.records)
    assert told.startswith("waiting up to 60 s for executors: 4 ranks must run at the same time")
    assert "has 0 task slots" in told


def test_waiting_ends_with_the_timeout(cluster):
    begun = time.monotonic()
    with pytest.raises(ResourceError, match="too_few_slots") as caught:
        await_slots(cluster({"spark.master": "yarn"}, 0), 4, seconds=0.3)
    assert 0.2 < time.monotonic() - begun < 5
    assert caught.value.message.endswith(
        "Waited 0.3 s for executors: there were 0 slots at first, and 0 at the end."
    )
    assert caught.value.hint.startswith("Check in the cluster manager why the application has no")
    assert "raise the slot timeout" in caught.value.hint


def test_a_cluster_that_gives_less_than_the_settings_ask_for_is_told(cluster):
    asked = {"spark.executor.instances": "8", "spark.executor.cores": "1"}
    spark = cluster({"spark.master": "yarn", **asked}, 1, 1, 3)
    with pytest.raises(ResourceError, match="too_few_slots") as caught:
        await_slots(spark, 6, seconds=0.3)
    assert caught.value.message.endswith(
        "there were 1 slots at first, and 3 of the 8 that the settings ask for at the end."
    )
    assert caught.value.hint.startswith("Use at most 3 ranks")


@pytest.mark.parametrize(
    "settings",
    [
        {"spark.master": "local[3]"},
        {"spark.master": "yarn", "spark.executor.instances": "3", "spark.executor.cores": "1"},
        {"spark.master": "k8s://h", "spark.executor.instances": "1", "spark.executor.cores": "3"},
        {"spark.master": "spark://host:7077", "spark.cores.max": "3"},
        {"spark.master": "spark://host:7077", "spark.cores.max": "7", "spark.task.cpus": "2"},
    ],
)
def test_what_was_never_asked_for_is_not_waited_for(cluster, caplog, settings):
    spark = cluster(settings, 3)
    assert max_slots(spark) == 3
    with pytest.raises(ResourceError, match="too_few_slots"):
        await_slots(spark, 4, seconds=600)
    assert not caplog.records
    assert await_slots(spark, 3, seconds=0).slots == 3


def test_where_nobody_knows_how_many_may_come_all_are_waited_for(cluster):
    assert max_slots(cluster({"spark.master": "yarn"}, 0)) is None
    assert max_slots(cluster({"spark.master": "spark://host:7077"}, 0)) is None
    assert max_slots(cluster({"spark.master": "local-cluster[2,3,1024]"}, 0)) == 6
