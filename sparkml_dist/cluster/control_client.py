"""One rank's end of the line over which the tasks of a gang tell each other of failures."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable

from sparkml_dist.cluster.control_wire import (
    NONCE_BYTES,
    ForgedMessageError,
    Line,
    Record,
    beat_seconds,
    hang_up,
    hello,
    keep_alive,
    silent,
)
from sparkml_dist.cluster.observed_time import ObservedTime

__all__ = ["SERVER_GONE", "ControlClient"]

#: What a rank takes for the first failure where the server, in rank 0's task, has ended.
SERVER_GONE: Record = {"rank": 0, "kind": "lost", "echo": False}

_CONNECT_SECONDS = 10.0
_LONGEST_PAUSE = 0.2
_SHORT_FIELDS = ("rank", "host", "kind", "exit_code", "seconds", "echo")


class ControlClient:
    """One rank's end of the line.

    Parameters
    ----------
    address, port, token
        Where the `ControlServer` listens, and its secret.
    rank : int
        Whose end this is.
    on_stop : callable
        Called once, from a thread, with the record of the first failure; also when the server
        itself goes away or falls silent before this rank is done.
    seconds : float, default=30
        How long connecting may take.
    silence_seconds : float, optional
        After which a server that says nothing has failed; never by default.

    Raises
    ------
    ConnectionError
        The server has ended already, or does not let this rank in.
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
        self._line = _connected(address, port, token, rank, seconds)
        self._thread = threading.Thread(
            target=self._listen, name=f"sparkml_dist-control-{rank}", daemon=True
        )
        self._thread.start()

    def failed(self, record: Record) -> None:
        """Report that this rank has failed; only how, where the record is too long for the line."""
        try:
            self._line.send({"type": "failed", "record": record})
        except ValueError:
            told = {k: record[k] for k in _SHORT_FIELDS if k in record}
            self._line.send({"type": "failed", "record": told})

    def advanced(self, count: int, doing: str) -> None:
        """Report how often this rank has advanced, and what it was about to do."""
        self._line.send({"type": "advanced", "count": count, "doing": doing})

    def done(self) -> None:
        """Report that this rank has ended well; what happens after that is not its concern."""
        self._finished = True
        self._line.send({"type": "done"})

    def close(self) -> None:
        """Hang up."""
        self._finished = True
        self._line.close()

    def _listen(self) -> None:
        record = self._first_failure()
        if record is not None and not self._finished:
            self._on_stop(record)

    def _first_failure(self) -> Record | None:
        """Say every now and then that this rank is there, until the server tells of a failure."""
        clock, beat = ObservedTime(), beat_seconds(self._silence_seconds)
        heard = beaten = clock()
        while not self._finished:
            message: Record | None = {}
            try:
                message = self._line.read()
                heard = clock()
            except TimeoutError:
                if self._silence_seconds and clock() - heard > self._silence_seconds:
                    return silent(0, self._silence_seconds)
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
                self._line.send({"type": "beat"})
        return None


def _connected(address: str, port: int, token: str, rank: int, seconds: float) -> Line:
    deadline = time.monotonic() + seconds
    while True:
        try:
            return _introduced(address, port, token, rank, deadline)
        except ConnectionRefusedError:
            raise  # at once: who gives away an address listens on it until the end
        except OSError as error:
            # Where strangers throng, the server lets others in by chance.
            if time.monotonic() > deadline:
                raise ConnectionError(f"the gang's control server lets nobody in: {error}") from (
                    error
                )
            time.sleep(random.uniform(0, _LONGEST_PAUSE))


def _introduced(address: str, port: int, token: str, rank: int, deadline: float) -> Line:
    """Connect, and return the line once each end has proved that it knows the token."""
    connection = socket.create_connection((address, port), timeout=_CONNECT_SECONDS)
    try:
        keep_alive(connection)
        said, keys = hello(token, _nonce(connection, deadline), rank)
        connection.sendall(said)
        line = Line(connection, keys.of_rank, keys.of_server)
        while True:
            try:
                if line.read() is None:
                    raise ConnectionError("it hung up")
                return line
            except TimeoutError:
                if time.monotonic() > deadline:
                    raise
    except BaseException:
        hang_up(connection)
        raise


def _nonce(connection: socket.socket, deadline: float) -> bytes:
    found = b""
    while missing := NONCE_BYTES - len(found):
        connection.settimeout(max(0.1, deadline - time.monotonic()))
        data = connection.recv(missing)
        if not data:
            raise ConnectionError("it hung up")
        found += data
    return found
