"""Ranks that are forked from their executor's server, and all that can become of the two."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import queue
import select
import signal
import socket
import struct
import subprocess
import sys
import time

import pytest

from sparkml_dist.cluster.forked_child import _reachable
from sparkml_dist.cluster.rank_environment import process_environment
from sparkml_dist.cluster.rank_process import RankProcess
from tests.cluster import on_fork
from tests.cluster.strangers import Crowd, as_nobody, hung_up

# Light, and of the package: a server imports it.
MODULES = ("sparkml_dist.cluster.memory",)
WARM = 60.0
SECONDS = 20


@pytest.fixture
def executor(tmp_path, monkeypatch):
    """A folder such as Spark names to the Python workers of an executor."""
    # The address of a socket has room for 107 bytes, and paths on clusters are longer.
    folder = tmp_path / ("blockmgr-" + "0" * 100)
    folder.mkdir()
    monkeypatch.setenv("SPARK_LOCAL_DIRS", f"{folder},/elsewhere")
    return folder


class Rank:
    """A rank's process and what it says."""

    def __init__(self, target, *, modules=MODULES, warm=WARM, started_with=(), **said):
        self.inbox = queue.Queue()
        environment = process_environment(1, [], dict(started_with))
        self.process = RankProcess(modules, environment, self.inbox, warm_seconds=warm)
        place = {"rank": 3, "size": 4, "local_rank": 3, "local_size": 4, "cross_rank": 0}
        place |= {"cross_size": 1, "hosts": [], "cpus": 1, "gpus": []}
        self.process.begin(place, said, pickle.dumps((target, None)))

    def event(self, name):
        while True:
            kind, item = self.inbox.get(timeout=SECONDS)
            assert kind == "event", f"it ended with {item}: {self.process.tail()}"
            if item["event"] == name:
                return item

    def result(self):
        value = self.event("result")["value"]
        assert self.ended() == 0
        return value

    def ended(self):
        while True:
            kind, item = self.inbox.get(timeout=SECONDS)
            if kind == "exit":
                return item


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def assert_ends(*pids):
    until = time.monotonic() + SECONDS
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < until, [pid for pid in pids if alive(pid)]
        time.sleep(0.02)


@pytest.mark.usefixtures("executor")
def test_ranks_of_an_executor_are_forked_from_one_server_and_share_nothing_else():
    ranks = [Rank(on_fork.who, SAID_TO_THE_RANK=word) for word in "ab"]
    found = [r.result() for r in ranks]
    later = Rank(on_fork.who, started_with={"HOROVOD_CYCLE_TIME": "1"})
    found.append(later.result())
    assert len({f["parent"] for f in found}) == 1
    assert found[0]["parent"] != os.getpid()
    assert len({f["pid"] for f in found}) == 3
    assert [f["variable"] for f in found] == ["a", "b", None]
    # Who asks for no seed gets another one each time, as from processes that begin from nothing.
    assert len({f["number"] for f in found}) == len({f["numpys"] for f in found}) == 3
    assert ranks[0].process.tail() == later.process.tail() == ["rank 3 speaks"]


@pytest.mark.usefixtures("executor")
def test_a_killed_rank_takes_along_what_it_started():
    rank = Rank(on_fork.sleep)
    asleep = rank.event("asleep")
    assert "in sleep" in "\n".join(rank.process.stacks())
    rank.process.kill()
    assert rank.ended() == -signal.SIGKILL
    assert_ends(asleep["pid"], asleep["child"])
    assert alive(asleep["server"])


@pytest.mark.usefixtures("executor")
def test_what_a_rank_leaves_behind_ends_too():
    assert_ends(Rank(on_fork.leave_a_child).result())


@pytest.mark.usefixtures("executor")
def test_a_rank_that_dies_is_told_with_its_signal_or_status():
    rank = Rank(on_fork.sleep)
    os.kill(rank.event("asleep")["pid"], signal.SIGSEGV)
    assert rank.ended() == -signal.SIGSEGV
    failed = Rank(on_fork.fail)
    assert "a bad value" in failed.event("error")["message"]
    assert failed.ended() == 1


@pytest.mark.usefixtures("executor")
def test_a_rank_ends_with_its_server_and_the_next_one_gets_another():
    rank = Rank(on_fork.sleep)
    asleep = rank.event("asleep")
    os.kill(asleep["server"], signal.SIGKILL)
    assert rank.ended() == -signal.SIGKILL
    assert_ends(asleep["pid"])
    found = Rank(on_fork.who).result()
    assert found["parent"] not in (asleep["server"], os.getpid())


@pytest.mark.usefixtures("executor")
def test_another_environment_needs_another_server():
    first = Rank(on_fork.sleep)
    asleep = first.event("asleep")
    other = Rank(on_fork.who, started_with={"OMP_NUM_THREADS": "2"}).result()
    assert other["parent"] != asleep["server"]
    assert alive(asleep["pid"])
    first.process.kill()
    assert_ends(asleep["server"])
    again = Rank(on_fork.who, started_with={"OMP_NUM_THREADS": "2"}).result()
    assert again["parent"] == other["parent"]


@pytest.mark.usefixtures("executor")
def test_a_server_without_ranks_leaves():
    rank = Rank(on_fork.who, warm=0.3)
    server = rank.result()["parent"]
    assert_ends(server)
    assert Rank(on_fork.who).result()["parent"] != server


def test_all_end_with_the_executor(executor):
    worker = (
        "from tests.cluster.test_forked_ranks import Rank, on_fork\n"
        "asleep = Rank(on_fork.sleep).event('asleep')\n"
        "print(asleep['pid'], asleep['server'], asleep['child'], flush=True)\n"
        "input()"
    )
    # The executor is what starts workers, here a shell; a worker alone may go.
    shell = subprocess.Popen(
        ["/bin/sh", "-c", '"$0" -c "$1"; sleep 600', sys.executable, worker],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        pid, server, child = map(int, shell.stdout.readline().split())
        shell.stdin.write("\n")
        shell.stdin.flush()
        assert_ends(pid, child)
        assert alive(server)
    finally:
        os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()
    assert_ends(server)


def test_without_a_server_ranks_begin_from_nothing(executor):
    (executor / "sparkml_dist-ranks.socket").mkdir()
    assert Rank(on_fork.who).result()["parent"] == os.getpid()
    assert Rank(on_fork.who, warm=0.0).result()["parent"] == os.getpid()
    assert Rank(on_fork.who, modules=()).result()["parent"] == os.getpid()
    rank = Rank(on_fork.sleep)
    asleep = rank.event("asleep")
    rank.process.kill()
    assert rank.ended() == -signal.SIGKILL
    assert_ends(asleep["pid"], asleep["child"])


@pytest.mark.usefixtures("executor")
def test_what_cannot_be_imported_is_told_by_the_rank_and_looked_for_again():
    rank = Rank(on_fork.who, modules=("sparkml_dist.nowhere",))
    error = rank.event("error")
    assert error["raised"]["code"] == "rank_imports"
    assert "sparkml_dist.nowhere" in error["message"]
    assert rank.ended() == 1
    # What is not of this package may change: each rank imports it itself.
    assert Rank(on_fork.who, modules=("json.tool",)).result()["parent"] != os.getpid()


@pytest.mark.usefixtures("executor")
def test_a_rank_that_ends_while_it_is_killed():
    """The server hears of both at once, and goes on."""
    rank = Rank(on_fork.sleep)
    asleep = rank.event("asleep")
    os.kill(asleep["server"], signal.SIGSTOP)
    os.kill(asleep["pid"], signal.SIGTERM)
    assert_ends(asleep["pid"])
    rank.process._child.kill()
    os.kill(asleep["server"], signal.SIGCONT)
    assert rank.ended() == -signal.SIGTERM
    assert Rank(on_fork.who).result()["parent"] == asleep["server"]


@pytest.mark.usefixtures("executor")
def test_a_rank_that_is_killed_before_it_is_there():
    ranks = [Rank(on_fork.sleep) for _ in range(3)]
    for rank in ranks:
        rank.process.kill()
    assert [rank.ended() for rank in ranks] == [-signal.SIGKILL] * 3
    assert_ends(*(r.process._child.pid for r in ranks if r.process._child.pid))


def knock(executor):
    """Connect to the server as a process of the same user, which may be none of the executor's."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(5)
    with _reachable(str(executor)) as home:
        connection.connect(f"{home}/sparkml_dist-ranks.socket")
    return connection


def framed(request):
    content = json.dumps(request).encode()
    return struct.pack(">I", len(content)) + content


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\0",
        struct.pack(">I", 1000) + b"{",
        struct.pack(">I", 2**32 - 1) + b"{",
        struct.pack(">I", 2) + b"no",
        framed([]),
        framed({"modules": [], "environment": 3}),
        framed({"environment": {}}),
    ],
    ids=["nothing", "a byte", "a part", "huge", "no json", "a list", "no dict", "no modules"],
)
def test_a_request_that_makes_no_sense_holds_nobody_up(executor, said):
    first = Rank(on_fork.sleep)
    asleep = first.event("asleep")
    strangers = [knock(executor) for _ in range(5)]
    for stranger in strangers:
        stranger.sendall(said)
    begun = time.monotonic()
    # It is forked by the same server, beside the strangers.
    assert Rank(on_fork.who).result()["parent"] == asleep["server"]
    assert time.monotonic() - begun < 5
    assert alive(asleep["pid"])
    for stranger in strangers:
        stranger.close()
    first.process.kill()


def test_a_request_without_descriptors_starts_nothing(executor):
    environment = process_environment(1, [], {})
    server = Rank(on_fork.who).result()["parent"]
    with knock(executor) as stranger:
        stranger.sendall(framed({"modules": [], "environment": environment}))
        assert hung_up(stranger)
    assert Rank(on_fork.who).result()["parent"] == server


def test_ranks_are_forked_where_others_throng(executor):
    server = Rank(on_fork.who).result()["parent"]
    with Crowd(lambda: knock(executor), 200):
        ranks = [Rank(on_fork.who) for _ in range(4)]
        assert {r.result()["parent"] for r in ranks} <= {server, os.getpid()}
    threads = len(os.listdir(f"/proc/{server}/task"))
    assert threads == 1
    assert len(os.listdir(f"/proc/{server}/fd")) < 200


def test_who_waits_at_the_door_is_not_in_the_next_rank(executor):
    """A rank has no copy of what others have handed over: their end would not be noticed."""
    Rank(on_fork.who).result()
    reader, writer = os.pipe()
    with knock(executor) as stranger:
        socket.send_fds(stranger, [struct.pack(">I", 1000)], [writer])
        os.close(writer)
        rank = Rank(on_fork.sleep)
        rank.event("asleep")
    assert select.select([reader], [], [], 10)[0]
    assert os.read(reader, 1) == b""
    os.close(reader)
    rank.process.kill()


def test_knocking_does_not_keep_a_server_for_ever(executor):
    server = Rank(on_fork.who, warm=1.0).result()["parent"]
    until = time.monotonic() + SECONDS
    while alive(server):
        assert time.monotonic() < until
        with contextlib.suppress(OSError):
            knock(executor).close()
        time.sleep(0.1)


@pytest.fixture
def seen_by_others(executor):
    """The executor's folder, which other users may look into, as into those under ``/tmp``."""
    for folder in (executor, *executor.parents[:3]):
        folder.chmod(0o755)
    return executor


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="takes another user's place")


@needs_root
def test_another_user_is_hung_up_on_before_anything_is_read(seen_by_others):
    Rank(on_fork.who).result()
    (seen_by_others / "sparkml_dist-ranks.socket").chmod(0o777)  # as it should not be

    def stranger():
        with knock(seen_by_others) as connection:
            return 0 if hung_up(connection, 2) else 3

    assert as_nobody(stranger) == 0


@needs_root
def test_another_user_cannot_hold_the_lock_or_connect(seen_by_others):
    Rank(on_fork.who).result()

    def stranger():
        refused = 0
        for way in (
            lambda: os.open(seen_by_others / "sparkml_dist-ranks.lock", os.O_RDONLY),
            lambda: knock(seen_by_others),
        ):
            try:
                way()
            except PermissionError:
                refused += 1
        return refused

    assert as_nobody(stranger) == 2
