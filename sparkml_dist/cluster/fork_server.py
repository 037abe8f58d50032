"""The main program of a process that imports TensorFlow once, and forks a rank for each request.

Importing TensorFlow takes most of a rank's start-up time and most of its memory. The first task of
an executor that needs a rank starts this server (`sparkml_dist.cluster.forked_child` is its
client); the ranks of that executor are forked from it, in this gang and in later ones. The server
starts no thread and runs no TensorFlow operation, so that forking it is safe.

Started as ``python -m sparkml_dist.cluster.fork_server LISTENER EXECUTOR SECONDS``: the descriptor
of a listening Unix socket, the process with which it ends, and how long it stays without ranks. A
connection asks for one rank:

- the client sends the frame of `send_request`: the modules to import, the whole environment, and
  the descriptors of the rank's standard input, output, and events;
- the server answers with lines of JSON: ``pid`` when the rank has started and ``exit`` (return
  code, or minus the signal) when it has ended; or ``refused`` when the server was started with
  another environment, which libraries may have read during their import;
- when the client closes its side, the rank is killed, and the processes that it started with it.

The server accepts connections of its own user only. A client that sends nothing, or too much,
blocks no other client (`sparkml_dist.cluster.connection_acceptor`).
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
from sparkml_dist.cluster.connection_acceptor import ConnectionAcceptor, PendingConnection
from sparkml_dist.cluster.same_user import check_same_user

__all__ = ["main", "send_request"]

_REQUEST_SECONDS = 10.0
_LENGTH = struct.Struct(">I")
_LONGEST_REQUEST = 1 << 23  # longer than any environment
_DESCRIPTORS = 3
# Horovod reads these when it is initialised in the rank, not at import.
_LATER = "HOROVOD_"
_OURS = rank_main.__name__.partition(".")[0] + "."


@dataclass
class _Rank:
    pid: int
    pidfd: int
    connection: socket.socket


def main(arguments: list[str]) -> None:
    """Serve until no rank has run for a while, or the executor has ended."""
    listener = socket.socket(fileno=int(arguments[0]))
    _Server(listener, int(arguments[1]), float(arguments[2])).run()


def send_request(
    connection: socket.socket,
    modules: Sequence[str],
    environment: Mapping[str, str],
    descriptors: Sequence[int],
) -> None:
    """Request a rank.

    Parameters
    ----------
    connection : socket.socket
    modules : sequence of str
        Modules that the rank needs. The server imports those of this package itself.
    environment : mapping of str to str
        The rank's whole environment.
    descriptors : sequence of int
        The rank's standard input, output and events.
    """
    content = json.dumps({"modules": list(modules), "environment": dict(environment)}).encode()
    socket.send_fds(connection, [_LENGTH.pack(len(content))], list(descriptors))
    connection.sendall(content)


class _Server:
    def __init__(self, listener: socket.socket, executor: int, seconds: float) -> None:
        self._environment = _at_import(os.environ)
        self._seconds = seconds
        self._acceptor = ConnectionAcceptor(
            listener,
            self._start,
            is_complete=_is_complete,
            on_accept=lambda pending: check_same_user(pending.connection),
            seconds=_REQUEST_SECONDS,
            limit=_LENGTH.size,
            descriptors=_DESCRIPTORS,
        )
        self._selector = self._acceptor.selector
        self._executor = os.pidfd_open(executor)
        self._selector.register(self._executor, selectors.EVENT_READ, self._leave)
        self._ranks: dict[int, _Rank] = {}

    def run(self) -> None:
        leaves = time.monotonic() + self._seconds
        while self._acceptor.open or self._ranks:
            if self._ranks:
                self._acceptor.step()
                leaves = time.monotonic() + self._seconds
            else:
                self._acceptor.step(leaves - time.monotonic())
                if time.monotonic() >= leaves:
                    self._acceptor.stop_accepting()

    def _start(self, pending: PendingConnection) -> None:
        """Fork the requested rank; after a failure the client starts the rank itself."""
        if len(pending.descriptors) != _DESCRIPTORS:
            raise ValueError(f"{len(pending.descriptors)} descriptors came instead of 3")
        request = json.loads(pending.received[_LENGTH.size :])
        connection = pending.connection
        connection.settimeout(_REQUEST_SECONDS)
        if _at_import(request["environment"]) != self._environment:
            self._acceptor.stop_accepting()  # first: the client connects again at once
            _reply(connection, refused=True)
            raise ConnectionRefusedError("this server has another environment")
        self._import(request["modules"])
        pid = os.fork()
        if pid == 0:
            self._become_rank(connection, request, pending.descriptors)
        try:
            rank = _Rank(pid, os.pidfd_open(pid), connection)
        except OSError:  # no descriptor is left
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
        self._ranks[pid] = rank
        self._selector.register(rank.pidfd, selectors.EVENT_READ, lambda: self._reap(rank))
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._kill(rank))
        for descriptor in pending.descriptors:
            os.close(descriptor)
        with contextlib.suppress(OSError):
            _reply(connection, pid=pid)

    def _import(self, modules: Sequence[str]) -> None:
        for name in modules:
            # The user's own modules may be slow, or change before the next gang.
            if name in sys.modules or not name.startswith(_OURS):
                continue
            try:
                importlib.import_module(name)
            except Exception:  # noqa: BLE001 - the rank fails in the same way, and reports it
                # Later gangs start a new server, with what is installed by then.
                self._acceptor.stop_accepting()
            gc.collect()
            gc.freeze()  # or a collection in a rank copies the pages that the ranks share

    def _become_rank(
        self, connection: socket.socket, request: dict[str, Any], descriptors: list[int]
    ) -> NoReturn:
        try:
            os.setsid()
            self._acceptor.close()
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
            if "numpy" in sys.modules:  # Python reseeds its own generator after a fork
                sys.modules["numpy"].random.seed()
            rank_main.main([str(descriptors[2]), *request["modules"]])
        finally:
            os._exit(1)

    def _reap(self, rank: _Rank) -> None:
        _kill_group(rank.pid)  # before its pid is free
        status = os.waitstatus_to_exitcode(os.waitpid(rank.pid, 0)[1])
        del self._ranks[rank.pid]
        self._selector.unregister(rank.pidfd)
        os.close(rank.pidfd)
        with contextlib.suppress(KeyError):
            self._selector.unregister(rank.connection)
        with contextlib.suppress(OSError):
            _reply(rank.connection, exit=status)
        rank.connection.close()

    def _kill(self, rank: _Rank) -> None:
        if rank.pid in self._ranks:  # it may have ended at the same moment
            self._selector.unregister(rank.connection)
            _kill_group(rank.pid)

    def _leave(self) -> None:
        for rank in self._ranks.values():
            _kill_group(rank.pid)
        sys.exit(0)


def _kill_group(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)  # it may not lead a process group yet
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def _at_import(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that libraries may read during their import."""
    return {k: v for k, v in environment.items() if not k.startswith(_LATER)}


def _is_complete(pending: PendingConnection) -> bool:
    """Tell whether a request has arrived completely."""
    if len(pending.received) < _LENGTH.size:
        return False
    (length,) = _LENGTH.unpack_from(pending.received)
    if length > _LONGEST_REQUEST:
        raise ValueError(f"a request of {length:,} bytes is announced")
    pending.limit = _LENGTH.size + length + 1
    return len(pending.received) == _LENGTH.size + length


def _reply(connection: socket.socket, **reply: Any) -> None:
    connection.sendall(json.dumps(reply).encode() + b"\n")


if __name__ == "__main__":
    main(sys.argv[1:])
