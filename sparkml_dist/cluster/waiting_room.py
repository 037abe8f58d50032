"""Where connections wait that have not said yet what they come for: few, and not for long.

Whoever reaches a listening socket may connect to it, whether or not it belongs to the gang. A
thread for each of them, or a deadline for each of their bytes, would let strangers take all threads
and keep them. Here one thread, or none, hears all of them at once; each has to say all that it has
to say before its deadline, however it divides it up, and within a number of bytes. Where all places
are taken, a newcomer gets that of somebody chosen at random: who floods the door cannot keep the
others out, but only make them come again.
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

__all__ = ["BACKLOG", "Visitor", "WaitingRoom"]

_logger = logging.getLogger(__name__)

#: Connections that the kernel keeps for a listener until they are let into the room.
BACKLOG = 512
_CHUNK = 1 << 16
_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_BREATH_SECONDS = 0.05


@dataclass(eq=False)
class Visitor:
    """A connection that waits.

    Attributes
    ----------
    connection : socket.socket
        Does not block while it waits.
    deadline : float
        By `time.monotonic`: when it is hung up on.
    limit : int
        Bytes that it may say in all; whoever listens may raise it.
    said : bytearray
        What it has said so far.
    descriptors : list of int
        What it has handed over.
    greeting : bytes
        What it was greeted with.
    """

    connection: socket.socket
    deadline: float
    limit: int
    said: bytearray = field(default_factory=bytearray)
    descriptors: list[int] = field(default_factory=list)
    greeting: bytes = b""


class WaitingRoom:
    """Lets in whoever connects, until they have said enough or their time is over.

    Parameters
    ----------
    listener : socket.socket
        Listens already; closed with the room.
    take : callable
        ``take(visitor)`` gets each visitor that has said all; its connection and its descriptors
        are the callee's from then on. Any exception hangs up and closes them.
    whole : callable, optional
        ``whole(visitor)`` tells, whenever a visitor has said more, whether it has said all; any
        exception hangs up. By default it has when it has said `limit` bytes.
    greet : callable, optional
        ``greet(visitor)`` is called with each newcomer; any exception hangs up.
    seconds : float
        How long a visitor may stay.
    places : int, default=128
        How many may wait at the same time.
    limit : int
        Bytes that a visitor may say.
    descriptors : int, default=0
        Descriptors that it may hand over.

    Attributes
    ----------
    selector : selectors.BaseSelector
        What `step` waits for. Others may register sockets with it, with a function of no arguments
        as their data, which is called when they are ready.
    """

    def __init__(
        self,
        listener: socket.socket,
        take: Callable[[Visitor], None],
        *,
        whole: Callable[[Visitor], bool] | None = None,
        greet: Callable[[Visitor], None] | None = None,
        seconds: float,
        places: int = 128,
        limit: int,
        descriptors: int = 0,
    ) -> None:
        self.selector = selectors.DefaultSelector()
        self._listener: socket.socket | None = listener
        self._take = take
        self._whole = whole or (lambda visitor: len(visitor.said) >= limit)
        self._greet = greet
        self._seconds = seconds
        self._places = places
        self._limit = limit
        self._descriptors = descriptors
        # In the order of their deadlines.
        self._visitors: dict[Visitor, None] = {}
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        listener.setblocking(False)
        self.selector.register(listener, selectors.EVENT_READ, self._accept)

    @property
    def open(self) -> bool:
        """Whether anybody may still come, or waits."""
        return self._listener is not None or bool(self._visitors)

    def step(self, seconds: float | None = None) -> None:
        """Deal with what happens within `seconds`, or with the first thing that happens."""
        first = next(iter(self._visitors), None)
        if first is not None:
            left = first.deadline - time.monotonic()
            seconds = left if seconds is None else min(left, seconds)
        ready = self.selector.select(None if seconds is None else max(0.0, seconds))
        # Not afterwards: whoever spoke while this process was busy is heard, however late it is.
        now = time.monotonic()
        for key, _ in ready:
            key.data()
        for late in [v for v in self._visitors if v.deadline <= now]:
            self._dismiss(late)

    def serve(self, name: str) -> None:
        """Take `step` after `step`, in a thread of this name, until the room is closed."""
        self._wake = socket.socketpair()
        self.selector.register(self._wake[0], selectors.EVENT_READ, self._closing.set)
        self._thread = threading.Thread(target=self._keep_stepping, name=name, daemon=True)
        self._thread.start()

    def close_door(self) -> None:
        """Let nobody in any more; who waits may stay."""
        if self._listener is not None:
            with contextlib.suppress(KeyError, ValueError):
                self.selector.unregister(self._listener)
            self._listener.close()
            self._listener = None

    def close(self) -> None:
        """Close the door and hang up on all who wait."""
        if self._thread is not None:
            self._wake[1].sendall(b"\0")
            self._thread.join()
            self._thread = None
            for end in self._wake:
                end.close()
        # The selector first: a forked process has a copy, and must not change the other one.
        self.selector.close()
        self.close_door()
        for visitor in list(self._visitors):
            self._dismiss(visitor)

    def _keep_stepping(self) -> None:
        while not self._closing.is_set():
            self.step()

    def _accept(self) -> None:
        if self._listener is None:
            return
        try:
            connection, _ = self._listener.accept()
        except OSError as error:  # it has gone already, or there is no descriptor left for it
            if error.errno in _NO_ROOM:
                self._make_place()
                time.sleep(_BREATH_SECONDS)
            return
        if len(self._visitors) >= self._places:
            self._make_place()
        visitor = Visitor(connection, time.monotonic() + self._seconds, self._limit)
        try:
            connection.setblocking(False)
            if self._greet is not None:
                self._greet(visitor)
            self.selector.register(connection, selectors.EVENT_READ, lambda: self._hear(visitor))
        except Exception:
            _logger.debug("a connection was refused", exc_info=True)
            connection.close()
            return
        self._visitors[visitor] = None

    def _make_place(self) -> None:
        if self._visitors:
            self._dismiss(random.choice(list(self._visitors)))

    def _hear(self, visitor: Visitor) -> None:
        if visitor not in self._visitors:
            return
        try:
            if not self._receive(visitor):
                return
            if not self._whole(visitor):
                if len(visitor.said) >= visitor.limit:
                    raise ValueError("it says more than there is to say")
                return
            self._forget(visitor)
            self._take(visitor)
        except Exception:  # whatever it is, nobody else is concerned
            _logger.debug("a connection was hung up on", exc_info=True)
            self._dismiss(visitor)

    def _receive(self, visitor: Visitor) -> bool:
        """Hear what a visitor says; tell whether it said anything."""
        size = min(_CHUNK, visitor.limit - len(visitor.said))
        descriptors: list[int] = []
        try:
            if self._descriptors:
                data, descriptors, _, _ = socket.recv_fds(
                    visitor.connection, size, self._descriptors
                )
            else:
                data = visitor.connection.recv(size)
        except BlockingIOError:
            return False
        visitor.descriptors += descriptors
        if len(visitor.descriptors) > self._descriptors:
            raise ValueError("it hands over more than there is to hand over")
        if not data:
            raise ConnectionError("it has hung up")
        visitor.said += data
        return True

    def _dismiss(self, visitor: Visitor) -> None:
        self._forget(visitor)
        visitor.connection.close()
        for descriptor in visitor.descriptors:
            os.close(descriptor)

    def _forget(self, visitor: Visitor) -> None:
        if visitor in self._visitors:
            del self._visitors[visitor]
            with contextlib.suppress(KeyError, ValueError):
                self.selector.unregister(visitor.connection)
