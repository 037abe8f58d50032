"""The line over which the tasks of a gang tell each other that a rank has failed.

Without it a rank that dies leaves the others waiting in a collective operation until Horovod's own
timeout, and nobody knows whose failure came first. The task of rank 0 runs a
`ControlServer`; every task, its own included, holds one
`sparkml_dist.cluster.control_client.ControlClient`. A failure, a connection that breaks, or a gang
that no longer advances is told to all, and everyone names the same first failure.

The protocol is JSON lines over TCP. A client proves that it knows the gang's token by answering a
random challenge with an HMAC, so that the token itself is never sent.
"""

from __future__ import annotations

import hmac
import secrets
import socket
import socketserver
import threading
from typing import Any, BinaryIO, cast

from sparkml_dist.cluster.control_wire import (
    HANDSHAKE_SECONDS,
    Record,
    answer,
    hang_up,
    keep_alive,
    read,
    send,
)
from sparkml_dist.cluster.stall import StallWatch

__all__ = ["ControlServer"]

_WATCH_SECONDS = 1.0


class ControlServer:
    """Collects the fate of every rank and tells all of them about the first failure.

    Parameters
    ----------
    address : str
        IPv4 address that is listened on.
    size : int
        Number of ranks.
    echo_seconds : float, default=1.0
        How long an error that looks like the consequence of another rank's death
        (``record["echo"]``) waits for the cause to be reported.
    join_seconds : float, default=60
        How long after the start a rank may take to connect.
    stall_seconds : float, optional
        After which a gang in which no rank advances has failed; never by default.
    """

    def __init__(
        self,
        address: str,
        size: int,
        *,
        echo_seconds: float = 1.0,
        join_seconds: float = 60.0,
        stall_seconds: float | None = None,
    ) -> None:
        self.size = size
        self.token = secrets.token_hex(16)
        self._echo_seconds = echo_seconds
        self._lock = threading.Lock()
        self._clients: dict[int, socket.socket] = {}
        self._joined: set[int] = set()
        self._done: set[int] = set()
        self._reports: list[Record] = []
        self._verdict: Record | None = None
        self._ended = threading.Event()
        self._stall = StallWatch(stall_seconds or float("inf"))
        self._server = _Server((address, 0), _Handler)
        self._server.control = self
        self.port = int(self._server.server_address[1])
        threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.1},
            name="sparkml_dist-control",
            daemon=True,
        ).start()
        self._join_timer = threading.Timer(join_seconds, self._check_joined)
        self._join_timer.daemon = True
        self._join_timer.start()
        if stall_seconds:
            threading.Thread(
                target=self._watch, name="sparkml_dist-control-watch", daemon=True
            ).start()

    @property
    def verdict(self) -> Record | None:
        """The first failure, once it has been told to the ranks."""
        return self._verdict

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until every rank is done or a failure has been told; False when neither came."""
        return self._ended.wait(seconds)

    def close(self) -> None:
        """Stop listening and hang up."""
        self._join_timer.cancel()
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        with self._lock:
            clients = list(self._clients.values())
            self._clients.clear()
        for client in clients:
            hang_up(client)

    def _join(self, rank: int, client: socket.socket) -> None:
        with self._lock:
            self._clients[rank] = client
            self._joined.add(rank)
            self._stall.joined(rank)
            verdict = self._verdict
        if verdict is not None:
            send(client, {"type": "stop", "record": verdict})

    def _leave(self, rank: int) -> None:
        with self._lock:
            self._clients.pop(rank, None)
            known = rank in self._done or any(r["rank"] == rank for r in self._reports)
        if not known and not self._ended.is_set():
            self._report({"rank": rank, "kind": "lost", "echo": False})

    def _take(self, rank: int, message: Record) -> None:
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
            send(client, {"type": "stop", "record": self._verdict})
        self._ended.set()

    def _watch(self) -> None:
        while not self._ended.wait(_WATCH_SECONDS):
            with self._lock:
                record = self._stall.stalled()
            if record is not None:
                self._report(record)
                return

    def _check_joined(self) -> None:
        with self._lock:
            missing = sorted(set(range(self.size)) - self._joined)
        if missing and not self._ended.is_set():
            self._report({"rank": missing[0], "kind": "not_joined", "echo": False})


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    control: ControlServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a stranger's broken connection is no concern of the gang."""


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        control, client = self.server.control, self.request
        keep_alive(client)
        client.settimeout(HANDSHAKE_SECONDS)
        nonce = secrets.token_hex(16)
        send(client, {"nonce": nonce})
        stream = cast(BinaryIO, self.rfile)
        hello = read(stream)
        if hello is None or not isinstance(hello.get("rank"), int):
            return
        rank = hello["rank"]
        expected = answer(control.token, nonce, rank)
        if not hmac.compare_digest(expected, str(hello.get("answer"))):
            return
        client.settimeout(None)
        control._join(rank, client)
        try:
            while (message := read(stream)) is not None:
                control._take(rank, message)
        finally:
            control._leave(rank)
