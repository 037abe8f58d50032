"""Few wait at a time, for a short time, and whoever has said all is served."""

from __future__ import annotations

import errno
import os
import selectors
import socket
import threading
import time

import pytest

from sparkml_dist.cluster.connection_acceptor import ConnectionAcceptor
from tests.cluster.strangers import HOST, hung_up


@pytest.fixture
def room():
    """Return a function that opens a room, and one that knocks at its door."""
    rooms, guests = [], []

    def opened(take, **options):
        listener = socket.create_server((HOST, 0))
        address = listener.getsockname()
        rooms.append(ConnectionAcceptor(listener, take, **{"seconds": 5, "limit": 4, **options}))

        def knock(said=b""):
            guests.append(socket.create_connection(address, 5))
            guests[-1].sendall(said)
            return guests[-1]

        return rooms[-1], knock

    yield opened
    for guest in guests:
        guest.close()
    for each in rooms:
        each.close()


def steps(room, condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        room.step(0.05)


def test_who_has_said_all_is_taken_out_of_the_room(room):
    taken = []
    waiting, knock = room(taken.append)
    slow, quick = knock(b"ab"), knock(b"1234")
    steps(waiting, lambda: taken)
    assert [bytes(v.received) for v in taken] == [b"1234"]
    slow.sendall(b"cd and more")
    steps(waiting, lambda: len(taken) == 2)
    assert bytes(taken[1].received) == b"abcd"
    assert not waiting._pending
    # The connection is the callee's: what comes is not read here.
    quick.sendall(b"x")
    waiting.step(0.1)
    taken[0].connection.setblocking(True)
    assert taken[0].connection.recv(10) == b"x"
    for visitor in taken:
        visitor.connection.close()


def test_a_full_room_takes_no_more_memory_and_still_serves(room):
    taken = []
    waiting, knock = room(taken.append, max_pending=3)
    for _ in range(20):
        knock(b"a")
        waiting.step(0.1)
        assert len(waiting._pending) <= 3
    # Each of those that come goes on coming until it is served.
    for _ in range(50):
        knock(b"1234")
        for _ in range(4):
            waiting.step(0)
        if taken:
            break
    assert taken
    taken[0].connection.close()


def test_what_raises_hangs_up_on_one_only(room):
    def take(visitor):
        raise RuntimeError("whatever it is")

    waiting, knock = room(take)
    other = knock(b"ab")
    bad = knock(b"1234")
    steps(waiting, lambda: len(waiting._pending) == 1 and hung_up(bad, 0.01))
    assert not hung_up(other, 0.05)


def test_who_spoke_in_time_is_heard_by_a_server_that_was_busy(room):
    taken = []
    waiting, knock = room(taken.append, seconds=0.3)
    guest = knock(b"ab")
    steps(waiting, lambda: waiting._pending)
    reader, writer = socket.socketpair()

    def busy():
        waiting.selector.unregister(reader)
        guest.sendall(b"cd")
        time.sleep(0.5)

    with reader, writer:
        waiting.selector.register(reader, selectors.EVENT_READ, busy)
        writer.send(b"x")
        waiting.step()
        steps(waiting, lambda: not waiting._pending)
    assert [bytes(v.received) for v in taken] == [b"abcd"]
    taken[0].connection.close()


def test_a_server_without_descriptors_goes_on(room):
    taken = []
    waiting, knock = room(taken.append)
    knock(b"ab")
    steps(waiting, lambda: waiting._pending)

    class Exhausted:
        def accept(self):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    listener = waiting._listener
    waiting._listener = Exhausted()
    knock(b"1234")
    waiting.step(1)
    assert not waiting._pending  # its place was needed
    waiting._listener = listener
    steps(waiting, lambda: taken)
    taken[0].connection.close()


def test_closing_ends_the_thread(room):
    waiting, knock = room(lambda visitor: None)
    waiting.serve("a waiting room")
    guest = knock(b"ab")
    waiting.close()
    assert hung_up(guest)
    assert not any(t.name == "a waiting room" for t in threading.enumerate())
