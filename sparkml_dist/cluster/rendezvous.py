"""A small key-value store over HTTP, where the ranks of a gang find each other.

It speaks what Horovod's Gloo store asks of ``horovod/runner/http/http_server.py``
(``RendezvousHandler``): ``PUT /scope/key`` stores a value, ``GET /scope/key`` returns it or 404,
``DELETE /scope/key`` ends the caller's use of the scope. Two things are different: it listens on
one address only, and every path must begin with a secret. Horovod cannot send credentials, but it
builds its addresses as ``http://`` + address + ``:`` + port + ``/scope/key``; with an address of
``host:port/secret`` the secret becomes the first part of every path.

One thread answers all, each when its request is there as a whole; until then
`sparkml_dist.cluster.waiting_room` keeps it, and who does not begin with the secret may say little.

What Horovod appends as the port is then free to mean something else: the number of a round. Ranks
that start Horovod anew must not find what they left in the store before, and so each start has a
round of its own.
"""

from __future__ import annotations

import io
import re
import secrets
import socket
from collections.abc import Mapping, MutableMapping
from http.server import BaseHTTPRequestHandler
from typing import Any

from sparkml_dist.cluster.waiting_room import BACKLOG, Visitor, WaitingRoom

__all__ = ["RendezvousServer", "has_rounds", "next_round"]

_ADDRESS = "HOROVOD_GLOO_RENDEZVOUS_ADDR"
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
        IPv4 address that is listened on; no other interface is opened.
    secret : str, optional
        First part of every path; random by default.

    Attributes
    ----------
    port : int
        The port that the system chose.
    secret : str
        What a path must begin with.
    """

    def __init__(self, address: str, secret: str | None = None) -> None:
        self.address = address
        self.secret = secret or secrets.token_hex(16)
        self._scopes: dict[str, dict[str, bytes]] = {}
        listener = socket.create_server((address, 0), backlog=BACKLOG)
        self.port = int(listener.getsockname()[1])
        self._room = WaitingRoom(
            listener,
            self._answer,
            whole=self._whole,
            seconds=_REQUEST_SECONDS,
            limit=_LONGEST_HEAD,
        )
        self._room.serve("sparkml_dist-rendezvous")

    @property
    def environment(self) -> dict[str, str]:
        """What a rank's process needs in its environment to find the store."""
        return {
            _ADDRESS: f"{self.address}:{self.port}/{self.secret}",
            _ROUND: "1",
        }

    def close(self) -> None:
        """Stop listening."""
        self._room.close()

    def _whole(self, visitor: Visitor) -> bool:
        """Tell whether a request is there as a whole, or enough of it to refuse it."""
        head, end, body = visitor.said.partition(b"\r\n\r\n")
        if not end:
            return False
        found = _LENGTH.search(head + end)
        length = int(found[1]) if found else 0
        if length > _LARGEST_VALUE or not secrets.compare_digest(
            _first_part(head), self.secret.encode()
        ):
            return True
        visitor.limit = len(head) + len(end) + length + 1
        return len(body) >= length

    def _answer(self, visitor: Visitor) -> None:
        answer = _Request(bytes(visitor.said), self.secret, self._scopes).answer
        visitor.connection.settimeout(_ANSWER_SECONDS)
        with visitor.connection:
            visitor.connection.sendall(answer)

    def __enter__(self) -> RendezvousServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def has_rounds(environment: Mapping[str, str]) -> bool:
    """Tell whether the store that Horovod is pointed to is a `RendezvousServer`."""
    return "/" in environment.get(_ADDRESS, "") and environment.get(_ROUND, "").isdigit()


def next_round(environment: MutableMapping[str, str]) -> None:
    """Let the next start of Horovod meet in a part of the store that nothing lies in yet.

    Every rank must call it as often, where the store `has_rounds`.

    Parameters
    ----------
    environment : mutable mapping of str to str
        That of the process; changed in place.
    """
    environment[_ROUND] = str(int(environment[_ROUND]) + 1)


def _first_part(head: bytes | bytearray) -> bytes:
    """Return the first part of the path that a request asks for, up to its round."""
    return bytes(head).partition(b"/")[2].partition(b"/")[0].partition(b":")[0]


class _Request(BaseHTTPRequestHandler):
    """A request that has been read already, and its answer."""

    def __init__(self, said: bytes, secret: str, scopes: dict[str, dict[str, bytes]]) -> None:
        self._secret, self._scopes = secret, scopes
        self.rfile, self.wfile = io.BufferedReader(io.BytesIO(said)), io.BytesIO()
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
        # A rank says that it has found the others. The key it names is its number, not the one its
        # address lies under, which the others may still be looking for.
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
        """Say nothing on the worker's stderr."""
