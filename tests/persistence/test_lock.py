"""One writer at a folder: who wins, who is told, what a crash leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from threading import Barrier, Thread

import pytest

from sparkml_dist.errors import StorageError
from sparkml_dist.persistence import lock as module
from sparkml_dist.persistence.filesystem import LOCK_PREFIX, Folder
from sparkml_dist.persistence.lock import FolderLock
from tests.long import cases


def entries(path):
    return sorted(p.name for p in path.iterdir() if p.name.startswith(LOCK_PREFIX))


def make_foreign(path):
    """Turn the entries in a folder into those of a process on another machine."""
    for name in entries(path):
        owner = json.loads((path / name).read_text())
        (path / name).write_text(json.dumps({**owner, "machine": "elsewhere", "host": "far"}))


def test_the_second_learns_at_once_who_has_it(tmp_path):
    folder = Folder.at(tmp_path / "out")
    with FolderLock(folder, application="nightly") as lock:
        assert lock.held
        began = time.monotonic()
        with pytest.raises(StorageError, match=f"nightly .*pid {os.getpid()}") as caught:
            FolderLock(Folder.at((tmp_path / "out").as_uri())).acquire()
        assert (caught.value.code, caught.value.exit_status) == ("output_busy", 14)
        assert time.monotonic() - began < 1
        assert len(entries(tmp_path / "out")) == 1
        assert folder.is_empty()
        lock.check()
    assert not (tmp_path / "out").exists()
    with FolderLock(folder):
        folder.write_bytes("a", b"")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["a"]


@pytest.mark.parametrize("uri", cases([False, True], [True]))
def test_of_many_at_once_exactly_one_wins(tmp_path, uri):
    home = tmp_path / "not" / "yet"
    place = home.as_uri() if uri else str(home)
    for _ in range(4):
        go, won, told = Barrier(8), [], []

        def contend(go=go, won=won, told=told):
            lock = FolderLock(Folder.at(place))
            go.wait()
            try:
                lock.acquire()
                won.append(lock)
            except StorageError as error:
                told.append(error.code)

        threads = [Thread(target=contend) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(won), set(told)) == (1, {"output_busy"})
        assert len(entries(home)) == 1
        won[0].release()


CRASH = """
import os, sys
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.lock import FolderLock
FolderLock(Folder.at(sys.argv[1])).acquire()
os.kill(os.getpid(), 9)
"""


def crash(path):
    done = subprocess.run([sys.executable, "-c", CRASH, str(path)], check=False, env={**os.environ})
    assert done.returncode == -9
    assert len(entries(path)) == 1


def test_the_lock_of_a_killed_process_is_nobodys(tmp_path):
    crash(tmp_path)
    with FolderLock(Folder.at(tmp_path)):
        assert len(entries(tmp_path)) == 1
    assert entries(tmp_path) == []


def test_a_number_of_a_process_that_was_given_again(tmp_path):
    crash(tmp_path)
    (name,) = entries(tmp_path)
    owner = json.loads((tmp_path / name).read_text())
    (tmp_path / name).write_text(json.dumps({**owner, "pid": os.getpid()}))
    with FolderLock(Folder.at(tmp_path)):
        pass


def test_one_of_another_machine_ends_after_missed_beats(tmp_path):
    crash(tmp_path)
    make_foreign(tmp_path)
    late = FolderLock(Folder.at(tmp_path), heartbeat_seconds=0.2)
    with pytest.raises(StorageError, match="host far"):
        late.acquire()
    time.sleep(1.3)
    with late:
        assert late.held


def test_a_beat_keeps_it(tmp_path):
    with FolderLock(Folder.at(tmp_path), heartbeat_seconds=0.2):
        make_foreign(tmp_path)
        time.sleep(1.5)
        with pytest.raises(StorageError, match="output_busy"):
            FolderLock(Folder.at(tmp_path), heartbeat_seconds=0.2).acquire()


def test_a_beat_on_a_store_that_is_no_local_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "local_path", lambda _: None)
    with FolderLock(Folder.at(tmp_path), heartbeat_seconds=0.1) as lock:
        (name,) = entries(tmp_path)
        before = (tmp_path / name).stat().st_mtime_ns
        time.sleep(0.4)
        assert (tmp_path / name).stat().st_mtime_ns > before
        (tmp_path / name).unlink()
        time.sleep(0.3)
        assert not lock.held
    assert entries(tmp_path) == []


def test_a_lost_lock_is_noticed_before_the_switch(tmp_path):
    lock = FolderLock(Folder.at(tmp_path))
    lock.acquire()
    (name,) = entries(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(StorageError, match="lock_lost"):
        lock.check()
    lock.release()


def test_an_entry_cut_in_two_is_of_a_run_until_it_is_old(tmp_path):
    path = tmp_path / f"{LOCK_PREFIX}0.json"
    path.write_text('{"host": "h')
    with pytest.raises(StorageError, match="another run"):
        FolderLock(Folder.at(tmp_path)).acquire()
    os.utime(path, (1, 1))
    with FolderLock(Folder.at(tmp_path)):
        pass


def test_a_place_that_cannot_be_locked(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="not_a_folder"):
        FolderLock(Folder.at(tmp_path / "file" / "out")).acquire()
