"""The line over which ranks tell each other that one has failed."""

from __future__ import annotations

import queue
import socket
import time

import pytest

from sparkml_dist.cluster.control import ControlServer
from sparkml_dist.cluster.control_client import ControlClient

HOST = "127.0.0.1"


@pytest.fixture
def gang():
    """Three ranks that have joined, and what each of them is told."""
    server = ControlServer(HOST, 3, echo_seconds=0.3, stall_seconds=1.0)
    told = [queue.Queue() for _ in range(3)]
    clients = [
        ControlClient(HOST, server.port, server.token, rank, told[rank].put) for rank in range(3)
    ]
    deadline = time.monotonic() + 5
    while len(server._joined) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    yield server, clients, told
    for client in clients:
        client.close()
    server.close()


def test_all_done(gang):
    server, clients, told = gang
    for client in clients:
        assert not server.wait(0.05)
        client.done()
    assert server.wait(5)
    assert server.verdict is None
    assert all(t.empty() for t in told)


def test_a_failure_is_told_to_all(gang):
    server, clients, told = gang
    clients[1].failed({"kind": "died", "exit_code": -9})
    for t in told:
        record = t.get(timeout=5)
        assert (record["rank"], record["kind"], record["exit_code"]) == (1, "died", -9)
    assert server.wait(5)


def test_a_dropped_connection_is_a_failure(gang):
    _, clients, told = gang
    clients[2].close()
    assert told[0].get(timeout=5)["rank"] == 2
    assert told[1].get(timeout=5)["kind"] == "lost"


def test_leaving_after_the_end_is_none(gang):
    server, clients, told = gang
    clients[2].done()
    clients[2].close()
    assert not server.wait(0.3)
    assert told[0].empty()


def test_the_cause_comes_before_its_echo(gang):
    _, clients, told = gang
    clients[0].failed({"kind": "raised", "echo": True})
    clients[2].failed({"kind": "died", "echo": False})
    assert [t.get(timeout=5)["rank"] for t in told] == [2, 2, 2]


def test_an_echo_alone_is_told_in_the_end(gang):
    _, clients, told = gang
    clients[0].failed({"kind": "raised", "echo": True})
    assert told[1].get(timeout=5)["rank"] == 0


def test_a_gang_that_does_not_advance(gang):
    _, clients, told = gang
    for rank, count in enumerate((7, 5, 7)):
        clients[rank].advanced(count, "waiting")
    record = told[0].get(timeout=10)
    assert (record["kind"], record["rank"], record["count"]) == ("stalled", 1, 5)
    assert told[1].get(timeout=5) == record


def test_the_server_going_away_stops_the_ranks(gang):
    server, _, told = gang
    server.close()
    assert all(t.get(timeout=5)["rank"] == 0 for t in told)


def test_who_comes_after_the_end_does_not_wait():
    server = ControlServer(HOST, 2)
    server.close()
    begun = time.monotonic()
    with pytest.raises(ConnectionRefusedError):
        ControlClient(HOST, server.port, server.token, 1, queue.Queue().put, seconds=60)
    assert time.monotonic() - begun < 5


def test_a_stranger_cannot_join_or_speak():
    server = ControlServer(HOST, 1)
    try:
        with pytest.raises(ConnectionError, match="accepts no rank"):
            ControlClient(HOST, server.port, "guess", 0, queue.Queue().put, seconds=0.5)
        assert not server._joined
        with socket.create_connection((HOST, server.port), timeout=5) as raw:
            raw.recv(1000)
            raw.sendall(b'{"type": "failed", "record": {}}\n' * 10)
            assert hung_up(raw)
        assert server.verdict is None
    finally:
        server.close()


def hung_up(connection):
    try:
        return connection.recv(1000) == b""
    except ConnectionResetError:
        return True


def test_a_rank_that_never_joins():
    server = ControlServer(HOST, 2, join_seconds=0.3)
    try:
        told = queue.Queue()
        client = ControlClient(HOST, server.port, server.token, 0, told.put)
        record = told.get(timeout=5)
        assert (record["rank"], record["kind"]) == (1, "not_joined")
        client.close()
    finally:
        server.close()
