"""A small key-value store over HTTP, through which the ranks of a gang find each other.

It implements the requests of Horovod's Gloo store (``RendezvousHandler`` in
``horovod/runner/http/http_server.py``): ``PUT /scope/key`` stores a value, ``GET /scope/key``
returns it or 404, ``DELETE /scope/key`` ends the caller's use of the scope. Two things differ: it
listens on one address only, and every path must begin with a secret. Horovod cannot send
credentials, but it builds its URLs as ``http://`` + address + ``:`` + port + ``/scope/key``; with
an address of ``host:port/secret`` the secret becomes the first part of every path.

One thread answers all requests, each once it is complete. Until then
`sparkml_dist.cluster.connection_acceptor` holds the connection; without the secret only a short
request is read.

The port that Horovod appends can then carry another meaning: the number of a round. Ranks that
start Horovod again must not find old entries in the store; each start has a round of its own.
"""

from __future__ import annotations

import io
import re
import secrets
import socket
from collections.abc import Mapping, MutableMapping
from http.server import BaseHTTPRequestHandler
from typing import Any

from sparkml_dist.cluster.connection_acceptor import BACKLOG, ConnectionAcceptor, PendingConnection

__all__ = ["ADDRESS", "RendezvousServer", "has_rounds", "next_round"]

ADDRESS = "HOROVOD_GLOO_RENDEZVOUS_ADDR"
_ROUND = "HOROVOD_GLOO_RENDEZVOUS_PORT"

_REQUEST_SECONDS = 10.0
_ANSWER_SECONDS = 1.0
_LONGEST_HEAD = 1 << 13
_LARGEST_VALUE = 1 << 20
_LENGTH = re.compile(rb"\ncontent-length:[ \t]*(\d{1,12})[ \t]*\r?\n", re.IGNORECASE)


class RendezvousServer:
    """The store, served by a thread until it is closed.

    Parameters
    ----------
    address : str
        IPv4 address to listen on; no other interface is opened.
    secret : str, optional
        First part of every path; random by default.

    Attributes
    ----------
    port : int
        Port that the system chose.
    secret : str
        First part of every path.
    """

    def __init__(self, address: str, secret: str | None = None) -> None:
        self.address = address
        self.secret = secret or secrets.token_hex(16)
        self._scopes: dict[str, dict[str, bytes]] = {}
        listener = socket.create_server((address, 0), backlog=BACKLOG)
        self.port = int(listener.getsockname()[1])
        self._acceptor = ConnectionAcceptor(
            listener,
            self._answer,
            is_complete=self._is_complete,
            seconds=_REQUEST_SECONDS,
            limit=_LONGEST_HEAD,
        )
        self._acceptor.serve("sparkml_dist-rendezvous")

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that point a rank's process to the store."""
        return {
            ADDRESS: f"{self.address}:{self.port}/{self.secret}",
            _ROUND: "1",
        }

    def close(self) -> None:
        """Stop listening."""
        self._acceptor.close()

    def _is_complete(self, pending: PendingConnection) -> bool:
        """Tell whether a request is complete, or long enough to be refused."""
        head, end, body = pending.received.partition(b"\r\n\r\n")
        if not end:
            return False
        found = _LENGTH.search(head + end)
        length = int(found[1]) if found else 0
        if length > _LARGEST_VALUE or not secrets.compare_digest(
            _first_part(head), self.secret.encode()
        ):
            return True
        pending.limit = len(head) + len(end) + length + 1
        return len(body) >= length

    def _answer(self, pending: PendingConnection) -> None:
        answer = _Request(bytes(pending.received), self.secret, self._scopes).answer
        pending.connection.settimeout(_ANSWER_SECONDS)
        with pending.connection:
            pending.connection.sendall(answer)

    def __enter__(self) -> RendezvousServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def has_rounds(environment: Mapping[str, str]) -> bool:
    """Tell whether the store that Horovod is pointed to is a `RendezvousServer`."""
    return "/" in environment.get(ADDRESS, "") and environment.get(_ROUND, "").isdigit()


def next_round(environment: MutableMapping[str, str]) -> None:
    """Make the next start of Horovod use an empty part of the store.

    Every rank must call it equally often. Requires a store that `has_rounds`.

    Parameters
    ----------
    environment : mutable mapping of str to str
        Of the process; changed in place.
    """
    environment[_ROUND] = str(int(environment[_ROUND]) + 1)


def _first_part(head: bytes | bytearray) -> bytes:
    """Return the first part of a request's path, without the round."""
    return bytes(head).partition(b"/")[2].partition(b"/")[0].partition(b":")[0]


class _Request(BaseHTTPRequestHandler):
    """Parses a complete request and forms the answer."""

    def __init__(self, received: bytes, secret: str, scopes: dict[str, dict[str, bytes]]) -> None:
        self._secret, self._scopes = secret, scopes
        self.rfile, self.wfile = io.BufferedReader(io.BytesIO(received)), io.BytesIO()
        self.handle_one_request()

    @property
    def answer(self) -> bytes:
        return self.wfile.getvalue()  # type: ignore[attr-defined]

    def do_GET(self) -> None:
        if (place := self._place()) is None:
            return
        scope, key = place
        value = self._scopes.get(scope, {}).get(key)
        self._answer(404) if value is None else self._answer(200, value)

    def do_PUT(self) -> None:
        if (place := self._place()) is None:
            return
        scope, key = place
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > _LARGEST_VALUE:
            self._answer(400)
            return
        value = self.rfile.read(int(length))
        if len(value) != int(length):
            self._answer(400)
            return
        self._scopes.setdefault(scope, {})[key] = value
        self._answer(200)

    def do_DELETE(self) -> None:
        # A rank reports that it has found the others. The key is the rank's number, not that of
        # its address, which other ranks may still look up.
        if (place := self._place()) is None:
            return
        scope, key = place
        self._scopes.get(scope, {}).pop(key, None)
        self._answer(200)

    def _place(self) -> tuple[str, str] | None:
        parts = self.path.split("/")
        secret, _, number = parts[1].partition(":") if len(parts) == 4 else ("", "", "")
        if len(parts) != 4:
            self._answer(400)
        elif not secrets.compare_digest(secret.encode(), self._secret.encode()):
            self._answer(403)
        elif not number.isdigit():
            self._answer(400)
        else:
            return f"{number}/{parts[2]}", parts[3]
        return None

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing to the worker's stderr."""
