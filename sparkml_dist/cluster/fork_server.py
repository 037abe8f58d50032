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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from sparkml_dist.cluster import rank_main

__all__ = ["main", "send_request"]

_REQUEST_SECONDS = 10.0
_PEER = struct.Struct("3i")  # pid, uid, gid
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
    socket.send_fds(connection, [struct.pack(">I", len(content))], list(descriptors))
    connection.sendall(content)


class _Server:
    def __init__(self, listener: socket.socket, executor: int, seconds: float) -> None:
        self._environment = _at_import(os.environ)
        self._seconds = seconds
        self._listener: socket.socket | None = listener
        self._executor = os.pidfd_open(executor)
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ, self._accept)
        self._selector.register(self._executor, selectors.EVENT_READ, self._leave)
        self._ranks: dict[int, _Rank] = {}

    def run(self) -> None:
        while self._listener is not None or self._ranks:
            ready = self._selector.select(None if self._ranks else self._seconds)
            if not ready and not self._ranks:
                self._close_listener()
            for key, _ in ready:
                key.data()

    def _accept(self) -> None:
        if self._listener is None:
            return
        connection, _ = self._listener.accept()
        connection.settimeout(_REQUEST_SECONDS)
        descriptors: list[int] = []
        try:
            _refuse_strangers(connection)
            head, descriptors, _, _ = socket.recv_fds(connection, 4, 3)
            with connection.makefile("rb") as stream:
                request = json.loads(stream.read(*struct.unpack(">I", head)))
            if _at_import(request["environment"]) != self._environment:
                self._close_listener()  # first: it comes again at once
                _say(connection, refused=True)
                connection.close()
                return
            self._start(connection, request, descriptors)
        except (OSError, ValueError, struct.error):
            connection.close()  # the client starts the rank in its own way
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _start(
        self, connection: socket.socket, request: dict[str, Any], descriptors: list[int]
    ) -> None:
        self._import(request["modules"])
        pid = os.fork()
        if pid == 0:
            self._become_rank(connection, request, descriptors)
        rank = _Rank(pid, os.pidfd_open(pid), connection)
        self._ranks[pid] = rank
        self._selector.register(rank.pidfd, selectors.EVENT_READ, lambda: self._reap(rank))
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._kill(rank))
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
                self._close_listener()  # the next ones find what has been installed by then
            gc.collect()
            gc.freeze()  # or the ranks' collections copy the pages that they share

    def _become_rank(
        self, connection: socket.socket, request: dict[str, Any], descriptors: list[int]
    ) -> NoReturn:
        try:
            os.setsid()
            self._selector.close()
            self._close_listener()
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

    def _close_listener(self) -> None:
        if self._listener is not None:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(self._listener)
            self._listener.close()
            self._listener = None

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


def _refuse_strangers(connection: socket.socket) -> None:
    peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    if _PEER.unpack(peer)[1] != os.getuid():
        raise PermissionError("another user's process asks for a rank")


def _say(connection: socket.socket, **reply: Any) -> None:
    connection.sendall(json.dumps(reply).encode() + b"\n")


if __name__ == "__main__":
    main(sys.argv[1:])
