"""The line over which the tasks of a gang tell each other that a rank has failed.

Without it a rank that dies leaves the others waiting in a collective operation until Horovod's own
timeout, and nobody knows whose failure came first. The task of rank 0 runs a
`ControlServer`; every task, its own included, holds one `ControlClient`. A failure, or a
connection that breaks, is told to all, and everyone names the same first failure.

The protocol is JSON lines over TCP. A client proves that it knows the gang's token by answering a
random challenge with an HMAC, so that the token itself is never sent.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import secrets
import socket
import socketserver
import threading
import time
from collections.abc import Callable
from typing import Any, BinaryIO, cast

__all__ = ["ControlClient", "ControlServer"]

Record = dict[str, Any]

_HANDSHAKE_SECONDS = 10.0
_LONGEST_LINE = 1 << 20


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
    """

    def __init__(
        self, address: str, size: int, *, echo_seconds: float = 1.0, join_seconds: float = 60.0
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
            _hang_up(client)

    def _join(self, rank: int, client: socket.socket) -> None:
        with self._lock:
            self._clients[rank] = client
            self._joined.add(rank)
            verdict = self._verdict
        if verdict is not None:
            _send(client, {"type": "stop", "record": verdict})

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
                finished = len(self._done) == self.size
            if finished:
                self._ended.set()

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
            _send(client, {"type": "stop", "record": self._verdict})
        self._ended.set()

    def _check_joined(self) -> None:
        with self._lock:
            missing = sorted(set(range(self.size)) - self._joined)
        if missing and not self._ended.is_set():
            self._report({"rank": missing[0], "kind": "not_joined", "echo": False})


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
        itself goes away before this rank is done.
    seconds : float, default=30
        How long connecting may take.
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
    ) -> None:
        self._on_stop = on_stop
        self._finished = False
        self._socket = _connect(address, port, seconds)
        self._stream: BinaryIO = self._socket.makefile("rb")
        challenge = _read(self._stream)
        if challenge is None:
            raise ConnectionError("the gang's control server hung up")
        answer = _answer(token, challenge["nonce"], rank)
        _send(self._socket, {"rank": rank, "answer": answer})
        self._socket.settimeout(None)
        self._thread = threading.Thread(
            target=self._listen, name=f"sparkml_dist-control-{rank}", daemon=True
        )
        self._thread.start()

    def failed(self, record: Record) -> None:
        """Report that this rank has failed."""
        _send(self._socket, {"type": "failed", "record": record})

    def done(self) -> None:
        """Report that this rank has ended well; what happens after that is not its concern."""
        self._finished = True
        _send(self._socket, {"type": "done"})

    def close(self) -> None:
        """Hang up."""
        self._finished = True
        _hang_up(self._socket)

    def _listen(self) -> None:
        message = _read(self._stream)
        if self._finished:
            return
        if message is None:
            self._on_stop({"rank": 0, "kind": "lost", "echo": False})
        else:
            self._on_stop(message["record"])


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
        _keep_alive(client)
        client.settimeout(_HANDSHAKE_SECONDS)
        nonce = secrets.token_hex(16)
        _send(client, {"nonce": nonce})
        stream = cast(BinaryIO, self.rfile)
        hello = _read(stream)
        if hello is None or not isinstance(hello.get("rank"), int):
            return
        rank = hello["rank"]
        expected = _answer(control.token, nonce, rank)
        if not hmac.compare_digest(expected, str(hello.get("answer"))):
            return
        client.settimeout(None)
        control._join(rank, client)
        try:
            while (message := _read(stream)) is not None:
                control._take(rank, message)
        finally:
            control._leave(rank)


def _answer(token: str, nonce: str, rank: int) -> str:
    return hmac.new(token.encode(), f"{nonce}:{rank}".encode(), "sha256").hexdigest()


def _connect(address: str, port: int, seconds: float) -> socket.socket:
    deadline = time.monotonic() + seconds
    while True:
        try:
            connection = socket.create_connection((address, port), timeout=_HANDSHAKE_SECONDS)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            _keep_alive(connection)
            return connection


def _keep_alive(connection: socket.socket) -> None:
    # A host that loses power sends no farewell: let the kernel ask after 10 s of silence.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for option, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def _send(connection: socket.socket, message: Record) -> None:
    # Who cannot be told has hung up, and is counted as lost by whoever reads from it.
    with contextlib.suppress(OSError):
        connection.sendall(json.dumps(message).encode() + b"\n")


def _read(stream: BinaryIO) -> Record | None:
    try:
        line = stream.readline(_LONGEST_LINE)
        message = json.loads(line) if line.endswith(b"\n") else None
    except (OSError, ValueError):
        return None
    return message if isinstance(message, dict) else None


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError):
        connection.close()
