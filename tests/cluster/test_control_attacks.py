"""Nobody but the ranks of a gang speaks on its control line, or keeps them from speaking."""

from __future__ import annotations

import queue
import socket
import struct
import threading
import time

import pytest

from sparkml_dist.cluster import control
from sparkml_dist.cluster.control import ControlServer
from sparkml_dist.cluster.control_client import ControlClient
from sparkml_dist.cluster.control_wire import HELLO, hello
from tests.cluster.strangers import HOST, Crowd, ManInTheMiddle, hung_up


def altered(frame, number):
    return [frame[:-3] + bytes([frame[-3] ^ 1]) + frame[-2:]]


def repeated(frame, number):
    return [frame, frame]


def left_out(frame, number):
    return [] if number == 0 else [frame]


class Moved:
    """The second frame comes before the first."""

    def __call__(self, frame, number):
        if number == 0:
            self.first = frame
            return []
        return [frame, self.first] if number == 1 else [frame]


def made_up(frame, number):
    content = b'{"type": "failed", "record": {"rank": 0, "kind": "made up"}}'
    return [struct.pack("!I32s", len(content), bytes(32)) + content, frame]


def huge(frame, number):
    return [struct.pack("!I", 2**32 - 1) + frame[4:]]


def longer(frame, number):
    return [struct.pack("!I", len(frame) - 36 + 1) + frame[4:] + b" "]


CHANGES = [altered, repeated, left_out, Moved(), made_up, huge, longer]
NAMES = ["altered", "repeated", "left out", "moved", "made up", "huge", "longer"]


@pytest.fixture
def line():
    """Return a function that sets up a rank whose line leads through a man in the middle."""
    open_ends = []

    def set_up(of, change):
        server = ControlServer(HOST, 1, silence_seconds=60)
        middle = ManInTheMiddle(server.port, of, change)
        told = queue.Queue()
        client = ControlClient(HOST, middle.port, server.token, 0, told.put)
        open_ends.extend((client, middle, server))
        client.advanced(1, "before")
        until(lambda: server._stall._counts.get(0, (0,))[0] == 1)
        return server, middle, client, told

    yield set_up
    for end in open_ends:
        end.close()


def until(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("change", CHANGES, ids=NAMES)
def test_what_a_rank_did_not_say_is_not_taken(line, change):
    server, middle, client, told = line("rank", change)
    middle.meddle()
    for count in (7, 8, 9):
        client.advanced(count, "reading")
    assert server.wait(10)
    assert (server.verdict["kind"], server.verdict["rank"]) == ("forged", 0)
    # Only what came whole and in its order before the forged one.
    assert server._stall._counts[0][0] in (1, 7)
    assert told.get(timeout=5)["kind"] in ("forged", "lost")


@pytest.mark.parametrize("change", CHANGES, ids=NAMES)
def test_what_the_server_did_not_say_is_not_believed(line, change):
    server, middle, _, told = line("server", change)
    middle.meddle()
    with server._lock:
        (own,) = server._clients.values()
    for _ in range(3):
        own.send({"type": "beat"})
    record = told.get(timeout=10)
    assert (record["kind"], record["rank"]) == ("forged", 0)


def test_a_message_sent_back_to_its_sender_is_refused(line):
    """Each direction has a key of its own."""
    said = []
    server, middle, client, _ = line("rank", lambda frame, number: [said[0]])
    said.extend(frame for whose, frame in middle.seen if whose == "server")
    middle.meddle()
    client.done()
    assert server.wait(10)
    assert server.verdict["kind"] == "forged"
    assert not server._done


def test_an_end_is_not_cut_off(line):
    server, middle, client, _ = line("rank", lambda frame, number: [frame[:-1]])
    middle.meddle()
    client.done()
    middle.close()
    assert server.wait(10)
    assert server.verdict["kind"] == "lost"


def test_an_introduction_cannot_be_used_again():
    server = ControlServer(HOST, 2)
    try:
        with socket.create_connection((HOST, server.port)) as first:
            said, _ = hello(server.token, first.recv(32), 0)
            with socket.create_connection((HOST, server.port)) as second:
                second.recv(32)
                second.sendall(said)
                assert hung_up(second)
            assert not server._joined
            first.sendall(said)
            until(lambda: server._joined == {0})
            # Nor is there a second rank of that number, or one of any other.
            for rank in (0, 2, 2**32 - 1):
                with socket.create_connection((HOST, server.port)) as another:
                    another.sendall(hello(server.token, another.recv(32), rank)[0])
                    assert hung_up(another)
            assert server.verdict is None
    finally:
        server.close()


def test_a_server_that_does_not_know_the_token_is_not_believed():
    with socket.create_server((HOST, 0)) as impostor:

        def answer():
            connection, _ = impostor.accept()
            connection.sendall(bytes(32))
            connection.recv(HELLO.size)
            content = b'{"type": "welcome"}'
            connection.sendall(struct.pack("!I32s", len(content), bytes(32)) + content)
            connection.recv(1)

        threading.Thread(target=answer, daemon=True).start()
        told = queue.Queue()
        with pytest.raises(
            ConnectionError, match="accepts no rank: message 0 is not what was sent"
        ):
            ControlClient(HOST, impostor.getsockname()[1], "token", 0, told.put, seconds=0.0)
        assert told.empty()


def threads_of_the_server():
    return [t for t in threading.enumerate() if t.name.startswith("sparkml_dist-control")]


@pytest.mark.parametrize("anew", [False, True], ids=["they stay", "they come and go"])
def test_ranks_get_in_where_strangers_throng(anew):
    server = ControlServer(HOST, 4)
    before = len(threads_of_the_server())
    clients = []
    try:
        with Crowd(lambda: socket.create_connection((HOST, server.port), 1), 300, anew=anew):
            assert len(threads_of_the_server()) == before
            assert len(server._acceptor._pending) <= 128
            begun = time.monotonic()
            clients += [
                ControlClient(HOST, server.port, server.token, rank, print) for rank in range(4)
            ]
            until(lambda: len(server._joined) == 4)
            assert time.monotonic() - begun < 15
            for client in clients:
                client.done()
            assert server.wait(10)
            assert server.verdict is None
    finally:
        for client in clients:
            client.close()
        server.close()


def test_who_sends_a_byte_now_and_then_is_hung_up_on(monkeypatch):
    monkeypatch.setattr(control, "HANDSHAKE_SECONDS", 0.6)
    server = ControlServer(HOST, 1)
    try:
        with socket.create_connection((HOST, server.port)) as slow:
            begun = time.monotonic()
            while not hung_up(slow, 0.1):
                assert time.monotonic() - begun < 5
                slow.send(b"\0")
        assert time.monotonic() - begun > 0.4
        assert not server._acceptor._pending
    finally:
        server.close()


def test_a_silent_rank_is_reported():
    """Its task is stopped, or somebody holds back what it says."""
    server = ControlServer(HOST, 2, silence_seconds=1.5)
    told = [queue.Queue() for _ in range(2)]
    clients = [
        ControlClient(HOST, server.port, server.token, r, told[r].put, silence_seconds=1.5)
        for r in range(2)
    ]
    try:
        time.sleep(2.0)
        assert server.verdict is None
        clients[1]._channel.send = lambda message: None
        record = told[0].get(timeout=10)
        assert (record["rank"], record["kind"], record["seconds"]) == (1, "silent", 1.5)
    finally:
        for client in clients:
            client.close()
        server.close()


def test_a_silent_server_is_reported():
    server = ControlServer(HOST, 1)
    middle = ManInTheMiddle(server.port, "server", lambda frame, number: [])
    told = queue.Queue()
    client = ControlClient(HOST, middle.port, server.token, 0, told.put, silence_seconds=1.5)
    try:
        middle.meddle()
        record = told.get(timeout=10)
        assert (record["rank"], record["kind"]) == (0, "silent")
    finally:
        for end in (client, middle, server):
            end.close()
