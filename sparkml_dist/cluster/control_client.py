"""One rank's end of the control connection, over which tasks report failures to each other."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable

from sparkml_dist.cluster.control_wire import (
    NONCE_BYTES,
    Channel,
    ForgedMessageError,
    Record,
    close_connection,
    heartbeat_seconds,
    hello,
    keep_alive,
    silent_record,
)
from sparkml_dist.cluster.observed_time import ObservedTime

__all__ = ["SERVER_GONE", "ControlClient"]

#: The first failure as a rank records it when the server, in rank 0's task, has ended.
SERVER_GONE: Record = {"rank": 0, "kind": "lost", "echo": False}

_CONNECT_SECONDS = 10.0
_LONGEST_PAUSE = 0.2
_SHORT_FIELDS = ("rank", "host", "kind", "exit_code", "seconds", "echo")


class ControlClient:
    """One rank's end of the control connection.

    Parameters
    ----------
    address, port, token
        Address of the `ControlServer`, and its secret.
    rank : int
        The rank of this end.
    on_stop : callable
        Called once, from a thread, with the record of the first failure; also when the server
        closes the connection or falls silent_record before this rank is done.
    seconds : float, default=30
        Time limit for connecting.
    silence_seconds : float, optional
        Time without a message from the server after which it has failed; no limit by default.

    Raises
    ------
    ConnectionError
        The server has ended already, or rejects this rank.
    """

    def __init__(
        self,
        address: str,
        port: int,
        token: str,
        rank: int,
        on_stop: Callable[[Record], None],
        *,
        seconds: float = 30.0,
        silence_seconds: float | None = None,
    ) -> None:
        self._rank = rank
        self._on_stop = on_stop
        self._silence_seconds = silence_seconds
        self._finished = False
        self._channel = _connected(address, port, token, rank, seconds)
        self._thread = threading.Thread(
            target=self._listen, name=f"sparkml_dist-control-{rank}", daemon=True
        )
        self._thread.start()

    def failed(self, record: Record) -> None:
        """Report that this rank has failed; a record that is too long is shortened."""
        try:
            self._channel.send({"type": "failed", "record": record})
        except ValueError:
            short = {k: record[k] for k in _SHORT_FIELDS if k in record}
            self._channel.send({"type": "failed", "record": short})

    def advanced(self, count: int, doing: str) -> None:
        """Report the number of this rank's advances and its next step."""
        self._channel.send({"type": "advanced", "count": count, "doing": doing})

    def done(self) -> None:
        """Report that this rank has ended well; later failures do not concern it."""
        self._finished = True
        self._channel.send({"type": "done"})

    def close(self) -> None:
        """Close the connection."""
        self._finished = True
        self._channel.close()

    def _listen(self) -> None:
        record = self._first_failure()
        if record is not None and not self._finished:
            self._on_stop(record)

    def _first_failure(self) -> Record | None:
        """Send heartbeats until the server reports a failure; None when this rank is done."""
        clock, beat = ObservedTime(), heartbeat_seconds(self._silence_seconds)
        heard = beaten = clock()
        while not self._finished:
            message: Record | None = {}
            try:
                message = self._channel.read()
                heard = clock()
            except TimeoutError:
                if self._silence_seconds and clock() - heard > self._silence_seconds:
                    return silent_record(0, self._silence_seconds)
            except ForgedMessageError:
                record = {"rank": self._rank, "kind": "forged", "echo": False}
                self.failed(record)
                return record
            if message is None:
                return SERVER_GONE
            if message.get("type") == "stop":
                found: Record = message["record"]
                return found
            if clock() - beaten >= beat:
                beaten = clock()
                self._channel.send({"type": "beat"})
        return None


def _connected(address: str, port: int, token: str, rank: int, seconds: float) -> Channel:
    deadline = time.monotonic() + seconds
    while True:
        try:
            return _introduced(address, port, token, rank, deadline)
        except ConnectionRefusedError:
            raise  # at once: the server listens before it publishes its address, until it ends
        except OSError as error:
            # A flooded server drops waiting connections at random: try again.
            if time.monotonic() > deadline:
                raise ConnectionError(f"the gang's control server accepts no rank: {error}") from (
                    error
                )
            time.sleep(random.uniform(0, _LONGEST_PAUSE))


def _introduced(address: str, port: int, token: str, rank: int, deadline: float) -> Channel:
    """Connect, and return the connection once both ends have proved that they know the token."""
    connection = socket.create_connection((address, port), timeout=_CONNECT_SECONDS)
    try:
        keep_alive(connection)
        answer, keys = hello(token, _nonce(connection, deadline), rank)
        connection.sendall(answer)
        channel = Channel(connection, keys.of_rank, keys.of_server)
        while True:
            try:
                if channel.read() is None:
                    raise ConnectionError("the server closed the connection")
                return channel
            except TimeoutError:
                if time.monotonic() > deadline:
                    raise
    except BaseException:
        close_connection(connection)
        raise


def _nonce(connection: socket.socket, deadline: float) -> bytes:
    found = b""
    while missing := NONCE_BYTES - len(found):
        connection.settimeout(max(0.1, deadline - time.monotonic()))
        data = connection.recv(missing)
        if not data:
            raise ConnectionError("the server closed the connection")
        found += data
    return found
