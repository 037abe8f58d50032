"""Which failures are tried again, how often, and what is said of it; no gang is started."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import numpy as np
import pytest

import sparkml_dist.cluster.recovery as recovery
from sparkml_dist.cluster.gang_errors import failure
from sparkml_dist.cluster.recovery import is_retryable, run_with_restarts
from sparkml_dist.deep.checkpoint.continuation import resumed_job
from sparkml_dist.deep.input.training_job import TrainingJob
from sparkml_dist.errors import ConfigurationError, ResourceError, TrainingError
from sparkml_dist.persistence.checkpoints import CheckpointId, CheckpointStore
from sparkml_dist.persistence.filesystem import Folder

KILLED = {"rank": 1, "host": "a", "kind": "died", "exit_code": -9, "tail": ["its last line"]}


def raised(kind, message):
    return {"rank": 1, "host": "a", "kind": "raised", "error": {"type": kind, "message": message}}


def refused(kind, code):
    error = {"type": kind, "code": code, "message": "m.", "hint": ""}
    return {**raised("", ""), "error": {"raised": error}}


@pytest.mark.parametrize(
    ("record", "again"),
    [
        (KILLED, True),
        ({**KILLED, "exit_code": 7}, True),
        ({"rank": 1, "kind": "lost"}, True),
        ({"rank": 1, "kind": "silent", "seconds": 3.0}, True),
        ({"rank": 1, "kind": "not_started", "seconds": 3.0}, True),
        ({"rank": 1, "kind": "stalled", "seconds": 3.0, "count": 4}, True),
        (raised("HorovodInternalError", "[gloo] Connection closed by peer"), True),
        (raised("ConnectionError", "No more shared memory with another rank."), True),
        (raised("ValueError", "a bad value"), False),
        ({**raised("ValueError", "bad"), "tail": ["HorovodInternalError"]}, False),
        ({"rank": 1, "kind": "silent", "seconds": 3.0, "task": True}, True),
        ({"rank": 1, "kind": "forged"}, False),
        (refused("TrainingError", "diverged"), False),
        (refused("TrainingError", "weights_differ"), False),
        (refused("ConfigurationError", "output_units"), False),
        (refused("ResourceError", "too_few_slots"), False),
    ],
)
def test_what_is_tried_again(record, again):
    assert is_retryable(failure(record)) is again


@pytest.fixture
def store(tmp_path):
    return CheckpointStore(Folder.at(tmp_path / "checkpoints"))


@pytest.fixture
def no_wait(monkeypatch):
    monkeypatch.setattr(recovery, "await_slots", lambda spark, ranks, seconds: None)


class Launches:
    """Fails as told, launch by launch, and writes a checkpoint before."""

    def __init__(self, store, *records):
        self.store = store
        self.records = list(records)
        self.numbers = []

    def __call__(self, number):
        self.numbers.append(number)
        if not self.records:
            return "done"
        step = len(self.numbers) * 10
        self.store.write(CheckpointId(number, step), {"a.npz": {"a": np.zeros(1)}}, {})
        raise failure(self.records.pop(0))


def test_a_lost_rank_is_launched_anew(store, no_wait, caplog):
    launches = Launches(store, KILLED, {"rank": 0, "host": "b", "kind": "lost"})
    told = []
    with caplog.at_level(logging.WARNING, "sparkml_dist"):
        done, restarts = run_with_restarts(None, 2, launches, store, 2, told.append)
    assert done == "done"
    assert launches.numbers == [1, 2, 3]
    assert [(r.code, r.rank, r.host) for r in restarts] == [
        ("rank_died", 1, "a"),
        ("rank_lost", 0, "b"),
    ]
    assert [r["number"] for r in told] == [1, 2]
    first, second = (r.getMessage() for r in caplog.records)
    assert first.startswith("Rank 1 on a was killed by SIGKILL.")
    assert "its last line" not in first
    assert "again (restart 1 of at most 2), from the checkpoint of step 10." in first
    assert "again (restart 2 of at most 2), from the checkpoint of step 20." in second
    # A later run of the same training counts on.
    run_with_restarts(None, 2, again := Launches(store), store, 2)
    assert again.numbers == [3]


def test_not_more_often_than_asked(store, no_wait):
    launches = Launches(store, KILLED, KILLED, KILLED)
    with pytest.raises(TrainingError, match="rank_died") as caught:
        run_with_restarts(None, 2, launches, store, 1)
    assert launches.numbers == [1, 2]
    head = caught.value.message.partition("\n")[0]
    assert head.endswith("SIGKILL. The gang was launched again once (maxRestarts).")
    assert "its last line" in caught.value.message
    assert caught.value.hint.endswith("resume to continue from the checkpoint of step 20.")
    assert caught.value.rank == 1
    assert caught.value.log_tail == ["its last line"]


def test_what_would_come_again_is_raised_at_once(store, no_wait):
    launches = Launches(store, refused("TrainingError", "diverged"))
    with pytest.raises(TrainingError, match="diverged") as caught:
        run_with_restarts(None, 2, launches, store, 2)
    assert launches.numbers == [1]
    assert "The last good checkpoint, of step 10, is kept in " in caught.value.hint


def test_slots_that_do_not_come_back(store, monkeypatch):
    def too_few(spark, ranks, seconds):
        assert seconds == 7
        raise ResourceError("too_few_slots", "There is 1 slot.")

    monkeypatch.setattr(recovery, "await_slots", too_few)
    launches = Launches(store, KILLED)
    with pytest.raises(ResourceError, match="too_few_slots") as caught:
        run_with_restarts(None, 2, launches, store, 2, slot_timeout=7)
    assert "was not replaced" in caught.value.message
    assert "resume=True" in caught.value.hint


@pytest.fixture
def job(tmp_path):
    return TrainingJob(
        rows=SimpleNamespace(),
        builder=b"",
        folder=Folder.at(tmp_path),
        target=SimpleNamespace(),
        inputs=SimpleNamespace(),
        epochs=2,
        batch_size=50,
        lanes=3,
        seed=1,
    )


def test_a_training_goes_on_with_the_batches_it_began_with(job, store):
    assert resumed_job(job, 3, store) is job
    store.write(CheckpointId(1, 5), {}, {"plan": {"lanes": 4, "batch_size": 64, "rate_batches": 2}})
    for ranks in (1, 3, 4):
        again = resumed_job(job, ranks, store)
        assert (again.lanes, again.batch_size, again.coupling.rate_batches) == (4, 64, 2)
    with pytest.raises(ConfigurationError, match="ranks_do_not_fit") as caught:
        resumed_job(job, 5, store)
    assert "4 lanes and can resume with at most 4 ranks. Got 5." in caught.value.message


def test_a_manifest_that_cannot_be_read_is_passed_over(job, store, caplog):
    store.write(CheckpointId(1, 5), {}, {"plan": {"lanes": 4, "batch_size": 64, "rate_batches": 2}})
    store.write(CheckpointId(1, 9), {}, {"plan": {"lanes": 2, "batch_size": 6, "rate_batches": 2}})
    store.folder.child(str(CheckpointId(1, 9))).write_bytes("manifest.json", b"{")
    assert resumed_job(job, 2, store).lanes == 4
    assert "launch-001-step-000000009 is skipped" in caplog.text
