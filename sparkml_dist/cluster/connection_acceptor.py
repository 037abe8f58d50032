"""Accepts connections and holds them, few and briefly, until their request is complete.

Anybody who reaches a listening socket may connect to it. With a thread for each connection, or a
deadline for each byte, strangers could occupy all threads and keep them. Here one thread, or none,
reads from all pending connections; each must send its whole request before its deadline and within
a number of bytes. When too many are pending, a new connection replaces a random one: a flood cannot
keep others out, but only makes them connect again.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import random
import selectors
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["BACKLOG", "ConnectionAcceptor", "PendingConnection"]

_logger = logging.getLogger(__name__)

#: Connections that the kernel queues until they are accepted.
BACKLOG = 512
_CHUNK = 1 << 16
_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_BREATH_SECONDS = 0.05


@dataclass(eq=False)
class PendingConnection:
    """A connection whose request is not complete yet.

    Attributes
    ----------
    connection : socket.socket
        Does not block while it is pending.
    deadline : float
        When it is closed, by `time.monotonic`.
    limit : int
        Most bytes of its request; the callbacks may raise it.
    received : bytearray
        Bytes received so far.
    descriptors : list of int
        File descriptors received so far.
    challenge : bytes
        The challenge that was sent to it, if any.
    """

    connection: socket.socket
    deadline: float
    limit: int
    received: bytearray = field(default_factory=bytearray)
    descriptors: list[int] = field(default_factory=list)
    challenge: bytes = b""


class ConnectionAcceptor:
    """Accepts connections and passes each on once its request is complete.

    Parameters
    ----------
    listener : socket.socket
        Listens already; closed with this object.
    on_request : callable
        ``on_request(pending)`` gets each connection with a complete request and owns its socket
        and its descriptors from then on. After an exception both are closed.
    is_complete : callable, optional
        ``is_complete(pending)`` tells, after each receipt, whether the request is complete; after
        an exception the connection is closed. By default a request has `limit` bytes.
    on_accept : callable, optional
        ``on_accept(pending)`` is called with each new connection; an exception closes it.
    seconds : float
        How long a connection may be pending.
    max_pending : int, default=128
        Most pending connections.
    limit : int
        Most bytes of a request.
    descriptors : int, default=0
        Most file descriptors of a request.

    Attributes
    ----------
    selector : selectors.BaseSelector
        What `step` waits for. Callers may register their own sockets, with a function without
        arguments as data, which is called when the socket is ready.
    """

    def __init__(
        self,
        listener: socket.socket,
        on_request: Callable[[PendingConnection], None],
        *,
        is_complete: Callable[[PendingConnection], bool] | None = None,
        on_accept: Callable[[PendingConnection], None] | None = None,
        seconds: float,
        max_pending: int = 128,
        limit: int,
        descriptors: int = 0,
    ) -> None:
        self.selector = selectors.DefaultSelector()
        self._listener: socket.socket | None = listener
        self._on_request = on_request
        self._is_complete = is_complete or (lambda pending: len(pending.received) >= limit)
        self._on_accept = on_accept
        self._seconds = seconds
        self._max_pending = max_pending
        self._limit = limit
        self._descriptors = descriptors
        # In the order of deadlines.
        self._pending: dict[PendingConnection, None] = {}
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        listener.setblocking(False)
        self.selector.register(listener, selectors.EVENT_READ, self._accept)

    @property
    def open(self) -> bool:
        """Whether new connections are accepted or some are pending."""
        return self._listener is not None or bool(self._pending)

    def step(self, seconds: float | None = None) -> None:
        """Handle what happens within `seconds`, or the first event."""
        first = next(iter(self._pending), None)
        if first is not None:
            left = first.deadline - time.monotonic()
            seconds = left if seconds is None else min(left, seconds)
        ready = self.selector.select(None if seconds is None else max(0.0, seconds))
        # Deadlines apply after reading: data that came while this process was busy counts.
        now = time.monotonic()
        for key, _ in ready:
            key.data()
        for late in [v for v in self._pending if v.deadline <= now]:
            self._drop(late)

    def serve(self, name: str) -> None:
        """Call `step` in a thread of this name until `close`."""
        self._wake = socket.socketpair()
        self.selector.register(self._wake[0], selectors.EVENT_READ, self._closing.set)
        self._thread = threading.Thread(target=self._keep_stepping, name=name, daemon=True)
        self._thread.start()

    def stop_accepting(self) -> None:
        """Accept no further connection; pending ones stay."""
        if self._listener is not None:
            with contextlib.suppress(KeyError, ValueError):
                self.selector.unregister(self._listener)
            self._listener.close()
            self._listener = None

    def close(self) -> None:
        """Accept no further connection and close all pending ones."""
        if self._thread is not None:
            self._wake[1].sendall(b"\0")
            self._thread.join()
            self._thread = None
            for end in self._wake:
                end.close()
        # The selector first: a forked copy must not change the parent's registrations.
        self.selector.close()
        self.stop_accepting()
        for pending in list(self._pending):
            self._drop(pending)

    def _keep_stepping(self) -> None:
        while not self._closing.is_set():
            self.step()

    def _accept(self) -> None:
        if self._listener is None:
            return
        try:
            connection, _ = self._listener.accept()
        except OSError as error:  # closed already, or no descriptor is left for it
            if error.errno in _NO_ROOM:
                self._drop_one()
                time.sleep(_BREATH_SECONDS)
            return
        if len(self._pending) >= self._max_pending:
            self._drop_one()
        pending = PendingConnection(connection, time.monotonic() + self._seconds, self._limit)
        try:
            connection.setblocking(False)
            if self._on_accept is not None:
                self._on_accept(pending)
            self.selector.register(connection, selectors.EVENT_READ, lambda: self._read(pending))
        except Exception:
            _logger.debug("a connection was refused", exc_info=True)
            connection.close()
            return
        self._pending[pending] = None

    def _drop_one(self) -> None:
        if self._pending:
            self._drop(random.choice(list(self._pending)))

    def _read(self, pending: PendingConnection) -> None:
        if pending not in self._pending:
            return
        try:
            if not self._receive(pending):
                return
            if not self._is_complete(pending):
                if len(pending.received) >= pending.limit:
                    raise ValueError("the request is longer than its limit")
                return
            self._forget(pending)
            self._on_request(pending)
        except Exception:  # a failing connection must not affect the others
            _logger.debug("a connection was closed", exc_info=True)
            self._drop(pending)

    def _receive(self, pending: PendingConnection) -> bool:
        """Read from a connection; tell whether anything came."""
        size = min(_CHUNK, pending.limit - len(pending.received))
        descriptors: list[int] = []
        try:
            if self._descriptors:
                data, descriptors, _, _ = socket.recv_fds(
                    pending.connection, size, self._descriptors
                )
            else:
                data = pending.connection.recv(size)
        except BlockingIOError:
            return False
        pending.descriptors += descriptors
        if len(pending.descriptors) > self._descriptors:
            raise ValueError("the request has more descriptors than its limit")
        if not data:
            raise ConnectionError("the other end closed the connection")
        pending.received += data
        return True

    def _drop(self, pending: PendingConnection) -> None:
        self._forget(pending)
        pending.connection.close()
        for descriptor in pending.descriptors:
            os.close(descriptor)

    def _forget(self, pending: PendingConnection) -> None:
        if pending in self._pending:
            del self._pending[pending]
            with contextlib.suppress(KeyError, ValueError):
                self.selector.unregister(pending.connection)
