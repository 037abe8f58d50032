"""Ranks come together around their memory whoever else knocks at the door."""

from __future__ import annotations

import os
import socket
import struct
import threading
import time

import pytest

from sparkml_dist.deep.train import shared_join
from sparkml_dist.deep.train.shared_join import join
from tests.cluster.strangers import Crowd, as_nobody, hung_up

TOKEN = bytes(range(16))
NAME = shared_join._name(TOKEN)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="takes another user's place")


def knock():
    connection = socket.socket(socket.AF_UNIX)
    connection.setblocking(False)
    connection.connect(NAME)
    return connection


@pytest.fixture
def first(monkeypatch):
    """Rank 0 of two, which listens from now on; a function that joins it as rank 1."""
    monkeypatch.setattr(shared_join.secrets, "token_bytes", lambda _: TOKEN)
    found = {}
    listens = threading.Event()

    def go():
        try:
            found[0] = join(0, 2, lambda data: listens.set() or data, block=64)
        except OSError as error:
            found["error"] = error

    thread = threading.Thread(target=go, daemon=True)
    thread.start()
    assert listens.wait(10)

    def second():
        found[1] = join(1, 2, lambda _: TOKEN, block=64)
        thread.join(20)
        return [found[0], found[1]]

    yield second
    if 1 not in found:
        second()
    for memory in (found[0], found[1]):
        memory.close()


def test_the_name_does_not_give_the_token_away():
    assert TOKEN.hex() not in NAME


def seen_by_everybody():
    with open("/proc/net/unix") as table:
        assert f"@{NAME[1:]}\n" in table.read()
    return NAME


@needs_root
def test_another_user_is_hung_up_on_before_anything_is_read(first):
    def stranger():
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(seen_by_everybody())
            return 0 if hung_up(connection, 1) else 3

    assert as_nobody(stranger) == 0
    assert len(first()) == 2


@needs_root
def test_another_user_cannot_keep_the_ranks_apart(first):
    stop, held = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(held)
        os.setuid(65534)
        os.set_blocking(stop, False)
        name, kept = seen_by_everybody(), []
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                if os.read(stop, 1) == b"":
                    break
            except BlockingIOError:
                pass
            try:
                connection = socket.socket(socket.AF_UNIX)
                connection.settimeout(0.1)
                connection.connect(name)
                kept.append(connection)
                del kept[:-200]
            except OSError:
                continue
        os._exit(0)
    os.close(stop)
    time.sleep(0.5)
    begun = time.monotonic()
    assert len(first()) == 2
    assert time.monotonic() - begun < 10
    os.close(held)
    os.waitpid(pid, 0)


@pytest.mark.parametrize(
    "said",
    [b"", b"\0", struct.pack("!16sH", bytes(16), 1), struct.pack("!16sH", TOKEN, 0)],
    ids=["nothing", "a byte", "another token", "another rank"],
)
def test_a_process_of_this_user_that_is_no_rank_holds_nobody_up(first, said):
    strangers = [knock() for _ in range(5)]
    for stranger in strangers:
        stranger.send(said)
    begun = time.monotonic()
    assert len(first()) == 2
    assert time.monotonic() - begun < shared_join._HELLO_SECONDS
    assert all(hung_up(stranger) for stranger in strangers)


@pytest.mark.parametrize("anew", [False, True], ids=["they stay", "they come and go"])
def test_ranks_join_where_processes_of_this_user_throng(first, anew):
    with Crowd(knock, anew=anew):
        begun = time.monotonic()
        memories = first()
        assert time.monotonic() - begun < 15
    assert len(memories) == 2


def test_ranks_that_do_not_come_are_not_waited_for_for_ever(monkeypatch):
    monkeypatch.setattr(shared_join, "_JOIN_SECONDS", 0.5)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(TimeoutError, match="2 ranks have not connected"):
        join(0, 3, lambda data: data, block=64)
    assert len(os.listdir("/proc/self/fd")) == before


@needs_root
def test_memory_is_not_taken_from_another_user():
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setuid(65534)
        with socket.socket(socket.AF_UNIX) as impostor:
            impostor.bind(NAME)
            impostor.listen(5)
            os.write(writer, b"1")
            connection, _ = impostor.accept()
            os._exit(len(connection.recv(100)))
    os.read(reader, 1)
    with pytest.raises(PermissionError, match="belongs to user 65534"):
        join(1, 2, lambda _: TOKEN, block=64)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    os.close(reader)
    os.close(writer)
