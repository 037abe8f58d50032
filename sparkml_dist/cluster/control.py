"""The control connection: tasks of a gang report failures to each other.

Without it a rank that dies leaves the others waiting in a collective operation until Horovod's own
timeout, and nobody knows which rank failed first. The task of rank 0 runs a `ControlServer`; every
task, rank 0's included, holds one `sparkml_dist.cluster.control_client.ControlClient`. The server
sends the first failure to all tasks: a failed rank, a broken connection, or a gang that no longer
advances.

Both ends send a heartbeat every two seconds. A task that is stopped, or whose messages are held
back, counts as failed. `sparkml_dist.cluster.control_wire` authenticates the messages;
`sparkml_dist.cluster.connection_acceptor` bounds the connections that are not authenticated yet.
"""

from __future__ import annotations

import hmac
import secrets
import socket
import threading

from sparkml_dist.cluster.connection_acceptor import BACKLOG, ConnectionAcceptor, PendingConnection
from sparkml_dist.cluster.control_wire import (
    HANDSHAKE_SECONDS,
    HELLO,
    NONCE_BYTES,
    Channel,
    ChannelKeys,
    ForgedMessageError,
    Record,
    heartbeat_seconds,
    keep_alive,
    silent_record,
)
from sparkml_dist.cluster.observed_time import ObservedTime
from sparkml_dist.cluster.stall import StallWatch

__all__ = ["ControlServer"]

_WATCH_SECONDS = 1.0


class ControlServer:
    """Receives the status of every rank and sends the first failure to all of them.

    Parameters
    ----------
    address : str
        IPv4 address to listen on.
    size : int
        Number of ranks.
    echo_seconds : float, default=1.0
        How long an error that looks like the consequence of another rank's death
        (``record["echo"]``) waits for the report of the cause.
    join_seconds : float, default=60
        Time for a rank to connect, counted from the start.
    stall_seconds : float, optional
        Time without an advance of any rank after which the gang has failed; no limit by default.
    silence_seconds : float, optional
        Time without a message from a rank's task after which it has failed; no limit by default.
    """

    def __init__(
        self,
        address: str,
        size: int,
        *,
        echo_seconds: float = 1.0,
        join_seconds: float = 60.0,
        stall_seconds: float | None = None,
        silence_seconds: float | None = None,
    ) -> None:
        self.size = size
        self.token = secrets.token_hex(16)
        self._echo_seconds = echo_seconds
        self._lock = threading.Lock()
        self._clients: dict[int, Channel] = {}
        self._joined: set[int] = set()
        self._done: set[int] = set()
        self._reports: list[Record] = []
        self._verdict: Record | None = None
        self._ended = threading.Event()
        self._clock = ObservedTime()
        self._heard: dict[int, float] = {}
        self._silence_seconds = silence_seconds
        self._stall = StallWatch(stall_seconds or float("inf"), self._clock)
        listener = socket.create_server((address, 0), backlog=BACKLOG)
        self.port = int(listener.getsockname()[1])
        self._acceptor = ConnectionAcceptor(
            listener, self._admit, on_accept=_challenge, seconds=HANDSHAKE_SECONDS, limit=HELLO.size
        )
        self._acceptor.serve("sparkml_dist-control")
        self._join_timer = threading.Timer(join_seconds, self._check_joined)
        self._join_timer.daemon = True
        self._join_timer.start()
        threading.Thread(target=self._watch, name="sparkml_dist-control-watch", daemon=True).start()

    @property
    def verdict(self) -> Record | None:
        """The first failure, once it has been sent to the ranks."""
        return self._verdict

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until every rank is done or a failure was sent; False when `seconds` pass first."""
        return self._ended.wait(seconds)

    def close(self) -> None:
        """Stop listening and close all connections."""
        self._join_timer.cancel()
        self._ended.set()
        self._acceptor.close()
        with self._lock:
            clients = list(self._clients.values())
            self._clients.clear()
        for client in clients:
            client.close()

    def _admit(self, pending: PendingConnection) -> None:
        """Accept a rank that proves that it knows the token; raise otherwise."""
        nonce, rank, proof = HELLO.unpack(pending.received)
        keys = ChannelKeys.of(self.token, pending.challenge, nonce, rank)
        if not hmac.compare_digest(proof, keys.proof):
            raise PermissionError("it does not know the token")
        channel = Channel(pending.connection, keys.of_server, keys.of_rank)
        with self._lock:
            if rank in self._joined or rank >= self.size:
                raise PermissionError(f"rank {rank} is connected already or does not exist")
            channel.send({"type": "welcome"})
            self._clients[rank] = channel
            self._joined.add(rank)
            self._stall.joined(rank)
            self._heard[rank] = self._clock()
            verdict = self._verdict
        if verdict is not None:
            channel.send({"type": "stop", "record": verdict})
        threading.Thread(
            target=self._follow,
            args=(rank, channel),
            name=f"sparkml_dist-control-of-{rank}",
            daemon=True,
        ).start()

    def _follow(self, rank: int, channel: Channel) -> None:
        """Handle the messages of a rank until it closes the connection."""
        try:
            while True:
                try:
                    message = channel.read()
                except TimeoutError:
                    continue
                if message is None:
                    break
                with self._lock:
                    self._heard[rank] = self._clock()
                self._handle(rank, message)
        except ForgedMessageError:
            self._report({"rank": rank, "kind": "forged", "echo": False})
        finally:
            channel.close()
            self._leave(rank)

    def _leave(self, rank: int) -> None:
        with self._lock:
            self._clients.pop(rank, None)
            known = rank in self._done or any(r["rank"] == rank for r in self._reports)
        if not known and not self._ended.is_set():
            self._report({"rank": rank, "kind": "lost", "echo": False})

    def _handle(self, rank: int, message: Record) -> None:
        if message.get("type") == "failed":
            self._report({**message["record"], "rank": rank})
        elif message.get("type") == "done":
            with self._lock:
                self._done.add(rank)
                self._stall.done(rank)
                finished = len(self._done) == self.size
            if finished:
                self._ended.set()
        elif message.get("type") == "advanced":
            with self._lock:
                self._stall.advanced(rank, int(message["count"]), str(message["doing"]))

    def _report(self, record: Record) -> None:
        with self._lock:
            first = not self._reports
            self._reports.append(record)
        if not record.get("echo"):
            self._decide()
        elif first:
            timer = threading.Timer(self._echo_seconds, self._decide)
            timer.daemon = True
            timer.start()

    def _decide(self) -> None:
        with self._lock:
            if self._verdict is not None:
                return
            causes = [r for r in self._reports if not r.get("echo")]
            self._verdict = (causes or self._reports)[0]
            clients = list(self._clients.values())
        for client in clients:
            client.send({"type": "stop", "record": self._verdict})
        self._ended.set()

    def _watch(self) -> None:
        beat = heartbeat_seconds(self._silence_seconds)
        beaten = self._clock()
        while not self._ended.wait(min(_WATCH_SECONDS, beat)):
            now = self._clock()
            with self._lock:
                record = self._stall.stalled() or self._silent(now)
                clients = list(self._clients.values())
            if record is not None:
                self._report(record)
                return
            if now - beaten >= beat:
                beaten = now
                for client in clients:
                    client.send({"type": "beat"})

    def _silent(self, now: float) -> Record | None:
        for rank, heard in self._heard.items():
            seconds = self._silence_seconds
            if seconds and rank not in self._done and now - heard > seconds:
                return silent_record(rank, seconds)
        return None

    def _check_joined(self) -> None:
        with self._lock:
            missing = sorted(set(range(self.size)) - self._joined)
        if missing and not self._ended.is_set():
            self._report({"rank": missing[0], "kind": "not_joined", "echo": False})


def _challenge(pending: PendingConnection) -> None:
    keep_alive(pending.connection)
    pending.challenge = secrets.token_bytes(NONCE_BYTES)
    pending.connection.sendall(pending.challenge)
