"""Logs that grow, also where nothing can be appended to, and the events that are read from them."""

from __future__ import annotations

import json
import time

import pytest
from pyarrow import fs as pafs

from sparkml_dist.cluster import gang_events, gang_logs
from sparkml_dist.cluster.gang_events import EventTail
from sparkml_dist.cluster.gang_logs import EVENTS_FILE, GrowingFile
from sparkml_dist.persistence.filesystem import Folder


@pytest.fixture(params=["local", "remote"])
def folder(request, tmp_path, monkeypatch):
    """A folder on the local disk, or one that only pyarrow opens, as an object store's."""
    monkeypatch.setattr(gang_logs, "_UPLOAD_SECONDS", 0.05)
    monkeypatch.setattr(gang_events, "_REMOTE_POLL_SECONDS", 0.05)
    monkeypatch.setattr(gang_events, "_LOCAL_POLL_SECONDS", 0.05)
    if request.param == "local":
        return Folder.at(tmp_path / "logs")
    (tmp_path / "logs").mkdir()  # of which a store knows nothing
    found = Folder("store://bucket/logs")
    store = pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem())
    found.__dict__["_root"] = (store, "logs")
    return found


def put(file, value):
    file.stream.write(json.dumps(value).encode() + b"\n")
    file.stream.flush()


def until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_log_grows_while_it_is_written(folder):
    file = GrowingFile(folder, "rank-0.log")
    file.stream.write(b"one\n")
    file.stream.flush()
    until(lambda: folder.exists("rank-0.log") and folder.read_bytes("rank-0.log") == b"one\n")
    file.stream.write(b"two\n")
    file.stream.flush()
    until(lambda: folder.read_bytes("rank-0.log") == b"one\ntwo\n")
    file.stream.write(b"three\n")
    file.close()
    file.close()
    assert folder.read_bytes("rank-0.log") == b"one\ntwo\nthree\n"
    assert folder.names() == ["rank-0.log"]


def test_events_arrive_while_the_gang_runs(folder):
    seen = []
    file = GrowingFile(folder, EVENTS_FILE)
    with EventTail(folder, "ours", seen.append) as tail:
        assert not tail.begun.is_set()
        put(file, {"gang": "ours"})
        until(tail.begun.is_set)
        events = [{"event": "epoch", "epoch": i} for i in range(5)]
        for i, event in enumerate(events[:4]):
            put(file, event)
            until(lambda n=i + 1: len(seen) == n)
        file.stream.write(b'{"event": "cut o')
        file.stream.flush()
        tail.finish(events)
    file.close()
    assert seen == events


def test_events_of_an_earlier_gang_are_not_ours(folder):
    seen = []
    old = GrowingFile(folder, EVENTS_FILE)
    put(old, {"gang": "theirs"})
    put(old, {"event": "epoch", "epoch": 9})
    old.close()
    with EventTail(folder, "ours", seen.append) as tail:
        time.sleep(0.3)
        assert not tail.begun.is_set()
        file = GrowingFile(folder, EVENTS_FILE)
        put(file, {"gang": "ours"})
        put(file, {"event": "epoch", "epoch": 0})
        until(lambda: seen)
    file.close()
    assert [event["epoch"] for event in seen] == [0]


def test_a_callback_that_fails_ends_nothing():
    seen = []

    def fails(event):
        seen.append(event)
        raise ValueError("a bad plot")

    with EventTail(None, "ours", fails) as tail:
        tail.finish([{"event": "a"}, {"event": "b"}])
    assert len(seen) == 2


@pytest.mark.parametrize("line", [b"3", b"[]", b'"gang"', b"null", b"[" * 100_000])
def test_what_is_no_event_ends_nothing(folder, line):
    """Somebody else writes to the folder."""
    seen = []
    with EventTail(folder, "ours", seen.append) as tail:
        with folder.committing(EVENTS_FILE) as sink:
            sink.write(line + b"\n")
        time.sleep(0.3)
        assert tail._thread.is_alive()
        assert not tail.begun.is_set()
        with folder.committing(EVENTS_FILE) as sink:
            sink.write(b'{"gang": "ours"}\n3\n{"event": "epoch"}\n')
        until(lambda: seen)
        assert tail.begun.is_set()
    assert seen == [{"event": "epoch"}]
