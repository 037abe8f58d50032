"""The main program of a process that imports TensorFlow once, and forks ranks when asked for one.

Importing TensorFlow is most of a rank's start, and most of its memory. The first task of an
executor that needs a rank starts this server (`sparkml_dist.cluster.forked_child` is its side);
the ranks of that executor are forked from it, in the same gang and in later ones. It starts no
thread and runs no operation, so that a fork has all that an import leaves.

Started as ``python -m sparkml_dist.cluster.fork_server LISTENER EXECUTOR SECONDS``: the descriptor
of a listening Unix socket, the process that it must not outlive, and how long it stays without
ranks. A connection asks for one rank:

- the client sends `send_request`'s frame: the modules to import, the whole environment, and the
  descriptors of the rank's standard input, of its output, and of its events;
- the server answers with lines of JSON: ``pid`` when the rank is there, ``exit`` (return code, or
  minus the signal) when it has ended; or ``refused``, where it was started with another
  environment, which libraries may have read when they were imported;
- when the client's side ends, the rank is killed. What it has started ends with it.

It listens to its own user only, and hears many at once (`sparkml_dist.cluster.waiting_room`): who
says nothing, or no end of it, keeps nobody else from having ranks.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import struct
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from sparkml_dist.cluster import rank_main
from sparkml_dist.cluster.same_user import check_same_user
from sparkml_dist.cluster.waiting_room import Visitor, WaitingRoom

__all__ = ["main", "send_request"]

_REQUEST_SECONDS = 10.0
_LENGTH = struct.Struct(">I")
_LONGEST_REQUEST = 1 << 23  # more than an environment can have
_DESCRIPTORS = 3
# Read when Horovod is initialised, in the rank, and not before.
_LATER = "HOROVOD_"
_OURS = rank_main.__name__.partition(".")[0] + "."


@dataclass
class _Rank:
    pid: int
    pidfd: int
    connection: socket.socket


def main(arguments: list[str]) -> None:
    """Serve until there has been no rank for a while, or the executor has gone."""
    listener = socket.socket(fileno=int(arguments[0]))
    _Server(listener, int(arguments[1]), float(arguments[2])).run()


def send_request(
    connection: socket.socket,
    modules: Sequence[str],
    environment: Mapping[str, str],
    descriptors: Sequence[int],
) -> None:
    """Ask for a rank.

    Parameters
    ----------
    connection : socket.socket
    modules : sequence of str
        Modules that the rank needs. Those of this package the server imports itself.
    environment : mapping of str to str
        The rank's whole environment.
    descriptors : sequence of int
        Its standard input, its output, its events.
    """
    content = json.dumps({"modules": list(modules), "environment": dict(environment)}).encode()
    socket.send_fds(connection, [_LENGTH.pack(len(content))], list(descriptors))
    connection.sendall(content)


class _Server:
    def __init__(self, listener: socket.socket, executor: int, seconds: float) -> None:
        self._environment = _at_import(os.environ)
        self._seconds = seconds
        self._room = WaitingRoom(
            listener,
            self._start,
            whole=_whole,
            greet=lambda visitor: check_same_user(visitor.connection),
            seconds=_REQUEST_SECONDS,
            limit=_LENGTH.size,
            descriptors=_DESCRIPTORS,
        )
        self._selector = self._room.selector
        self._executor = os.pidfd_open(executor)
        self._selector.register(self._executor, selectors.EVENT_READ, self._leave)
        self._ranks: dict[int, _Rank] = {}

    def run(self) -> None:
        leaves = time.monotonic() + self._seconds
        while self._room.open or self._ranks:
            if self._ranks:
                self._room.step()
                leaves = time.monotonic() + self._seconds
            else:
                self._room.step(leaves - time.monotonic())
                if time.monotonic() >= leaves:
                    self._room.close_door()

    def _start(self, visitor: Visitor) -> None:
        """Fork the rank that is asked for; where that fails, the client starts it by itself."""
        if len(visitor.descriptors) != _DESCRIPTORS:
            raise ValueError(f"{len(visitor.descriptors)} descriptors came")
        request = json.loads(visitor.said[_LENGTH.size :])
        connection = visitor.connection
        connection.settimeout(_REQUEST_SECONDS)
        if _at_import(request["environment"]) != self._environment:
            self._room.close_door()  # first: it comes again at once
            _say(connection, refused=True)
            raise ConnectionRefusedError("this server has another environment")
        self._import(request["modules"])
        pid = os.fork()
        if pid == 0:
            self._become_rank(connection, request, visitor.descriptors)
        try:
            rank = _Rank(pid, os.pidfd_open(pid), connection)
        except OSError:  # no descriptor is left
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
        self._ranks[pid] = rank
        self._selector.register(rank.pidfd, selectors.EVENT_READ, lambda: self._reap(rank))
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._kill(rank))
        for descriptor in visitor.descriptors:
            os.close(descriptor)
        with contextlib.suppress(OSError):
            _say(connection, pid=pid)

    def _import(self, modules: Sequence[str]) -> None:
        for name in modules:
            # What belongs to the user may be slow, or another version tomorrow.
            if name in sys.modules or not name.startswith(_OURS):
                continue
            try:
                importlib.import_module(name)
            except Exception:  # noqa: BLE001 - the rank fails in the same way, and tells
                self._room.close_door()  # the next ones find what has been installed by then
            gc.collect()
            gc.freeze()  # or the ranks' collections copy the pages that they share

    def _become_rank(
        self, connection: socket.socket, request: dict[str, Any], descriptors: list[int]
    ) -> NoReturn:
        try:
            os.setsid()
            self._room.close()
            connection.close()
            os.close(self._executor)
            for other in self._ranks.values():
                other.connection.close()
                os.close(other.pidfd)
            for descriptor, place in zip(descriptors, (0, 1), strict=False):
                os.dup2(descriptor, place)
                os.close(descriptor)
            os.dup2(1, 2)
            os.environ.clear()
            os.environ.update(request["environment"])
            if "numpy" in sys.modules:  # Python's own generator does so by itself
                sys.modules["numpy"].random.seed()
            rank_main.main([str(descriptors[2]), *request["modules"]])
        finally:
            os._exit(1)

    def _reap(self, rank: _Rank) -> None:
        _kill_group(rank.pid)  # before its number is free
        status = os.waitstatus_to_exitcode(os.waitpid(rank.pid, 0)[1])
        del self._ranks[rank.pid]
        self._selector.unregister(rank.pidfd)
        os.close(rank.pidfd)
        with contextlib.suppress(KeyError):
            self._selector.unregister(rank.connection)
        with contextlib.suppress(OSError):
            _say(rank.connection, exit=status)
        rank.connection.close()

    def _kill(self, rank: _Rank) -> None:
        if rank.pid in self._ranks:  # or it ended in the same moment
            self._selector.unregister(rank.connection)
            _kill_group(rank.pid)

    def _leave(self) -> None:
        for rank in self._ranks.values():
            _kill_group(rank.pid)
        sys.exit(0)


def _kill_group(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)  # it may have no group of its own yet
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _at_import(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that libraries may read when they are imported."""
    return {k: v for k, v in environment.items() if not k.startswith(_LATER)}


def _whole(visitor: Visitor) -> bool:
    """Tell whether a request is there as a whole."""
    if len(visitor.said) < _LENGTH.size:
        return False
    (length,) = _LENGTH.unpack_from(visitor.said)
    if length > _LONGEST_REQUEST:
        raise ValueError(f"a request of {length:,} bytes is announced")
    visitor.limit = _LENGTH.size + length + 1
    return len(visitor.said) == _LENGTH.size + length


def _say(connection: socket.socket, **reply: Any) -> None:
    connection.sendall(json.dumps(reply).encode() + b"\n")


if __name__ == "__main__":
    main(sys.argv[1:])
